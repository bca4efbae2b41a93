"""The tables of the capability reference, made from the code."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nanopilot.core.adjustables import STANDARD
from nanopilot.core.capabilities import MEASURING
from nanopilot.core.requests import SetRequest
from nanopilot.testing import CONTRACTS, AdjustableTests, rules_of
from nanopilot.testing.frames import CHANNEL_KEYS, FRAME_KEYS
from nanopilot.testing.measuring import MeasuringTests


def tables() -> dict[str, str]:
    """Return every table of the page, by what it shows."""
    found = {"capabilities": _capabilities(), "standard parameters": _standard()}
    found["frame metadata"] = _table(
        ("of", "keys"),
        [("the frame", _code(FRAME_KEYS)), ("each channel", _code(CHANNEL_KEYS))],
    )
    found["rules of everything that measures"] = _rules(MeasuringTests)
    found["rules of everything that is adjusted"] = _rules(AdjustableTests)
    for name, contract in CONTRACTS.items():
        own = set(rules_of(contract)) - _shared(contract)
        if own:
            found[f"rules of {name}"] = _rules(contract, own)
    return found


def _shared(contract: type) -> set[str]:
    bases = (MeasuringTests, AdjustableTests)
    return {name for base in bases if issubclass(contract, base) for name in rules_of(base)}


def _capabilities() -> str:
    rows = []
    for name in CONTRACTS:
        if name in MEASURING:
            request = MEASURING[name][1]
            rows.append((f"`{name}`", f"`{request.__name__}`", _code(request.model_fields)))
        elif name != "Instrument":
            given = STANDARD.get(name)
            names = _code(given) if given else "what its detectors have"
            rows.append((f"`{name}`", f"`{SetRequest.__name__}`", names))
    return _table(("capability", "is asked with", "of"), rows)


def _standard() -> str:
    rows = [
        (f"`{capability}.{name}`", f"`{unit}`" if unit else "as declared")
        for capability, names in STANDARD.items()
        for name, unit in names.items()
    ]
    return _table(("parameter", "unit"), rows)


def _rules(contract: type, names: Iterable[str] | None = None) -> str:
    rules = rules_of(contract)
    chosen = sorted(rules if names is None else names)
    return _table(("rule", "demands"), [(f"`{name}`", rules[name].sentence) for name in chosen])


def _code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
