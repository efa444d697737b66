"""The gateway as a context manager: it answers within the block, and never outlives it or the process."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from processes import LIMIT, below, runs, wait_until, wait_until_gone

import blindroute

#: Starts a gateway, says where, and waits; what happens then is the test's affair.
PARENT = """
import blindroute, sys, time
with blindroute.gateway(sys.argv[1]) as base_url:
    print(base_url, flush=True)
    time.sleep(600)
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for the gateway's data."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def local(home: Path) -> Path:
    """A configuration that starts no servers: it routes in the clear."""
    path = home / "local.toml"
    path.write_text('[route]\nplacement = "local"\n')
    return path


@pytest.fixture(autouse=True)
def nothing_is_left(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No process of a test outlives it, and none has to be killed."""
    before = set(below(os.getpid()))
    yield
    assert set(below(os.getpid())) <= before
    assert "killed" not in caplog.text


def answered(base_url: str, content: str) -> tuple[dict[str, Any], dict[str, str]]:
    """A model's answer and the headers with it."""
    body = {"model": "auto", "messages": [{"role": "user", "content": content}]}
    request = urllib.request.Request(
        base_url + "/chat/completions", json.dumps(body).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=LIMIT) as response:
        return json.load(response), {name.lower(): value for name, value in response.headers.items()}


def test_without_a_configuration_it_has_servers_here_and_answers() -> None:
    with blindroute.gateway() as base_url:
        assert base_url.startswith("http://127.0.0.1:")
        assert base_url.endswith("/v1")
        children = below(os.getpid())
        assert len(children) == 4
        # On a busy machine its default model may answer: a choice has two seconds.
        answer, _ = answered(base_url, "What is the capital of France?")
        assert "What is the capital of France?" in answer["choices"][0]["message"]["content"]
    assert not any(map(runs, children))


def test_it_routes_under_mpc(home: Path) -> None:
    patient = home / "patient.toml"
    patient.write_text('[route]\ndeadline = "60s"\n')
    with blindroute.gateway(patient) as base_url:
        _, headers = answered(base_url, "What is the capital of France?")
        assert headers["x-blindroute-placement"] == "full"


def test_a_configuration_and_an_address_are_used_and_it_can_be_started_again(local: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    gateway = blindroute.gateway(local, listen=f"127.0.0.1:{port}")
    for _ in range(2):
        with gateway as base_url:
            assert base_url == f"http://127.0.0.1:{port}/v1"
            assert "running" in repr(gateway)
            assert answered(base_url, "Hello")[1]["x-blindroute-placement"] == "local"
            with pytest.raises(blindroute.BlindrouteError, match="runs already"), gateway:
                pass
            assert answered(base_url, "Hello")[0]["choices"]
    assert "not running" in repr(gateway)


def test_it_ends_when_the_block_raises(local: Path) -> None:
    children = []

    def fail() -> None:
        with blindroute.gateway(local):
            children.extend(below(os.getpid()))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert children
    assert not any(map(runs, children))


def test_an_asynchronous_block_ends_it_also_when_it_is_cancelled(local: Path) -> None:
    async def use(started: asyncio.Event, seen: list[int]) -> None:
        async with blindroute.gateway(local) as base_url:
            seen += below(os.getpid())
            assert (await asyncio.to_thread(answered, base_url, "Hello"))[0]["choices"]
            started.set()
            await asyncio.sleep(600)

    async def cancel_it() -> None:
        started, seen = asyncio.Event(), list[int]()
        task = asyncio.create_task(use(started, seen))
        await asyncio.wait_for(started.wait(), LIMIT)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert seen
        assert not any(map(runs, seen))

    asyncio.run(cancel_it())


def test_an_asynchronous_start_that_is_cancelled_leaves_nothing() -> None:
    async def cancel_it() -> None:
        task = asyncio.ensure_future(blindroute.gateway().__aenter__())
        while not below(os.getpid()):
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not below(os.getpid())

    asyncio.run(cancel_it())


def test_a_start_that_fails_says_why_in_the_words_of_the_program(home: Path, local: Path) -> None:
    bad = home / "bad.toml"
    bad.write_text('[route]\nplacement = "nowhere"\n')
    for path in (bad, home / "absent.toml"):
        with pytest.raises(blindroute.ServersError, match=path.name) as raised, blindroute.gateway(path):
            pass
        assert raised.value.code == "gateway_ended"
        assert "exit status 1" in str(raised.value)
    with blindroute.gateway(local) as base_url:
        address = base_url.removeprefix("http://").removesuffix("/v1")
        other = home / "other.toml"
        other.write_text('data = "other"\n[route]\nplacement = "local"\n')
        with pytest.raises(blindroute.ServersError, match="cannot listen"), blindroute.gateway(other, listen=address):
            pass


def test_a_start_that_takes_too_long_is_given_up() -> None:
    with pytest.raises(blindroute.ServersError, match=r"0\.01 s") as raised, blindroute.gateway(timeout=0.01):
        pass
    assert raised.value.code == "gateway_not_ready"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_it_ends_with_the_process_in_whatever_way_that_ends(local: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-c", PARENT, str(local)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as parent:
        try:
            assert parent.stdout is not None
            assert parent.stdout.readline().startswith("http://")
            children = below(parent.pid)
            parent.send_signal(number)
            _, said = parent.communicate(timeout=LIMIT)
        finally:
            parent.kill()
    wait_until_gone(children)
    if number == signal.SIGINT:
        # Python's own way: the exception, after the block has ended the gateway.
        assert "KeyboardInterrupt" in said


def test_a_signal_to_the_group_of_processes_reaches_it_through_the_block_only(local: Path) -> None:
    with blindroute.gateway(local) as base_url:
        (child,) = below(os.getpid())
        # What a terminal's Ctrl-C does to a group of processes.
        assert os.getpgid(child) != os.getpgid(0)
        assert answered(base_url, "Hello")[0]["choices"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_fork_neither_ends_it_nor_keeps_it_alive(local: Path) -> None:
    script = """
import blindroute, os, sys, time
with blindroute.gateway(sys.argv[1]) as base_url:
    copy = os.fork()
    if copy == 0:
        time.sleep(2)
        sys.exit()   # leaves the block: the gateway is the original's
    os.waitpid(copy, 0)
    print(base_url, flush=True)
    if os.fork() == 0:
        time.sleep(600)
    time.sleep(600)
"""
    command = [sys.executable, "-c", script, str(local)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as parent:
        try:
            assert parent.stdout is not None
            base_url = parent.stdout.readline().strip()
            assert answered(base_url, "Hello")[0]["choices"]
            wait_until("the second copy runs", lambda: len(below(parent.pid)) == 2)
            children = below(parent.pid)
            copy = next(child for child in children if os.getpgid(child) == os.getpgid(parent.pid))
            parent.kill()
            parent.wait(LIMIT)
            wait_until_gone([child for child in children if child != copy])
            assert runs(copy)
        finally:
            parent.kill()
            os.kill(copy, signal.SIGKILL)
