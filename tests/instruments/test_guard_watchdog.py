"""The watchdog bites when nobody is heard, and not because its own process was held up."""

import threading
import time
from typing import Any

import pytest

from nanopilot.instruments.guard.watchdog import Watchdog


def until(event: threading.Event, seconds: float = 5.0) -> bool:
    return event.wait(seconds)


def test_it_bites_once_who_is_silent() -> None:
    bitten = threading.Event()
    end = time.monotonic() + 0.1
    dog = Watchdog(lambda: max(0.0, end - time.monotonic()), bitten.set)
    assert until(bitten)
    dog.dismiss()


def test_signs_of_life_that_waited_are_read_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the process is held up nobody is heard; who spoke meanwhile keeps the instrument."""
    clock = {"skip": 0.0}
    real = time.monotonic
    monkeypatch.setattr(
        "nanopilot.instruments.guard.watchdog.time.monotonic", lambda: real() + clock["skip"]
    )
    heard = {"until": real() + 0.3}
    bitten, chances = threading.Event(), threading.Event()

    def left() -> float:
        now = real() + clock["skip"]
        if clock["skip"] and now > heard["until"]:
            chances.set()
        return max(0.0, heard["until"] - now)

    dog = Watchdog(left, bitten.set)
    time.sleep(0.1)
    clock["skip"] = 10.0  # the process did not run for ten seconds
    assert until(chances)
    heard["until"] = real() + clock["skip"] + 60.0  # what had been sent is read now
    assert not bitten.wait(1.5)
    dog.dismiss()


def test_after_its_chance_the_silent_one_is_bitten(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = {"skip": 0.0}
    real = time.monotonic
    monkeypatch.setattr(
        "nanopilot.instruments.guard.watchdog.time.monotonic", lambda: real() + clock["skip"]
    )
    end = real() + 0.3
    bitten = threading.Event()
    dog = Watchdog(lambda: max(0.0, end - real() - clock["skip"]), bitten.set)
    time.sleep(0.1)
    clock["skip"] = 10.0
    began = real()
    assert until(bitten)
    assert real() - began > 0.3
    dog.dismiss()


def test_a_lease_that_is_over_ends_it() -> None:
    def bite() -> Any:
        raise AssertionError("nobody is to be bitten")

    dog = Watchdog(lambda: float("inf"), bite)
    dog.dismiss()
