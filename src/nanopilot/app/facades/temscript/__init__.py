"""A guarded instrument as a temscript server: existing temscript scripts drive it unchanged."""

from nanopilot.app.facades.temscript.server import TemscriptFacade

__all__ = ["TemscriptFacade"]
