"""One file per track."""
