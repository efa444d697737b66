"""Progress of long work: a line on a terminal or in a notebook, or a function that is told."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Protocol

Progress = bool | Callable[[int, int], object]
"""`True` shows it on stderr where that is a terminal or a notebook, `False` shows nothing; a function gets (done, all)."""


class Shown(Protocol):
    """Hears how far the work is."""

    def __call__(self, done: int, of: int, /) -> object: ...


def shown(progress: Progress, what: str) -> Callable[[int, int], object] | None:
    """What to call with (done, all), if anything."""
    if callable(progress):
        return progress
    if not progress or not (sys.stderr.isatty() or _in_notebook()):
        return None
    return _Line(what)


def _in_notebook() -> bool:
    return "ipykernel" in sys.modules


class _Line:
    """A line that is written over, at most ten times a second."""

    def __init__(self, what: str) -> None:
        self.what = what
        self.next = 0.0

    def __call__(self, done: int, of: int, /) -> None:
        now = time.monotonic()
        if done < of and now < self.next:
            return
        self.next = now + 0.1
        end = "\n" if done >= of else ""
        print(f"\r{self.what}: {done} of {of}", end=end, file=sys.stderr, flush=True)
