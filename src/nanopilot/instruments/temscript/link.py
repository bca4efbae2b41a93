"""The wire to a temscript server: HTTP with JSON, arrays in base64; pickle is never asked for."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Protocol
from urllib.parse import quote

import numpy as np
import urllib3

from nanopilot.core.errors import DeviceError, InvalidRequest, LinkLost
from nanopilot.instruments.temscript.arrays import unpack_image

_JSON = "application/json"


class Link(Protocol):
    """What the driver needs of a wire."""

    @property
    def lost(self) -> bool:
        """It went down, and nobody has read the instrument back since."""

    def get(self, endpoint: str) -> Any:
        """Ask for a value.

        Raises
        ------
        LinkLost
            There is no answer.
        DeviceError
            The answer is an error, or none at all.
        """

    def put(self, endpoint: str, value: Any) -> None:
        """Set a value; after a lost line the instrument is read back first. Raises as `get`."""

    def acquire(self, detectors: tuple[str, ...]) -> Mapping[str, np.ndarray[Any, np.dtype[Any]]]:
        """Measure with all detectors at once; each array has shape (rows, columns)."""


class HttpLink:
    """A `Link` over HTTP.

    Parameters
    ----------
    host, port : str, int
        Where the server listens.
    timeout : float
        Seconds to wait for an answer. A time-out says nothing about what the microscope did.
    largest : int
        Bytes of an answer that are accepted.
    """

    def __init__(
        self, host: str, port: int = 8080, *, timeout: float = 120.0, largest: int = 512 << 20
    ) -> None:
        self.lost = False
        self._largest = largest
        self._read_back: Callable[[], object] = lambda: None
        self._pool = urllib3.HTTPConnectionPool(
            host,
            port,
            timeout=urllib3.Timeout(connect=5.0, read=timeout),
            retries=False,
            maxsize=4,  # a console reads while a frame is being taken
            headers={"Accept": _JSON, "Accept-Encoding": "identity"},
        )

    def after_loss(self, read_back: Callable[[], object]) -> None:
        """Say what has to be read before anything is set on a line that was lost."""
        self._read_back = read_back

    def get(self, endpoint: str) -> Any:
        """Ask for a value."""
        return self._ask("GET", endpoint)

    def put(self, endpoint: str, value: Any) -> None:
        """Set a value; after a lost line the instrument is read back first."""
        if self.lost:
            self._read_back()
            self.lost = False
        try:
            body = json.dumps(value, allow_nan=False).encode()
        except ValueError as cause:
            raise InvalidRequest(f"`{endpoint}` is {value!r}; it must be finite.") from cause
        self._ask("PUT", endpoint, body=body)

    def acquire(self, detectors: tuple[str, ...]) -> Mapping[str, np.ndarray[Any, np.dtype[Any]]]:
        """Measure with all detectors at once."""
        asked = "&".join(f"detectors={quote(name, safe='')}" for name in detectors)
        answer = self._ask("GET", f"acquire?{asked}")
        if not isinstance(answer, dict):
            raise DeviceError("`acquire` did not answer with images by name.")
        return {name: unpack_image(name, packed) for name, packed in answer.items()}

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()

    def _ask(self, method: str, endpoint: str, body: bytes | None = None) -> Any:
        headers = dict(self._pool.headers)
        if body is not None:
            headers["Content-Type"] = _JSON
        try:
            answer = self._pool.request(
                method, f"/v1/{endpoint}", body=body, headers=headers, preload_content=False
            )
            try:
                content = answer.read(self._largest + 1)
            finally:
                answer.release_conn()
        except urllib3.exceptions.HTTPError as cause:
            self.lost = True
            raise LinkLost(
                f"`{endpoint}`: no answer from {self._pool.host}:{self._pool.port} ({cause}). "
                "What the microscope did is unknown until it is read back."
            ) from cause
        return self._decoded(endpoint, answer, content)

    def _decoded(self, endpoint: str, answer: urllib3.BaseHTTPResponse, content: bytes) -> Any:
        if answer.status == 204:
            return None
        if answer.status != 200:
            raise DeviceError(f"`{endpoint}`: the server says {answer.status} {answer.reason}.")
        kind = answer.headers.get("Content-Type", "").split(";")[0].strip()
        if kind != _JSON:
            raise DeviceError(f"`{endpoint}` came as {kind!r}; only {_JSON} is read.")
        if len(content) > self._largest:
            raise DeviceError(f"`{endpoint}` is longer than {self._largest} bytes.")
        try:
            return json.loads(content)
        except ValueError as cause:
            raise DeviceError(f"`{endpoint}` is no JSON: {cause}.") from cause
