"""What tests of processes need: the processes below one, and waiting until they are gone."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

#: Seconds that a machine with other work may take for what usually takes one.
LIMIT = 90.0


def state(process: int) -> tuple[str, int] | None:
    """The state and the parent of a process; none if it is gone."""
    try:
        text = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return fields[0], int(fields[1])


def runs(process: int) -> bool:
    """Whether it runs, and does not only wait for its parent to notice that it has ended."""
    found = state(process)
    return found is not None and found[0] != "Z"


def below(process: int) -> list[int]:
    """The running children of a process, and theirs."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (of := state(int(entry))) is not None and of[0] != "Z" and of[1] == process:
            found += [int(entry), *below(int(entry))]
    return found


def wait_until(what: str, done: Callable[[], bool]) -> None:
    """Waits for it, at most `LIMIT` seconds."""
    until = time.monotonic() + LIMIT
    while not done():
        assert time.monotonic() < until, f"{what}: not within {LIMIT} s"
        time.sleep(0.02)


def wait_until_gone(processes: list[int]) -> None:
    """Waits until none of them runs."""
    assert processes, "no processes to wait for"
    wait_until("processes are gone", lambda: not any(map(runs, processes)))
