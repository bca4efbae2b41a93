"""The program: its commands, and how it says that something is wrong.

Bad input gets one line that names the thing and the way out, and exit code 2.
"""

from __future__ import annotations

import sys
from typing import Any

import typer

from nanopilot.app.cli import (
    analyse,
    bench,
    conform,
    demo,
    doctor,
    export,
    models,
    patterns,
    runs,
    serve,
    start,
    twins,
)
from nanopilot.core.errors import NanopilotError

#: What typer raises for a bad command line. It brings its own copy of click in some versions
#: and uses the package in others, so the class is taken from where it is certain to be.
_CommandLineError: Any = typer.BadParameter.__mro__[2]

app = typer.Typer(
    name="nanopilot",
    help="Drive scanning probe and electron microscopes, and know what you know.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
start.add_to(app)
runs.add_to(app)
analyse.add_to(app)
export.add_to(app)
conform.add_to(app)
doctor.add_to(app)
serve.add_to(app)
demo.add_to(app)
app.add_typer(bench.app, name="bench")
app.add_typer(models.app, name="models")
app.add_typer(patterns.app, name="patterns")
app.add_typer(twins.app, name="twins")


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", help="Print the version and leave."),
) -> None:
    if version:
        from nanopilot import __version__

        typer.echo(__version__)
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main(arguments: list[str] | None = None) -> None:
    """Run the program and leave with its exit code."""
    try:
        code = app(arguments, standalone_mode=False)
    except NanopilotError as error:
        sys.exit(_complain(str(error)))
    except _CommandLineError as error:
        context = getattr(error, "ctx", None)
        way_out = f" See '{context.command_path} --help'." if context else ""
        sys.exit(_complain(error.format_message() + way_out))
    except (typer.Abort, KeyboardInterrupt):
        sys.exit(_interrupted())
    except BrokenPipeError:
        sys.exit(0)
    sys.exit(code if isinstance(code, int) else 0)


def _complain(message: str) -> int:
    sys.stderr.write("error: " + " ".join(message.split()) + "\n")
    return 2


def _interrupted() -> int:
    sys.stderr.write("stopped; 'nanopilot runs' lists what can be resumed\n")
    return 130
