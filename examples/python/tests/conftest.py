"""A router that tests share, and what it chooses."""

import collections.abc
import dataclasses
import pathlib
import sys
from typing import Any

import pytest

import blindroute

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

# Prompts for which the default bundle's router chooses different models.
EASY, HARD = "What is the capital of France?", "Prove that the square root of 2 is irrational."


class Counting:
    """A `PrivateRouter` that counts how often it is asked, in one placement."""

    def __init__(self, router: blindroute.PrivateRouter, placement: str) -> None:
        self.router, self.placement, self.asked = router, placement, 0

    def route(self, prompt: Any, **options: Any) -> blindroute.Route:
        self.asked += 1
        return self.router.route(prompt, **{"placement": self.placement, **options})

    async def aroute(self, prompt: Any, **options: Any) -> blindroute.Route:
        self.asked += 1
        return await self.router.aroute(prompt, **{"placement": self.placement, **options})


@dataclasses.dataclass
class Pool:
    """The models of the default bundle, and the best of them for each prompt."""

    names: list[str]
    best: dict[str, list[str]]


@pytest.fixture(scope="session")
def _local() -> collections.abc.Iterator[blindroute.PrivateRouter]:
    with blindroute.PrivateRouter.local() as router:
        yield router


@pytest.fixture
def router(_local: blindroute.PrivateRouter) -> Counting:
    """A router in placement `local`: what is tested is the way from the framework to it and back."""
    return Counting(_local, "local")


@pytest.fixture(scope="session")
def servers() -> collections.abc.Iterator[Counting]:
    """A router that asks servers, which are threads of this process."""
    with blindroute.PrivateRouter.in_process() as router:
        yield Counting(router, "full")


@pytest.fixture(scope="session")
def pool(_local: blindroute.PrivateRouter) -> Pool:
    names = [model.name for model in blindroute.Bundle.load().models]
    best = {
        prompt: [model.model for model in _local.route(prompt, placement="local", ranked=4).ranking]
        for prompt in (EASY, HARD)
    }
    assert best[EASY][0] != best[HARD][0], "a plug that always names one model would pass"
    return Pool(names, best)


@pytest.fixture(scope="session")
def gateway_config(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A configuration without providers: a model that is built in repeats what it is told. Slow machines have time."""
    path = tmp_path_factory.mktemp("gateway") / "gateway.toml"
    path.write_text('[route]\ndeadline = "1m"\non_failure = "error"\n')
    return path


@pytest.fixture(scope="session")
def base_url(gateway_config: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> collections.abc.Iterator[str]:
    """A gateway, whose model names the model that was chosen."""
    with pytest.MonkeyPatch.context() as environment:
        # Its record.
        environment.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
        with blindroute.gateway(gateway_config) as url:
            yield url
