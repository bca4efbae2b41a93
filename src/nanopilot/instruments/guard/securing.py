"""Stopping, and making safe: no permission, no lock that a running command might hold."""

from __future__ import annotations

from typing import Any, Literal, NoReturn, cast

from nanopilot.core.adjustables import ADJUSTABLE, Adjustable
from nanopilot.core.capabilities import MEASURING, Instrument
from nanopilot.core.errors import DeviceError, Stopped, Unsupported
from nanopilot.core.events import Audit
from nanopilot.core.parameters import by_key
from nanopilot.instruments.guard.books import Books
from nanopilot.instruments.guard.gates import SAFE
from nanopilot.instruments.guard.judging import Meter
from nanopilot.instruments.guard.running import Running
from nanopilot.instruments.guard.stopping import EmergencyStop

#: The beam first, as it takes no time; a tip may take a second to retract.
_ORDER = ("Beam.blanked", "Approach.engaged")
#: How the telling of something that went wrong begins.
FAILED = "failed"


def stop_all(instrument: Instrument) -> tuple[str, ...]:
    """Tell everything that measures to stop; return what was done or went wrong.

    One part that fails does not keep the others from being stopped.
    """
    done = []
    for name, (kind, _) in MEASURING.items():
        try:
            instrument.capability(cast("type[Any]", kind)).stop()
        except Unsupported:
            continue
        except Exception as error:  # noqa: BLE001 - the others have to be stopped as well
            done.append(f"{FAILED} to stop {name}: {type(error).__name__}: {error}")
        else:
            done.append(f"stopped {name}")
    return tuple(done)


def make_safe(instrument: Instrument) -> tuple[str, ...]:
    """Stop all measurements, blank the beam, retract the tip; return what came of each."""
    done = list(stop_all(instrument))
    for key in _ORDER:
        capability, name = key.split(".")
        try:
            part = cast("Adjustable", instrument.capability(ADJUSTABLE[capability]))
            said = _set(part, key, name)
        except Unsupported:
            continue
        except Exception as error:  # noqa: BLE001 - what comes next has to be tried as well
            said = f"{FAILED} to set {key}: {type(error).__name__}: {error}"
        done.append(said)
    return tuple(done)


def _set(part: Adjustable, key: str, name: str) -> str:
    settings = part.set(**{name: SAFE[key]})
    found = {setting.parameter: setting.read_back for setting in settings}.get(key)
    parameter = by_key(part.parameters()).get(key)
    if parameter is None or found is None or not parameter.reached(SAFE[key], found):
        return f"{FAILED} to set {key}: it reads back {found}"
    return f"set {key} to {SAFE[key]:g}"


class Securing:
    """What may be done at any time, by anybody, from any thread.

    Parameters
    ----------
    instrument : Instrument
        Is stopped and made safe.
    books : Books
        Keep a row of it, now or later.
    """

    def __init__(self, instrument: Instrument, books: Books) -> None:
        self._instrument = instrument
        self._books = books
        self.emergency = EmergencyStop()
        self.running: Running | None = None

    def stop(self, meter: Meter) -> None:
        """Drop what one capability is measuring."""
        meter.inner.stop()
        running = self.running
        if running is not None and running.capability == meter.name:
            running.end()

    def stop_all(self) -> None:
        """Drop whatever is being measured.

        Raises
        ------
        DeviceError
            Some part could not be told; the others were.
        """
        done = stop_all(self._instrument)
        wrong = [said for said in done if said.startswith(FAILED)]
        self._ended()
        if wrong:
            raise DeviceError(f"`stop` did not reach everything: {'; '.join(wrong)}.")

    def secure(self, why: str, by: str) -> tuple[str, ...]:
        """Make safe; return what was done and what went wrong."""
        done = make_safe(self._instrument)
        self._ended()
        self._note("secured", (why, *done), by)
        return done

    def press(self, by: str, why: str) -> tuple[str, ...]:
        """Latch the emergency stop, then make safe."""
        self.emergency.press(by, why)
        done = make_safe(self._instrument)
        self._ended()
        self._note("stopped", (why, *done), by)
        return done

    def again(self) -> NoReturn:
        """Make safe once more: a command was on its way when the emergency stop came.

        Raises
        ------
        Stopped
            Always, so that whoever sent the command knows.
        """
        self.secure("a command was under way when the emergency stop came", "")
        raise Stopped(
            "`emergency_stop` came while this was being carried out; the instrument has been made "
            "safe again. Read it back before anything else."
        )

    def release(self, by: str) -> None:
        """Unlatch the emergency stop."""
        self.emergency.release()
        self._note("stopped", ("the emergency stop was released",), by)

    def _ended(self) -> None:
        if self.running is not None:
            self.running.end()

    def _note(self, verdict: Literal["secured", "stopped"], said: tuple[str, ...], by: str) -> None:
        try:
            now = self._instrument.clock.now()
        except Exception:  # noqa: BLE001 - the row matters more than its time
            now = 0.0
        row = Audit(verdict=verdict, capability="", request={}, reasons=said, time=now, by=by)
        self._books.note(row)
