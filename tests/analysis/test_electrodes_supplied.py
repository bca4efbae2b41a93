"""X-ray images that a user has: boxes, counts and masks against those made by hand.

Set ``NANOPILOT_ELECTRODES`` to a folder with ``images`` (BMP, JPG, PNG or TIFF), ``masks`` (an
image of the same stem, one rectangle of the region, not zero) and ``results`` (``STEM.npy``: one
mask of 0 and 1 for each tab, shape (tabs, rows, columns), cut out to the rectangle). Without it
these tests are skipped, but for the one that tries the way on a folder made here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nanopilot.analysis.electrodes import ElectrodesFound, FindElectrodes, NoStack
from nanopilot.analysis.instances import agreement
from nanopilot.bench.xray_scores import box_iou, region_recall
from nanopilot.bench.xray_stacks import draw_image
from nanopilot.core.signals import Axis, make_signal

FOLDER = os.environ.get("NANOPILOT_ELECTRODES", "")
supplied = pytest.mark.skipif(not FOLDER, reason="NANOPILOT_ELECTRODES names no folder of images")
#: Every suffix that is an image; the original dropped files that end in .jpg.
SUFFIXES = {".bmp", ".jpg", ".jpeg", ".png", ".tif", ".tiff"}
#: A gap between tabs of more than so many spacings: a tab is missing or two are one.
GAP = 1.6

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Item:
    """One image with what was drawn in it by hand."""

    name: str
    image: np.ndarray
    box: Box | None
    tabs: np.ndarray | None


def images_of(folder: Path) -> list[Path]:
    return sorted(p for p in (folder / "images").iterdir() if p.suffix.lower() in SUFFIXES)


def items(folder: Path) -> Iterator[Item]:
    masks = {p.stem: p for p in (folder / "masks").glob("*")} if (folder / "masks").is_dir() else {}
    for path in images_of(folder):
        image = np.asarray(Image.open(path).convert("F"))
        box = None
        if path.stem in masks:
            rows, columns = np.nonzero(np.asarray(Image.open(masks[path.stem]).convert("L")))
            box = (rows.min() - 0.5, columns.min() - 0.5, rows.max() + 0.5, columns.max() + 0.5)
        yield Item(path.stem, image, box, tabs_of(folder / "results" / f"{path.stem}.npy"))


def tabs_of(path: Path) -> np.ndarray | None:
    """Return a stack of masks, or None where there is none or it cannot be read."""
    try:
        tabs = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return tabs if tabs.ndim == 3 and len(tabs) else None


def has_gap(tabs: np.ndarray) -> bool:
    """Tell whether neighbours are further apart than 1.6 median spacings anywhere."""
    middles = np.array([np.argwhere(one).mean(axis=0) for one in tabs if one.any()])
    across = middles[:, int(np.argmax(np.ptp(middles, axis=0)))]
    steps = np.diff(np.sort(across))
    return bool(len(steps)) and bool((steps > GAP * np.median(steps)).any())


def answer(item: Item) -> ElectrodesFound | None:
    y, x = (Axis(np.arange(n) * 1.0, "1", "pixel") for n in item.image.shape)
    frame = make_signal(item.image, {"y": y, "x": x}, quantity="counts", units="1")
    try:
        return FindElectrodes().found(frame)
    except NoStack:
        return None


def box_scores(cases: list[Item]) -> tuple[float, float, float]:
    """Return mean IoU, mean recall with a margin of 5 %, and mean IoU of the constant box."""
    known = [one for one in cases if one.box is not None]
    shares = np.array([np.array(one.box) / (one.image.shape * 2) for one in known])
    ious, recalls, constant = [], [], []
    for k, one in enumerate(known):
        assert one.box is not None
        found = answer(one)
        ious.append(0.0 if found is None else box_iou(found.box, one.box))
        recalls.append(0.0 if found is None else region_recall(found.box, one.box))
        others = np.delete(shares, k, axis=0) if len(known) > 1 else shares
        mean = others.mean(axis=0) * (one.image.shape * 2)
        constant.append(box_iou((mean[0], mean[1], mean[2], mean[3]), one.box))
    return float(np.mean(ious)), float(np.mean(recalls)), float(np.mean(constant))


def stack_scores(cases: list[Item]) -> tuple[float, float, int]:
    """Return MAE of the count and mean F1 at IoU 0.5 on stacks without gaps, and their number."""
    off, scores = [], []
    for one in cases:
        if one.tabs is None or one.box is None or has_gap(one.tabs):
            continue
        found = answer(one)
        there = np.zeros(one.image.shape, dtype=np.int64)
        first = (round(one.box[0] + 0.5), round(one.box[1] + 0.5))
        for number, tab in enumerate(one.tabs, start=1):
            rows, columns = np.nonzero(tab)
            there[rows + first[0], columns + first[1]] = number
        off.append(abs((0 if found is None else found.count) - len(one.tabs)))
        scores.append(0.0 if found is None else agreement(found.labels.to_numpy(), there).f1)
    return float(np.mean(off)), float(np.mean(scores)), len(off)


@supplied
def test_box_of_supplied_images() -> None:
    iou, recall, constant = box_scores(list(items(Path(FOLDER))))
    assert iou > constant
    assert iou >= 0.85
    assert recall >= 0.98


@supplied
def test_count_and_masks_of_supplied_stacks_without_gaps() -> None:
    mae, f1, stacks = stack_scores(list(items(Path(FOLDER))))
    assert stacks
    assert mae <= 1.0
    assert f1 >= 0.8


@supplied
def test_supplied_stacks_are_those_that_were_measured() -> None:
    stacks = [one.tabs for one in items(Path(FOLDER)) if one.tabs is not None]
    if len(stacks) != 77:
        pytest.skip(f"{len(stacks)} stacks, not the 77 that were published")
    assert sum(len(one) for one in stacks) == 1775
    assert sum(has_gap(one) for one in stacks) == 19


def test_the_way_itself_on_a_folder_made_here(tmp_path: Path) -> None:
    for name in ("images", "masks", "results"):
        (tmp_path / name).mkdir()
    wanted = (("one.BMP", "clean", 11), ("two.JPG", "clean", 12), ("three.png", "missing", 13))
    for name, kind, seed in wanted:
        drawn = draw_image(kind, np.random.default_rng(seed), shape=(768, 1024))  # type: ignore[arg-type]
        values = drawn.frame.to_numpy()
        grey = np.round(values / values.max() * 255).astype(np.uint8)
        Image.fromarray(grey).save(tmp_path / "images" / name, **({"quality": 95} if "J" in name
                                                                   else {}))  # fmt: skip
        box = np.round(drawn.box).astype(int)
        r0, c0, r1, c1 = (int(np.clip(v, 0, m)) for v, m in zip(box, (768, 1024) * 2, strict=True))
        region = np.zeros(grey.shape, dtype=np.uint8)
        region[r0 : r1 + 1, c0 : c1 + 1] = 255
        stem = name.partition(".")[0]
        Image.fromarray(region).save(tmp_path / "masks" / f"{stem}.png")
        tabs = [drawn.labels[r0 : r1 + 1, c0 : c1 + 1] == k + 1 for k in range(len(drawn.anode))]
        np.save(tmp_path / "results" / f"{stem}.npy", np.array(tabs, dtype=np.uint8))
    (tmp_path / "results" / "three.npy").write_bytes(
        (tmp_path / "results" / "three.npy").read_bytes()[:200]
    )
    (tmp_path / "images" / "notes.txt").write_text("no image")
    # Files in and files out: none is dropped for its suffix.
    assert len(images_of(tmp_path)) == len(list(items(tmp_path))) == 3
    cases = list(items(tmp_path))
    assert [one.tabs is None for one in cases] == [False, True, False]
    iou, recall, constant = box_scores(cases)
    assert iou > 0.85 > constant
    assert recall > 0.98
    mae, f1, stacks = stack_scores(cases)
    assert stacks == 2
    assert mae <= 1.0
    assert f1 > 0.8


def test_a_gap_is_seen_and_an_even_stack_has_none() -> None:
    tabs = np.zeros((10, 40, 120), dtype=np.uint8)
    for k in range(10):
        tabs[k, 5:35, 5 + 9 * k : 9 + 9 * k] = 1
    assert not has_gap(tabs)
    assert has_gap(np.delete(tabs, 4, axis=0))
