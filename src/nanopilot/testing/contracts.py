"""What every instrument must do, as test classes a driver's tests inherit from.

A driver author writes a class with one fixture, ``scope``, that gives the guarded
instrument, and inherits the tests of every capability it has.
"""

from __future__ import annotations

import numpy as np

from nanopilot.core.capabilities import PointSpectroscopy, Scanner
from nanopilot.core.errors import NanopilotError, OutOfRange
from nanopilot.core.requests import ScanRequest, SpectrumRequest
from nanopilot.core.signals import check_set
from nanopilot.instruments import Guard


def _raises(kind: type[NanopilotError], call: object, request: object) -> None:
    try:
        call(request)  # type: ignore[operator]
    except kind:
        return
    raise AssertionError(f"expected {kind.__name__} for {request!r}")


class ScannerTests:
    """Tests of the `Scanner` capability; needs a fixture ``scope``."""

    def frame(self, scope: Guard, shape: tuple[int, int] = (5, 7)) -> ScanRequest:
        """Return a request for the whole area the instrument offers."""
        area = scope.describe().area
        size = (area.x[1] - area.x[0], area.y[1] - area.y[0])
        return ScanRequest(centre=area.centre, field_of_view=size, shape=shape)

    def test_frame_has_the_shape_and_channels_asked_for(self, scope: Guard) -> None:
        request = self.frame(scope)
        frame = check_set(scope.capability(Scanner).start(request).result())
        assert tuple(frame.data_vars) == scope.describe().scan_channels
        for channel in frame.data_vars.values():
            assert channel.dims == ("y", "x")
            assert channel.shape == request.shape
            assert np.isfinite(channel).all()

    def test_only_the_channel_asked_for_is_given(self, scope: Guard) -> None:
        wanted = scope.describe().scan_channels[-1]
        request = self.frame(scope).model_copy(update={"channels": (wanted,)})
        frame = scope.capability(Scanner).start(request).result()
        assert list(frame.data_vars) == [wanted]

    def test_blocks_join_to_the_result(self, scope: Guard) -> None:
        acquisition = scope.capability(Scanner).start(self.frame(scope))
        blocks = list(acquisition)
        assert acquisition.progress == 1.0
        whole = acquisition.result()
        assert sum(block.sizes["y"] for block in blocks) == whole.sizes["y"]
        np.testing.assert_array_equal(np.concatenate([b["y"] for b in blocks]), whole["y"])

    def test_aborted_frame_keeps_what_was_measured_and_nothing_else(self, scope: Guard) -> None:
        acquisition = scope.capability(Scanner).start(self.frame(scope))
        next(iter(acquisition))
        acquisition.abort()
        assert 0 < acquisition.progress < 1
        for channel in acquisition.result().data_vars.values():
            assert np.isfinite(channel.isel(y=0)).all()
            assert np.isnan(channel.isel(y=-1)).all()

    def test_place_outside_is_refused_and_named(self, scope: Guard) -> None:
        request = self.frame(scope)
        far = request.model_copy(update={"centre": (1.0, 1.0)})
        scanner = scope.capability(Scanner)
        assert scanner.validate(request) == []
        assert scanner.validate(far)
        _raises(OutOfRange, scanner.start, far)

    def test_nan_place_is_refused(self, scope: Guard) -> None:
        nowhere = self.frame(scope).model_copy(update={"centre": (float("nan"), 0.0)})
        _raises(OutOfRange, scope.capability(Scanner).start, nowhere)

    def test_estimate_is_the_time_it_takes(self, scope: Guard) -> None:
        scanner, request = scope.capability(Scanner), self.frame(scope)
        expected, before = scanner.estimate(request), scope.clock.now()
        scanner.start(request).result()
        np.testing.assert_allclose(scope.clock.now() - before, expected.seconds, rtol=0.1)
        assert expected.frames == 1
        assert expected.bytes > 0


class PointSpectroscopyTests:
    """Tests of the `PointSpectroscopy` capability; needs a fixture ``scope``."""

    def test_spectrum_says_where_it_was_measured(self, scope: Guard) -> None:
        centre = scope.describe().area.centre
        request = SpectrumRequest(position=centre)
        spectrum = check_set(scope.capability(PointSpectroscopy).start(request).result())
        assert tuple(spectrum.data_vars) == scope.describe().spectrum_channels
        assert np.isfinite(float(spectrum["x"]))
        assert np.isfinite(float(spectrum["y"]))

    def test_place_outside_is_refused(self, scope: Guard) -> None:
        spectroscopy = scope.capability(PointSpectroscopy)
        for position in ((1.0, 1.0), (float("nan"), 0.0), (float("inf"), 0.0)):
            request = SpectrumRequest(position=position)
            assert spectroscopy.validate(request)
            _raises(OutOfRange, spectroscopy.start, request)

    def test_every_spectrum_let_through_is_counted(self, scope: Guard) -> None:
        request = SpectrumRequest(position=scope.describe().area.centre)
        before = scope.spent
        scope.capability(PointSpectroscopy).start(request).result()
        assert scope.spent.spectra == before.spectra + 1
        assert scope.spent.seconds > before.seconds
