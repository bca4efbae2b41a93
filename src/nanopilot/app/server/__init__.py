"""An instrument served over HTTP, to any number of clients and one commander at a time."""

from nanopilot.app.server.roles import Keys, Role
from nanopilot.app.server.serving import InstrumentServer
from nanopilot.app.server.settings import ServerSettings

__all__ = ["InstrumentServer", "Keys", "Role", "ServerSettings"]
