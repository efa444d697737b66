"""What a call from Python takes beyond the call of the Rust library that it makes.

    python3 scripts/python_overhead.py [CALLS]

The reports say how long the library took (`ms["total"]`); the rest of a call's time is the package's: arguments, the hand-over to a
thread where Ctrl-C must work, the report. Prints one JSON object per placement, in microseconds. Meaningful with the release wheel on a
quiet machine.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from typing import get_args

import blindroute
from blindroute._options import Placement

PROMPT = "What is the capital of France?"


def overheads(router: blindroute.PrivateRouter, placement: Placement, calls: int) -> list[float]:
    """Of each call, in microseconds."""
    found = []
    for _ in range(calls):
        began = time.perf_counter()
        route = router.route(PROMPT, placement=placement)
        took = time.perf_counter() - began
        found.append(took * 1e6 - route.ms["total"] * 1e3)
    return sorted(found)


def main() -> None:
    """Measures every placement."""
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with blindroute.PrivateRouter.in_process() as router:
        for placement in get_args(Placement):
            # Sessions take a hundred times as long as what is measured here.
            count = calls if placement == "local" else max(calls // 10, 10)
            overheads(router, placement, 10)
            found = overheads(router, placement, count)
            figures = {
                "placement": placement,
                "calls": count,
                "p50_us": round(statistics.median(found), 1),
                "p90_us": round(found[len(found) * 9 // 10], 1),
                "p99_us": round(found[len(found) * 99 // 100], 1),
            }
            print(json.dumps(figures))


if __name__ == "__main__":
    main()
