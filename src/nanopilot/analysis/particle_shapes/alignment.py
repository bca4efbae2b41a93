"""Labels of the same things by two sorters: which of one is which of the other."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

IntArray = np.ndarray[Any, np.dtype[np.int64]]


def align_labels(new: IntArray, old: IntArray) -> dict[int, int]:
    """Return for each label of the new sorting the one of the old that it continues.

    Things are compared by identity: entry i of both is the same thing. Labels are paired one to
    one so that most things keep theirs (H. W. Kuhn, Nav. Res. Logist. Q. 2 (1955) 83). A label that
    continues none is left out; so are pairs that share nothing. Negative labels are no classes.

    Parameters
    ----------
    new, old : numpy.ndarray
        Shape (n,); numbers of labels may differ.

    Examples
    --------
    >>> align_labels(np.array([0, 0, 1, 2]), np.array([7, 7, 3, 3]))
    {0: 7, 1: 3}
    """
    both = (new >= 0) & (old >= 0)
    names, index = np.unique(new[both], return_inverse=True)
    known, at = np.unique(old[both], return_inverse=True)
    if not names.size:
        return {}
    joint = np.zeros((len(names), len(known)))
    np.add.at(joint, (index, at), 1.0)
    rows, columns = linear_sum_assignment(-joint)
    return {
        int(names[row]): int(known[column])
        for row, column in zip(rows, columns, strict=True)
        if joint[row, column] > 0
    }


def relabelled(labels: IntArray, names: dict[int, int]) -> IntArray:
    """Return labels under other names; negative ones, and those without a name, are -1.

    Parameters
    ----------
    labels : numpy.ndarray
        Shape (n,).
    names : dict of int to int
        As of `align_labels`.
    """
    return np.array([names.get(int(one), -1) for one in labels], dtype=np.int64)
