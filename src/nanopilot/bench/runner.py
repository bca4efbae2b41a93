"""Runs a track over seeds and says what was reached."""

from __future__ import annotations

import math
import os
import platform
import time
from collections.abc import Callable, Sequence

import numpy as np

from nanopilot.bench.intervals import Interval, bootstrap
from nanopilot.bench.track import Bar, Better, Track
from nanopilot.core.errors import InvalidRequest, UnknownName
from nanopilot.core.values import Value

#: Told: seeds done, seeds in all, what is being done.
Progress = Callable[[int, int, str], None]


class Reached(Value):
    """One line of acceptance, evaluated."""

    what: str
    metric: str
    value: float
    bar: float
    better: Better
    ok: bool


class Machine(Value):
    """Where the numbers were made."""

    system: str
    processor: str
    cores: int
    python: str


class Result(Value):
    """What a track found; its JSON is the interface of `nanopilot bench run`."""

    track: str
    version: str
    seeds: tuple[int, ...]
    default: str
    methods: dict[str, dict[str, Interval]]
    acceptance: tuple[Reached, ...]
    seconds: float
    machine: Machine


def parse_seeds(text: str) -> range:
    """Return the seeds of ``"A:B"`` (B not included) or of a single number.

    Examples
    --------
    >>> list(parse_seeds("3:5"))
    [3, 4]
    """
    try:
        first, *rest = (int(part) for part in text.split(":"))
        seeds = range(first, *rest) if rest else range(first, first + 1)
    except (ValueError, TypeError) as cause:
        raise InvalidRequest(f"`seeds` is {text!r}; write A:B, such as 0:8.") from cause
    if not seeds or seeds[0] < 0:
        raise InvalidRequest(f"`seeds` is {text!r}, which names no seed; write A:B, such as 0:8.")
    return seeds


def run_track(
    track: Track,
    seeds: Sequence[int],
    *,
    methods: Sequence[str] = (),
    progress: Progress = lambda done, of, what: None,
) -> Result:
    """Put every method before every case and score the answers.

    Parameters
    ----------
    track : Track
        The question.
    seeds : sequence of int
        One case each.
    methods : sequence of str
        Only these; all when empty.
    progress : callable
        Told what is going on.
    """
    start = time.monotonic()
    unknown = [name for name in methods if name not in track.methods]
    if unknown:
        raise UnknownName("method", unknown[0], track.methods)
    chosen = {name: track.methods[name] for name in methods or track.methods}
    scores: dict[str, dict[str, list[float]]] = {name: {} for name in chosen}
    for number, seed in enumerate(seeds):
        case = track.case(seed)
        for name, method in chosen.items():
            progress(number, len(seeds), f"seed {seed}, {name}")
            for metric, value in track.score(case, method(case.visible)).items():
                scores[name].setdefault(metric, []).append(float(value))
    progress(len(seeds), len(seeds), "done")
    return Result(
        track=track.name,
        version=track.version,
        seeds=tuple(seeds),
        default=track.default,
        methods={name: _intervals(values) for name, values in scores.items()},
        acceptance=tuple(
            _evaluate(bar, scores[bar.method or track.default])
            for bar in track.bars
            if (bar.method or track.default) in scores
        ),
        seconds=time.monotonic() - start,
        machine=Machine(
            system=platform.platform(terse=True),
            processor=platform.machine(),
            cores=os.cpu_count() or 1,
            python=platform.python_version(),
        ),
    )


def _intervals(values: dict[str, list[float]]) -> dict[str, Interval]:
    # The bootstrap's own draws are no part of any case: one stream, the same for everybody.
    return {metric: bootstrap(v, np.random.default_rng(0)) for metric, v in values.items()}


def _evaluate(bar: Bar, scores: dict[str, list[float]]) -> Reached:
    values = scores.get(bar.metric, [])
    # A case without a number is a case not reached, so NaN is not averaged away here.
    value = float(np.mean(values)) if values else math.nan
    # A mean of equal numbers may end a rounding error beside them.
    slack = 1e-9 * abs(bar.bar)
    good = value >= bar.bar - slack if bar.better == "higher" else value <= bar.bar + slack
    return Reached(
        what=bar.what,
        metric=bar.metric,
        value=value,
        bar=bar.bar,
        better=bar.better,
        ok=bool(good),
    )
