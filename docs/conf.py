"""Configuration of Sphinx; see the Makefile's `docs` target."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version as version_of
from pathlib import Path
from pkgutil import iter_modules
from typing import TYPE_CHECKING

import nanopilot

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "nanopilot"
author = "The nanopilot developers"
copyright = f"2026, {author}"
version = release = version_of("nanopilot")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "numpydoc"]
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
exclude_patterns = ["_build", "decisions/template.md"]

autodoc_member_order = "bysource"
autodoc_default_options = {"exclude-members": "model_config"}
autodoc_typehints = "none"  # numpydoc sections say them, with shapes and units
numpydoc_show_class_members = False

html_theme = "furo"
html_title = "nanopilot"

ROOMS = Path(__file__).parent / "reference" / "rooms"

PAGE = """{heading}
{underline}

.. currentmodule:: {module}

.. autosummary::

   {names}

.. automodule:: {module}
   :members:
"""


def write_room_pages(_app: Sphinx) -> None:
    """Give every room a page that lists what its ``__all__`` makes public."""
    ROOMS.mkdir(exist_ok=True)
    for stale in ROOMS.glob("*.rst"):
        stale.unlink()
    for room in filter(lambda found: found.ispkg, iter_modules(nanopilot.__path__)):
        module = f"nanopilot.{room.name}"
        names = getattr(import_module(module), "__all__", ())
        if names:
            heading = f"``{module}``"
            page = PAGE.format(
                heading=heading,
                underline="=" * len(heading),
                module=module,
                names="\n   ".join(names),
            )
            (ROOMS / f"{room.name}.rst").write_text(page, encoding="utf-8")


def setup(app: Sphinx) -> None:
    """Write the pages before Sphinx looks for them."""
    app.connect("builder-inited", write_room_pages)
