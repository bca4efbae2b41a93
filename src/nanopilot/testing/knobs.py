"""The contract of each capability that is adjusted."""

from __future__ import annotations

from nanopilot.core.parameters import Parameter, by_key
from nanopilot.instruments import Guard
from nanopilot.testing.adjusting import AdjustableTests
from nanopilot.testing.rules import not_applicable, refused, rule


class StageTests(AdjustableTests):
    """Rules of the `Stage`; moves are a thousandth of its travel, with the tip retracted."""

    capability = "Stage"
    fraction = 0.001


class PositionerTests(AdjustableTests):
    """Rules of the `Positioner`."""

    capability = "Positioner"

    @rule("rests-inside-the-area")
    def test_the_tip_or_beam_rests_inside_the_area(self, scope: Guard) -> None:
        """``x, y`` are scan coordinates: the place of rest lies in the area of the description."""
        x, y = (self.part(scope).get(name) for name in ("x", "y"))
        area = scope.describe().area
        slack = 0.01 * max(area.x[1] - area.x[0], area.y[1] - area.y[0])
        assert area.holds((x, y), slack), f"it rests at ({x:g} m, {y:g} m), outside {area}"


class FeedbackTests(AdjustableTests):
    """Rules of the `Feedback`: parameters move by a tenth of themselves at most."""

    capability = "Feedback"
    fraction = 0.001

    def settable(self, scope: Guard) -> list[Parameter]:
        """Leave the height to the loop."""
        return [one for one in super().settable(scope) if one.name != "z"]

    @rule("loop-holds-the-height")
    def test_the_height_cannot_be_set_while_the_loop_holds_it(self, scope: Guard) -> None:
        """While ``enabled`` is 1, setting ``z`` is refused."""
        names = {one.name for one in self.declared(scope)}
        if not {"z", "enabled"} <= names or not self.part(scope).get("enabled"):
            not_applicable("no loop holds a height")
        height = self.part(scope).get("z")
        refused(lambda: self.part(scope).set(z=height), "`Feedback.z` while the loop is on")


class ApproachTests(AdjustableTests):
    """Rules of the `Approach`; the tip is retracted once, and brought back if it was engaged."""

    capability = "Approach"

    @rule("tip-retracts")
    def test_the_tip_retracts_whenever_asked(self, scope: Guard) -> None:
        """``engaged = 0`` retracts the tip: the watchdog relies on it."""
        _reaches_safety(self, scope, "engaged", 0.0)


class BiasSourceTests(AdjustableTests):
    """Rules of the `BiasSource`."""

    capability = "BiasSource"
    fraction = 0.005


class BeamTests(AdjustableTests):
    """Rules of the `Beam`; it is blanked once, and unblanked if it was so before."""

    capability = "Beam"

    @rule("beam-blanks")
    def test_the_beam_blanks_whenever_asked(self, scope: Guard) -> None:
        """``blanked = 1`` blanks the beam: the watchdog relies on it."""
        _reaches_safety(self, scope, "blanked", 1.0)


class FocusTests(AdjustableTests):
    """Rules of the `Focus`."""

    capability = "Focus"


class CorrectorTests(AdjustableTests):
    """Rules of the `Corrector`."""

    capability = "Corrector"


class DetectorsTests(AdjustableTests):
    """Rules of the `Detectors`."""

    capability = "Detectors"


class VacuumTests(AdjustableTests):
    """Rules of the `Vacuum`; the valve stays as it is."""

    capability = "Vacuum"

    @rule("pressure-is-read-only")
    def test_pressure_is_read_and_never_set(self, scope: Guard) -> None:
        """``pressure`` is declared read-only and is positive."""
        pressure = by_key(self.declared(scope)).get("Vacuum.pressure")
        if pressure is None:
            not_applicable("there is no gauge")
        assert pressure.read_only, "`pressure` is not declared read-only"
        value = self.part(scope).get("pressure")
        assert value > 0, f"`pressure` is {value} Pa"


def _reaches_safety(contract: AdjustableTests, scope: Guard, name: str, safe: float) -> None:
    if name not in {one.name for one in contract.declared(scope)}:
        not_applicable(f"it does not declare {name}")
    with contract.kept(scope):
        contract.part(scope).set(**{name: safe})
        got = contract.part(scope).get(name)
        assert got == safe, f"`{name}` was set to {safe:g} and is {got:g}"
        (key,) = (one.key for one in contract.declared(scope) if one.name == name)
        said = scope.state().get(key)
        assert said == safe, f"`{key}` of the state is {said}, not {safe:g}"
