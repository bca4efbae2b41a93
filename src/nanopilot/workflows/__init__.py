"""The engine, and one file per named experiment."""
