"""The gateway as a context manager: an HTTP server on this machine that clients call instead of an LLM provider."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import json
import logging
import os
import queue
import subprocess
import threading
import weakref
from types import TracebackType
from typing import IO

from blindroute._errors import ServersError
from blindroute._program import program

_log = logging.getLogger("blindroute.gateway")

#: Lines of the gateway's log that an error repeats.
_LAST_WORDS = 8
#: Seconds that a gateway may take to end by itself: it answers what it has begun.
_GRACE = 10.0

_running: weakref.WeakSet[Gateway] = weakref.WeakSet()


def gateway(
    config: str | os.PathLike[str] | None = None, *, listen: str = "127.0.0.1:0", timeout: float = 120.0
) -> Gateway:
    """A gateway that runs in a `with` or `async with` block, which gives its `base_url`.

    `config` is the path of a configuration (docs/GATEWAY.md; `blindroute gateway init` writes one). Without it, a
    dealer and two servers run on this machine, and a model that is built in repeats what it is sent. `listen` is an
    address of this machine and a port, of which 0 is any that is free. The start may take
    `timeout` seconds.

    The gateway is a child process. It ends with the block, and also when this process ends, in whatever way. It has a
    session of its own, so that Ctrl-C ends it through the block, and an interrupted cell of a notebook does not. Its
    log goes to the logger `blindroute.gateway`.

    Raises `ServersError`, with the last words of the program, if it does not start.

    >>> import blindroute, urllib.request
    >>> with blindroute.gateway() as base_url:                               # doctest: +SKIP
    ...     print(urllib.request.urlopen(base_url + "/models").status)
    200
    """
    return Gateway(config, listen=listen, timeout=timeout)


class Gateway:
    """A gateway, as `blindroute.gateway` makes it. After its block has ended, it can be used for another one."""

    def __init__(self, config: str | os.PathLike[str] | None, *, listen: str, timeout: float) -> None:
        self._arguments = ["gateway", "--json", "--exit-with-parent", "--listen", listen]
        if config is not None:
            self._arguments += ["--config", os.fspath(config)]
        self._timeout = timeout
        self._lock = threading.Lock()
        self._child: _Child | None = None

    def __enter__(self) -> str:
        child = self._begin()
        try:
            return child.ready(self._timeout)
        except BaseException:
            self._end()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    async def __aenter__(self) -> str:
        child = self._begin()
        try:
            return await asyncio.to_thread(child.ready, self._timeout)
        except BaseException:
            await asyncio.shield(asyncio.to_thread(self._end))
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.shield(asyncio.to_thread(self._end))

    def __repr__(self) -> str:
        return f"<blindroute gateway, {'running' if self._child else 'not running'}>"

    def _begin(self) -> _Child:
        with self._lock:
            if self._child is not None:
                raise ServersError("this gateway runs already; make another with blindroute.gateway()", "gateway_runs")
            self._child = _Child(self._arguments)
            _running.add(self)
            return self._child

    def _end(self) -> None:
        with self._lock:
            child, self._child = self._child, None
            _running.discard(self)
        if child is not None:
            child.stop()

    def _forget(self) -> None:
        """In a copy of this process that `os.fork` made: the gateway is the original's."""
        # Another thread of the original may have held it.
        self._lock = threading.Lock()
        child, self._child = self._child, None
        if child is not None:
            child.forget()


class _Child:
    """The process of a gateway."""

    def __init__(self, arguments: list[str]) -> None:
        command = program() + arguments
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
        self._lines: queue.Queue[str] = queue.Queue()
        self._last_words: collections.deque[str] = collections.deque(maxlen=_LAST_WORDS)
        self._is_ready = False
        self._readers = [
            threading.Thread(target=self._read_lines, args=(self._process.stdout,), daemon=True),
            threading.Thread(target=self._read_log, args=(self._process.stderr,), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def ready(self, timeout: float) -> str:
        """Its base URL, once it answers."""
        try:
            line = self._lines.get(timeout=timeout)
        except queue.Empty:
            raise self._failed(f"the gateway was not ready within {timeout:g} s", "gateway_not_ready") from None
        if not line:
            raise self._failed(f"the gateway ended ({self._ended()})", "gateway_ended")
        try:
            said = json.loads(line)["base_url"]
        except (ValueError, TypeError, KeyError):
            said = None
        if not isinstance(said, str):
            raise self._failed("the first line of the gateway is not its address", "gateway_not_ready")
        # Until here they were kept for an error.
        self._is_ready = True
        for said_before in list(self._last_words):
            _log_line(said_before)
        return said

    def stop(self) -> None:
        """Ends it, and waits until it has ended."""
        ended_before = self._process.poll()
        try:
            self._close_input()
            self._process.terminate()
            try:
                self._process.wait(_GRACE)
            except subprocess.TimeoutExpired:
                _log.warning("the gateway did not end within %g s and was killed", _GRACE)
        finally:
            # At once if waiting was interrupted. Its own children end with it.
            self._process.kill()
            self._process.wait()
        for reader in self._readers:
            reader.join(_GRACE)
        if self._is_ready and ended_before is not None:
            _log.error("the gateway had ended early (%s)", self._ended())

    def forget(self) -> None:
        """Lets go of it without ending it: it is not a child of this process, and lives no longer than its parent."""
        self._close_input()
        self._process.returncode = 0

    def _failed(self, what: str, code: str) -> ServersError:
        said = " / ".join(self._last_words) or "none"
        return ServersError(f"{what}; its last lines: {said}", code)

    def _ended(self) -> str:
        try:
            status = self._process.wait(1.0)
        except subprocess.TimeoutExpired:
            return "it closed its output but still runs"
        self._readers[1].join(1.0)
        return f"signal {-status}" if status < 0 else f"exit status {status}"

    def _close_input(self) -> None:
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()

    def _read_lines(self, stdout: IO[str]) -> None:
        with stdout:
            for line in stdout:
                self._lines.put(line)
        self._lines.put("")

    def _read_log(self, stderr: IO[str]) -> None:
        with stderr:
            for line in stderr:
                self._last_words.append(line.rstrip())
                if self._is_ready:
                    _log_line(line.rstrip())


def _log_line(line: str) -> None:
    """Passes on a line such as `2026-11-30T09:00:00Z  WARN what is wrong`."""
    words = line.split(maxsplit=2)
    level = logging.getLevelName(words[1]) if len(words) == 3 else None
    _log.log(level if isinstance(level, int) else logging.WARNING, "%s", line)


def _forget_all() -> None:
    for running in list(_running):
        running._forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
