"""llm-comply, a judge of answers by the published schemas of the three dialects: all its cases, unchanged.

Against the model that is built in, and through translations in all six directions.
"""

import json
import subprocess
import sys

import pytest
from gateways import ALIASES, DIALECTS, Gateway

# For each dialect: the judge's name of it, further arguments, and how many cases it has. A case that vanishes is a failure too.
SUITES = {
    "chat": ("openai-chat", ("-m", "gpt-5-auto"), 9),
    "responses": ("open-responses", ("-m", "gpt-5-auto"), 13),
    "messages": (
        "anthropic",
        ("-m", "claude-opus-auto", "--auth-header", "x-api-key", "--no-bearer", "-H", "anthropic-version:2023-06-01"),
        9,
    ),
}

# What cannot be said to a provider of another dialect, and the status that says so.
UNSAID = {
    # Only Responses compacts conversations; nothing else can make the item that its clients send back.
    ("responses", "chat"): {"compact-response": "HTTP 400"},
    ("responses", "messages"): {"compact-response": "HTTP 400"},
}

# The case that the judge skips for a model whose name does not say that it thinks.
THINKING = {"chat": "chat-reasoning-summary", "responses": "reasoning-summary", "messages": "anth-thinking-display"}


def judged(dialect: str, base_url: str, *more: str) -> dict[str, dict]:
    """What the judge says of each case; all cases of the dialect are there."""
    name, arguments, count = SUITES[dialect]
    judge = (sys.executable, "-m", "llm_comply.cli", "--json", "--format", name, "-u", base_url, "-k", "unused")
    run = subprocess.run([*judge, *arguments, *more], capture_output=True, text=True, timeout=300, check=False)
    assert run.stdout, run.stderr
    results = {result["id"]: result for result in json.loads(run.stdout)["results"]}
    assert len(results) == count, sorted(results)
    return results


def faults(results: dict[str, dict]) -> dict[str, list[str]]:
    """The cases that did not pass, or passed with a warning, each with the judge's words."""
    said = {name: result.get("errors", []) + result.get("warnings", []) for name, result in results.items()}
    return {name: words for name, words in said.items() if words or results[name]["status"] != "passed"}


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory):
    """The model that is built in, under names that the judge takes for those of models that think."""
    config = f'[route]\nplacement = "local"\naliases = {json.dumps(ALIASES)}\n'
    with Gateway(tmp_path_factory.mktemp("named"), config) as running:
        yield running


@pytest.mark.parametrize("dialect", DIALECTS)
def test_all_cases_pass(dialect: str, named: Gateway):
    assert faults(judged(dialect, named.base_url)) == {}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_all_cases_pass_without_a_configuration(dialect: str, gateway: Gateway):
    results = judged(dialect, gateway.base_url, "-m", "auto")
    assert set(faults(results)) == {THINKING[dialect]}
    assert results[THINKING[dialect]]["status"] == "skipped"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_all_cases_pass_through_a_translation(dialect: str, translating: Gateway, request: pytest.FixtureRequest):
    spoken = request.node.callspec.params["translating"]
    found = faults(judged(dialect, translating.base_url))
    expected = UNSAID.get((dialect, spoken), {})
    assert set(found) == set(expected), found
    for name, status in expected.items():
        assert found[name][0].startswith(status), found[name]
