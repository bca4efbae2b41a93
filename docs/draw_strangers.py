"""Draws own pictures of a network beside strangers, with how strange each is to it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from nanopilot.bench.stranger_nets import NETS
from nanopilot.bench.tracks.strangers import MODALITY, OWN, WRONG_SIZE, Strangers

_NET = "tip-state"
_SEED = 3


def draw(target: Path) -> None:
    """Draw six own scans above six strangers."""
    track = Strangers(own=6, each=1)
    case = track.case(_SEED)
    mine = [
        (kind, one) for kind, one in zip(case.kinds, case.visible, strict=True) if one.net == _NET
    ]
    own = [one for one in mine if one[0] == OWN]
    kinds = ("white noise", "1/f noise", "dead leaves", "photograph", MODALITY, WRONG_SIZE)
    strange = [next(one for one in mine if one[0] == kind) for kind in kinds]
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    for axes, (kind, one) in zip(figure.subplots(2, 6).ravel(), own + strange, strict=True):
        axes.imshow(one.picture.frame.to_numpy(), cmap="gray")
        axes.set_xticks([])
        axes.set_yticks([])
        strangeness = NETS[_NET].strangeness(one.picture)
        told = f"{strangeness:.2f}" if np.isfinite(strangeness) else "refused"
        axes.set_title(f"{told}\n{kind}", fontsize=9, color="C3" if strangeness > 1 else "C0")
    figure.savefig(target, dpi=110)
