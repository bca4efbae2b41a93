"""How graph autoencoders learn what regular crystals are like: nodes hidden, and their loss."""

from __future__ import annotations

from typing import Any

import numpy as np

from nanopilot.models.graph_autoencoder import BONDS, GraphAutoencoder, GraphShape, pack
from nanopilot.models.torch_extra import need_torch
from nanopilot.models.training import Schedule

Float32 = np.ndarray[Any, np.dtype[np.float32]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]

SHAPE = GraphShape()
#: Networks that learn apart; how they differ is how unsure they are.
MEMBERS = 3
SCHEDULE = Schedule(epochs=16, batch=8, rate=4e-3, patience=6)
#: Nodes of an example, and the share of them that is hidden.
NODES, HIDDEN = 320, 0.15


def example(
    nodes: Float32, edges: IntArray, bonds: Float32, counted: BoolArray
) -> tuple[Float32, Float32]:
    """Return a graph as an example of `NODES` nodes: what is shown, and what is to be told.

    The first nodes of a larger graph are kept, a smaller one is filled up.

    Parameters
    ----------
    nodes, edges, bonds : numpy.ndarray
        As of `pack`.
    counted : numpy.ndarray of bool
        Nodes whose numbers are to be told: not those at edges, shape (n,).

    Returns
    -------
    numpy.ndarray, numpy.ndarray
        float32, shapes (NODES, packed) and (NODES, numbers of a node + 1), the last: whether it
        counts.
    """
    kept = min(len(nodes), NODES)
    inside = (edges < kept).all(axis=1)
    packed = pack(nodes[:kept], edges[inside], bonds[inside])
    shown = np.zeros((NODES, packed.shape[1]), dtype=np.float32)
    shown[:kept] = packed
    told = np.zeros((NODES, nodes.shape[1] + 1), dtype=np.float32)
    told[:kept, :-1] = nodes[:kept]
    # Nodes that lost bonds to the cut cannot be told.
    lost = np.zeros(len(nodes), dtype=bool)
    lost[np.unique(edges[~inside])] = True
    told[:kept, -1] = counted[:kept] & ~lost[:kept]
    return shown, told


def hide(rng: np.random.Generator, inputs: Float32, targets: Float32) -> tuple[Float32, Float32]:
    """Hide some nodes of a batch; only hidden ones count."""
    numbers = targets.shape[-1] - 1
    shown, told = inputs.copy(), targets.copy()
    hidden = rng.random(inputs.shape[:2]) < HIDDEN
    shown[..., numbers] = hidden
    told[..., -1] *= hidden
    return shown, told


def always_hidden(inputs: Float32, targets: Float32) -> tuple[Float32, Float32]:
    """Hide every seventh node of a batch, so that losses can be compared."""
    numbers = targets.shape[-1] - 1
    shown, told = inputs.copy(), targets.copy()
    shown[:, ::7, numbers] = 1.0
    told[..., -1] *= shown[..., numbers]
    return shown, told


def loss(answer: Any, truth: Any) -> Any:
    """Return the mean negative log likelihood of hidden nodes, each number a Laplace variable.

    Parameters
    ----------
    answer : torch.Tensor
        Expected numbers and their spreads, shape (b, n, 2 d).
    truth : torch.Tensor
        Numbers, and 1 where they count, shape (b, n, d + 1).
    """
    torch = need_torch()
    d = truth.shape[-1] - 1
    mean, spread, counts = answer[..., :d], answer[..., d:], truth[..., d:]
    each = torch.abs(truth[..., :d] - mean) / spread + torch.log(2 * spread)
    return (each * counts).sum() / (counts.sum() * d + 1e-6)


__all__ = [
    "BONDS", "HIDDEN", "MEMBERS", "NODES", "SCHEDULE", "SHAPE", "GraphAutoencoder", "always_hidden",
    "example", "hide", "loss", "pack",
]  # fmt: skip
