"""Linear algebra on one thread: the same bits on any machine, and no waiting for a busy core."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from threadpoolctl import ThreadpoolController


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep matrix products and factorisations on the calling thread.

    How a product is dealt out to threads depends on the number of cores and decides its
    last bits; a run resumed elsewhere has to decide as before. The matrices of one decision
    are small, and threads that spin for a core another process holds cost far more than
    they save.

    Examples
    --------
    >>> with one_thread():
    ...     pass
    """
    with _controller().limit(limits=1, user_api="blas"):
        yield


@cache
def _controller() -> ThreadpoolController:
    # Looking for the loaded libraries takes milliseconds; it is done once.
    return ThreadpoolController()
