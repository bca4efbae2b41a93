"""The page: one HTML file that needs nothing else, no script and no network."""

from __future__ import annotations

from html import escape
from importlib import resources
from string import Template

from nanopilot.app.report.again import run_again, verify_again
from nanopilot.app.report.data import ReportData
from nanopilot.app.report.drawing import to_svg
from nanopilot.app.report.sections import Section
from nanopilot.app.report.tables import best_table, facts_table, incidents_table
from nanopilot.app.report.words import caution, headline, tiles


def page(data: ReportData, parts: tuple[Section, ...]) -> str:
    """Return the whole report as HTML."""
    here = resources.files("nanopilot.app.report")
    template = Template((here / "page.html").read_text(encoding="utf-8"))
    return template.substitute(
        style=(here / "style.css").read_text(encoding="utf-8"),
        title=escape(f"{data.goal.superlative} {data.goal.words} · {data.record.id}"),
        heading=escape(f"The {data.goal.superlative} {data.goal.words}"),
        workflow=escape(data.record.workflow),
        run=escape(data.record.id),
        created=escape(data.record.created.replace("T", " ").replace("+00:00", " UTC")),
        status=_status(data),
        headline="".join(_sentence(text) for text in headline(data)),
        caution=_paragraph(caution(data), "caution"),
        tiles="".join(
            f"<div><dt>{escape(t.label)}</dt><dd>{escape(t.value)}</dd>"
            f"<dd class='more'>{escape(t.more)}</dd></div>"
            for t in tiles(data)
        ),
        sections="".join(_section(part) for part in parts),
        best=best_table(data),
        incidents=incidents_table(data),
        facts=facts_table(data),
        again=_again(data),
        
    )


def _status(data: ReportData) -> str:
    if data.finished:
        return "<span class='status'>complete</span>"
    return "<span class='status open'>unfinished</span>"


def _sentence(text: str) -> str:
    """Return a sentence with its first words, up to the colon or question mark, in bold."""
    cut = min((place for mark in ":?" if (place := text.find(mark)) > 0), default=-1) + 1
    return f"<p><b>{escape(text[:cut])}</b>{escape(text[cut:])}</p>"


def _paragraph(text: str, kind: str = "") -> str:
    return f"<p class='{kind}'>{escape(text)}</p>" if text else ""


def _section(part: Section) -> str:
    words = "".join(_paragraph(text) for text in part.captions)
    if not part.panels:
        return f"<section><h2>{escape(part.title)}</h2><p class='missing'>{words[12:]}</section>"
    drawn = "".join(f"<div class='panel'>{to_svg(panel)}</div>" for panel in part.panels)
    shape = "single" if len(part.panels) == 1 else "three" if part.columns == 3 else "two"
    return (
        f"<section><h2>{escape(part.title)}</h2><figure class='{shape}'>"
        f"<div class='panels'>{drawn}</div><figcaption>{words}</figcaption></figure></section>"
    )


def _again(data: ReportData) -> str:
    again = run_again(data)
    how = (
        _paragraph("The same settings, seed and versions give the same run, bit for bit:")
        + f"<pre>{escape(again)}</pre>"
        if again
        else _paragraph(
            "The instrument of this run cannot be connected by name, so no command repeats it."
        )
    )
    check = "This checks every row of the journal and every stored signal against their hashes:"
    resume = ""
    if not data.finished:
        resume = _paragraph("This goes on where the run was interrupted:")
        resume += f"<pre>nanopilot resume {escape(data.record.id)}</pre>"
    return f"{resume}{how}{_paragraph(check)}<pre>{escape(verify_again(data))}</pre>"
