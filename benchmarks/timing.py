"""Alternating measurement of two ways to do the same."""

import time
from collections.abc import Callable
from statistics import median


def alternate(
    ours: Callable[[], object], peer: Callable[[], object], rounds: int
) -> tuple[float, float]:
    """Return the median seconds of both, run in turns so that noise hits both alike.

    Each is called once before, so that compilation and caches do not count; a row whose
    first call costs more says so itself.
    """
    ours()
    peer()
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for call, taken in zip((ours, peer), seconds, strict=True):
            start = time.perf_counter()
            call()
            taken.append(time.perf_counter() - start)
    return median(seconds[0]), median(seconds[1])
