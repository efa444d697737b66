"""Forks, and Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import blindroute


def run(program: str, **options: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, env=environment, check=False
    )


def test_case_07_a_fork_after_the_start_is_refused_and_a_process_that_is_spawned_is_not() -> None:
    program = """
import os, blindroute
router = blindroute.PrivateRouter.local()
child = os.fork()
if child == 0:
    codes = []
    for use in (lambda: router.route("x", placement="local"), blindroute.Bundle.load, blindroute.PrivateRouter.local):
        try:
            use()
        except blindroute.ForkedError as error:
            codes.append((error.code, "spawn" in str(error)))
    os._exit(0 if codes == [("forked", True)] * 3 else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), router.route("x", placement="local").model)
"""
    done = run(program)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("0 "), done.stdout


def test_a_fork_before_the_start_is_none_of_its_business() -> None:
    program = """
import os, blindroute
child = os.fork()
router = blindroute.PrivateRouter.local()
model = router.route("x", placement="local").model
if child == 0:
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), model)
"""
    done = run(program)
    assert done.stdout.startswith("0 "), done.stderr


def interrupted(program: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """What a program says that gets SIGINT once it has said that it began."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    child = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "begun\n"
    time.sleep(0.5)
    child.send_signal(signal.SIGINT)
    try:
        out, err = child.communicate(timeout=20)
    finally:
        child.kill()
    return subprocess.CompletedProcess([], child.returncode, out, err)


@pytest.mark.parametrize(
    "work",
    [
        "router.route_many(['What is the capital of France?'] * 10_000, progress=False)",
        "asyncio.run(router.aroute_many(['What is the capital of France?'] * 10_000, progress=False))",
    ],
)
def test_ctrl_c_ends_long_work(work: str, tmp_path: Path) -> None:
    program = f"""
import asyncio, blindroute
router = blindroute.PrivateRouter.in_process()
try:
    print("begun", flush=True)
    {work}
except KeyboardInterrupt:
    print("interrupted", router.route("x", placement="local").model)
"""
    done = interrupted(program, tmp_path)
    assert done.stdout.startswith("interrupted "), done.stderr
    assert done.returncode == 0


def test_ctrl_c_ends_the_wait_for_servers(tmp_path: Path) -> None:
    missing = tmp_path / "client.toml"
    with pytest.raises(blindroute.BlindrouteError, match=r"client\.toml"):
        blindroute.PrivateRouter.connect(missing)
