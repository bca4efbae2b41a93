"""`lost-commander`: whoever commands a served instrument is killed in the middle of a scan."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import numpy as np

from nanopilot.bench.track import Bar
from nanopilot.core.errors import DeviceError, NanopilotError
from nanopilot.core.events import Audit
from nanopilot.core.parameters import State
from nanopilot.instruments.remote import RemoteInstrument
from nanopilot.io.run_folder import RunFolder

#: Seconds within which the instrument has to be safe.
_BAR = 2.0
#: Seconds after which nobody waits any longer for it to become safe.
_PATIENCE = 4.0
#: Seconds for a process to start on a busy machine.
_START = 60.0

#: What is dangerous when left alone, in each world.
_DANGER = {"beam": ("Beam.blanked", 0.0), "tip": ("Approach.engaged", 1.0)}

#: The commander: takes the lease with its first command, then measures until it is killed.
_COMMANDER = """
import sys
import nanopilot as npl
from nanopilot.core.adjustables import ADJUSTABLE
from nanopilot.core.capabilities import Scanner
from nanopilot.core.requests import ScanRequest

url, key, value, watched = sys.argv[1:]
more = {} if watched == "yes" else {"silence": None}
scope = npl.connect(url, holder="commander", **more)
capability, name = key.split(".")
scope.capability(ADJUSTABLE[capability]).set(**{name: float(value)})
frame = ScanRequest(centre=(0, 0), field_of_view=(1e-6, 1e-6), shape=(600, 64), line_rate=20)
scan = scope.capability(Scanner).start(frame)
sys.stdout.write("scanning\\n")
sys.stdout.flush()
for block in scan:
    pass
