"""Everything that is adjusted on a Nion microscope."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from nanopilot.core.clock import Clock
from nanopilot.core.errors import DeviceError
from nanopilot.core.knobs import Knobs
from nanopilot.core.parameters import Parameter, State
from nanopilot.instruments.nion.controls import Control
from nanopilot.instruments.nion.link import Link


class Panel:
    """Reads and writes controls by the names and units of our parameters.

    Parameters
    ----------
    link : callable
        Returns the line that is up now.
    controls : mapping of str to Control
        By key.
    clock : Clock
        Of the instrument.
    """

    def __init__(
        self, link: Callable[[], Link], controls: Mapping[str, Control], clock: Clock
    ) -> None:
        self._link = link
        self._controls = controls
        self._clock = clock

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """Return everything that can be read or set."""
        return tuple(control.parameter for control in self._controls.values())

    def state(self) -> State:
        """Read every parameter, in one go; what is not known is left out."""
        found = self._link().call("read", names=[one.nion for one in self._controls.values()])
        values = {
            key: one.factor * found[one.nion] + 0.0  # no -0.0
            for key, one in self._controls.items()
            if one.nion in found
        }
        return State(time=self._clock.now(), values=values)

    def read(self, key: str) -> float:
        """Read one parameter.

        Raises
        ------
        DeviceError
            The microscope does not know its value.
        """
        control = self._controls[key]
        found = self._link().call("read", names=[control.nion])
        if control.nion not in found:
            raise DeviceError(f"`{key}` has no value yet; set it first.")
        return control.factor * float(found[control.nion]) + 0.0

    def knobs(self) -> dict[str, Knobs]:
        """Return every capability that is adjusted, by name."""
        owners = dict.fromkeys(parameter.capability for parameter in self.parameters)
        return {owner: self._of(owner) for owner in owners}

    def _of(self, owner: str) -> Knobs:
        declared = tuple(one for one in self.parameters if one.capability == owner)

        def write(values: Mapping[str, float]) -> None:
            named = {self._controls[f"{owner}.{name}"]: value for name, value in values.items()}
            sent = {control.nion: value / control.factor for control, value in named.items()}
            self._link().call("write", values=sent)

        return Knobs(declared, lambda name: self.read(f"{owner}.{name}"), write, self._clock)
