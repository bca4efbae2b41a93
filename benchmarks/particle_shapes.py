"""Particles of a frame of 2048 x 2048 pixels, some 200 of them: outlined and measured."""

import time
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.ndimage import distance_transform_edt, find_objects, label
from skimage.measure import find_contours, regionprops

from benchmarks.timing import alternate
from nanopilot.analysis.particle_shapes import Instance, OutlineParticles, match_instances
from nanopilot.analysis.particle_shapes.instances import label_map
from nanopilot.bench.tem_particles import KINDS, TemScene, draw_particles

#: Particles that the peer takes through its watershed; its time is scaled up.
SIZE, COUNT, SAMPLE = 2048, 200, 12
#: Of the published way: distances in pixels that make markers, of all and of one particle.
FIRST, SECOND = 2.5, 5.0


def row() -> dict[str, Any]:
    """Measure everything from the frame on against the peer's part behind its network."""
    scene = TemScene(
        pixels=SIZE, pixel_size=0.5e-9, kinds=KINDS, count=COUNT, dose=200.0, spheres=False
    )
    truth = draw_particles(replace(scene), np.random.default_rng(0))
    operate = OutlineParticles()
    found = operate(truth.frame)
    mask = label_map(found.instances, (SIZE, SIZE)) > 0
    ours_s, peer_s = alternate(lambda: operate(truth.frame), lambda: published(mask), rounds=3)
    parts, scaled = published(mask)
    start = time.process_time()
    operate(truth.frame)
    busy = time.process_time() - start
    both = match_instances(found.instances, parts, least=0.9)
    right = match_instances(found.instances, truth.particles)
    return {
        "kernel": f"particle shapes, {SIZE} x {SIZE}, {len(truth.particles)} particles",
        "ours_s": round(ours_s, 3),
        "peer": f"published way: full-frame watershed for each particle, given a perfect mask; "
        f"{SAMPLE} particles, scaled up",
        "peer_s": round(peer_s * scaled, 1),
        "ratio": round(peer_s * scaled / ours_s, 1),
        "ours_accuracy": {"f1": round(right.f1, 4), "iou": round(float(right.overlap.mean()), 4)},
        "peer_accuracy": {"same_particles": f"{len(both.pairs)} of {len(parts)}"},
        "processor_s": round(busy, 3),
        "goal": "1 frame/s on two cores, network of the peer not counted",
        "ok": bool(ours_s <= 1.0 and len(both.pairs) == len(parts)),
    }


def published(mask: np.ndarray) -> tuple[list[Instance], float]:
    """Split and outline as the published code does, on some of the particles.

    Returns
    -------
    list of Instance, float
        The particles taken, and by which factor time is to be scaled up for all.
    """
    from skimage.segmentation import watershed

    labels, count = label(mask)
    chosen = np.linspace(1, count, SAMPLE).astype(int)
    kept = []
    for number in chosen:
        one = labels == number
        distance = distance_transform_edt(one)
        markers, _ = label(distance > SECOND)
        split = watershed(-distance, markers, mask=one)
        find_contours(split > 0, 0.5)
        for region in regionprops(split):
            kept.append(Instance(np.zeros((0, 2)), region.image, *region.bbox[:2]))
    assert len(find_objects(labels)) == count
    return kept, count / SAMPLE


if __name__ == "__main__":
    print(row())
