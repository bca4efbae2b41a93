"""Vendors' own protocols in front of any instrument, so that existing scripts drive it."""
