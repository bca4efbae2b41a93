"""`nanopilot conform`: whether an instrument keeps the contract."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

    from nanopilot.app.contract_finding import Finding


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("conform")(conform)


def conform(
    instrument: Annotated[str, typer.Argument(help="Name of the instrument, or its address.")],
    option: Annotated[
        list[str] | None, typer.Option(help="What the instrument needs, as NAME=VALUE (JSON).")
    ] = None,
    sample: Annotated[str | None, typer.Option(help="File, or a recording by name.")] = None,
    only: Annotated[
        list[str] | None, typer.Option(help="A capability, or 'Instrument'; repeatable.")
    ] = None,
    rule: Annotated[list[str] | None, typer.Option(help="A rule by name; repeatable.")] = None,
    limits: Annotated[
        Path | None, typer.Option(help="JSON file of limits the guard holds the rules to.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Try every rule of the contract on an instrument; exit code 1 if any fails.

    The instrument is moved and measured with, by little, and put back.
    """
    from nanopilot.app import session
    from nanopilot.app.cli.start import assignments, read_limits
    from nanopilot.app.conform import conform as try_rules

    options: dict[str, Any] = assignments(option or [])
    if sample is not None:
        options["sample"] = sample
    scope = session.connect(instrument, limits=read_limits(limits), **options)
    try:
        with _progress() as show:
            found = try_rules(scope, only=only or (), rules=rule or (), show=show)
    finally:
        close = getattr(scope, "close", None)
        if close is not None:
            close()
    if as_json:
        rows = [finding.to_dict() for finding in found]
        typer.echo(json.dumps({"instrument": scope.name, "ok": _ok(found), "rules": rows}))
    else:
        _print(scope.name, found, scope.describe().notice)
    raise typer.Exit(0 if _ok(found) else 1)


def _ok(found: Sequence[Finding]) -> bool:
    verdicts = Counter(finding.verdict for finding in found)
    return verdicts["passed"] > 0 and not verdicts["failed"]


def _print(name: str, found: Sequence[Finding], notice: str) -> None:
    from nanopilot.app.cli.columns import columns

    rows = [("capability", "rule", "verdict", "reason")]
    for one in found:
        why = one.reason if one.verdict != "failed" else f"{one.reason} (Rule: {one.sentence})"
        verdict = "FAILED" if one.verdict == "failed" else one.verdict
        rows.append((one.capability, one.rule, verdict, why))
    for line in columns(rows):
        typer.echo(line)
    verdicts = Counter(finding.verdict for finding in found)
    if notice:
        typer.echo(f"notice: {notice}")
    typer.echo(
        f"{name}: {verdicts['passed']} passed, {verdicts['failed']} failed, "
        f"{verdicts['not applicable']} not applicable"
    )


@contextmanager
def _progress() -> Iterator[Callable[[int, int, str], None]]:
    """Give the function that shows which rule is being tried."""
    from nanopilot.app.cli.printing import track_progress

    with track_progress() as show:
        yield show
