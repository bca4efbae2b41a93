"""The learned score: how badly networks of regular crystals tell a site from its neighbours."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nanopilot.analysis.atom_graphs.anomaly import Channels
from nanopilot.analysis.atom_graphs.crystal import Crystal
from nanopilot.analysis.atom_graphs.features import Features, edge_table, node_table
from nanopilot.analysis.frame_arrays import robust_std
from nanopilot.core.history import FloatArray
from nanopilot.models.weights import fill, load_weights

if TYPE_CHECKING:
    from nanopilot.models.graph_autoencoder import GraphAutoencoder

Float32 = np.ndarray[Any, np.dtype[np.float32]]

#: Name of the weights, and of the module that made them.
NAME, RECIPE = "defects", "defects"
#: Errors of the sites of a frame spread at least so much.
_LEAST = 0.05


def packed_graph(crystal: Crystal, features: Features) -> Float32:
    """Return the graph as the networks are shown it.

    Parameters
    ----------
    crystal : Crystal
        As of `read_crystal`.
    features : Features
        As of `measure_features`.
    """
    from nanopilot.models.graph_autoencoder import pack

    nodes = node_table(crystal, features).astype(np.float32)
    return pack(nodes, crystal.graph.edges, edge_table(crystal).astype(np.float32))


@lru_cache(maxsize=2)
def load_members(folder: Path | None = None) -> tuple[GraphAutoencoder, ...]:
    """Return the trained networks.

    Parameters
    ----------
    folder : Path, optional
        Where the weights are, if they are one's own.

    Raises
    ------
    UnknownName
        There are no weights.
    MissingExtra
        PyTorch or safetensors is not installed.
    """
    from nanopilot.models.graph_autoencoder import GraphAutoencoder, GraphShape
    from nanopilot.models.torch_extra import need_torch

    need_torch()
    tensors, card = load_weights(NAME, folder, RECIPE)
    settings = dict(card.settings)
    members = []
    for number in range(int(settings.pop("members"))):
        network = GraphAutoencoder(GraphShape(**settings))
        start = f"member {number}."
        own = {
            name.removeprefix(start): values
            for name, values in tensors.items()
            if name.startswith(start)
        }
        fill(network.parts, own)
        members.append(network)
    return tuple(members)


def reconstruction_errors(
    crystal: Crystal, features: Features, members: tuple[GraphAutoencoder, ...]
) -> FloatArray:
    """Return how far each site is from what each network expects, shape (members, n).

    The largest error of its numbers, each in units of the spread the network states, then over the
    spread that these have in the frame.

    Parameters
    ----------
    crystal : Crystal
        As of `read_crystal`.
    features : Features
        As of `measure_features`.
    members : tuple of GraphAutoencoder
        As of `load_members`.
    """
    packed = packed_graph(crystal, features)
    found = []
    for network in members:
        expected, spread = network.reconstruct(packed)
        error = np.abs(packed[:, : network.shape.nodes] - expected) / spread
        odd = error.max(axis=1).astype(np.float64)
        inner = odd[~crystal.edge]
        middle = float(np.median(inner)) if len(inner) else 0.0
        found.append((odd - middle) / max(robust_std(inner), _LEAST))
    return np.stack(found)


def reconstruction_score(
    crystal: Crystal, features: Features, channels: Channels
) -> tuple[FloatArray, FloatArray]:
    """Return the larger of reconstruction error and Mahalanobis strain, and the ensemble's spread.

    Parameters
    ----------
    crystal : Crystal
        As of `read_crystal`.
    features : Features
        As of `measure_features`.
    channels : Channels
        As of `judge`.

    Raises
    ------
    MissingExtra
        PyTorch or safetensors is not installed.
    """
    errors = reconstruction_errors(crystal, features, load_members())
    bent = np.nan_to_num(channels.strain, nan=-np.inf)
    scores = np.maximum(errors, bent)
    return scores.mean(axis=0), scores.std(axis=0, ddof=1)
