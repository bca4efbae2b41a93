"""Twins by name: a sample, an instrument, a seed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nanopilot.core.clock import VirtualClock
from nanopilot.core.errors import InvalidRequest
from nanopilot.core.requests import from_outside
from nanopilot.twins.spm import Sample, SpmSettings, SpmTwin
from nanopilot.twins.spm.samples import SAMPLES, family
from nanopilot.workflows.topographies import read_topography

if TYPE_CHECKING:
    from nanopilot.twins.stem.settings import StemSettings
    from nanopilot.twins.stem.twin import StemTwin

#: Random stream of the sample; the twin's own streams count from 1.
_SAMPLE_STREAM = 0
#: An instrument that tunnels: A, V, and a tip that ends in few atoms (m).
_TUNNELLING: dict[str, Any] = {
    "tip": {"apexes": [{"radius": 0.3e-9}]},
    "loop": {"mode": "stm", "setpoint": 1e-10, "z_range": 1e-7},
    "electrics": {"bias": 0.1},
}


def spm(  # noqa: PLR0913 - all have a default that is right for most
    sample: str | Path = "grains",
    *,
    seed: int = 0,
    settings: Mapping[str, Any] | SpmSettings | str | Path | None = None,
    size: float | str | None = None,
    pixels: int | tuple[int, int] | None = None,
    mode: str | None = None,
    real_time: bool = False,
    recipe: Mapping[str, Any] | None = None,
) -> SpmTwin:
    """Return a scanning-probe twin.

    Parameters
    ----------
    sample : str or Path
        A family of samples, or a file with a measured topography.
    seed : int
        Of the sample, of noise, wear, and everything else that is random.
    settings : mapping, SpmSettings, or path of a JSON file, optional
        The instrument; what is not said is as usual. By `connect`: a mapping or a path, which a
        run can keep.
    size : float or str, optional
        Width of the sample in metres, or with a unit.
    pixels : int or (int, int), optional
        On which the sample is known.
    mode : {"contact", "tapping", "stm"}, optional
        What the loop holds; "stm" if the sample is a lattice of atoms and nothing else is said.
    real_time : bool
        Take the time a real one would take, instead of none.
    recipe : mapping, optional
        Settings of the family of samples; of a file also `channel`, `relief` and `pitch`.

    Raises
    ------
    UnknownName
        There is no such sample.
    InvalidRequest, OutOfRange, ReadError, SignalError
        A setting, a size or a file is no good.
    """
    if seed < 0:
        raise InvalidRequest(f"`seed` is {seed}; it is a whole number from 0.")
    made = make_sample(sample, seed, size=size, pixels=pixels, recipe=recipe or {})
    clock = VirtualClock(speed=1.0 if real_time else inf)
    return SpmTwin(made, clock, settings=_settings(settings, mode, sample), seed=seed)


def make_sample(
    sample: str | Path,
    seed: int,
    *,
    size: float | str | None = None,
    pixels: int | tuple[int, int] | None = None,
    recipe: Mapping[str, Any],
) -> Sample:
    """Return the sample that `spm` puts under its tip; see there."""
    rng = np.random.default_rng([seed, _SAMPLE_STREAM])
    told = dict(recipe)
    name = str(sample)
    # A family goes before a file that happens to have its name.
    is_file = isinstance(sample, Path) or (name not in SAMPLES and Path(name).is_file())
    if is_file or Path(name).suffix:
        told = read_topography(sample, channel=told.pop("channel", None)) | told
        name = "measured"
    elif name == "measured" and "height" not in told:
        raise InvalidRequest("`sample` is 'measured'; give the path of a file instead.")
    return family(name)(rng, size_m=size, pixels=pixels, **told)


def stem(  # noqa: PLR0913 - all have a default that is right for most
    sample: str = "dichalcogenide",
    *,
    seed: int = 0,
    settings: Mapping[str, Any] | StemSettings | str | Path | None = None,
    size: float | str | None = None,
    real_time: bool = False,
    recipe: Mapping[str, Any] | None = None,
) -> StemTwin:
    """Return an electron twin.

    Parameters
    ----------
    sample : str
        A family of samples.
    seed : int
        Of the sample, of noise, damage, and everything else that is random.
    settings : mapping, StemSettings, or path of a JSON file, optional
        The instrument; what is not said is as usual.
    size : float or str, optional
        Width of the sample in metres, or with a unit.
    real_time : bool
        Take the time a real one would take, instead of none.
    recipe : mapping, optional
        Settings of the family of samples.

    Raises
    ------
    UnknownName
        There is no such sample.
    InvalidRequest, OutOfRange
        A setting or a size is no good.
    """
    from nanopilot.twins.stem.samples import family as stem_family
    from nanopilot.twins.stem.settings import StemSettings
    from nanopilot.twins.stem.twin import StemTwin

    if seed < 0:
        raise InvalidRequest(f"`seed` is {seed}; it is a whole number from 0.")
    rng = np.random.default_rng([seed, _SAMPLE_STREAM])
    scene = stem_family(sample)(rng, size_m=size, **dict(recipe or {}))
    if not isinstance(settings, StemSettings):
        said = _read(settings) if isinstance(settings, str | Path) else dict(settings or {})
        settings = from_outside(StemSettings, **said)
    clock = VirtualClock(speed=1.0 if real_time else inf)
    return StemTwin(scene, clock, settings=settings, seed=seed)


def _settings(
    told: Mapping[str, Any] | SpmSettings | str | Path | None, mode: str | None, sample: str | Path
) -> SpmSettings:
    """Return the instrument: what was said over what is usual for the mode."""
    if isinstance(told, SpmSettings):
        said = told.model_dump()
    else:
        said = _read(told) if isinstance(told, str | Path) else dict(told or {})
    loop = said.get("loop", {})
    if not isinstance(loop, Mapping):
        raise InvalidRequest(f"`loop` is {loop!r}; it is a mapping of settings.")
    if mode is not None:
        said["loop"] = {**loop, "mode": mode}
    working = mode or loop.get("mode") or ("stm" if str(sample) == "lattice" else "contact")
    usual = _TUNNELLING if working == "stm" else {}
    return from_outside(SpmSettings, **_over(usual, said))


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return a tree of settings with another one laid over it."""
    merged = {**below, **above}
    for name in below.keys() & above.keys():
        if isinstance(below[name], Mapping) and isinstance(above[name], Mapping):
            merged[name] = _over(below[name], above[name])
    return merged


def _read(path: str | Path) -> dict[str, Any]:
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as cause:
        raise InvalidRequest(f"`settings`: {path} cannot be read as JSON: {cause}.") from cause
    if not isinstance(found, dict):
        raise InvalidRequest(f"`settings`: {path} holds no JSON object.")
    return found
