"""Many prompts or texts: some are given to the engine at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from blindroute import _engine
from blindroute._errors import InputError

Batch = Callable[[list[Any], _engine.Cancel], list[Any]]
"""Asks the engine for so many, and gives each one's answer or error."""


class Work:
    """Many prompts or texts, some of which are given to the engine at a time."""

    def __init__(
        self, given: Iterable[Any], read: Callable[[Any], Any], run_batch: Batch, batch: int, what: str
    ) -> None:
        if batch < 1:
            raise InputError(f"batch is {batch}, expected 1 or more: how many share a session", "batch_size")
        self.given = list(given)
        self.read = read
        self.run_batch = run_batch
        self.batch = batch
        self.what = what
        self.cancel = _engine.Cancel()

    def run(self, pairs: int, progress: Callable[[int, int], object] | None) -> list[Any]:
        answers: list[Any] = []
        read: list[Any] = []
        for one in self.given:
            try:
                read.append(self.read(one))
            except InputError as error:
                read.append(error)
        size = self.batch * pairs
        for start in range(0, len(read), size):
            part = read[start : start + size]
            asked = [one for one in part if not isinstance(one, InputError)]
            told = iter(self.run_batch(asked, self.cancel) if asked else [])
            answers.extend(one if isinstance(one, InputError) else next(told) for one in part)
            if progress is not None:
                progress(len(answers), len(read))
        return answers
