"""Files: readers of what others recorded, and the store of our own runs."""

from nanopilot.io.catalogue import RunSummary, find_run, list_runs
from nanopilot.io.chain import ChainFault
from nanopilot.io.durable import Durability
from nanopilot.io.history import Recovered, load_history
from nanopilot.io.journal import Journal, Row
from nanopilot.io.run_folder import RunFolder, RunRecord
from nanopilot.io.signal_store import SignalStore
from nanopilot.io.verify import Verdict, references, verify

__all__ = [
    "ChainFault",
    "Durability",
    "Journal",
    "Recovered",
    "Row",
    "RunFolder",
    "RunRecord",
    "RunSummary",
    "SignalStore",
    "Verdict",
    "find_run",
    "list_runs",
    "load_history",
    "references",
    "verify",
]
