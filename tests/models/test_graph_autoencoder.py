"""The graph autoencoder: nothing hidden leaks, lengths count, and the same call says the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nanopilot.core.errors import OutOfRange
from nanopilot.models.graph_autoencoder import BONDS, GraphAutoencoder, GraphShape, pack
from nanopilot.models.recipes import defects

torch = pytest.importorskip("torch")
Array = np.ndarray[Any, np.dtype[Any]]
SHAPE = GraphShape(nodes=4, bonds=2, width=12, depth=2)


@pytest.fixture(scope="module")
def network() -> GraphAutoencoder:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return GraphAutoencoder(SHAPE)


@pytest.fixture
def graph() -> tuple[Array, Array, Array]:
    rng = np.random.default_rng(0)
    edges = np.array([[i, j] for i in range(20) for j in range(i) if (i - j) in (1, 4)])[:, ::-1]
    nodes = rng.normal(size=(20, 4)).astype(np.float32)
    return nodes, edges.astype(np.int64), rng.uniform(0.5, 2, (len(edges), 2)).astype(np.float32)


def test_packing_keeps_the_shortest_bonds_of_every_node(graph: Any) -> None:
    nodes, edges, bonds = graph
    star = np.array([[0, k] for k in range(1, 13)], dtype=np.int64)
    lengths = np.linspace(2, 1, 12)[:, None].astype(np.float32)
    packed = pack(nodes[:13], star, lengths)
    assert packed.shape == (13, 4 + 2 + BONDS * 3)
    np.testing.assert_array_equal(packed[:, :4], nodes[:13])
    own = packed[0, 6:].reshape(BONDS, 3)
    np.testing.assert_array_equal(own[:, 1], np.arange(12, 12 - BONDS, -1))
    np.testing.assert_allclose(own[:, 2], np.sort(lengths[:, 0])[:BONDS])
    other = packed[5, 6:].reshape(BONDS, 3)
    assert other[0].tolist() == pytest.approx([1.0, 0.0, float(lengths[4, 0])])
    assert not other[1:].any()
    for node, row in enumerate(pack(nodes, edges, bonds)[:, 6:].reshape(20, BONDS, 4)):
        there = row[row[:, 0] == 1]
        want = {int(b if a == node else a) for a, b in edges if node in (a, b)}
        assert {int(one) for one in there[:, 1]} == want


def test_embedding_repeats_and_leaves_training_behind(network: Any, graph: Any) -> None:
    packed = pack(*graph)
    network.parts.train()
    first = network.embed(packed)
    np.testing.assert_array_equal(first, network.embed(packed))
    assert not network.parts.training
    one, two = network.reconstruct(packed), network.reconstruct(packed)
    np.testing.assert_array_equal(one[0], two[0])
    np.testing.assert_array_equal(one[1], two[1])
    assert (one[1] > 0).all()


def test_a_hidden_node_is_told_without_looking_at_it(network: Any, graph: Any) -> None:
    nodes, edges, bonds = graph
    before = network.reconstruct(pack(nodes, edges, bonds))[0]
    other = nodes.copy()
    other[7] += 100.0
    after = network.reconstruct(pack(other, edges, bonds))[0]
    np.testing.assert_allclose(after[7], before[7], atol=1e-6)
    assert np.abs(after[8] - before[8]).max() > 1e-3
    # Nor does the stretch of its bonds give it away, but how long they are may be known.
    stretched = bonds.copy()
    stretched[(edges == 7).any(axis=1), 1] += 5.0
    hidden = network.reconstruct(pack(nodes, edges, stretched))[0]
    np.testing.assert_allclose(hidden[7], before[7], atol=1e-5)


def test_lengths_of_bonds_are_used(network: Any, graph: Any) -> None:
    nodes, edges, bonds = graph
    before = network.embed(pack(nodes, edges, bonds))
    longer = bonds.copy()
    longer[3, 0] *= 1.5
    after = network.embed(pack(nodes, edges, longer))
    ends = edges[3]
    assert np.abs(after - before)[ends].max() > 1e-4


def test_numbering_of_nodes_does_not_matter(network: Any, graph: Any) -> None:
    nodes, edges, bonds = graph
    order = np.random.default_rng(1).permutation(20)
    place = np.argsort(order)
    first = network.embed(pack(nodes, edges, bonds))
    second = network.embed(pack(nodes[order], place[edges], bonds))
    np.testing.assert_allclose(second, first[order], atol=1e-5)


def test_filling_up_does_not_matter(network: Any, graph: Any) -> None:
    packed = pack(*graph)
    filled = np.concatenate([packed, np.zeros((9, packed.shape[1]), dtype=np.float32)])
    np.testing.assert_allclose(network.embed(filled)[:20], network.embed(packed), atol=1e-6)


def test_it_is_small() -> None:
    assert defects.MEMBERS * GraphAutoencoder(defects.SHAPE).count() < 300_000
    with pytest.raises(OutOfRange, match="1 or more"):
        GraphAutoencoder(GraphShape(depth=0))


def test_loss_is_the_laplace_likelihood_of_hidden_nodes() -> None:
    rng = np.random.default_rng(2)
    truth = rng.normal(size=(2, 5, 4)).astype(np.float32)
    truth[..., 3] = rng.random((2, 5)) < 0.5
    mean, spread = rng.normal(size=(2, 5, 3)), rng.uniform(0.5, 2, (2, 5, 3))
    answer = np.concatenate([mean, spread], axis=-1).astype(np.float32)
    want = np.abs(truth[..., :3] - mean) / spread + np.log(2 * spread)
    want = want[truth[..., 3] == 1].mean()
    found = defects.loss(torch.from_numpy(answer), torch.from_numpy(truth))
    assert float(found) == pytest.approx(want, rel=1e-5)


def test_examples_do_not_count_edges_nor_nodes_that_lost_bonds(graph: Any) -> None:
    nodes, edges, bonds = graph
    counted = np.ones(20, dtype=bool)
    counted[2] = False
    shown, told = defects.example(nodes, edges, bonds, counted)
    assert shown.shape[0] == defects.NODES
    np.testing.assert_array_equal(told[:20, -1], counted)
    assert not told[20:].any()
    hidden, counts = defects.hide(np.random.default_rng(0), shown[None], told[None])
    marked = hidden[0, :, 4] == 1
    assert (counts[0, :, -1] == told[:, -1] * marked).all()
    assert 0.05 < marked.mean() < 0.3
    large = defects.NODES + 3
    chain = np.stack([np.arange(large - 1), np.arange(1, large)], axis=1)
    many = np.zeros((large, 4), dtype=np.float32)
    _, cut = defects.example(many, chain, np.ones((len(chain), 2)), np.ones(large, dtype=bool))
    assert cut[-1, -1] == 0
    assert cut[:-1, -1].all()
