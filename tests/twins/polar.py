"""Small samples of which everything is known, and twins on them."""

from typing import Any

import numpy as np

from nanopilot.core.capabilities import Scanner
from nanopilot.core.clock import VirtualClock
from nanopilot.core.requests import ScanRequest
from nanopilot.core.signals import SignalSet
from nanopilot.twins.spm import Sample, SpmSettings, SpmTwin
from nanopilot.twins.spm.function.detectors import FUNCTIONAL
from nanopilot.twins.spm.samples.layers import MEANING

#: Rows, columns, metres per pixel.
SHAPE, PITCH = (96, 112), 4e-9
Array = np.ndarray[Any, np.dtype[np.float64]]


def polar(height: Array | None = None, **layers: Any) -> Sample:
    """Return a film that points up, level or not; layers are numbers or arrays."""
    usual: dict[str, Any] = {
        "polarisation": 1.0, "switching_positive": 2.0, "switching_negative": -3.0
    }  # fmt: skip
    return plain(height, **(usual | layers))


def plain(height: Array | None = None, **layers: Any) -> Sample:
    """Return a sample with these layers and no others."""
    level = np.zeros(SHAPE) if height is None else height
    made = {name: np.zeros(level.shape) + layer for name, layer in layers.items()}
    meaning = {name: MEANING[name] for name in made}
    return Sample("made for a test", level, PITCH, made, meaning)


def on(sample: Sample, seed: int = 0, **settings: Any) -> SpmTwin:
    """Return a twin on a sample."""
    return SpmTwin(sample, VirtualClock(), settings=SpmSettings.model_validate(settings), seed=seed)


def scanned(twin: SpmTwin, *channels: str, **changes: Any) -> SignalSet:
    """Return a frame of channels over most of the sample."""
    usual: dict[str, Any] = {
        "centre": (0.0, 0.0), "field_of_view": (320e-9, 240e-9), "shape": (61, 81)
    }  # fmt: skip
    request = ScanRequest(**(usual | changes), channels=channels or tuple(FUNCTIONAL))
    return twin.capability(Scanner).start(request).result()


def places() -> tuple[Array, Array]:
    """Return x and y of every pixel of a sample in metres."""
    rows, columns = SHAPE
    y, x = np.indices(SHAPE)
    return (x - (columns - 1) / 2) * PITCH, (y - (rows - 1) / 2) * PITCH
