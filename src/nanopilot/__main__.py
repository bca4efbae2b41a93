"""`python -m nanopilot` is `nanopilot`."""

from nanopilot.app.cli import main

main()
