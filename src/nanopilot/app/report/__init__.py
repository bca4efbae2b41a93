"""The report of a run: one HTML file, and its figures for slides."""

from __future__ import annotations

from pathlib import Path

__all__ = ["write_report"]


def write_report(folder: Path, path: Path | None = None) -> Path:
    """Write the report of a run, finished or not, and return where it is.

    The figures are written to ``figures`` in the run folder too, as PNG with 300 dots per
    inch.

    Parameters
    ----------
    folder : Path
        Of the run.
    path : Path, optional
        Of the HTML file; ``report.html`` in the run folder when not given.

    Raises
    ------
    StoreError
        The folder holds no run, or the report cannot be written.
    Tampered
        The run was altered since it was made.
    """
    # matplotlib takes a second to load, and most commands never draw.
    from nanopilot.app.report.drawing import to_png
    from nanopilot.app.report.gather import gather
    from nanopilot.app.report.page import page
    from nanopilot.app.report.sections import sections
    from nanopilot.io.durable import store_errors

    folder = Path(folder)
    path = folder / "report.html" if path is None else Path(path)
    data = gather(folder)
    parts = sections(data)
    html = page(data, parts)
    with store_errors("the report", path):
        figures = folder / "figures"
        figures.mkdir(exist_ok=True)
        for part in parts:
            if part.panels:
                to_png(part.panels, part.columns, figures / f"{part.name}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(html, encoding="utf-8")
    return path
