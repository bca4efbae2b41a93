"""The command line: `nanopilot --help`."""

from nanopilot.app.cli.main import main

__all__ = ["main"]
