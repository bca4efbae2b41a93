"""Does an instrument keep the contract? Every rule that applies to it, tried by pytest."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from uuid import uuid4

from nanopilot.app.contract_finding import Finding
from nanopilot.core.errors import MissingExtra, UnknownName
from nanopilot.instruments import Guard

#: The rules live in `nanopilot.testing`, which nothing that runs may import: pytest does.
_MODULE = """
from nanopilot.testing import CONTRACTS

for _name in {names!r}:
    globals()["Test" + _name] = type("Test" + _name, (CONTRACTS[_name],), {{}})
"""

_OPTIONS = (
    "--capture=no",
    "--disable-plugin-autoload",
    "--import-mode=importlib",
    "-p",
    "no:cacheprovider",
    "-p",
    "no:terminal",
)


def conform(
    scope: Guard,
    *,
    only: Sequence[str] = (),
    rules: Sequence[str] = (),
    show: Callable[[int, int, str], None] = lambda done, total, text: None,
) -> tuple[Finding, ...]:
    """Put an instrument through every rule that applies to it.

    It is moved and measured with, by little and inside what it declares, and put back: a stage
    is moved with the tip retracted, weak pulses are written.

    Parameters
    ----------
    scope : Guard
        The guarded instrument.
    only : sequence of str
        Capabilities to look at, or ``"Instrument"``; empty: all it has.
    rules : sequence of str
        Names of rules to try; empty: all.
    show : callable
        Told after each rule how many of how many are done, and which is next.

    Returns
    -------
    tuple of Finding
        One for each rule, in the order of the capabilities.

    Raises
    ------
    MissingExtra
        pytest is not installed.
    UnknownName
        `only` names a capability the instrument does not have, or `rules` a rule it is not
        held to.
    """
    try:
        import pytest
    except ModuleNotFoundError as cause:
        raise MissingExtra("the rules need the package 'pytest': pip install pytest.") from cause
    from nanopilot.app.contract_plugin import ContractPlugin

    has = ("Instrument", *scope.describe().capabilities)
    for name in only:
        if name not in has:
            raise UnknownName("only", name, has)
    plugin = ContractPlugin(scope, show, rules)
    with tempfile.TemporaryDirectory(prefix="nanopilot-conform-") as folder:
        # A name of its own each time: pytest would take a module of the same name as loaded.
        module = Path(folder) / f"test_contract_{uuid4().hex}.py"
        module.write_text(_MODULE.format(names=tuple(only) or has), encoding="utf-8")
        (Path(folder) / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
        options = [*_OPTIONS, f"--rootdir={folder}", f"--config-file={folder}/pytest.ini"]
        code = pytest.main([*options, str(module)], plugins=[plugin])
        sys.modules.pop(module.stem, None)
    unknown = [name for name in rules if name not in plugin.known]
    if unknown:
        raise UnknownName("rules", unknown[0], plugin.known)
    plugin.close(int(code))
    return tuple(plugin.findings)
