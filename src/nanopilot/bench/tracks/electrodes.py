"""`electrodes`: plates of battery cells in X-ray images, counted, told apart and measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from nanopilot.bench.track import Bar
from nanopilot.bench.xray_peers import (
    Answer,
    constant_box,
    periodicity,
    shipped,
    size_box,
    threshold,
)
from nanopilot.bench.xray_scenery import STRANGERS, draw_stranger
from nanopilot.bench.xray_scores import box_iou, score_image
from nanopilot.bench.xray_stacks import CLASSES, XrayImage, draw_image
from nanopilot.core.signals import Signal

#: Rows and columns of an image without a stack.
_STRANGE = 480
_TEN: dict[str, Any] = {"better": "lower"}


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One image of every class of interference, then one of every kind without a stack."""

    visible: tuple[Signal, ...]
    images: tuple[XrayImage, ...]


class Electrodes:
    """13 images by seed: six cells, one for each class of interference, and seven without a stack.

    Cells have 10 to 45 plates, 5 to 12 pixels apart, bent, of scattered lengths, somewhere in an
    image of 768 to 1600 rows or columns, the free ends on any of its four sides, beside walls, a
    lid and a holder, on an uneven ground; blurred, veiled by scatter, counted photon by photon, and
    kept as counts or as 8 or 16 bits. A class has one thing more: a large focal spot, forked tips,
    a veil of separator that ends near the tips, one to three plates left out, a tray close by.
    Images without a stack must be refused.
    """

    name: ClassVar[str] = "electrodes"
    version: ClassVar[str] = "1"
    about: ClassVar[str] = "electrode plates in X-ray images: count, ends, overhang, box"
    default: ClassVar[str] = "find-electrodes"

    @property
    def bars(self) -> tuple[Bar, ...]:
        """Lines to be reached."""
        exact = [
            Bar(what=f"{one}: share of exact counts", metric=f"count_exact_{one}", bar=0.95)
            for one in CLASSES
        ]
        near = [
            Bar(what=f"{one}: error of a free end, px", metric=f"endpoint_mae_{one}", bar=1.0,
                **_TEN) for one in CLASSES
        ]  # fmt: skip
        return (
            *exact, *near,
            Bar(what="F1 of masks at IoU 0.5", metric="mask_f1", bar=0.8),
            Bar(what="IoU of the box", metric="box_iou", bar=0.85),
            Bar(what="region inside the box + 5 %", metric="region_recall", bar=0.98),
            Bar(what="IoU above the constant box", metric="above_constant_box", bar=1e-9),
            Bar(what="95 % intervals of counts hold", metric="count_covered", bar=0.95),
            Bar(what="90 % intervals of ends: hold", metric="endpoint_covered_90", bar=0.85),
            Bar(what="90 % intervals of ends: not too wide", metric="endpoint_covered_90", bar=0.95,
                **_TEN),
            Bar(what="images without a stack refused", metric="strangers_refused", bar=1.0),
        )  # fmt: skip

    @property
    def methods(self) -> Mapping[str, Callable[[Sequence[Signal]], list[Answer]]]:
        """The shipped operator; width over spacing; threshold and label; two constant boxes."""
        return {
            "find-electrodes": shipped,
            "periodicity only": periodicity,
            "threshold and label": threshold,
            "constant box": constant_box,
            "box by size": size_box,
        }

    def case(self, seed: int) -> Case:
        """Draw the images of a seed."""
        rng = np.random.default_rng(seed)
        images = tuple(draw_image(one, rng) for one in CLASSES)
        strange = tuple(draw_stranger(kind, rng, pixels=_STRANGE) for kind in STRANGERS)
        return Case((*(one.frame for one in images), *strange), images)

    def score(self, case: Case, answer: Sequence[Answer]) -> Mapping[str, float]:
        """Compare answers with the truth.

        Returns
        -------
        mapping
            Means over the cells of what `score_image` returns, NaN left out; ``count_exact_C`` and
            ``endpoint_mae_C`` for every class C; ``above_constant_box``: IoU of the box less that
            of the constant box; ``strangers_refused``: share of the images without a stack.
        """
        cells, strangers = answer[: len(case.images)], answer[len(case.images) :]
        scores = [score_image(one, said) for one, said in zip(case.images, cells, strict=True)]
        names = dict.fromkeys(name for one in scores for name in one)
        result = {name: _mean([one[name] for one in scores if name in one]) for name in names}
        for image, one in zip(case.images, scores, strict=True):
            for name in ("count_exact", "endpoint_mae"):
                result[f"{name}_{image.interference}"] = one[name]
        rival = constant_box([one.frame for one in case.images])
        constant = [box_iou(other.box, image.box)
                    for image, other in zip(case.images, rival, strict=True) if other.box
                    ]  # fmt: skip
        result["above_constant_box"] = result["box_iou"] - float(np.mean(constant))
        result["strangers_refused"] = float(np.mean([one.count is None for one in strangers]))
        return result


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")
