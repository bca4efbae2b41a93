"""The measurement in progress, and what must not be done meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from weakref import ref

from nanopilot.core.capabilities import Acquisition
from nanopilot.core.limits import Violation
from nanopilot.core.signals import SignalSet

#: What may be adjusted while something is measured; all else would move or endanger what is.
MAY_CHANGE = frozenset(("Feedback", "BiasSource", "Beam", "Focus", "Corrector", "Detectors"))


class Running:
    """One measurement that was started and is not known to be over.

    It is over when its iteration or its result has come to an end, when it was aborted or
    stopped, when it says that it is done, or when nobody has it any more: then it is aborted
    before the next command.
    """

    def __init__(self, capability: str, inner: Acquisition) -> None:
        self.capability = capability
        self._inner = inner
        self._over = False
        self._holder: ref[GuardedAcquisition] | None = None

    def handle(self) -> GuardedAcquisition:
        """Return it for whoever asked for it; once he has dropped that, nobody has it."""
        guarded = GuardedAcquisition(self._inner, self)
        self._holder = ref(guarded)
        return guarded

    def end(self) -> None:
        """Note that it is over; any thread may call it."""
        self._over = True

    def abort(self) -> None:
        """Stop it."""
        self._over = True
        self._inner.abort()

    def dropped(self) -> bool:
        """Tell whether it goes on and nobody can have its result any more."""
        forgotten = self._holder is not None and self._holder() is None
        return forgotten and not self._finished()

    def goes_on(self) -> bool:
        """Tell whether it is still measuring and somebody waits for it, as far as is known."""
        return not self._finished() and not self.dropped()

    def _finished(self) -> bool:
        if not self._over:
            try:
                self._over = self._inner.progress >= 1
            except Exception:  # noqa: BLE001 - an instrument that does not answer is not done
                return False
        return self._over


class GuardedAcquisition:
    """A measurement in progress, of which the guard is told when it is over."""

    def __init__(self, inner: Acquisition, running: Running) -> None:
        self.__inner = inner
        self.__running = running

    @property
    def progress(self) -> float:
        """Fraction done, 0 to 1."""
        return self.__inner.progress

    def __iter__(self) -> Iterator[SignalSet]:
        """Yield the blocks that are still to come; leaving off in the middle ends nothing."""
        blocks = iter(self.__inner)
        while True:
            try:
                block = next(blocks)
            except StopIteration:
                self.__running.end()
                return
            except BaseException:
                self.__running.end()
                raise
            yield block

    def abort(self) -> None:
        """Stop measuring; what has been measured stays available."""
        self.__inner.abort()
        self.__running.end()

    def result(self) -> SignalSet:
        """Wait for the end and return what was measured."""
        try:
            return self.__inner.result()
        finally:
            self.__running.end()


def busy(running: Running, capability: str, *, measures: bool) -> list[Violation]:
    """List why something cannot be done while something else is being measured."""
    if not measures and capability in MAY_CHANGE:
        return []
    what = "another measurement" if measures else f"`{capability}`"
    message = (
        f"`{running.capability}` is measuring, and {what} has to wait. Take its result, abort it, "
        f"or call `stop`."
    )
    return [Violation(parameter=capability, kind="interlock", message=message)]
