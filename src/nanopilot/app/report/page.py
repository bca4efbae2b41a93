"""The page: one HTML file that needs nothing else, no script and no network."""

from __future__ import annotations

import html
from importlib import resources
from string import Template

from nanopilot.app.report.again import resume_again, run_again, verify_again
from nanopilot.app.report.data import ReportData
from nanopilot.app.report.drawing import to_svg
from nanopilot.app.report.escaping import escape
from nanopilot.app.report.facts import facts_lists
from nanopilot.app.report.sections import Section
from nanopilot.app.report.tables import best_table, incidents_table
from nanopilot.app.report.tiles import tiles
from nanopilot.app.report.words import caution, headline


def page(data: ReportData, parts: tuple[Section, ...]) -> str:
    """Return the whole report as HTML."""
    here = resources.files("nanopilot.app.report")
    template = Template((here / "page.html").read_text(encoding="utf-8"))
    return template.substitute(
        style=(here / "style.css").read_text(encoding="utf-8"),
        title=escape(f"{data.goal.superlative} {data.goal.words} · {data.record.id}"),
        heading=escape(f"Looking for the {data.goal.superlative} {data.goal.words}"),
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
        facts=facts_lists(data),
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
    shown = f" class='{kind}'" if kind else ""
    return f"<p{shown}>{escape(text)}</p>" if text else ""


def _section(part: Section) -> str:
    if not part.panels:
        why = " ".join(f"{caption.about} {caption.text}".strip() for caption in part.captions)
        return f"<section><h2>{escape(part.title)}</h2>{_paragraph(why, 'missing')}</section>"
    words = "".join(
        f"<p><b>{escape(caption.about)}</b> {escape(caption.text)}</p>" for caption in part.captions
    )
    drawn = "".join(f"<div class='panel'>{to_svg(panel)}</div>" for panel in part.panels)
    shape = "single" if len(part.panels) == 1 else "three" if part.columns == 3 else "two"
    return (
        f"<section><h2>{escape(part.title)}</h2><figure class='{shape}'>"
        f"<div class='panels'>{drawn}</div><figcaption>{words}</figcaption></figure></section>"
    )


def _again(data: ReportData) -> str:
    again = run_again(data)
    how = "The instrument of this run cannot be connected by name, so no command repeats it."
    if again and _kind(data) in ("replay", "twin"):
        how = "The same settings, seed and versions give the same run, bit for bit:"
    elif again:
        how = (
            "This asks for the same again; what an instrument measures will not be the same twice:"
        )
    check = "This checks every row of the journal and every stored signal against their hashes:"
    resume = "This goes on where the run was interrupted:"
    return (
        (_paragraph(resume) + _command(resume_again(data))) * (not data.finished)
        + _paragraph(how)
        + _command(again)
        + _paragraph(check)
        + _command(verify_again(data))
    )


def _kind(data: ReportData) -> str:
    return str(data.plan.instrument.get("kind", "")) if data.plan else ""


def _command(text: str) -> str:
    """Return a command whose lines break between words, never inside an option."""
    words = " ".join(f"<span>{html.escape(word)}</span>" for word in text.split(" "))
    return f"<pre>{words}</pre>" if text else ""
