"""Instruments whose frames and patterns come whole: what their drivers have in common."""

from nanopilot.instruments.snapshots.camera import CameraSource, Plate, SnapshotCamera
from nanopilot.instruments.snapshots.frames import FrameSource, SnapshotScanner
from nanopilot.instruments.snapshots.sampling import Picture, sample

__all__ = [
    "CameraSource",
    "FrameSource",
    "Picture",
    "Plate",
    "SnapshotCamera",
    "SnapshotScanner",
    "sample",
]
