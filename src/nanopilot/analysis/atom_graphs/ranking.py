"""From a frame to a ranked table of sites."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import xarray as xr

from nanopilot.analysis.atom_graphs.anomaly import (
    BOUNDARY,
    CLASSES,
    FLAGGED,
    Channels,
    classify,
    judge,
    other_height,
    spread,
    told_apart,
)
from nanopilot.analysis.atom_graphs.baselines import distance_score, intensity_score
from nanopilot.analysis.atom_graphs.crystal import Crystal, read_crystal
from nanopilot.analysis.atom_graphs.features import Features, measure_features
from nanopilot.analysis.atoms.columns import find_columns
from nanopilot.core.errors import OutOfRange, SignalError
from nanopilot.core.history import FloatArray
from nanopilot.core.signals import Signal, SignalSet

IntArray = np.ndarray[Any, np.dtype[np.int64]]
Method = Literal["classical", "learned", "auto"]
Bonds = Literal["triangles", "nearest"]

#: Distances of next neighbours in metres between which columns can be atomic.
CLOSEST, FARTHEST = 60e-12, 1.2e-9


@dataclass(frozen=True, slots=True, eq=False)
class Ranked:
    """Sites of a frame and how unusual each is.

    Parameters
    ----------
    columns : SignalSet
        As found, for baselines.
    crystal : Crystal
        Nodes and bonds.
    features : Features
        Of the nodes.
    channels : Channels
        How unusual in which respect.
    score, spread : numpy.ndarray
        About 0 with spread 1 where nothing is unusual, and its standard error, shape (n,).
    kind : numpy.ndarray
        Class, a number of `CLASSES`, shape (n,).
    sublattice : numpy.ndarray
        Dimmest first; -1 for all where heights do not tell them apart, shape (n,).
    probability : numpy.ndarray
        That the height is that of the sublattice and not of the other; 0 where none is named.
    """

    columns: SignalSet
    crystal: Crystal
    features: Features
    channels: Channels
    score: FloatArray
    spread: FloatArray
    kind: IntArray
    sublattice: IntArray
    probability: FloatArray

    def order(self) -> IntArray:
        """Return nodes away from edges, the most unusual first."""
        order = np.argsort(-self.score, kind="stable")
        return np.asarray(order[self.kind[order] != BOUNDARY])


def rank_sites(
    columns: SignalSet,
    frame: Signal | None = None,
    *,
    method: Method = "auto",
    bonds: Bonds = "triangles",
    flagged: float = FLAGGED,
) -> Ranked:
    """Rank sites by how unusual they are.

    Parameters
    ----------
    columns : SignalSet
        As of `find_columns`.
    frame : Signal, optional
        Their frame: heights of empty sites are measured in it.
    method : {"classical", "learned", "auto"}
        Deviations from the local lattice; these and the errors with which the graph autoencoder
        reconstructs a site from its neighbours; or whichever has been the better on unseen
        crystals, which is the first.
    bonds : {"triangles", "nearest"}
        As of `build_graph`.
    flagged : float
        Score from which a site has a class of its own.

    Raises
    ------
    SignalError
        No lattice is seen; or `method` is "learned", and the crystal is unlike any that the
        networks have seen.
    MissingExtra
        `method` is "learned", and PyTorch is not installed.
    """
    crystal = read_crystal(columns, frame, bonds=bonds)
    features = measure_features(crystal)
    channels = judge(crystal, features)
    if method == "learned":
        from nanopilot.analysis.atom_graphs.learned import reconstruction_score

        _refuse_strangers(columns, crystal, features)
        score, error = reconstruction_score(crystal, features, channels)
    else:
        score, error = channels.score(), spread(crystal)
    kind = classify(crystal, features, channels, flagged)
    sublattice, probability = _named(crystal, features)
    return Ranked(columns, crystal, features, channels, score, error, kind, sublattice, probability)


def _refuse_strangers(columns: SignalSet, crystal: Crystal, features: Features) -> None:
    from nanopilot.analysis.atom_graphs.strangeness import strangeness_of

    strange = strangeness_of(columns, crystal, features)
    if strange > 1:
        raise SignalError(
            f"`frame` shows a crystal unlike any that the networks have seen (strangeness "
            f"{strange:.1f}; 1 is the border). Check the pixel size, or use method 'classical'."
        )


def _named(crystal: Crystal, features: Features) -> tuple[IntArray, FloatArray]:
    """Return sublattices, dimmest first, and how sure heights are of them; or refuse."""
    if not told_apart(crystal, features):
        return np.full(len(crystal.place), -1, dtype=np.int64), np.zeros(len(crystal.place))
    kinds = np.arange(int(crystal.sublattice.max()) + 1)
    level = [np.median(crystal.height[crystal.sublattice == kind]) for kind in kinds]
    rank = np.argsort(np.argsort(level))
    named = np.where(crystal.sublattice >= 0, rank[np.maximum(crystal.sublattice, 0)], -1)
    width = np.maximum(features.height_spread, 1e-6)
    own, other = features.height / width, other_height(crystal) / width
    odds = np.clip(0.5 * (own**2 - other**2), -50, 50)
    sure = np.nan_to_num(1 / (1 + np.exp(odds)), nan=0.0)
    return named.astype(np.int64), np.where(named >= 0, sure, 0.0)


def site_table(ranked: Ranked) -> SignalSet:
    """Return the table of sites, dim ``point``, columns first, then empty sites.

    Parameters
    ----------
    ranked : Ranked
        As of `rank_sites`.
    """
    crystal, features = ranked.crystal, ranked.features
    near, unit = crystal.links.near, str(ranked.columns["height"].attrs["units"])
    plain = [one(ranked.columns).score for one in (intensity_score, distance_score)]
    empty = np.full(len(crystal.place) - len(plain[0]), np.nan)
    numbers: dict[str, tuple[Any, str, str]] = {
        "x": (crystal.place[:, 0], "position", "m"),
        "y": (crystal.place[:, 1], "position", "m"),
        "x_error": (crystal.place_error[:, 0], "standard error of position", "m"),
        "y_error": (crystal.place_error[:, 1], "standard error of position", "m"),
        "height": (crystal.height, "height of column", unit),
        "height_error": (crystal.height_error, "standard error of height", unit),
        "relative_height": (features.height, "height over that of its like nearby, less 1", "1"),
        "sublattice": (ranked.sublattice, "sublattice, dimmest first, -1: not told apart", "1"),
        "probability": (ranked.probability, "probability of sublattice", "1"),
        "column": (crystal.column.astype(np.int64), "1: a column, 0: an empty site", "1"),
        "boundary": ((ranked.kind == BOUNDARY).astype(np.int64), "1: at an edge", "1"),
        "displacement_x": (near * features.displacement[:, 0], "displacement along x", "m"),
        "displacement_y": (near * features.displacement[:, 1], "displacement along y", "m"),
        "strain_xx": (features.pooled[:, 0], "strain", "1"),
        "strain_yy": (features.pooled[:, 1], "strain", "1"),
        "strain_xy": (features.pooled[:, 2], "shear strain", "1"),
        "rotation": (features.pooled[:, 3], "rotation from x towards y", "rad"),
        "score": (ranked.score, "how unusual, in standard deviations", "1"),
        "score_error": (ranked.spread, "standard error of the score", "1"),
        "kind": (ranked.kind, "class, a number of `kinds`", "1"),
        "intensity_score": (np.concatenate([plain[0], empty]), "intensity z-score", "1"),
        "distance_score": (np.concatenate([plain[1], empty]), "next-neighbour z-score", "1"),
    }
    table = {
        name: xr.DataArray(values, dims="point", attrs={"quantity": quantity, "units": units})
        for name, (values, quantity, units) in numbers.items()
    }
    return xr.Dataset(table, attrs={"kinds": json.dumps(CLASSES)})


@dataclass(frozen=True, slots=True)
class AtomGraph:
    """Rank the sites of an atomically resolved frame by how unusual they are.

    Columns are found, the lattice is told from them, sites that it leaves empty become nodes, and
    each node is held against those of its own sublattice around it: in height, place, strain, and
    in how strain and polarity change across it. No training, no setting for a crystal.

    Parameters
    ----------
    method : {"classical", "learned", "auto"}
        As of `rank_sites`.
    bonds : {"triangles", "nearest"}
        As of `build_graph`.
    flagged : float
        Score from which a site has a class of its own.
    width : float, optional
        As of `find_columns`, in metres.
    any_scale : bool
        Take columns that are nearer than 60 pm or farther than 1.2 nm apart, as atoms are not.

    Examples
    --------
    >>> from nanopilot.core.signals import Axis, make_signal
    >>> axis = Axis(np.arange(96) * 2e-11, "m", "position")
    >>> y, x = np.indices((96, 96))
    >>> mean = np.full((96, 96), 20.0)
    >>> for row, column in np.ndindex(8, 8):
    ...     if (row, column) != (3, 4):
    ...         away = (y - 6 - 12 * row) ** 2 + (x - 6 - 12 * column) ** 2
    ...         mean += 200 * np.exp(-away / 8)
    >>> counts = np.random.default_rng(0).poisson(mean).astype(float)
    >>> frame = make_signal(counts, {"y": axis, "x": axis}, quantity="counts", units="1")
    >>> sites = AtomGraph()(frame)
    >>> worst = int(sites["score"].to_numpy().argmax())
    >>> json.loads(sites.attrs["kinds"])[int(sites["kind"][worst])]
    'vacancy'
    """

    method: Method = "auto"
    bonds: Bonds = "triangles"
    flagged: float = FLAGGED
    width: float | None = None
    any_scale: bool = False

    def __call__(self, frame: Signal) -> SignalSet:
        """Return the table of sites, dim ``point``; see `site_table`."""
        return site_table(self.rank(frame))

    def rank(self, frame: Signal) -> Ranked:
        """Return sites with their graph and all that scores are made of.

        Raises
        ------
        SignalError
            No frame, no lattice in it, or for the learned method a crystal unlike any it has seen.
        OutOfRange
            A setting, or the pixel size, is impossible.
        MissingExtra
            The learned method without PyTorch.
        """
        if self.flagged <= 0:
            raise OutOfRange(f"`flagged` is {self.flagged}; a score is flagged from above 0.")
        columns = find_columns(frame, width=self.width)
        ranked = rank_sites(
            columns, frame, method=self.method, bonds=self.bonds, flagged=self.flagged
        )
        near = ranked.crystal.links.near
        if not self.any_scale and not CLOSEST <= near <= FARTHEST:
            raise OutOfRange(
                f"`frame` has columns {near * 1e9:.3g} nm apart; atomic columns are "
                f"{CLOSEST * 1e9:g} nm to {FARTHEST * 1e9:g} nm apart. Check the pixel size, or "
                "set `any_scale`."
            )
        return ranked
