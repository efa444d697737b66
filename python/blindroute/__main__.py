"""The program `blindroute`: `python -m blindroute --help`. The command `blindroute` is the same."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

if not __package__:
    # Started by its path, as child processes are.
    sys.path.append(str(Path(__file__).resolve().parent.parent))


def main() -> int:
    """Runs the program with the arguments of this process, and returns its exit status."""
    # Signals end the program as they do without Python. One that is ignored, as after `nohup`, stays so.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from blindroute import _engine
    from blindroute._program import program

    return _engine.command(sys.argv[1:], program())


if __name__ == "__main__":
    sys.exit(main())
