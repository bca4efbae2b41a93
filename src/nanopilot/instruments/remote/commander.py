"""Being in command: a lease taken when first needed, and signs of life while it is held."""

from __future__ import annotations

import threading
import time
from contextlib import suppress

from nanopilot.core.errors import LinkLost, NanopilotError, NotInCommand
from nanopilot.instruments.remote.link import Link
from nanopilot.instruments.remote.messages import LEASE_HEADER, AskLease, LeaseGiven, Renewal


class Commander:
    """Holds the lease of one client.

    While it holds it, a background thread tells the server four times per `silence` that this
    process is alive. When the process dies the signs stop, and the server's watchdog makes the
    instrument safe.

    Parameters
    ----------
    link : Link
        To the server.
    ask : AskLease
        Under what name and conditions.
    """

    def __init__(self, link: Link, ask: AskLease) -> None:
        self._link = link
        self._ask = ask
        self._turn = threading.RLock()
        self._lease = ""
        self._why_lost = ""
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def headers(self) -> dict[str, str]:
        """Return what a command has to carry; take the lease where there is none.

        Raises
        ------
        NotInCommand
            Somebody else commands, the role forbids it, or the lease was lost since the last
            command: look at the state before commanding again.
        """
        with self._turn:
            if self._why_lost:
                why, self._why_lost = self._why_lost, ""
                raise NotInCommand(
                    f"command of {self._link.url} was lost: {why} The instrument may have been "
                    "made safe; look at its state, then command again."
                )
            if not self._lease:
                given = self._link.post(LeaseGiven, "/v1/lease", self._ask)
                self._lease = given.lease
                self._begin()
            return {LEASE_HEADER: self._lease}

    def held(self) -> dict[str, str]:
        """Return what says that we are in command, if we are; takes no lease."""
        with self._turn:
            return {LEASE_HEADER: self._lease} if self._lease else {}

    def check(self) -> None:
        """Find out, after the line was down or a command was refused, whether the lease is good.

        Raises
        ------
        LinkLost
            The server cannot be asked.
        """
        with self._turn:
            lease, self._why_lost = self._lease, ""
            if not lease:
                return
            try:
                self._link.call("POST", "/v1/lease/alive", headers={LEASE_HEADER: lease})
            except LinkLost:
                raise
            except NanopilotError:
                self._lease = ""
                self._over.set()
                return
            self._begin()

    def release(self) -> None:
        """Let others command; quietly, for the line may be down."""
        with self._turn:
            lease, self._lease = self._lease, ""
            self._over.set()
            thread, self._thread = self._thread, None
        if lease:
            with suppress(NanopilotError):
                self._link.call("DELETE", "/v1/lease", headers={LEASE_HEADER: lease})
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _begin(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            self._over = threading.Event()
            self._thread = threading.Thread(
                target=self._live, args=(self._over,), name="nanopilot-lease", daemon=True
            )
            self._thread.start()

    def _live(self, over: threading.Event) -> None:
        renewed, third = time.monotonic(), self._ask.seconds / 3
        while not over.wait(min(third, (self._ask.silence or 4.0) / 4)):
            late = time.monotonic() - renewed > third
            try:
                path, body = ("renew", Renewal()) if late else ("alive", None)
                self._link.call("POST", f"/v1/lease/{path}", body, {LEASE_HEADER: self._lease})
            except LinkLost:
                return  # the next use reconnects
            except NanopilotError as error:
                with self._turn:
                    if not over.is_set():
                        self._lease, self._why_lost = "", str(error)
                return
            renewed = time.monotonic() if late else renewed
