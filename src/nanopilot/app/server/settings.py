"""How an instrument is served."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from nanopilot.core.values import Value

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


class ServerSettings(Value):
    """Where a server listens, and what it lets in.

    Parameters
    ----------
    host : str
        Address to listen on. Others than loopback need TLS.
    port : int
        0: any that is free.
    names : tuple of str
        Host names by which clients may call it, beside loopback and `host`; with a port
        (``"localhost:9000"``) where a tunnel or a proxy has another one than the server.
    tls_cert, tls_key : Path, optional
        Certificate and key, PEM.
    max_body : int
        Largest request in bytes.
    max_pixels, max_bytes : int
        Largest frame, and largest result of one measurement: the server has to hold it.
    keep_results, keep_bytes : int
        How many results are kept, and how much memory they may take; the newest always is.
    keep_blocks, keep_block_bytes : int
        How many of the newest blocks of a stream are kept for slow readers.
    approval_seconds : float
        How long a proposal can be approved.
    state_seconds : float
        Seconds between two states in the stream of events; 0: none.
    """

    host: str = "127.0.0.1"
    port: int = Field(default=0, ge=0, le=65_535)
    names: tuple[str, ...] = ()
    tls_cert: Path | None = None
    tls_key: Path | None = None
    max_body: int = Field(default=1_000_000, ge=1)
    max_pixels: int = Field(default=1 << 24, ge=1)
    max_bytes: int = Field(default=1 << 31, ge=1)
    keep_results: int = Field(default=16, ge=1)
    keep_bytes: int = Field(default=1 << 30, ge=1)
    keep_blocks: int = Field(default=4096, ge=1)
    keep_block_bytes: int = Field(default=1 << 28, ge=1)
    approval_seconds: float = Field(default=300.0, gt=0)
    state_seconds: float = Field(default=1.0, ge=0)

    @model_validator(mode="after")
    def _safe(self) -> Self:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("`tls_cert` and `tls_key` go together")
        if not self.loopback and self.tls_cert is None:
            raise ValueError(
                f"`host` is {self.host!r}, which others can reach: give `tls_cert` and `tls_key`, "
                "or serve on 127.0.0.1 and let others in through an SSH tunnel"
            )
        return self

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host.strip("[]")).is_loopback
        except ValueError:
            return False

    @property
    def scheme(self) -> str:
        """``"http"`` or ``"https"``."""
        return "http" if self.tls_cert is None else "https"

    def allowed(self, port: int) -> frozenset[str]:
        """Return what a Host header may say when the server listens on `port`."""
        hosts = {host.lower() for host in (*LOOPBACK, *self.names, self.host)}
        found = {host for host in hosts if host.rpartition(":")[2].isdecimal()}
        found |= {f"{host}:{port}" for host in hosts}
        if port == (80 if self.scheme == "http" else 443):
            found |= hosts
        return frozenset(found)
