"""The same choices as the program's."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from conftest import DATA

import blindroute

ROOT = Path(__file__).parents[2]
PROGRAM = Path(os.environ.get("BLINDROUTE", ROOT / "target" / "debug" / "blindroute"))


def prompts(count: int) -> list[str]:
    """Real prompts, of the test split."""
    path = DATA / "routing" / "ulab_llmrouter" / "prompts.jsonl"
    if not path.is_file():
        pytest.skip("the real data are not in ../shared/data")
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [line["prompt"] for line in lines if line["split"] == "test"][:count]


def by_the_program(texts: list[str], folder: Path, *options: str) -> list[str]:
    """The models that `blindroute route --input` names."""
    if not PROGRAM.is_file():
        pytest.skip("there is no program to compare with: build it, or name it in BLINDROUTE")
    lines = folder / "prompts.jsonl"
    rows = (json.dumps({"id": str(place), "prompt": text}) for place, text in enumerate(texts))
    lines.write_text("\n".join(rows), encoding="utf-8")
    command = [str(PROGRAM), "route", "--input", str(lines), "--json", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=900)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    models = {answer["id"]: answer["model"] for answer in answers}
    return [models[str(place)] for place in range(len(texts))]


@pytest.mark.parametrize(("name", "count"), [("uniroute", 1000), ("direct", 100), ("cscr", 100)])
def test_choices_in_the_clear_are_the_programs(
    local: blindroute.PrivateRouter, tmp_path: Path, name: str, count: int
) -> None:
    texts = prompts(count)
    assert len(texts) == count
    routes = local.route_many(texts, placement="local", router=name, progress=False)
    expected = by_the_program(texts, tmp_path, "--placement", "local", "--router", name)
    assert [route.model for route in routes] == expected
    # They are not all one.
    assert len(set(expected)) > 2


def test_private_choices_are_the_programs(router: blindroute.PrivateRouter, tmp_path: Path) -> None:
    # Not near ties, which the servers' rounding may decide one way or the other.
    texts = prompts(32)
    routes = router.route_many(texts, placement="head", progress=False)
    expected = by_the_program(texts, tmp_path, "--placement", "head")
    assert [route.model for route in routes] == expected
