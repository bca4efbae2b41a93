"""The assault of the `guard` track: who sends what, when."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from nanopilot.bench.guard_requests import Requests
from nanopilot.bench.guard_scene import Defence, Scene, Tally, pass_time, words
from nanopilot.bench.guard_threads import Together
from nanopilot.core.adjustables import ADJUSTABLE
from nanopilot.core.capabilities import MEASURING
from nanopilot.core.errors import NanopilotError

_RUN = 2_000
_HOLDERS = ("anna", "ben")


class Assault:
    """One case: everything that is sent follows from its seed.

    Parameters
    ----------
    seed : int
        Of all that is drawn.
    size : int
        Commands in all; a tenth of them comes from several threads at once.
    """

    def __init__(self, seed: int, size: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._size = size

    def against(self, defence: Defence) -> Tally:
        """Send everything at a defence, and return what was counted."""
        self._scene = scene = Scene(defence)
        self._requests = Requests(self._rng, scene.wire.parameters)
        together = Together(scene, self._rng)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # strange numbers make pydantic and numpy complain
            self._one_after_the_other(self._size * 9 // 10)
            scene.wire.slow = True
            together.all_at_once(self._size // 10)
            scene.wire.slow = False
            together.fall_silent()
        return scene.tally

    def _one_after_the_other(self, count: int) -> None:
        leases: dict[str, Any] = {"": self._scene.scope}
        for number in range(count):
            if number % _RUN == 0:
                self._scene.new_run()
            self._meanwhile(leases)
            actor = str(self._rng.choice(list(leases)))
            self._send(leases[actor], actor)
        self._scene.no_faults()
        if self._scene.oracle.stopped:
            self._scene.release_stop()
        for holder in _HOLDERS:
            if holder in leases:
                leases[holder].release()
        self._scene.oracle.holder = None

    def _send(self, scope: Any, actor: str) -> None:
        capability, asked = self._requests.draw()
        self._scene.actor.name = actor
        safe = self._scene.oracle.safe(capability, asked)
        entitled = self._scene.oracle.in_command(actor, self._scene.wall.now(), safe=safe)
        legal = entitled and self._scene.oracle.legal(capability, asked) is True
        self._scene.tally.sent += 1
        self._scene.tally.legal += legal
        refused = self._carry_out(scope, capability, asked)
        if refused is not None and legal:
            self._scene.tally.count("refused_legal", f"{capability} {words(asked)}: {refused}")

    def _carry_out(self, scope: Any, capability: str, asked: Any) -> Exception | None:
        """Send one command; return the refusal, if it was refused."""
        try:
            if capability in ADJUSTABLE:
                scope.capability(ADJUSTABLE[capability]).set(**asked)
                return None
            running = scope.capability(MEASURING[capability][0]).start(asked)
        except Exception as refused:  # noqa: BLE001 - what it is gets counted
            if not isinstance(refused, NanopilotError) or not str(refused):
                said = f"{type(refused).__name__} for {capability} {words(asked)}"
                self._scene.tally.count("untyped", said)
            return refused
        if self._rng.random() < 0.7:
            running.result()
        else:
            self._kept = running  # goes on, while other commands come
        return None

    def _meanwhile(self, leases: dict[str, Any]) -> None:
        """Let time pass and things happen that commands then meet."""
        chance = self._rng.random()
        pass_time(self._scene.wire.clock, float(self._rng.exponential(0.3)))
        pass_time(self._scene.wall, float(self._rng.exponential(0.05)))
        if chance < 0.01:
            self._fault()
        elif chance < 0.03:
            self._take_lease(leases)
        elif chance < 0.05 and self._scene.oracle.holder in leases:
            self._give_back(leases)
        elif chance < 0.055:
            self._scene.stop()
        elif chance < 0.15 and self._scene.oracle.stopped:
            self._scene.release_stop()
        elif chance < 0.3:
            self._scene.scope.stop()

    def _fault(self) -> None:
        self._scene.no_faults()
        kind = int(self._rng.integers(10))
        if kind == 0:
            self._scene.wire.age = 5.0
        elif kind == 1:
            self._scene.wire.broken = True
        elif kind == 2:
            self._scene.wire.hidden = frozenset(("Approach.engaged", "Vacuum.pressure"))
        elif kind == 3:
            self._scene.wire.truth["Vacuum.pressure"] = 10.0

    def _take_lease(self, leases: dict[str, Any]) -> None:
        holder, seconds = str(self._rng.choice(_HOLDERS)), float(self._rng.uniform(0.2, 3.0))
        taken = (
            self._scene.oracle.holder is not None
            and self._scene.wall.now() < self._scene.oracle.expires
        )
        self._scene.tally.sent += 1
        try:
            leases[holder] = self._scene.scope.lease(holder, seconds)
        except NanopilotError as refused:
            if not taken:
                self._scene.tally.count("refused_legal", f"a lease: {refused}")
            return
        if taken:
            self._scene.tally.count("reached", "a second lease")
        self._scene.oracle.holder, self._scene.oracle.expires = (
            holder,
            self._scene.wall.now() + seconds,
        )

    def _give_back(self, leases: dict[str, Any]) -> None:
        holder = str(self._scene.oracle.holder)
        if self._scene.wall.now() < self._scene.oracle.expires:
            leases[holder].release()
            self._scene.oracle.holder = None
