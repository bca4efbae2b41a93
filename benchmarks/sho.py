"""10,000 resonances of 60 bins, fitted one by one by scipy and all together by us."""

import os
import subprocess
import sys
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.timing import alternate
from nanopilot.analysis.resonance import ShoFit
from nanopilot.bench.coverage import Fits
from nanopilot.bench.resonance_peers import fit_each, peak_starts
from nanopilot.bench.tracks.sho import NAMES, TOLERATED, draw_spectra, hold
from nanopilot.core.history import FloatArray
from nanopilot.core.signals import Signal

SPECTRA, BINS = 10_000, 60
#: Of those scipy fits this many; its time is scaled up.
PEER_SPECTRA = 400
GOALS = {20: 30.0, 2: 50.0}


def row() -> dict[str, Any]:
    """Measure ours against `scipy.optimize.curve_fit`, at SNR 20 and at SNR 2."""
    parts = {f"snr_{snr}": _measure(snr, goal) for snr, goal in GOALS.items()}
    worst = min(parts.values(), key=lambda part: part["ratio"] / part["goal"])
    return {
        "kernel": f"SHO fit, {SPECTRA:,} spectra of {BINS} bins with background",
        "ours_s": worst["ours_s"],
        "compile_s": round(_compile_seconds(), 1),
        "peer": "scipy curve_fit from the largest bin, scaled up from "
        f"{PEER_SPECTRA} of the {SPECTRA:,}",
        "peer_s": worst["peer_s"],
        "ratio": worst["ratio"],
        "threads": min(2, os.cpu_count() or 1),
        **parts,
        "goal": "ratio >= 30 at SNR 20 and >= 50 at SNR 2, no more failures than the peer",
        "ok": all(part["ok"] for part in parts.values()),
    }


def _measure(snr: int, goal: float) -> dict[str, Any]:
    spectra, truth = _spectra(snr, SPECTRA)
    some = spectra.isel(point=slice(PEER_SPECTRA))
    found: dict[str, Fits] = {}

    def ours() -> None:
        found["ours"] = Fits.of(ShoFit()(spectra), NAMES)

    def peer() -> None:
        starts = peak_starts(some.to_numpy(), some["frequency"].to_numpy())
        found["peer"] = fit_each(some, starts)

    ours_s, peer_s = alternate(ours, peer, rounds=3)
    peer_s *= SPECTRA / PEER_SPECTRA
    accuracy = {name: _accuracy(fits, truth) for name, fits in found.items()}
    fewer = accuracy["ours"]["failures"] <= accuracy["peer"]["failures"] + 0.005
    return {
        "ours_s": round(ours_s, 3),
        "peer_s": round(peer_s, 1),
        "ratio": round(peer_s / ours_s, 1),
        "ours_accuracy": accuracy["ours"],
        "peer_accuracy": accuracy["peer"],
        "goal": goal,
        "ok": bool(peer_s / ours_s >= goal and fewer),
    }


def _accuracy(fits: Fits, truth: FloatArray) -> dict[str, float]:
    truth = truth[: len(fits.values)]
    width = truth[:, 0] / truth[:, 1]
    with np.errstate(invalid="ignore"):
        wrong = np.abs(fits.values[:, 0] - truth[:, 0]) > TOLERATED * width
    return {
        "failures": round(float((wrong | ~fits.answered).mean()), 4),
        "wrong_without_flag": round(float((wrong & fits.answered).mean()), 4),
        "coverage_90": round(float(hold(fits, truth)[fits.answered].mean()), 3),
    }


def _spectra(snr: int, count: int) -> tuple[Signal, FloatArray]:
    frequency = np.linspace(270e3, 330e3, BINS)
    rng = np.random.default_rng(snr)
    return draw_spectra(rng, frequency, np.full(count, snr), flat=True)


def _compile_seconds() -> float:
    """Return how long the first fit takes where no machine code is kept; later ones load it."""
    with TemporaryDirectory() as empty:
        done = subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-c", _FIRST_FIT],
            env={**os.environ, "NUMBA_CACHE_DIR": empty},
            capture_output=True,
            text=True,
            check=True,
        )
    return float(done.stdout)


_FIRST_FIT = """
import time
from benchmarks.sho import _spectra
from nanopilot.analysis.resonance import ShoFit
few, _ = _spectra(20, 8)
begun = time.perf_counter()
ShoFit()(few)
print(time.perf_counter() - begun)
"""
