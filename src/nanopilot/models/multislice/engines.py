"""What computes waves: numpy, or torch on a processor or an accelerator."""

from __future__ import annotations

import os
from typing import Any, Literal, Protocol

import numpy as np

from nanopilot.core.errors import Unsupported
from nanopilot.models.torch_extra import need_torch

Precision = Literal["single", "double"]


class Engine(Protocol):
    """The few things that differ between numpy and torch; arrays of either know ``*`` and ``@``."""

    def put(self, array: np.ndarray[Any, Any]) -> Any:
        """Return an array of its own kind, in its precision."""

    def get(self, array: Any) -> np.ndarray[Any, Any]:
        """Return an array of numpy."""

    def forward(self, waves: Any) -> Any:
        """Transform the last two axes; the input may be overwritten."""

    def back(self, waves: Any) -> Any:
        """Transform the last two axes back; the input may be overwritten."""

    def intensity(self, waves: Any) -> Any:
        """Return the square of the magnitude."""


class NumpyEngine:
    """numpy, with the transforms of scipy.

    Parameters
    ----------
    precision : {"single", "double"}
        Of the wave.
    workers : int
        Threads of the transforms; -1: as many as there are cores.
    """

    def __init__(self, precision: Precision, workers: int) -> None:
        from scipy import fft

        self._fft = fft
        self._workers = workers if workers > 0 else os.cpu_count() or 1
        single = precision == "single"
        self._kinds = (np.float32, np.complex64) if single else (np.float64, np.complex128)

    def put(self, array: np.ndarray[Any, Any]) -> Any:
        """Return the array in the precision asked for."""
        return np.ascontiguousarray(array, dtype=self._kinds[int(np.iscomplexobj(array))])

    def get(self, array: Any) -> np.ndarray[Any, Any]:
        """Return the array itself."""
        return np.asarray(array)

    def forward(self, waves: Any) -> Any:
        """Transform the last two axes; the input may be overwritten."""
        return self._fft.fft2(waves, overwrite_x=True, workers=self._workers)

    def back(self, waves: Any) -> Any:
        """Transform the last two axes back; the input may be overwritten."""
        return self._fft.ifft2(waves, overwrite_x=True, workers=self._workers)

    def intensity(self, waves: Any) -> Any:
        """Return the square of the magnitude."""
        return waves.real**2 + waves.imag**2


class TorchEngine:
    """torch, on a processor or an accelerator.

    Parameters
    ----------
    precision : {"single", "double"}
        Of the wave.
    device : str
        Such as ``"cpu"`` or ``"cuda"``.

    Raises
    ------
    MissingExtra
        torch is not installed.
    Unsupported
        There is no such device.
    """

    def __init__(self, precision: Precision, device: str) -> None:
        self._torch = torch = need_torch()
        single = precision == "single"
        kinds = ("float32", "complex64") if single else ("float64", "complex128")
        self._kinds = tuple(getattr(torch, kind) for kind in kinds)
        try:
            self._device = torch.empty(1, device=device).device
        except (RuntimeError, AssertionError) as cause:
            raise Unsupported(f"`device` is {device!r}, which torch does not have here.") from cause

    def put(self, array: np.ndarray[Any, Any]) -> Any:
        """Return a tensor on the device, in the precision asked for."""
        kind = self._kinds[int(np.iscomplexobj(array))]
        return self._torch.as_tensor(array).to(device=self._device, dtype=kind)

    def get(self, array: Any) -> np.ndarray[Any, Any]:
        """Return an array of numpy."""
        return np.asarray(array.cpu().numpy())

    def forward(self, waves: Any) -> Any:
        """Transform the last two axes."""
        return self._torch.fft.fft2(waves)

    def back(self, waves: Any) -> Any:
        """Transform the last two axes back."""
        return self._torch.fft.ifft2(waves)

    def intensity(self, waves: Any) -> Any:
        """Return the square of the magnitude."""
        return waves.real**2 + waves.imag**2
