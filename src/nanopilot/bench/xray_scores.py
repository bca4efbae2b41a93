"""Numbers that say how well the plates of one image were found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from nanopilot.analysis.instances import agreement
from nanopilot.bench.coverage import NINETY
from nanopilot.bench.xray_peers import Answer, Box
from nanopilot.bench.xray_stacks import XrayImage
from nanopilot.core.history import FloatArray

IntArray = np.ndarray[Any, np.dtype[np.int64]]

#: Part of its sides by which a box is widened before the region is looked for in it.
MARGIN = 0.05


def box_iou(one: Box, other: Box) -> float:
    """Return intersection over union of two boxes."""
    both = _shared(one, other)
    union = _area(one) + _area(other) - both
    return both / union if union > 0 else 0.0


def region_recall(found: Box, there: Box, margin: float = MARGIN) -> float:
    """Return the share of a region inside a box widened by a part of its sides, on every side."""
    high, wide = found[2] - found[0], found[3] - found[1]
    wider = (
        found[0] - margin * high, found[1] - margin * wide,
        found[2] + margin * high, found[3] + margin * wide,
    )  # fmt: skip
    return _shared(wider, there) / _area(there)


def _area(box: Box) -> float:
    return max(box[2] - box[0], 0.0) * max(box[3] - box[1], 0.0)


def _shared(one: Box, other: Box) -> float:
    high = min(one[2], other[2]) - max(one[0], other[0])
    wide = min(one[3], other[3]) - max(one[1], other[1])
    return max(high, 0.0) * max(wide, 0.0)


def pair_tips(found: FloatArray, there: FloatArray, reach: float) -> IntArray:
    """Pair free ends one to one, nearest in sum, none further apart than `reach`; shape (n, 2)."""
    if not len(found) or not len(there):
        return np.zeros((0, 2), dtype=np.int64)
    away = np.hypot(*(found[:, None] - there[None]).transpose(2, 0, 1))
    rows, columns = linear_sum_assignment(np.minimum(away, 10 * reach))
    near = away[rows, columns] < reach
    return np.stack([rows[near], columns[near]], axis=1).astype(np.int64)


def score_image(image: XrayImage, answer: Answer) -> Mapping[str, float]:
    """Compare an answer with what is in an image.

    Names follow the public task of power battery detection (X. Zhao et al., CVPR 2024,
    arXiv:2312.02528): errors of the number of anodes and cathodes (``an_mae``, ``cn_mae``), exact
    numbers (``an_acc``, ``cn_acc``, ``pn_acc``: both), position errors of their ends (``ap_mae``,
    ``cp_mae``) and of the overhang (``oh_mae``), here all in pixels.

    An end that was not found within one spacing counts as one spacing off. An image that was
    refused has no plates found. NaN where a method states no such thing.
    """
    n, anodes = len(image.anode), int(image.anode.sum())
    count = answer.count or 0
    pairs = pair_tips(answer.tips, image.tips, image.spacing)
    away = np.full(n, image.spacing)
    errors = answer.tips[pairs[:, 0]] - image.tips[pairs[:, 1]]
    away[pairs[:, 1]] = np.hypot(*errors.T)
    told = bool(len(answer.kind)) and bool((answer.kind != 0).any())
    found = (int((answer.kind > 0).sum()), int((answer.kind < 0).sum()))
    off = (abs(found[0] - anodes), abs(found[1] - (n - anodes)))
    said = {
        "count_exact": float(count == n),
        "count_mae": float(abs(count - n)),
        "endpoint_mae": float(away.mean()),
        "an_mae": float(off[0]), "cn_mae": float(off[1]),
        "an_acc": float(off[0] == 0), "cn_acc": float(off[1] == 0),
        "pn_acc": float(off == (0, 0)),
        "ap_mae": float(away[image.anode].mean()), "cp_mae": float(away[~image.anode].mean()),
        "kind_right": _kinds(image, answer, pairs) if told else 0.0,
        "mask_f1": _masks(image, answer),
        "box_iou": box_iou(answer.box, image.box) if answer.box else 0.0,
        "region_recall": region_recall(answer.box, image.box) if answer.box else 0.0,
    }  # fmt: skip
    return said | _stated(image, answer, pairs, errors) | _flagged(image, answer)


def _kinds(image: XrayImage, answer: Answer, pairs: IntArray) -> float:
    right = (answer.kind[pairs[:, 0]] > 0) == image.anode[pairs[:, 1]]
    right &= answer.kind[pairs[:, 0]] != 0
    return float(right.sum() / len(image.anode))


def _masks(image: XrayImage, answer: Answer) -> float:
    if answer.labels is None:
        return 0.0
    return agreement(answer.labels, image.labels).f1


def _stated(
    image: XrayImage, answer: Answer, pairs: IntArray, errors: FloatArray
) -> dict[str, float]:
    """Return coverage of what a method states of its own errors, and errors of overhangs."""
    nan = float("nan")
    said = {"count_covered": nan, "endpoint_covered_90": nan, "oh_mae": nan, "oh_found": 0.0,
            "oh_covered_90": nan}  # fmt: skip
    if answer.interval is not None:
        low, high = answer.interval
        said["count_covered"] = float(low <= len(image.anode) <= high)
    stated = answer.errors[pairs[:, 0]]
    known = np.isfinite(stated)
    if known.any():
        said["endpoint_covered_90"] = float(
            (np.abs(errors[known]) <= NINETY * stated[known]).mean()
        )
    there = true_overhangs(image)
    match = dict(pairs.tolist())
    off, held = [], []
    for (anode, cathode), (length, error) in answer.overhangs.items():
        pair = (match.get(anode, -1), match.get(cathode, -1))
        if pair in there:
            off.append(abs(length - there[pair]))
            held.append(off[-1] <= NINETY * error)
    if off:
        said |= {"oh_mae": float(np.mean(off)), "oh_covered_90": float(np.mean(held))}
    said["oh_found"] = len(off) / max(len(there), 1)
    return said


def true_overhangs(image: XrayImage) -> dict[tuple[int, int], float]:
    """Return the overhang of every pair (anode, cathode) of neighbours, in pixels."""
    dim = 0 if image.side in {"top", "bottom"} else 1
    way = 1.0 if image.side in {"top", "left"} else -1.0
    along = way * image.tips[:, dim]
    found = {}
    for a in range(len(along) - 1):
        b = a + 1
        if image.slot[b] - image.slot[a] == 1 and image.anode[a] != image.anode[b]:
            anode, cathode = (a, b) if image.anode[a] else (b, a)
            found[anode, cathode] = float(along[cathode] - along[anode])
    return found


def _flagged(image: XrayImage, answer: Answer) -> dict[str, float]:
    """Return whether the class of interference is flagged, and whether a wrong one is."""
    known = {"blur", "fork", "shadow", "missing"}
    raised = known & set(answer.flags)
    said = {"flag_wrong": float(bool(raised - {image.interference}))}
    if image.interference in known:
        said[f"flag_{image.interference}"] = float(image.interference in raised)
    return said
