"""The command `blindroute` of the package is the program: same output, same exit status, and no process outlives it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from processes import LIMIT, below, runs, wait_until, wait_until_gone

PROMPT = "Prove that the square root of 2 is irrational."
MODULE = [sys.executable, "-m", "blindroute"]
SCRIPT = [str(Path(sys.executable).with_name("blindroute"))]


def ran(command: list[str], *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=LIMIT, **options)


@pytest.fixture(scope="session")
def original() -> list[str]:
    """The program that is no library of Python."""
    path = os.environ.get("BLINDROUTE")
    if not path:
        pytest.skip("BLINDROUTE does not name the program to compare with")
    return [path]


def without_times(text: str) -> Any:
    """A report of a route without the figures that differ each time."""
    report = json.loads(text)
    timed = [name for name in report if name.endswith("_ms") or name in ("ms", "time", "times")]
    assert timed, report
    return {name: value for name, value in report.items() if name not in timed}


@pytest.mark.parametrize("command", [MODULE, SCRIPT], ids=["module", "script"])
def test_both_ways_to_start_it_say_their_version(command: list[str]) -> None:
    import blindroute

    said = ran(command, "--version")
    assert (said.returncode, said.stdout) == (0, f"blindroute {blindroute.__version__}\n")


@pytest.mark.parametrize(
    "arguments", [["--help"], ["route", "--help"], ["bundle", "show"], ["bundle", "show", "--json"]]
)
def test_it_prints_what_the_program_prints(original: list[str], arguments: list[str]) -> None:
    expected, found = ran(original, *arguments), ran(MODULE, *arguments)
    assert expected.returncode == 0
    assert expected.stdout
    assert (found.returncode, found.stdout, found.stderr) == (0, expected.stdout, expected.stderr)


def test_a_route_in_the_clear_is_that_of_the_program(original: list[str]) -> None:
    arguments = ["route", "--placement", "local", "--json", PROMPT]
    assert without_times(ran(MODULE, *arguments).stdout) == without_times(ran(original, *arguments).stdout)


@pytest.mark.parametrize(
    "arguments", [[], ["rout"], ["route", "two", "words"], ["bundle", "show", "--bundle", "absent"]]
)
def test_what_is_wrong_is_said_and_has_the_status_of_the_program(original: list[str], arguments: list[str]) -> None:
    expected, found = ran(original, *arguments), ran(MODULE, *arguments)
    assert expected.returncode in (1, 2)
    assert (found.returncode, found.stdout, found.stderr) == (expected.returncode, expected.stdout, expected.stderr)


def test_a_reader_that_has_enough_ends_it_without_a_word() -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        ended = subprocess.run(
            [*MODULE, "bundle", "show"], stdout=write, stderr=subprocess.PIPE, text=True, timeout=LIMIT
        )
    finally:
        os.close(write)
    assert (ended.returncode, ended.stderr) == (1, "")


def test_a_route_under_mpc_has_children_that_end_with_it(tmp_path: Path) -> None:
    # Files of the folder where it runs are not taken for modules.
    for name in ("blindroute", "signal", "json", "pathlib"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('this is not the module')")
    routed = ran(SCRIPT, "route", "--json", PROMPT, cwd=tmp_path)
    assert routed.returncode == 0, routed.stderr
    report = json.loads(routed.stdout)
    assert report["openings"] > 0
    assert report["placement"].lower() == "full"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_no_child_outlives_a_signal(tmp_path: Path, number: signal.Signals) -> None:
    environment = os.environ | {"TMPDIR": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)}
    command = [*MODULE, "gateway", "--listen", "127.0.0.1:0", "--json"]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as program:
        try:
            assert program.stdout is not None
            assert "base_url" in program.stdout.readline()
            children = below(program.pid)
            assert len(children) == 3
            assert all(map(runs, children))
            program.send_signal(number)
            wait_until("the program ends", lambda: program.poll() is not None)
        finally:
            program.kill()
    wait_until_gone(children)
    if number != signal.SIGKILL:
        assert program.returncode == 0
        assert not list(tmp_path.glob("blindroute-*")), "files are left"


def test_ctrl_c_ends_a_command_that_handles_no_signals_without_a_traceback(tmp_path: Path) -> None:
    waits = tmp_path / "bundle"
    os.mkfifo(waits)
    with subprocess.Popen(
        [*MODULE, "bundle", "show", "--bundle", str(waits)], stderr=subprocess.PIPE, text=True
    ) as program:
        try:
            # Returns when the program has opened the other end. What it reads never comes.
            with waits.open("wb"):
                program.send_signal(signal.SIGINT)
                _, said = program.communicate(timeout=LIMIT)
        finally:
            program.kill()
    assert (program.returncode, said) == (-signal.SIGINT, "")
