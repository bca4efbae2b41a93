"""Signals, requests, capabilities, limits, events, clocks, errors and the registry."""
