"""What a call from Python takes beyond the same call of the Rust library.

    python3 scripts/python_overhead.py [CALLS]

Calls of the package and calls of the library alone, which the engine times by itself, take turns in one process, so that whatever
else the machine does falls on both. Prints one JSON object per placement: the times of both and the difference of their medians, in
microseconds. In `local` the work of a route takes milliseconds itself; meaningful with the release wheel.
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


def measure(
    router: blindroute.PrivateRouter, placement: Placement, calls: int
) -> tuple[list[float], list[float]]:
    """The package's and the library's times, in microseconds."""
    options = (placement, None, None, 1, None)
    package, library = [], []
    for _ in range(calls):
        began = time.perf_counter()
        route = router.route(PROMPT, placement=placement)
        model = route.model
        package.append((time.perf_counter() - began) * 1e6)
        library.append(router._router.time_route(PROMPT, options) * 1e6)
        assert model
    return package, library


def main() -> None:
    """Measures every placement."""
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with blindroute.PrivateRouter.in_process() as router:
        for placement in get_args(Placement):
            # Sessions take a hundred times as long as what is measured here.
            count = calls if placement == "local" else max(calls // 10, 10)
            measure(router, placement, 10)
            package, library = measure(router, placement, count)
            figures = {
                "placement": placement,
                "calls": count,
                "package_p50_us": round(statistics.median(package), 1),
                "library_p50_us": round(statistics.median(library), 1),
                "difference_us": round(
                    statistics.median(package) - statistics.median(library), 1
                ),
                # The median of the differences of neighbours: less disturbed by what else runs.
                "paired_us": round(
                    statistics.median(
                        p - r for p, r in zip(package, library, strict=True)
                    ),
                    1,
                ),
            }
            print(json.dumps(figures))


if __name__ == "__main__":
    main()
