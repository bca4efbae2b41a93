"""Rules of spectra: their axis, their place, their grid."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np

from nanopilot.core.description import SpectrumMode
from nanopilot.core.geometry import own_axes
from nanopilot.core.limits import Estimate
from nanopilot.core.requests import Request, SpectrumKind, SpectrumRequest
from nanopilot.core.signals import SignalSet, metadata
from nanopilot.instruments import Guard
from nanopilot.testing.asking import CLOCK_SLACK
from nanopilot.testing.measuring import MeasuringTests
from nanopilot.testing.rules import not_applicable, refused, rule

NAN, INFINITE = float("nan"), float("inf")


class PointSpectroscopyTests(MeasuringTests):
    """Rules of the `PointSpectroscopy` capability; needs a fixture ``scope``.

    Spectra are taken in the middle of the area, with the instrument's own settings.
    """

    capability = "PointSpectroscopy"

    def spectrum(self, scope: Guard, kind: SpectrumKind | None = None) -> SpectrumRequest:
        """Return a request for one spectrum; of the first kind declared, unless told."""
        return SpectrumRequest(
            position=scope.describe().area.centre, kind=kind or self.modes(scope)[0].kind
        )

    def modes(self, scope: Guard) -> tuple[SpectrumMode, ...]:
        """Return the kinds of spectra there are."""
        found = scope.describe().spectra
        assert found, "`spectra` of the description is empty, and it takes spectra"
        return found

    def small(self, scope: Guard) -> Request:
        """Return one spectrum."""
        return self.spectrum(scope)

    def long(self, scope: Guard) -> Request:
        """Return a small grid of spectra; one, where there are no grids."""
        return self._grid(scope) or self.spectrum(scope)

    def impossible(self, scope: Guard) -> dict[str, Request]:
        """Return spectra that cannot be."""
        good, area = self.spectrum(scope), scope.describe().area
        far = area.x[1] + 10 * (area.x[1] - area.x[0]) + 1.0
        updates: dict[str, dict[str, Any]] = {
            "a place outside": {"position": (far, area.centre[1])},
            "NaN as a place": {"position": (NAN, area.centre[1])},
            "infinity as a place": {"position": (area.centre[0], INFINITE)},
            "a channel that is not there": {"channels": ("no such channel",)},
            "a setting that is not there": {"parameters": {"no_such_setting": 1.0}},
        }
        if good.kind == "bias":
            updates["NaN as the bias"] = {"bias": (0.0, NAN)}
            updates["an infinite bias"] = {"bias": (0.0, INFINITE)}
        return {what: good.model_copy(update=update) for what, update in updates.items()}

    def check_counts(self, request: Any, expected: Estimate) -> None:
        """Check spectra and bytes of an estimate."""
        assert expected.spectra == 1, f"`spectra` is {expected.spectra} for one"
        assert expected.bytes > 0, f"`bytes` is {expected.bytes}"

    @rule("spectrum-has-its-axis")
    def test_every_kind_has_the_axis_that_is_declared(self, scope: Guard) -> None:
        """Each `SpectrumMode` gives channels, dim, unit and quantity as declared, without gaps."""
        for mode in self.modes(scope):
            spectrum = self._take(scope, self.spectrum(scope, mode.kind))
            found = {str(name) for name in spectrum.data_vars}
            assert found == set(mode.channels), f"channels of {mode.kind} are {sorted(found)}"
            for name, channel in spectrum.data_vars.items():
                assert channel.dims == (mode.dim,), f"`{name}` has dims {channel.dims}"
                assert np.isfinite(channel).all(), f"`{name}` has gaps"
            _check_axis(spectrum, mode)

    @rule("only-channels-asked-for")
    def test_only_the_channel_asked_for_is_given(self, scope: Guard) -> None:
        """With `channels`, those are there and nothing else."""
        wanted = self.modes(scope)[0].channels[-1]
        request = self.spectrum(scope).model_copy(update={"channels": (wanted,)})
        assert list(self._take(scope, request).data_vars) == [wanted]

    @rule("spectrum-says-where")
    def test_spectrum_says_where_it_was_measured(self, scope: Guard) -> None:
        """Coordinates ``x, y`` (m) say where the spectrum was measured: close to where asked."""
        request, area = self.spectrum(scope), scope.describe().area
        spectrum = self._take(scope, request)
        pitches = [max(1, size - 1) for size in scope.describe().grid]
        sizes = (area.x[1] - area.x[0], area.y[1] - area.y[0])
        for name, index in (("x", 0), ("y", 1)):
            assert name in spectrum.coords, f"there is no coordinate `{name}`"
            off = abs(float(spectrum[name]) - request.position[index])
            slack = sizes[index] * max(0.02, 1 / pitches[1 - index] if pitches[0] > 1 else 0)
            assert off <= slack, f"`{name}` is {off:g} m from where it was asked for"

    @rule("spectrum-says-when")
    def test_spectrum_says_when_it_was_measured(self, scope: Guard) -> None:
        """``time`` (s, the instrument's clock) says when; over an axis ``time`` the state does."""
        before = scope.clock.now() - CLOCK_SLACK
        spectrum = self._take(scope, self.spectrum(scope))
        if self.modes(scope)[0].dim == "time":
            time = metadata(spectrum)["state"]["time"]
        else:
            assert "time" in spectrum.coords, "there is no coordinate `time`"
            time = float(spectrum["time"])
        after = scope.clock.now() + CLOCK_SLACK
        assert before <= time <= after, f"`time` is {time:g} s, not {before:g} to {after:g} s"

    @rule("force-has-height")
    def test_a_force_curve_has_the_height_of_the_tip(self, scope: Guard) -> None:
        """A spectrum of kind ``force`` has a coordinate ``z`` in metres along its axis."""
        mode = self._mode(scope, "force")
        spectrum = self._take(scope, self.spectrum(scope, "force"))
        assert "z" in spectrum.coords, "there is no coordinate `z`"
        assert spectrum["z"].dims == (mode.dim,), f"`z` has dims {spectrum['z'].dims}"
        assert spectrum["z"].attrs.get("units") == "m", f"`z`: {spectrum['z'].attrs}"

    @rule("bias-sweep-as-asked")
    def test_a_sweep_that_is_given_is_the_one_applied(self, scope: Guard) -> None:
        """With `bias`, the axis ``bias`` is the sweep asked for, to a thousandth of it."""
        mode = self._mode(scope, "bias")
        volts = np.linspace(mode.low, mode.high, 9) / 2
        request = self.spectrum(scope, "bias").model_copy(update={"bias": tuple(volts.tolist())})
        found = self.measure(scope, request)["bias"].to_numpy()
        assert found.shape == volts.shape, f"`bias` has {found.size} values; asked for were 9"
        off = np.abs(found - volts).max()
        assert off <= 1e-3 * np.abs(volts).max(), f"`bias` is off by up to {off:g} V"

    @rule("grid-has-shape")
    def test_a_grid_has_a_spectrum_at_every_place(self, scope: Guard) -> None:
        """A grid has dims (y, x) first, axes as a frame has them, and a spectrum at each place."""
        request = self._grid(scope)
        if request is None:
            not_applicable("it takes single spectra only")
        grid, dim = self._take(scope, request), self.modes(scope)[0].dim
        for name, channel in grid.data_vars.items():
            assert channel.dims == ("y", "x", dim), f"`{name}` has dims {channel.dims}"
            assert channel.shape[:2] == request.shape, f"`{name}` has shape {channel.shape}"
            assert np.isfinite(channel).all(), f"`{name}` has gaps"
        area = scope.describe().area
        slack = 0.02 * max(area.x[1] - area.x[0], area.y[1] - area.y[0])
        for axis, expected in zip(("x", "y"), own_axes(request.grid), strict=True):
            np.testing.assert_allclose(grid[axis], expected, 0, slack, err_msg=f"axis `{axis}`")

    @rule("undeclared-kind-is-refused")
    def test_a_kind_that_is_not_declared_is_refused(self, scope: Guard) -> None:
        """A kind of spectrum that `spectra` does not name is refused."""
        declared = {mode.kind for mode in self.modes(scope)}
        missing = [kind for kind in get_args(SpectrumKind) if kind not in declared]
        if not missing:
            not_applicable("every kind is declared")
        request = self.spectrum(scope, missing[0])
        refused(lambda: self.part(scope).start(request), f"a spectrum of kind {missing[0]}")

    def _take(self, scope: Guard, request: SpectrumRequest) -> SignalSet:
        """Take a spectrum that the description promises."""
        found = self.part(scope).validate(request)
        if any(violation.kind == "interlock" for violation in found):
            not_applicable(found[0].message)
        assert not found, f"a declared spectrum is refused: {found[0].message}"
        return self.part(scope).start(request).result()

    def _mode(self, scope: Guard, kind: SpectrumKind) -> SpectrumMode:
        found = [mode for mode in self.modes(scope) if mode.kind == kind]
        if not found:
            not_applicable(f"it takes no spectra of kind {kind}")
        return found[0]

    def _grid(self, scope: Guard) -> SpectrumRequest | None:
        area = scope.describe().area
        view = (0.3 * (area.x[1] - area.x[0]), 0.3 * (area.y[1] - area.y[0]))
        update = {"shape": (3, 2), "field_of_view": view}
        request = self.spectrum(scope).model_copy(update=update)
        return None if self.part(scope).validate(request) else request


def _check_axis(spectrum: SignalSet, mode: SpectrumMode) -> None:
    axis = spectrum[mode.dim]
    assert axis.attrs.get("units") == mode.unit, f"`{mode.dim}` is in {axis.attrs.get('units')!r}"
    assert axis.attrs.get("quantity") == mode.quantity, f"`{mode.dim}`: {axis.attrs}"
    assert axis.size == mode.points, f"`{mode.dim}` has {axis.size} values of {mode.points}"
    slack = 0.02 * (mode.high - mode.low)
    assert mode.low - slack <= float(axis.min()) <= float(axis.max()) <= mode.high + slack, (
        f"`{mode.dim}` runs {float(axis.min()):g} to {float(axis.max()):g} {mode.unit}"
    )
