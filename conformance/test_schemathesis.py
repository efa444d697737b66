"""schemathesis: requests made from the gateway's own description, right and wrong ones, and what it says of the answers."""

import os
import pathlib
import subprocess
import sys

import pytest
from gateways import Gateway

HERE = pathlib.Path(__file__).resolve().parent
JUDGE = pathlib.Path(sys.executable).parent / "schemathesis"


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory):
    """The model that is built in, with the rule evaluated here: hundreds of requests, and none is about MPC."""
    with Gateway(tmp_path_factory.mktemp("described"), '[route]\nplacement = "local"\n') as running:
        yield running


def test_the_description_holds(local: Gateway, tmp_path: pathlib.Path):
    arguments = ["--checks", "all", "--max-examples", "20", "--seed", "1", "--phases", "examples,coverage,fuzzing"]
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": "schemathesis_hooks", "PYTHONPATH": str(HERE)}
    judged = subprocess.run(
        [JUDGE, "run", f"{local.origin}/openapi.json", *arguments, "--continue-on-failure", "--no-color"],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    assert judged.returncode == 0, judged.stdout
    assert "Tested: 12" in judged.stdout, judged.stdout


def test_the_judge_finds_a_description_that_does_not_hold(local: Gateway, tmp_path: pathlib.Path):
    """The same judge with a description that says something else than the gateway does."""
    wrong = tmp_path / "wrong.json"
    wrong.write_text(
        '{"openapi":"3.1.0","info":{"title":"wrong","version":"1"},"paths":{"/livez":{"get":{"responses":{"200":'
        '{"description":"","content":{"application/json":{"schema":{"type":"array"}}}}}}}}}'
    )
    judged = subprocess.run([JUDGE, "run", str(wrong), "--url", local.origin, "--checks", "all"], cwd=tmp_path, capture_output=True, timeout=60)
    assert judged.returncode == 1, judged.stdout
