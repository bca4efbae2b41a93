"""How far a twin is from the real scan it was fitted to."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy.stats import kurtosis, skew
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict

from nanopilot.analysis.surface_statistics import distances, levelled
from nanopilot.core.capabilities import Scanner
from nanopilot.core.clock import VirtualClock
from nanopilot.core.requests import ScanRequest, from_outside
from nanopilot.core.values import Value
from nanopilot.twins.spm import Sample, SpmSettings, SpmTwin
from nanopilot.workflows.fit_twin.scans import FloatArray, Scan

#: Pixels of a patch that the classifier looks at; trees; folds.
PATCH, TREES, FOLDS = 32, 100, 4


class Gap(Value):
    """How far a twin's scan is from the real one; 0: not at all, but for `classifier`.

    Parameters
    ----------
    spectrum : float
        Decades between the power spectra of lines and columns, root mean square.
    histogram : float
        Wasserstein distance of levelled heights, in units of the real rms.
    autocorrelation : float
        Root mean square difference along lines and columns.
    classifier : float
        Area under the curve of a classifier that has to tell real patches from simulated ones it
        has not seen: 0.5 cannot, 1 always can.
    classifier_std : float
        Its standard error.
    """

    spectrum: float
    histogram: float
    autocorrelation: float
    classifier: float
    classifier_std: float

    def smaller_than(self, other: Gap) -> bool:
        """Tell whether all four are, the classifier's one at least no larger."""
        pairs = (
            (self.spectrum, other.spectrum),
            (self.histogram, other.histogram),
            (self.autocorrelation, other.autocorrelation),
        )
        return all(a < b for a, b in pairs) and self.told_apart <= other.told_apart

    @property
    def told_apart(self) -> float:
        """How far the classifier is from guessing, 0 to 0.5."""
        return abs(self.classifier - 0.5)


def scanned(scan: Scan, sample: Sample, settings: SpmSettings, seed: int) -> FloatArray:
    """Scan a sample as the real scan was, and return heights in the order of time.

    Parameters
    ----------
    scan : Scan
        Shape, width, line rate and direction; of two directions the first.
    sample : Sample
        At least as large.
    settings : SpmSettings
        The instrument.
    seed : int
        Of its noise.
    """
    twin = SpmTwin(sample, VirtualClock(), settings=settings, seed=seed)
    way = scan.directions[0]
    request = from_outside(
        ScanRequest,
        centre=sample.area.centre,
        field_of_view=scan.width,
        shape=scan.shape,
        channels=("height",),
        directions=(way,),
        line_rate=scan.line_rate,
    )
    frame = twin.capability(Scanner).start(request).result()
    name = next(name for name in frame if str(name).startswith("height"))
    heights: FloatArray = frame[name].transpose("y", "x").to_numpy().astype(np.float64)
    return heights


def gap_between(real: FloatArray, twin: FloatArray, pitch: float) -> Gap:
    """Compare a real scan with a simulated one of the same size.

    Parameters
    ----------
    real, twin : numpy.ndarray
        Heights in metres, shape (lines, columns).
    pitch : float
        Metres per pixel.
    """
    apart = distances(real, twin, pitch)
    score, error = two_sample(levelled(real), levelled(twin))
    return Gap(
        spectrum=apart.spectrum,
        histogram=apart.histogram,
        autocorrelation=apart.autocorrelation,
        classifier=score,
        classifier_std=error,
    )


def two_sample(real: FloatArray, twin: FloatArray) -> tuple[float, float]:
    """Return the classifier's area under the curve, and its error.

    Classifier two-sample test: D. Lopez-Paz and M. Oquab, ICLR 2017. Patches of one place, real
    and simulated, are in one fold, so that nothing is learnt about a place.

    Parameters
    ----------
    real, twin : numpy.ndarray
        Pictures of one shape, levelled.
    """
    side = min(PATCH, min(real.shape) // FOLDS)
    ours, places = _patches(real, side)
    theirs, _ = _patches(twin, side)
    features = np.concatenate([ours, theirs])
    truth = np.repeat([0, 1], len(ours))
    folds = GroupKFold(FOLDS)
    # One answer for one question: the forest's own randomness is no part of the comparison.
    forest = RandomForestClassifier(TREES, min_samples_leaf=3, random_state=0)
    told = cross_val_predict(
        forest, features, truth, groups=np.tile(places, 2), cv=folds, method="predict_proba"
    )[:, 1]
    score = float(roc_auc_score(truth, told))
    return score, _auc_error(score, len(ours))


def _auc_error(score: float, count: int) -> float:
    """Return the error of an area: J. A. Hanley and B. J. McNeil, Radiology 143 (1982) 29."""
    one, two = score / (2 - score), 2 * score**2 / (1 + score)
    spread = score * (1 - score) + (count - 1) * (one + two - 2 * score**2)
    return float(np.sqrt(max(spread, 0.0) / count**2))


def _patches(height: FloatArray, side: int) -> tuple[FloatArray, FloatArray]:
    """Return features of every patch, shape (n, features), and the quarter it lies in."""
    found, places = [], []
    rows, columns = (size // side for size in height.shape)
    for row in range(rows):
        for column in range(columns):
            patch = height[row * side : (row + 1) * side, column * side : (column + 1) * side]
            found.append(_features(levelled(patch)))
            places.append(2 * (2 * row // rows) + 2 * column // columns)
    return np.array(found), np.array(places)


def _features(patch: FloatArray) -> FloatArray:
    """Return what a patch looks like: power in octaves along and across, shape of its heights."""
    size = patch.std() + 1e-15
    values = [np.log(size), skew(patch, axis=None), kurtosis(patch, axis=None)]
    for axis in (0, 1):
        power = np.mean(np.abs(np.fft.rfft(patch, axis=axis)) ** 2, axis=1 - axis)
        edges = 2 ** np.arange(int(np.log2(power.size)) + 1)
        for low, high in pairwise(edges):
            values.append(np.log(power[low:high].mean() + 1e-40) - 2 * np.log(size))
        steps = np.diff(patch, axis=axis)
        values += [np.log(steps.std() / size + 1e-9), kurtosis(steps, axis=None)]
    found: FloatArray = np.nan_to_num(np.array(values, dtype=float), posinf=0.0, neginf=0.0)
    return found
