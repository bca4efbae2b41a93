"""The Nanonis TCP protocol in front of any guarded instrument."""

from nanopilot.app.facades.nanonis.server import NanonisFacade

__all__ = ["NanonisFacade"]
