"""Gateways that tests share."""

import concurrent.futures
import dataclasses

import pytest
from gateways import DIALECTS, Gateway, configuration
from provider import Provider

# One call of a provider, so that a test knows what it gets.
ONCE = "[retries]\nattempts = 1\n"


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory):
    """A gateway without a configuration: routes under MPC, with the model that is built in."""
    with Gateway(tmp_path_factory.mktemp("gateway")) as running:
        yield running


@pytest.fixture(scope="session", params=DIALECTS)
def translating(request: pytest.FixtureRequest, gateway: Gateway, tmp_path_factory: pytest.TempPathFactory):
    """A gateway whose only provider, the other gateway, is spoken to in one dialect; one for each dialect."""
    with Gateway(tmp_path_factory.mktemp(request.param), configuration(request.param, gateway.base_url)) as running:
        yield running


@dataclasses.dataclass
class Case:
    """A gateway whose only provider is the test's, and speaks `dialect`."""

    dialect: str
    gateway: Gateway
    provider: Provider

    @property
    def base_url(self) -> str:
        return self.gateway.base_url

    @property
    def origin(self) -> str:
        return self.gateway.origin


@pytest.fixture(scope="session")
def cases(tmp_path_factory: pytest.TempPathFactory):
    """One case for each dialect of the provider."""
    provider = Provider()

    def start(dialect: str) -> Case:
        config = configuration(dialect, provider.base_url, ONCE, "large-2026")
        return Case(dialect, Gateway(tmp_path_factory.mktemp(f"to-{dialect}"), config), provider)

    with concurrent.futures.ThreadPoolExecutor() as pool:
        started = list(pool.map(start, DIALECTS))
    yield {case.dialect: case for case in started}
    for case in started:
        case.gateway.close()
    provider.close()


@pytest.fixture(params=DIALECTS)
def case(request: pytest.FixtureRequest, cases: dict[str, Case]):
    """A gateway before a provider of each dialect."""
    cases[request.param].provider.forget()
    return cases[request.param]


@pytest.fixture
def chat(cases: dict[str, Case]):
    """A gateway before a provider of Chat."""
    cases["chat"].provider.forget()
    return cases["chat"]


@pytest.fixture
def responses(cases: dict[str, Case]):
    """A gateway before a provider of Responses."""
    cases["responses"].provider.forget()
    return cases["responses"]


@pytest.fixture
def messages(cases: dict[str, Case]):
    """A gateway before a provider of Messages."""
    cases["messages"].provider.forget()
    return cases["messages"]
