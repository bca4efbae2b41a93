"""What people touch: the Python calls, the command line, the report."""
