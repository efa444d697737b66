"""How Python becomes the program `blindroute`: for the command, and for child processes."""

from __future__ import annotations

import sys
from pathlib import Path


def program() -> list[str]:
    """The words of a command line that start the program; its arguments follow them.

    They name the file, and not the package by `-m`, which looks first in the folder where the process happens to run.
    `-I` and `-S` leave out every other folder of packages: a module there may have the name of one that Python needs.
    """
    if not sys.executable:
        raise RuntimeError(
            "sys.executable is empty, so child processes cannot be started; set it to the path of a Python interpreter"
        )
    return [sys.executable, "-I", "-S", str(Path(__file__).resolve().with_name("__main__.py"))]
