"""Teaches trained networks what their own pictures look like; the networks stay the same.

Own pictures are those that the networks' recipes draw, strangers those of
`nanopilot.models.strange_pictures`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nanopilot.analysis.tip.familiar import look
from nanopilot.core.errors import OutOfRange, SignalError, UnknownName
from nanopilot.core.signals import Axis, make_signal
from nanopilot.models.familiarity import Familiarity
from nanopilot.models.frame_features import frame_features
from nanopilot.models.recipes import grains
from nanopilot.models.strange_pictures import strange_pictures
from nanopilot.models.weights import Card, load_weights, save_weights
from nanopilot.workflows import (
    grain_scenes,
    tip_state_surfaces,
    tip_surfaces,
    train_tip,
    train_tip_state,
)
from nanopilot.workflows.gaussian_tips import draw_tip, scan_with
from nanopilot.workflows.particle_frames import draw_frame
from nanopilot.workflows.tip_scans import KnownScan, scan_known

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
Float32 = np.ndarray[Any, np.dtype[np.float32]]
Draw = Callable[[np.random.Generator], FloatArray]
#: Takes a picture, gives its features; None: refused before any network is asked.
Look = Callable[[FloatArray], FloatArray | None]
Say = Callable[[str], None]

#: Own pictures that are drawn, and as many strangers.
COUNT = 2000
#: Share of the own pictures that is taken for known; more where strangers lie far away, less where
#: they lie near.
_KEEP, KEEP = 0.98, {"grains": 0.985, "tip-state": 0.975}
#: Own pictures for a network that is trained for a few steps only.
_FEW = 80
#: Rows and columns of some of the pictures: a user's may be smaller than those of the recipes.
_SMALLEST = 64


def state_picture(rng: np.random.Generator) -> FloatArray:
    """Draw a scan as `nanopilot.workflows.train_tip_state` does, heights in metres."""
    family = _any(rng, tip_state_surfaces.FAMILIES)
    families = tip_state_surfaces.FAMILIES
    pair = train_tip_state.draw_pair(rng, train_tip_state.draw_family(rng, families, family))
    picture = pair[int(rng.integers(2))]
    noise = float(np.ptp(picture.surface)) * rng.choice([0.0, rng.uniform(0.0, 0.012)])
    return np.asarray(picture.image + noise * rng.normal(size=picture.image.shape))


def refiner_scan(rng: np.random.Generator) -> KnownScan:
    """Draw a scan as `nanopilot.workflows.train_tip` does, but twice as wide, in metres."""
    families = tip_state_surfaces.FAMILIES
    family = train_tip.draw_family(rng, families, _any(rng, families))
    noise = rng.choice([0.0, rng.uniform(0.0, 0.01)])
    return scan_known(rng, family, train_tip.BLUNT.draw(rng), pixels=128, noise=noise)


def refiner_picture(rng: np.random.Generator) -> FloatArray:
    """Draw the image of a `refiner_scan`."""
    return refiner_scan(rng).image


def predictor_picture(rng: np.random.Generator) -> FloatArray:
    """Draw a scan as `nanopilot.workflows.train_tip_predictor` does, in units of the relief."""
    families = tip_surfaces.FAMILIES
    family = train_tip.draw_family(rng, families, _any(rng, families))
    return scan_with(rng, family, draw_tip(rng))[0]


def particle_picture(rng: np.random.Generator) -> FloatArray:
    """Draw a frame as `nanopilot.workflows.train_particles` does."""
    return draw_frame(rng).image


def grain_picture(rng: np.random.Generator) -> FloatArray:
    """Draw a scan as `nanopilot.workflows.train_grains` does, in metres."""
    names = sorted(grain_scenes.FAMILIES)
    return 1e-9 * grain_scenes.scan_grains(rng, names[int(rng.integers(len(names)))]).image


def grain_look(picture: FloatArray, network: Any = None) -> FloatArray | None:
    """Return what the network for grains looks at, the frame made ready as its operator does.

    Parameters
    ----------
    picture : numpy.ndarray
        Heights in metres, shape (rows, columns).
    network : GrainUNet, optional
        Whose deepest level is looked at besides the picture; the one that ships if not given.

    Returns
    -------
    numpy.ndarray or None
        None where the operator refuses the frame before it asks the network.
    """
    from nanopilot.analysis.grains.learned import features, load_grain_net
    from nanopilot.analysis.grains.preparing import prepare

    axes = {dim: Axis(np.arange(size) * 1e-9, "m", "position") for dim, size in
            zip(("y", "x"), picture.shape, strict=True)}  # fmt: skip
    frame = make_signal(picture, axes, quantity="height", units="m")
    try:
        level = prepare(frame).at_diameter(grains.USUAL).frame.to_numpy()
        return features(network or load_grain_net().network, grains.show(level))
    except (OutOfRange, SignalError):
        return None


#: Who draws the own pictures of which weights, and what is looked at.
PICTURES: Mapping[str, tuple[Draw, Look]] = {
    "grains": (grain_picture, grain_look),
    "particles": (particle_picture, frame_features),
    "tip-predictor": (predictor_picture, look),
    "tip-refiner": (refiner_picture, look),
    "tip-refiner-residual": (refiner_picture, look),
    "tip-state": (state_picture, look),
}


def learn_known(
    name: str,
    rng: np.random.Generator,
    count: int = COUNT,
    report: Say = lambda line: None,
    seen: Look | None = None,
) -> Familiarity:
    """Learn what own pictures of a network look like.

    Parameters
    ----------
    name : str
        Of the weights.
    rng : numpy.random.Generator
        Pictures, strangers, and folds.
    count : int
        Own pictures, and strangers too.
    report : callable
        Told now and then how far it is.
    seen : callable, optional
        What is looked at; that of the weights that ship if not given.

    Raises
    ------
    UnknownName
        Nobody draws pictures of such weights here.
    OutOfRange
        They are too few.
    """
    if name not in PICTURES:
        raise UnknownName("name", name, PICTURES)
    if count < 1:
        raise OutOfRange(f"`count` is {count}; some hundreds are needed.")
    draw, usual = PICTURES[name]
    seen = seen or usual
    # Its own, so that another border can be learned from the same pictures.
    folds = rng.spawn(1)[0]
    own = [draw(rng) for _ in range(count)]
    report(f"{count} own pictures drawn")
    others = strange_pictures(own, count, rng)
    looked = [[seen(_part(rng, picture)) for picture in side] for side in (own, others)]
    mine, strange = (np.stack([one for one in side if one is not None]) for side in looked)
    return Familiarity.learn(mine, folds, KEEP.get(name, _KEEP), strangers=strange)


def known_tensors(
    name: str, seed: int, steps: int | None, report: Say = lambda line: None
) -> dict[str, Float32]:
    """Return tensors for weights that have just been trained; see `learn_known`.

    Parameters
    ----------
    name : str
        Of the weights.
    seed : int
        Of pictures, strangers, and folds.
    steps : int, optional
        That the network was trained for; if not as many as usual, few pictures are drawn too.
    report : callable
        Told now and then how far it is.
    """
    count = COUNT if steps is None else _FEW
    return learn_known(name, np.random.default_rng(seed), count, report).tensors()


def teach(
    name: str,
    *,
    seed: int = 0,
    out: Path,
    count: int = COUNT,
    report: Say = lambda line: None,
) -> Card:
    """Write weights anew that know their own pictures; the network is not touched.

    Parameters
    ----------
    name : str
        Of the weights, which ship.
    seed : int
        Of pictures, strangers, and folds.
    out : Path
        Folder of the weights that are written.
    count : int
        Own pictures, and strangers too.
    report : callable
        Told how it goes, line by line.

    Returns
    -------
    Card
        The same but for the hash.

    Raises
    ------
    UnknownName
        There are no such weights, or nobody draws their pictures here.
    MissingExtra
        The package safetensors is not installed.
    """
    tensors, card = load_weights(name)
    found = learn_known(name, np.random.default_rng(seed), count, report)
    return save_weights(out, tensors | found.tensors(), card)


def _any(rng: np.random.Generator, families: Mapping[str, Any]) -> str:
    return sorted(families)[int(rng.integers(len(families)))]


def _part(rng: np.random.Generator, picture: FloatArray) -> FloatArray:
    """Return a picture, or in one of four cases a part of it."""
    if rng.uniform() < 0.75:
        return picture
    sizes = [int(rng.integers(min(_SMALLEST, size), size + 1)) for size in picture.shape]
    top, left = (
        int(rng.integers(size - want + 1)) for size, want in zip(picture.shape, sizes, strict=True)
    )
    return picture[top : top + sizes[0], left : left + sizes[1]]
