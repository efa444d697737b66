"""What tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import blindroute

DATA = Path(__file__).parents[3] / "shared" / "data"
"""Real data, where they are."""


@pytest.fixture(scope="session")
def router() -> Iterator[blindroute.PrivateRouter]:
    """The default bundle with dealer and servers in this process."""
    with blindroute.PrivateRouter.in_process() as router:
        yield router


@pytest.fixture(scope="session")
def local() -> Iterator[blindroute.PrivateRouter]:
    """The default bundle in the clear."""
    with blindroute.PrivateRouter.local() as router:
        yield router


@pytest.fixture(scope="session")
def pool() -> Iterator[blindroute.PrivateRouter]:
    """The pool of classifiers of this repository with dealer and servers in this process."""
    path = Path(__file__).parents[2] / "bundles" / "pool.blindroute"
    with blindroute.PrivateRouter.in_process(path) as router:
        yield router
