"""Arrays that stay in their Zarr folder while bluesky documents point at them."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import numpy as np

from nanopilot.core.errors import Tampered
from nanopilot.core.events import SignalRef
from nanopilot.core.signals import SignalSet
from nanopilot.io.signal_store import SignalStore

#: What the resource documents call the format; the name to register `ZarrHandler` under.
SPEC = "NANOPILOT_ZARR"
_CAPACITY = 16

Document = dict[str, Any]


def resource_document(folder: Path, uid: str) -> Document:
    """Return the resource document of a Zarr folder."""
    place = folder.resolve()
    return {
        "uid": uid,
        "spec": SPEC,
        "root": str(place.parent),
        "resource_path": place.name,
        "resource_kwargs": {},
        "path_semantics": "posix",
    }


def datum_document(resource: str, ref: SignalRef) -> Document:
    """Return the datum document of one array: which it is, and the hash it must have."""
    return {
        "resource": resource,
        "datum_id": f"{resource}/{ref.array}/{ref.index}",
        "datum_kwargs": ref.model_dump(),
    }


class ZarrHandler:
    """Fetches what a datum document points at; for ``event_model.Filler`` and databroker.

    The array is held against the hash in the datum before it is handed out.

    Parameters
    ----------
    path : path
        Of the Zarr folder: root and resource path joined.

    Examples
    --------
    ``event_model.Filler({SPEC: ZarrHandler}, inplace=False)``
    """

    specs = frozenset({SPEC})

    def __init__(self, path: Path | str) -> None:
        self._store = SignalStore(Path(path))

    def __call__(self, *, array: str, index: int, sha256: str) -> np.ndarray[Any, Any]:
        """Return one array.

        Raises
        ------
        Tampered
            It is missing, damaged, or not what was written.
        """
        series, _, channel = array.partition("/")
        ref = SignalRef(array=array, index=index, sha256=sha256)
        signals = self._store.get(series, index, refs=(ref,))
        if channel not in signals.data_vars:
            raise Tampered(f"`{array}` is not among the signals of {self._store.path}.")
        return signals[channel].to_numpy()


class SignalFolder:
    """Keeps what bluesky devices measure, where documents point at it.

    Parameters
    ----------
    path : path
        Of a Zarr folder, made when it does not exist; one that does is added to.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._store: SignalStore | None = None
        self._uid = str(uuid.uuid5(uuid.NAMESPACE_URL, self.path.resolve().as_uri()))

    @property
    def resource(self) -> Document:
        """Resource document of the folder, the same every time."""
        return resource_document(self.path, self._uid)

    def keep(self, series: str, signals: SignalSet) -> dict[str, Document]:
        """Keep one measurement and return a datum document per channel.

        Coordinates that differ from one measurement to the next, such as the time of every
        pixel, are kept as channels of their own.

        Raises
        ------
        StoreError
            It cannot be written, or the series was begun with other measurements.
        """
        own = [name for name, one in signals.coords.items() if one.ndim and name not in one.dims]
        signals = signals.reset_coords(own)
        store = self._opened()
        known = store.kept(series) if series in store.names() else ()
        store.create(series, signals, _CAPACITY)
        refs = store.append(series, max(known, default=-1) + 1, signals)
        return {ref.array.partition("/")[2]: datum_document(self._uid, ref) for ref in refs}

    def _opened(self) -> SignalStore:
        if self._store is None:
            made = self.path.exists()
            self._store = (
                SignalStore(self.path, write=True) if made else SignalStore.make(self.path)
            )
        return self._store
