"""`nanopilot serve`: an instrument for other processes, and for existing clients of vendors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from nanopilot.app.serve import Addresses


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("serve")(serve)


Pairs = Annotated[
    list[str] | None,
    typer.Option("--option", help="What the instrument needs, as NAME=VALUE (JSON)."),
]
Sample = Annotated[str | None, typer.Option(help="File, or a recording by name, for a replay.")]
HouseFile = Annotated[
    Path | None, typer.Option(help="JSON file of limits, budgets and interlocks of the facility.")
]
LimitsFile = Annotated[
    Path | None, typer.Option(help="JSON file of limits the guard holds everybody to.")
]
Host = Annotated[str, typer.Option(help="Address; others than loopback need TLS.")]
Port = Annotated[int, typer.Option(help="0: any that is free.", min=0, max=65_535)]
Names = Annotated[
    list[str] | None, typer.Option(help="A further host name clients may call it by.")
]
TokenFile = Annotated[
    Path | None, typer.Option(help="Tokens of the roles, kept from one start to the next.")
]
Certificate = Annotated[Path | None, typer.Option(help="Certificate, PEM.")]
Key = Annotated[Path | None, typer.Option(help="Its key, PEM.")]
Runs = Annotated[Path | None, typer.Option(help="Where to keep the journal.")]
Facade = Annotated[
    int | None,
    typer.Option(
        help="Port for clients of this vendor, served as well; 0: any.", min=0, max=65_535
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the addresses as JSON.")]


def serve(
    instrument: Annotated[str, typer.Argument(help="Name of the instrument, such as 'plain'.")],
    sample: Sample = None,
    options: Pairs = None,
    limits: LimitsFile = None,
    house: HouseFile = None,
    host: Host = "127.0.0.1",
    port: Port = 0,
    name: Names = None,
    token_file: TokenFile = None,
    tls_cert: Certificate = None,
    tls_key: Key = None,
    runs: Runs = None,
    nanonis: Facade = None,
    temscript: Facade = None,
    as_json: AsJson = False,
) -> None:
    """Serve an instrument until stopped with Ctrl-C; then it is made safe."""
    from nanopilot.app import session
    from nanopilot.app.cli.start import assignments, read_house, read_limits
    from nanopilot.app.serve import Wanted, run_server
    from nanopilot.app.server import ServerSettings
    from nanopilot.core.requests import from_outside

    listen = {"host": host, "port": port, "tls_cert": tls_cert, "tls_key": tls_key}
    settings = from_outside(ServerSettings, names=tuple(name or ()), **listen)
    needs = assignments(options or []) | ({} if sample is None else {"sample": sample})
    asked = {"nanonis": nanonis, "temscript": temscript}
    facades = {kind: number for kind, number in asked.items() if number is not None}
    wanted = Wanted(settings, runs or session.runs_root(), token_file, facades)
    needs |= {} if house is None else {"house": read_house(house)}
    with session.connect(instrument, limits=read_limits(limits), **needs) as scope:
        run_server(scope, wanted, ready=lambda found: _print(found, as_json=as_json))


def _print(addresses: Addresses, *, as_json: bool) -> None:
    if as_json:
        typer.echo(addresses.model_dump_json())
        return
    typer.echo(
        f"{addresses.instrument} at {addresses.url}  token {addresses.token} (operator; those of "
        f"all roles are in {addresses.tokens})  journal {addresses.journal}"
    )
    for kind, port in addresses.facades.items():
        typer.echo(f"{kind} clients: 127.0.0.1 port {port}")
