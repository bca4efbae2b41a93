"""No module, class or function grows into a monster."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULE_LINES = 400
CLASS_LINES = 200
FUNCTION_LINES = 40
MODULES = sorted(
    path for top in ("src", "tests", "benchmarks", "docs") for path in ROOT.glob(f"{top}/**/*.py")
)
SOURCES = sorted(ROOT.glob("src/**/*.py"))

Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def name(path: Path) -> str:
    """Say which module a test is about."""
    return path.relative_to(ROOT).as_posix()


def lines_of(node: Definition) -> int:
    """Count the lines of a definition without its decorators and its own docstring."""
    assert node.end_lineno is not None
    lines = node.end_lineno - node.lineno + 1
    first = node.body[0]
    if ast.get_docstring(node) is not None:
        assert first.end_lineno is not None
        lines -= first.end_lineno - first.lineno + 1
    return lines


def too_long(source: str) -> Iterator[str]:
    """Name every class and function that is over its limit."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, Definition):
            limit = CLASS_LINES if isinstance(node, ast.ClassDef) else FUNCTION_LINES
            if lines_of(node) > limit:
                yield f"line {node.lineno}: `{node.name}` has {lines_of(node)} lines of {limit}"


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_module_is_not_too_long(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines < MODULE_LINES, f"{lines} lines: split it by concept"


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_functions_and_classes_fit_a_screen(path: Path) -> None:
    assert list(too_long(path.read_text(encoding="utf-8"))) == []


def test_a_long_function_is_named_and_a_long_docstring_is_not() -> None:
    body = "    x = 1\n" * FUNCTION_LINES
    docstring = '    """\n' + "    why\n" * FUNCTION_LINES + '    """\n'
    assert list(too_long(f"def short():\n{docstring}    return 1\n")) == []
    assert list(too_long(f"def long():\n{body}")) == ["line 1: `long` has 41 lines of 40"]
