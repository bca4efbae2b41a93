"""`strangers`: whether networks that look at pictures abstain where they should, and only there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

from nanopilot.bench.stranger_nets import NETS, Net, Picture, framed, shipped
from nanopilot.bench.stranger_pictures import KINDS
from nanopilot.bench.track import Bar
from nanopilot.core.errors import NanopilotError
from nanopilot.models.familiarity import Familiarity

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
OWN, MODALITY, WRONG_SIZE = "own", "other instrument", "wrong pixel size"
#: Times by which a pixel size is wrong.
_TIMES = (3.0, 6.0)
#: Own pictures whose mean and spread the simplest method learns, and the share that it keeps.
_LEARNED, _KEEP = 60, 0.95
#: Where its learning begins; no case does.
_BASELINE_SEED = 90_210


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """A picture, and the network that it is shown to."""

    net: str
    picture: Picture


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """Pictures, and of what kind each is."""

    visible: tuple[Question, ...]
    kinds: tuple[str, ...]


class Strangers:
    """Own pictures that no network has seen, and strangers, to every network that ships.

    Strangers are noise (white, 1/f, shot), dead leaves, natural texture, photographs; pictures of
    another instrument; and own ones at a pixel size that is wrong by a factor of 3 to 6. They have
    the shape, the range of values, the quantity and the pixel size (but where that is what is
    wrong) of own ones, so that nothing but their content tells.

    Parameters
    ----------
    nets : mapping of str to Net, optional
        None: all that ship.
    own, each : int
        Own pictures per network in one case, and strangers of each kind.
    """

    name: ClassVar[str] = "strangers"
    version: ClassVar[str] = "1"
    about: ClassVar[str] = "networks abstain on pictures that are none of theirs, and only there"
    default: ClassVar[str] = "shipped"

    def __init__(self, nets: Mapping[str, Net] | None = None, own: int = 16, each: int = 2) -> None:
        self._nets = dict(shipped() if nets is None else nets)
        # Pictures of other instruments are at hand even where their network does not ship.
        self._pictured = dict(NETS if nets is None else nets)
        self._own, self._each = own, each
        self._simple: dict[str, Familiarity] = {}

    @property
    def bars(self) -> tuple[Bar, ...]:
        """Of each network: at least 95 % of strangers refused, and of own pictures kept."""
        return tuple(
            Bar(what=f"{net}: {what}", metric=f"{metric}_{net}", bar=0.95)
            for net in self._nets
            for metric, what in (("kept", "own kept"), ("refused", "strangers refused"))
        )

    @property
    def methods(self) -> Mapping[str, Callable[[Sequence[Question]], FloatArray]]:
        """What ships; never to abstain; and distances of nothing but mean and spread."""
        return {
            "shipped": self._ask,
            "never abstains": lambda questions: np.zeros(len(questions)),
            "mean and spread": self._plain,
        }

    def case(self, seed: int) -> Case:
        """Draw the pictures of a seed."""
        questions: list[Question] = []
        kinds: list[str] = []
        for number, (name, net) in enumerate(sorted(self._nets.items())):
            rng = np.random.default_rng([seed, number, 41])
            for kind, picture in self._pictures(net, rng):
                questions.append(Question(name, picture))
                kinds.append(kind)
        return Case(tuple(questions), tuple(kinds))

    def _pictures(self, net: Net, rng: np.random.Generator) -> list[tuple[str, Picture]]:
        found = [(OWN, net.own(rng)) for _ in range(self._own)]
        for kind, draw in KINDS.items():
            for _ in range(self._each):
                dress = net.own(rng)
                rows, columns = dress.frame.shape
                found.append((kind, dress.showing(draw(rng, (rows, columns)))))
        for other in self._pictured.values():
            if other.modality != net.modality:
                strange = other.own(rng)
                size = strange.pixel_size
                found.append((MODALITY, net.own(rng).showing(strange.frame.to_numpy(), size)))
        for number in range(2 * self._each if net.sizes != "any" else 0):
            found.append((WRONG_SIZE, wrong_size(net, rng, larger=number % 2 == 0)))
        return found

    def _ask(self, questions: Sequence[Question]) -> FloatArray:
        return np.array([_asked(self._nets[one.net], one.picture) for one in questions])

    def _plain(self, questions: Sequence[Question]) -> FloatArray:
        for name in {one.net for one in questions} - set(self._simple):
            rng = np.random.default_rng(_BASELINE_SEED)
            seen = [_mean_and_spread(self._nets[name].own(rng)) for _ in range(_LEARNED)]
            self._simple[name] = Familiarity.learn(np.stack(seen), rng, _KEEP)
        return np.array(
            [
                float(self._simple[one.net].strangeness(_mean_and_spread(one.picture))[0])
                for one in questions
            ]
        )

    def score(self, case: Case, answer: FloatArray) -> Mapping[str, float]:
        """Count who was refused.

        Returns
        -------
        mapping
            ``kept_N`` of every network N, the share of its own pictures at most 1 strange, and
            ``refused_N``, the share of strangers above 1, every kind the same weight;
            ``refused_N_kind`` of every kind; ``kept`` and ``refused``, means over networks.
        """
        strange = np.asarray(answer) > 1
        nets = np.array([one.net for one in case.visible])
        kinds = np.array(case.kinds)
        said: dict[str, float] = {}
        for net in sorted(set(nets)):
            mine = nets == net
            said[f"kept_{net}"] = float(1 - strange[mine & (kinds == OWN)].mean())
            each = {
                kind: float(strange[mine & (kinds == kind)].mean())
                for kind in dict.fromkeys(kinds[mine])
                if kind != OWN
            }
            said[f"refused_{net}"] = float(np.mean(list(each.values())))
            said |= {
                f"refused_{net}_{kind.replace(' ', '_')}": share for kind, share in each.items()
            }
        for what in ("kept", "refused"):
            said[what] = float(np.mean([said[f"{what}_{net}"] for net in sorted(set(nets))]))
        return said


def wrong_size(net: Net, rng: np.random.Generator, *, larger: bool) -> Picture:
    """Return an own picture whose pixel size is wrong by a factor of 3 to 6.

    Parameters
    ----------
    net : Net
        Whose picture. If it believes the file, the file lies; else the scan is of another
        magnification, of as many pixels: an own one is enlarged, or several are shrunk and laid
        side by side, mirrored so that they join.
    rng : numpy.random.Generator
        Picture and factor.
    larger : bool
        Things come out larger than they are.
    """
    times = float(np.exp(rng.uniform(*np.log(_TIMES))))
    picture = net.own(rng)
    if net.sizes == "metres":
        size = picture.pixel_size * (times if larger else 1 / times)
        attrs = picture.frame.attrs
        lying = framed(picture.frame.to_numpy(), size, attrs["quantity"], attrs["units"])
        return replace(picture, frame=lying)
    values = picture.frame.to_numpy()
    factor = 1 / times if larger else times
    soft = values if larger else gaussian_filter(values, 0.4 * times, mode="mirror")
    start = [rng.uniform(0, max(0.0, size - size * factor)) for size in values.shape]
    at = np.meshgrid(
        *(low + np.arange(size) * factor for low, size in zip(start, values.shape, strict=True)),
        indexing="ij",
    )
    return picture.showing(np.asarray(map_coordinates(soft, at, order=3, mode="mirror")))


def _asked(net: Net, picture: Picture) -> float:
    """Return the strangeness; to refuse in words is to abstain."""
    try:
        return net.strangeness(picture)
    except NanopilotError:
        return float("inf")


def _mean_and_spread(picture: Picture) -> FloatArray:
    values = picture.frame.to_numpy()
    scaled = (values - values.min()) / (float(np.ptp(values)) or 1.0)
    return np.array([scaled.mean(), scaled.std()])
