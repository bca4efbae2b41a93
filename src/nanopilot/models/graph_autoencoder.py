"""A graph autoencoder: nodes are hidden in turn and told from their neighbours.

There is no sampling in it and no prior, so it is not a variational one. Messages depend on both
ends and on the bond between them, as in J. Gilmer et al., Proc. Mach. Learn. Res. 70 (2017) 1263,
equation 1; hiding nodes is Z. Hou et al., Proc. KDD (2022) 594, section 3.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nanopilot.core.errors import OutOfRange
from nanopilot.models.torch_extra import need_torch

Float32 = np.ndarray[Any, np.dtype[np.float32]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]

#: Bonds that a node hears from, at most.
BONDS = 8


@dataclass(frozen=True, slots=True)
class GraphShape:
    """How large the network is.

    Parameters
    ----------
    nodes : int
        Numbers of a node.
    bonds : int
        Numbers of a bond.
    width : int
        Numbers of a node inside.
    depth : int
        Bonds that a message travels.
    """

    nodes: int = 10
    bonds: int = 3
    width: int = 32
    depth: int = 3

    @property
    def packed(self) -> int:
        """Numbers of a packed node: itself, seen or hidden, real or padding, and its bonds."""
        return self.nodes + 2 + BONDS * (self.bonds + 2)


def pack(nodes: Float32, edges: IntArray, bonds: Float32) -> Float32:
    """Write a graph as one row per node: its numbers, 0 (not hidden), 1 (real), its bonds.

    A bond is 1, the number of the other node, and the numbers of the bond; nodes with more than 8
    bonds keep those with the least first number (the shortest), others are filled up with zeros.
    Memory grows with the number of nodes.

    Parameters
    ----------
    nodes : numpy.ndarray
        Shape (n, d).
    edges : numpy.ndarray
        Both ends of every bond, shape (m, 2).
    bonds : numpy.ndarray
        Numbers of the bonds, shape (m, e).

    Returns
    -------
    numpy.ndarray
        float32, shape (n, d + 2 + 8 (e + 2)).
    """
    n, size = len(nodes), bonds.shape[1] + 2
    own = np.concatenate([edges[:, 0], edges[:, 1]])
    other = np.concatenate([edges[:, 1], edges[:, 0]])
    values = np.concatenate([bonds, bonds])
    order = np.lexsort((values[:, 0], own))
    own, other, values = own[order], other[order], values[order]
    place = np.arange(len(own)) - np.searchsorted(own, own)
    kept = place < BONDS
    table = np.zeros((n, BONDS, size), dtype=np.float32)
    table[own[kept], place[kept], 0] = 1.0
    table[own[kept], place[kept], 1] = other[kept]
    table[own[kept], place[kept], 2:] = values[kept]
    seen = np.tile(np.array([0.0, 1.0], dtype=np.float32), (n, 1))
    packed = np.concatenate([nodes.astype(np.float32), seen, table.reshape(n, -1)], axis=1)
    return np.asarray(packed, dtype=np.float32)


class GraphAutoencoder:
    """Tells the numbers of hidden nodes, and how sure it is, from all others.

    Parameters
    ----------
    shape : GraphShape
        How large it is.
    """

    def __init__(self, shape: GraphShape | None = None) -> None:
        self.shape = shape = shape or GraphShape()
        if min(shape.nodes, shape.bonds, shape.width, shape.depth) < 1:
            raise OutOfRange(f"`shape` is {shape}; every number of it is 1 or more.")
        self._torch = need_torch()
        nn, width = self._torch.nn, shape.width

        def twice(size: int) -> Any:
            return nn.Sequential(nn.Linear(size, width), nn.SiLU(), nn.Linear(width, width))

        self.parts = nn.ModuleDict(
            {
                "first": nn.Linear(shape.nodes + 1, width),
                "messages": nn.ModuleList(
                    twice(2 * width + shape.bonds) for _ in range(shape.depth)
                ),
                "updates": nn.ModuleList(twice(2 * width) for _ in range(shape.depth)),
                "norms": nn.ModuleList(nn.LayerNorm(width) for _ in range(shape.depth)),
                "last": nn.Linear(width, 2 * shape.nodes),
            }
        )

    def count(self) -> int:
        """Return how many parameters there are."""
        return sum(one.numel() for one in self.parts.parameters())

    def __call__(self, inputs: Any) -> Any:
        """Return the expected numbers of all nodes and their spreads, shape (b, n, 2 d).

        Parameters
        ----------
        inputs : torch.Tensor
            Graphs as of `pack`, of equally many nodes, shape (b, n, packed).
        """
        return self._answer(self._inside(inputs))

    def embed(self, packed: Float32) -> Float32:
        """Return the network's inner numbers of every node, nothing hidden, shape (n, width).

        Evaluated without dropout or any draw: the same graph gives the same numbers.

        Parameters
        ----------
        packed : numpy.ndarray
            As of `pack`.
        """
        self.parts.eval()
        with self._torch.no_grad():
            inside = self._inside(self._torch.from_numpy(packed[None]))
        return np.asarray(inside[0].numpy())

    def reconstruct(self, packed: Float32, turns: int = 6) -> tuple[Float32, Float32]:
        """Return what each node is expected to be while it is hidden, and the spread of that.

        Every `turns`-th node is hidden at once, so that all have been after as many passes.

        Parameters
        ----------
        packed : numpy.ndarray
            As of `pack`, shape (n, packed).
        turns : int
            How many passes.

        Returns
        -------
        numpy.ndarray, numpy.ndarray
            Both of shape (n, d).
        """
        self.parts.eval()
        d = self.shape.nodes
        found = np.zeros((len(packed), 2 * d), dtype=np.float32)
        with self._torch.no_grad():
            for turn in range(min(turns, len(packed))):
                shown = packed.copy()
                shown[turn::turns, d] = 1.0
                answer = self(self._torch.from_numpy(shown[None]))[0].numpy()
                found[turn::turns] = answer[turn::turns]
        return found[:, :d], found[:, d:]

    def _inside(self, inputs: Any) -> Any:
        torch, shape = self._torch, self.shape
        d = shape.nodes
        hidden = inputs[..., d : d + 1]
        seen = inputs[..., :d] * (1 - hidden)
        bonds = inputs[..., d + 2 :].unflatten(-1, (BONDS, shape.bonds + 2))
        there, to, values = bonds[..., :1], bonds[..., 1].long(), bonds[..., 2:]
        # The stretch of a bond would tell where a hidden end is.
        either = 1 - (1 - hidden[..., None]) * (1 - _gather(hidden, to))
        values = torch.cat([values[..., :1], values[..., 1:] * (1 - either)], dim=-1)
        state = self.parts["first"](torch.cat([seen, hidden], dim=-1))
        count = there.sum(dim=-2).clamp(min=1.0)
        layers = zip(
            self.parts["messages"], self.parts["updates"], self.parts["norms"], strict=True
        )
        for message, update, norm in layers:
            other = _gather(state, to)
            own = state[..., None, :].expand_as(other)
            heard = (there * message(torch.cat([own, other, values], dim=-1))).sum(dim=-2) / count
            state = norm(state + update(torch.cat([state, heard], dim=-1)))
        return state

    def _answer(self, state: Any) -> Any:
        torch, d = self._torch, self.shape.nodes
        raw = self.parts["last"](state)
        spread = torch.exp(torch.clamp(raw[..., d:], -4.0, 3.0))
        return torch.cat([raw[..., :d], spread], dim=-1)


def _gather(state: Any, to: Any) -> Any:
    """Return the states of the other ends of all bonds, shape (b, n, bonds, width)."""
    batch, nodes, bonds = to.shape
    flat = to.reshape(batch, nodes * bonds, 1).expand(-1, -1, state.shape[-1])
    return state.gather(1, flat).reshape(batch, nodes, bonds, state.shape[-1])
