"""The examples of the pages: each ```python block is run, in order and in one interpreter per page.

The ```text block right after one is what it prints, where `...` stands for anything.
"""

import contextlib
import dataclasses
import doctest
import io
import os
import pathlib
import re

import pytest
from deployment import deployed

ROOT = pathlib.Path(__file__).resolve().parents[3]
PAGES = ["docs/PYTHON.md", "examples/python/README.md", "python/README.md"]
FENCE = re.compile(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)


@dataclasses.dataclass
class Block:
    """A block of code, and what it prints if the page says so."""

    page: str
    line: int
    code: str
    prints: str | None


def blocks(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    for found in FENCE.finditer(text):
        yield Block(page, text.count("\n", 0, found.start()) + 1, *found.groups())


ALL = [block for page in PAGES for block in blocks(page)]


@pytest.fixture(scope="module")
def names():
    """What the blocks of each page have defined so far."""
    return {page: {"__name__": "__main__"} for page in PAGES}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the blocks run: with a deployment's `client.toml`, and the pool of classifiers."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "pool.blindroute").symlink_to(ROOT / "bundles" / "pool.blindroute")
    with deployed(folder):
        yield folder


def test_every_block_is_found():
    for page in PAGES:
        written = (ROOT / page).read_text(encoding="utf-8").count("```python\n")
        assert len([block for block in ALL if block.page == page]) == written
    assert len([block for block in ALL if block.prints]) > 10


@pytest.mark.parametrize("block", ALL, ids=lambda block: f"{block.page}:{block.line}")
def test_block(block, names, folder, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_DATA_HOME", os.fspath(folder / "data"))
    # So that a traceback names the page and its line.
    code = compile("\n" * block.line + block.code, block.page, "exec")
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(code, names[block.page])
    if block.prints is not None:
        same = doctest.OutputChecker().check_output(block.prints, printed.getvalue(), doctest.ELLIPSIS)
        assert same, f"the page says:\n{block.prints}\nit prints:\n{printed.getvalue()}"
