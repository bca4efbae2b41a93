"""README and docs do what they say: their code blocks run, in order, in an empty folder.

A ``python`` block is executed; the blocks of one document share their names. In a ``console``
block the lines ``$ nanopilot ...`` are executed and must exit with 0, or with N where the line
before says ``# expect exit N``. ``make``, ``git``, ``pip`` and ``cd`` are for the reader. A block
that is only to be looked at is written as a directive: ``{code-block} python``.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
MADE = (ROOT / "docs" / "_build", ROOT / "docs" / "reference" / "rooms")
FOR_THE_READER = {"cd", "git", "make", "pip"}
SECONDS = 300


class Block(NamedTuple):
    """A fenced block: its language, its text, and the line its text starts on."""

    language: str
    text: str
    line: int


def documents() -> list[Path]:
    """List the documents whose blocks run."""
    docs = (path for path in ROOT.glob("docs/**/*.md") if not set(MADE) & set(path.parents))
    return [ROOT / "README.md", *sorted(docs)]


def blocks(markdown: str) -> list[Block]:
    """Return the fenced blocks of a document that are to be run."""
    fences = (token for token in MarkdownIt().parse(markdown) if token.type == "fence")
    return [
        Block(fence.info.strip(), fence.content, fence.map[0] + 2)
        for fence in fences
        if fence.map and fence.info.strip() in {"python", "console"}
    ]


def commands(console: str) -> Iterator[tuple[str, int]]:
    """Yield the nanopilot commands of a console block, each with the exit code it must have."""
    expected = 0
    for line in console.replace("\\\n", " ").splitlines():
        if said := re.fullmatch(r"# expect exit (\d+)", line.strip()):
            expected = int(said[1])
        elif line.startswith("$ "):
            command = line.removeprefix("$ ")
            program = command.split()[0]
            if program == "nanopilot":
                yield command, expected
            elif program not in FOR_THE_READER:
                raise AssertionError(
                    f"`{program}` is not run; write {{code-block}} console instead"
                )
            expected = 0


def run_console(block: Block, folder: Path) -> None:
    """Run the commands of a console block with this environment's own nanopilot."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    environment = os.environ | {"PATH": path, "MPLBACKEND": "agg", "NO_COLOR": "1"}
    for command, expected in commands(block.text):
        done = subprocess.run(
            command, shell=True, cwd=folder, env=environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=SECONDS, check=False,
        )  # fmt: skip
        said = f"$ {command}\n{done.stdout}{done.stderr}"
        assert done.returncode == expected, f"exit {done.returncode}, not {expected}\n{said}"


def run_document(markdown: str, name: str, folder: Path) -> None:
    """Run every block of a document in order; a traceback points at its line."""
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks(markdown):
        if block.language == "console":
            run_console(block, folder)
        else:
            source = "\n" * (block.line - 1) + block.text
            exec(compile(source, name, "exec"), names)


@pytest.mark.parametrize("path", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_block_of_a_document_runs(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run_document(path.read_text(encoding="utf-8"), str(path), tmp_path)


def test_a_failing_python_block_points_at_its_line(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError) as failure:
        run_document("text\n\n```python\na = 0\n1 / a\n```\n", "page.md", tmp_path)
    where = failure.traceback[-1]
    assert (str(where.path), where.lineno + 1) == ("page.md", 5)


def test_a_wrong_exit_code_fails(tmp_path: Path) -> None:
    console = "$ nanopilot no-such-command\n"
    with pytest.raises(AssertionError, match="exit 2, not 0"):
        run_document(f"```console\n{console}```\n", "page.md", tmp_path)
    run_document(f"```console\n# expect exit 2\n{console}```\n", "page.md", tmp_path)


def test_only_nanopilot_runs_and_no_command_is_passed_over_in_silence() -> None:
    said = "$ git clone URL\n$ nanopilot run \\\n  discover\noutput\n$ nanopilot runs\n"
    assert [command for command, _ in commands(said)] == [
        "nanopilot run    discover",
        "nanopilot runs",
    ]
    with pytest.raises(AssertionError, match="`curl` is not run"):
        list(commands("$ curl host\n"))
