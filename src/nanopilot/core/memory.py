"""What a twin has become: what was done to its sample and to itself, for the record of a run.

A real instrument keeps its state while a run is dead. A twin dies with the process, so that its
run has to keep it: everything that one newly made, of the same name with the same options, would
not know.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

#: Kinds of numbers that a layer may hold, as `numpy.dtype.kind`.
_KINDS = "biufc"


@dataclass(frozen=True, slots=True, eq=False)
class Memory:
    """All of a twin that a newly made one does not know.

    Parameters
    ----------
    facts : mapping of str to JSON
        What is small: settings, places, times, counts. Of a list that only grows, a run keeps
        what it grew by; what is in a list is a value and never changed in place.
    layers : mapping of str to numpy.ndarray
        What is large, as it is now, any shape: a map of the polarisation, of the dose. They are
        not copied. A run keeps the places where they have changed; it does not look again at an
        array that is read-only (`numpy.ndarray.setflags`) and the same as before.
    made : mapping of str to numpy.ndarray
        Layers as they were when the twin was made, and are made again from the same options; one
        that is not here began as zeros.

    Examples
    --------
    A twin with a dose map and a stage needs no more than this:

    >>> dose = np.zeros((4, 4))
    >>> memory = Memory({"stage": [1e-6, 0.0]}, {"dose": dose})
    >>> sorted(memory.layers)
    ['dose']
    """

    facts: Mapping[str, Any] = field(default_factory=dict)
    layers: Mapping[str, Array] = field(default_factory=dict)
    made: Mapping[str, Array] = field(default_factory=dict)


def numbers_of(layer: Array) -> Array:
    """Return a layer as whole numbers of the same bits, shape (n,): NaN equals itself there.

    Raises
    ------
    TypeError
        It holds no numbers.
    """
    if layer.dtype.kind not in _KINDS or layer.dtype.itemsize not in (1, 2, 4, 8, 16):
        raise TypeError(f"`layers` may hold numbers of up to 16 bytes, not {layer.dtype}.")
    flat = np.ascontiguousarray(layer).reshape(-1)
    if flat.dtype.byteorder == ">":
        flat = flat.astype(flat.dtype.newbyteorder("<"))
    return flat.view(f"<u{min(layer.dtype.itemsize, 8)}")
