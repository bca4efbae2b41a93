"""`nanopilot run` and `nanopilot resume`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

if TYPE_CHECKING:
    from nanopilot.core.house import HouseRules
    from nanopilot.core.limits import Limits
    from nanopilot.core.values import Value

ValueT = TypeVar("ValueT", bound="Value")
Assignments = Annotated[
    list[str] | None, typer.Option("--set", help="Any further setting, as NAME=VALUE (JSON).")
]
Sample = Annotated[
    str | None, typer.Option(help="What it looks at; for a recording 'beps-pto', or a file.")
]
Units = Annotated[list[str] | None, typer.Option(help="NAME=UNIT for what the file does not tell.")]
Missing = Annotated[str, typer.Option(help="NaN in the file: 'refuse', or 'keep' as not recorded.")]
LimitsFile = Annotated[
    Path | None, typer.Option(help="JSON file of limits the guard holds the run to.")
]
HouseFile = Annotated[
    Path | None, typer.Option(help="JSON file of limits, budgets and interlocks of the facility.")
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Check it and tell what it costs; measure nothing.")
]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("run")(run)
    app.command("resume")(resume)


def run(
    workflow: Annotated[str, typer.Argument(help="Name of the workflow, such as 'discover'.")],
    instrument: Annotated[str, typer.Option(help="Name of the instrument.")] = "replay",
    sample: Sample = None,
    option: Annotated[list[str] | None, typer.Option(help="NAME=VALUE for the instrument.")] = None,
    reward: Annotated[str, typer.Option(help="What is looked for.")] = "loop-area",
    policy: Annotated[str, typer.Option(help="How the next place is chosen.")] = "ucb",
    budget: Annotated[float, typer.Option(help="Fraction of the sites that is measured.")] = 0.1,
    seed: Annotated[int, typer.Option(help="Decides every draw of the run.")] = 0,
    folder: Annotated[Path | None, typer.Option(help="Where to keep the run.")] = None,
    units: Units = None,
    missing: Missing = "refuse",
    limits: LimitsFile = None,
    house: HouseFile = None,
    settings: Assignments = None,
    dry_run: DryRun = False,
    report: Annotated[bool, typer.Option(help="Write the report at the end.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Carry out a workflow on an instrument."""
    from nanopilot.app import session
    from nanopilot.app.cli.printing import print_estimate, print_summary

    asked: dict[str, Any] = {"reward": reward, "policy": policy, "budget": budget, "seed": seed}
    asked |= assignments(settings or [])
    found = {"sample": sample, "units": units, "missing": missing}
    options = assignments(option or []) | of_recordings(instrument, found)
    options |= {} if house is None else {"house": read_house(house)}
    scope = session.connect(instrument, limits=read_limits(limits), **options)
    if dry_run:
        print_estimate(session.rehearse(workflow, scope, **asked), as_json=as_json)
        return
    done = session.run(workflow, scope, folder=folder, progress=True, **asked)
    print_summary(done, report=done.report() if report else None, as_json=as_json)


def resume(
    which: Annotated[str, typer.Argument(metavar="RUN", help="Folder or name of the run.")],
    root: Annotated[Path | None, typer.Option(help="Folder of all runs.")] = None,
    report: Annotated[bool, typer.Option(help="Write the report at the end.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Go on with an interrupted run, with the decisions it would have taken."""
    from nanopilot.app import session
    from nanopilot.app.cli.printing import print_summary

    done = session.open_run(which, root)
    if not done.resume(progress=True):
        typer.echo(f"{done.path}: complete already, nothing to resume", err=True)
    print_summary(done, report=done.report() if report else None, as_json=as_json)


def of_recordings(instrument: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that have a name of their own on the command line, where they matter."""
    options: dict[str, Any] = {}
    if asked["sample"] or instrument == "replay":
        options["sample"] = asked["sample"] or "beps-pto"
    if asked["units"]:
        options["units"] = assignments(asked["units"], plain=True)
    if asked["missing"] != "refuse":
        options["missing"] = asked["missing"]
    return options


def read_limits(path: Path | None) -> Limits | None:
    """Return the limits in a JSON file, such as ``{"bias": {"low": -5, "high": 5, "unit": "V"}}``.

    Raises
    ------
    InvalidRequest
        The file cannot be read, or says something else.
    """
    from nanopilot.core.limits import Limits

    return None if path is None else _read(Limits, "limits", path)


def read_house(path: Path | None) -> HouseRules | None:
    """Return the house rules in a JSON file: ``limits``, ``budget`` and ``interlocks``.

    Raises
    ------
    InvalidRequest
        The file cannot be read, or says something else.
    """
    from nanopilot.core.house import HouseRules

    return None if path is None else _read(HouseRules, "house", path)


def _read(kind: type[ValueT], option: str, path: Path) -> ValueT:
    from nanopilot.core.errors import InvalidRequest
    from nanopilot.core.requests import from_outside

    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError) as cause:
        raise InvalidRequest(f"`{option}`: {path} cannot be read as JSON: {cause}.") from cause
    if not isinstance(found, dict):
        raise InvalidRequest(f"`{option}`: {path} holds no JSON object.")
    return from_outside(kind, **found)


def assignments(texts: list[str], *, plain: bool = False) -> dict[str, Any]:
    """Return NAME=VALUE texts as a mapping; values are JSON where they parse as such."""
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise typer.BadParameter(f"{text!r} is not NAME=VALUE")
        try:
            found[name] = value if plain else json.loads(value)
        except json.JSONDecodeError:
            found[name] = value
    return found
