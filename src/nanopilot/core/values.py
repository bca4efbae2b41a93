"""The base of every frozen value that crosses a border as JSON."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Value(BaseModel):
    """A frozen, strict-by-name pydantic model: one definition, many wires.

    Unknown fields are refused, so that a typing error in a file never passes silently.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")