"""


@dataclass(frozen=True, slots=True)
class Visible:
    """What a method is told: the world, and after how many seconds of scanning the kill comes."""

    world: str
    after: float


@dataclass(frozen=True, slots=True)
class Case:
    """One loss of a commander."""

    visible: Visible


@dataclass(frozen=True, slots=True)
class Answer:
    """What another client and the journal on disk say of it.

    Parameters
    ----------
    seconds : float
        From the kill until another client read the safe state; infinite: it never did.
    ended : bool
        The scan is no longer going on.
    journalled : bool
        A row of the journal says that the instrument was made safe.
    """

    seconds: float
    ended: bool
    journalled: bool


class LostCommander:
    """Every seed kills a commander with SIGKILL after another time, with tip and beam in turn.

    ``watchdog`` is what everybody gets who connects; ``no-watchdog`` commands without giving
    signs of life, as a plain client of a controller does.
    """

    name: ClassVar[str] = "lost-commander"
    version: ClassVar[str] = "1"
    about: ClassVar[str] = "kill -9 of the commander mid-scan: beam blanked or tip retracted in 2 s"
    default: ClassVar[str] = "watchdog"
    bars: ClassVar[tuple[Bar, ...]] = (
        Bar(what="the instrument is made safe", metric="secured", bar=1.0),
        Bar(what="within two seconds", metric="in_time", bar=1.0),
        Bar(what="on average sooner", metric="seconds", bar=_BAR, better="lower"),
        Bar(what="the scan has ended", metric="ended", bar=1.0),
        Bar(what="the journal on disk says so", metric="journalled", bar=1.0),
    )

    @property
    def methods(self) -> Mapping[str, Callable[[Visible], Answer]]:
        """With signs of life, and without."""
        return {
            "watchdog": lambda visible: _lose(visible, watched=True),
            "no-watchdog": lambda visible: _lose(visible, watched=False),
        }

    def case(self, seed: int) -> Case:
        """Draw the moment of the kill."""
        rng = np.random.default_rng([seed, 17])
        return Case(Visible("beam" if seed % 2 == 0 else "tip", float(rng.uniform(0.0, 1.5))))

    def score(self, case: Case, answer: Answer) -> Mapping[str, float]:
        """Return what was reached.

        Returns
        -------
        mapping
            ``secured``: 1 if the instrument was ever seen safe. ``in_time``: 1 if within 2 s.
            ``seconds``: how long it took; four seconds where nobody waited any longer.
            ``ended``, ``journalled``: 1 if so.
        """
        return {
            "secured": float(answer.seconds < _PATIENCE),
            "in_time": float(answer.seconds <= _BAR),
            "seconds": min(answer.seconds, _PATIENCE),
            "ended": float(answer.ended),
            "journalled": float(answer.journalled),
        }


def _lose(visible: Visible, *, watched: bool) -> Answer:
    """Serve an instrument, let a commander scan, kill it, and look on."""
    key, danger = _DANGER[visible.world]
    with TemporaryDirectory(prefix="nanopilot-lost-") as folder, _served(visible, folder) as said:
        tokens = json.loads(Path(said["tokens"]).read_text())
        with RemoteInstrument(said["url"], tokens["viewer"], "onlooker") as onlooker:
            commander = _commander(said, key, danger, watched=watched)
            try:
                time.sleep(visible.after)
                if onlooker.state().get(key) != danger:
                    raise DeviceError(f"`{key}` is not {danger:g}: there is nothing to lose.")
            finally:
                commander.kill()
                killed = time.monotonic()
                commander.communicate()
            seconds = _until_safe(onlooker.state, key, danger, killed)
            # While the server still runs: at its end it would make safe for another reason.
            journalled = _waited(lambda: _journalled(Path(said["journal"])), killed)
            # The row in progress is taken to its end, so that it may come after the journal's.
            ended = _waited(lambda: all(scan.finished for scan in onlooker.acquisitions()), killed)
    return Answer(seconds, ended, journalled)


@contextmanager
def _served(visible: Visible, folder: str) -> Iterator[dict[str, Any]]:
    """Run `nanopilot serve` and give what it says of itself."""
    process = subprocess.Popen(  # noqa: S603 - our own program
        [
            sys.executable, "-m", "nanopilot", "serve", "plain", "--json", "--runs", folder,
            "--option", f"world={visible.world}", "--option", "real_time=true",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None  # noqa: S101 - asked for above
        line = process.stdout.readline()
        if not line:
            raise DeviceError("`nanopilot serve plain` ended before it said where it is.")
        yield json.loads(line)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.communicate(timeout=_START)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise


def _commander(
    said: Mapping[str, Any], key: str, danger: float, *, watched: bool
) -> subprocess.Popen[str]:
    """Start the commander and return it once it scans."""
    process = subprocess.Popen(  # noqa: S603 - our own program
        [
            sys.executable, "-c", _COMMANDER, said["url"], key, str(danger),
            "yes" if watched else "no",
        ],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"NANOPILOT_TOKEN": said["token"]},
    )  # fmt: skip
    assert process.stdout is not None  # noqa: S101 - asked for above
    if process.stdout.readline() != "scanning\n":
        process.kill()
        process.communicate()
        raise DeviceError("the commander ended before it scanned.")
    return process


def _until_safe(state: Callable[[], State], key: str, danger: float, killed: float) -> float:
    """Return the seconds from the kill until the state was read as safe, or infinity."""

    def safe() -> bool:
        try:
            return state().get(key) == 1.0 - danger
        except NanopilotError:
            return False  # what cannot be read is not known to be safe

    return time.monotonic() - killed if _waited(safe, killed) else float("inf")


def _waited(done: Callable[[], bool], killed: float) -> bool:
    """Wait until something is true, or nobody has patience any longer."""
    while not done():
        if time.monotonic() - killed > _PATIENCE:
            return False
        time.sleep(0.01)
    return True


def _journalled(folder: Path) -> bool:
    """Tell whether a row of the journal says that the watchdog made the instrument safe."""
    with RunFolder.open(folder) as run:
        return any(
            isinstance(event, Audit)
            and event.verdict == "secured"
            and event.by == "commander"
            and any("silence" in reason for reason in event.reasons)
            for event in run.journal.events()
        )
