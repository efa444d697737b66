"""Tables of numbers between Python and the engine: numpy arrays where numpy is, memory views where it is not.

numpy is never needed. A table is anything that numpy would take, or nested sequences of numbers.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from importlib import import_module
from typing import Any, Literal

from blindroute._errors import InputError

Kind = Literal["f", "d"]
"""Numbers of 32 (`f`) or 64 bits (`d`)."""


def numpy() -> Any | None:
    """The module numpy, if it can be imported."""
    try:
        return import_module("numpy")
    except ImportError:
        return None


def table(numbers: bytes, shape: Sequence[int], kind: Kind = "f") -> Any:
    """A table of this shape: a `numpy.ndarray`, or without numpy a `memoryview`, whose `tolist()` gives lists.

    >>> table(bytes(16), [2, 2]).tolist()
    [[0.0, 0.0], [0.0, 0.0]]
    """
    found = numpy()
    if found is not None:
        return found.frombuffer(numbers, dtype=found.float32 if kind == "f" else found.float64).reshape(shape)
    if 0 in shape:
        # A view cannot have an empty dimension beside others.
        return memoryview(numbers).cast(kind)
    return memoryview(numbers).cast(kind, list(shape))


def flat(values: Any, name: str, kind: Kind = "f") -> tuple[bytes, tuple[int, int]]:
    """The numbers of a table of two dimensions as floats, and its shape.

    >>> flat([[1.0, 2.0], [3.0, 4.0]], "scores")[1]
    (2, 2)
    """
    found = numpy()
    if found is not None:
        try:
            ready = found.ascontiguousarray(values, dtype=found.float32 if kind == "f" else found.float64)
        except (TypeError, ValueError) as error:
            raise InputError(f"{name} is no table of numbers: expected rows of equal length", "shape") from error
        _check_dimensions(name, ready.ndim)
        return ready.tobytes(), (int(ready.shape[0]), int(ready.shape[1]))
    if isinstance(values, memoryview) or hasattr(values, "tolist"):
        values = values.tolist()
    try:
        rows = [[float(value) for value in row] for row in values]
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} is no table of numbers: expected rows of numbers", "shape") from error
    width = len(rows[0]) if rows else 0
    if any(len(row) != width for row in rows):
        raise InputError(f"{name} is no table of numbers: expected rows of equal length", "shape")
    return array(kind, [value for row in rows for value in row]).tobytes(), (len(rows), width)


def _check_dimensions(name: str, found: int) -> None:
    if found != 2:
        raise InputError(f"{name} has {found} dimensions, expected 2: one row for each prompt", "shape")
