"""What a scanning-probe twin remembers, for a run that is taken up again in another process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nanopilot.core.memory import Memory
from nanopilot.twins.spm.function.molecules import Movement
from nanopilot.twins.spm.knobs import Hands

#: Layer of the memory: the surface with the molecules where they were last put.
_MOLECULES = "molecules"


def remembered(hands: Hands) -> Memory:
    """Return everything that a newly made twin does not know."""
    world = hands.world
    facts = world.facts() | {
        "position": list(hands.position),
        "engaged": hands.engaged,
        "enabled": hands.enabled,
    }
    facts |= {f"path.{name}": value for name, value in hands.path.facts().items()}
    facts |= {f"faults.{name}": value for name, value in hands.faults.facts().items()}
    layers = {"height": world.height} | world.layers
    made = {"height": world.sample.height} | dict(world.sample.layers)
    for move in world.alive:
        if isinstance(move, Movement):
            layers[_MOLECULES], made[_MOLECULES] = move.shown(world), world.sample.height
    return Memory(facts, layers, made)


def recall(hands: Hands, memory: Memory) -> None:
    """Make a twin what it was when it gave a memory."""
    facts = memory.facts
    hands.world.recall(memory)
    hands.position = (facts["position"][0], facts["position"][1])
    hands.engaged, hands.enabled = facts["engaged"], facts["enabled"]
    hands.path.recall(_part(facts, "path."))
    hands.faults.recall(_part(facts, "faults."))
    for move in hands.world.alive:
        if isinstance(move, Movement):
            move.recall(memory.layers[_MOLECULES])


def _part(facts: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {
        name.removeprefix(prefix): one for name, one in facts.items() if name.startswith(prefix)
    }
