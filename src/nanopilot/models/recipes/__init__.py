"""Recipes: what a shipped network is, what it is shown, and what it is told off for."""
