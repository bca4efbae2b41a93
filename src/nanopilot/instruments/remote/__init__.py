"""The client of an instrument that another process serves."""

from nanopilot.instruments.remote.instrument import RemoteInstrument
from nanopilot.instruments.remote.scope import RemoteScope, connect_remote

__all__ = ["RemoteInstrument", "RemoteScope", "connect_remote"]
