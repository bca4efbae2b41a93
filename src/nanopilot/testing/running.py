"""Rules of measurements in progress: they come in blocks, and end when they are told to."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable

import numpy as np

from nanopilot.core.capabilities import Acquisition
from nanopilot.instruments import Guard
from nanopilot.testing.asking import MeasuringContract
from nanopilot.testing.rules import not_applicable, rule

#: Dims along which a measurement is cut into blocks.
_PLACES = ("frame", "y", "x")


class AcquisitionTests(MeasuringContract):
    """Rules of blocks, progress, abort, stop and result."""

    @rule("blocks-join")
    def test_blocks_join_to_the_result(self, scope: Guard) -> None:
        """The blocks of a measurement, put together, are its result."""
        request = self.several(scope)
        self.supported(scope, request)
        acquisition = self.part(scope).start(request)
        blocks = [block.copy(deep=True) for block in acquisition]
        whole = acquisition.result()
        assert blocks, "there are no blocks"
        for name, channel in whole.data_vars.items():
            seen = [block[name] for block in blocks if name in block]
            count = sum(int(np.isfinite(block.to_numpy()).sum()) for block in seen)
            kept = int(np.isfinite(channel.to_numpy()).sum())
            assert count == kept, f"`{name}`: blocks hold {count} values, the result {kept}"
            for block in seen if channel.dims[0] != "point" else ():
                place = {dim: block[dim].to_numpy() for dim in block.dims if dim in _PLACES}
                same = np.array_equal(block.to_numpy(), channel.sel(place).to_numpy(), True)
                assert same, f"`{name}`: a block holds other values than the result in its place"

    @rule("progress-rises")
    def test_progress_rises_from_0_to_1(self, scope: Guard) -> None:
        """`progress` begins between 0 and 1, never falls, and is 1 at the end."""
        request = self.several(scope)
        self.supported(scope, request)
        acquisition = self.part(scope).start(request)
        seen = [acquisition.progress]
        for _ in acquisition:
            seen.append(acquisition.progress)
        acquisition.result()
        seen.append(acquisition.progress)
        assert seen == sorted(seen), f"`progress` falls: {seen}"
        assert seen[0] >= 0, f"`progress` begins at {seen[0]}"
        assert math.isclose(seen[-1], 1.0), f"`progress` ends at {seen[-1]}"

    @rule("result-stays")
    def test_the_result_can_be_asked_for_again(self, scope: Guard) -> None:
        """`result` gives the same measurement however often it is asked for."""
        request = self.small(scope)
        self.supported(scope, request)
        acquisition = self.part(scope).start(request)
        first, again = acquisition.result(), acquisition.result()
        for name, channel in first.data_vars.items():
            np.testing.assert_array_equal(channel, again[name], f"`{name}` changed")

    @rule("abort-keeps-what-was-measured")
    def test_aborting_keeps_what_was_measured_and_invents_nothing(self, scope: Guard) -> None:
        """After `abort` the result holds what was measured before it, NaN elsewhere."""
        self._cut_short(scope, lambda acquisition: acquisition.abort())

    @rule("stop-ends-it")
    def test_stop_from_another_thread_ends_the_measurement(self, scope: Guard) -> None:
        """`stop` ends the measurement in progress, whichever thread calls it."""

        def stop(_: Acquisition) -> None:
            other = threading.Thread(target=self.part(scope).stop)
            other.start()
            other.join()

        self._cut_short(scope, stop)

    @rule("one-after-another")
    def test_a_measurement_works_after_one_that_was_aborted(self, scope: Guard) -> None:
        """A measurement is complete whatever came before it: another one, or an aborted one."""
        request, long = self.small(scope), self.long(scope)
        self.supported(scope, long)
        self.part(scope).start(long).abort()
        for _ in range(2):
            for name, channel in self.measure(scope, request).data_vars.items():
                assert np.isfinite(channel).all(), f"`{name}` has gaps"

    def _cut_short(self, scope: Guard, end: Callable[[Acquisition], None]) -> None:
        request = self.long(scope)
        self.supported(scope, request)
        acquisition = self.part(scope).start(request)
        first = next(iter(acquisition)).copy(deep=True)
        if acquisition.progress >= 1.0:
            not_applicable("the measurement comes in one piece")
        end(acquisition)
        kept = acquisition.result()
        for name, channel in kept.data_vars.items():
            before, after = (np.isfinite(one.to_numpy()) for one in (first[name], channel))
            assert after.sum() >= before.sum() > 0, f"`{name}`: what was measured is lost"
            assert not after.all(), f"`{name}` is complete, though it was ended at its first block"
