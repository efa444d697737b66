"""Runs a program of `node/`, which tells what it saw in one line of JSON."""

import contextlib
import json
import shutil
import subprocess

import pytest
from gateways import ROOT

PLACE = ROOT / "target" / "conformance" / "node"


@contextlib.contextmanager
def told(program: str, origin: str, kind: str):
    """What the program says. It runs until the end of the block."""
    if not (PLACE / "node_modules").is_dir() or not shutil.which("node"):
        pytest.skip("the clients of Node are not installed; see conformance/run")
    # Modules are looked up beside the program.
    for name in ("answer.mjs", program):
        shutil.copy(ROOT / "conformance" / "node" / name, PLACE / name)
    arguments = ["node", str(PLACE / program), origin, kind]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline()
            assert line, f"{program} said nothing and ended with {process.wait(5)}"
            yield json.loads(line)
        finally:
            process.stdin.close()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
