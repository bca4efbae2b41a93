"""The families of samples of the electron twin by name."""

from __future__ import annotations

from nanopilot.core.errors import UnknownName
from nanopilot.twins.stem.samples.family import Family

SAMPLES: dict[str, Family] = {
    "bifeo3": Family("ferroelectric with walls of known displacement", "perovskite:BismuthFerrite"),
    "carbon": Family("amorphous carbon and nothing else", "plain:Carbon"),
    "dichalcogenide": Family("one layer of MX2 with defects and edges", "dichalcogenide:Layer"),
    "graphene": Family("one or two layers with defects and a boundary", "graphene:Graphene"),
    "interface": Family("vacuum, amorphous, crystal, crystal, side by side", "interface:Interface"),
    "nothing": Family("vacuum, or holes in a film", "plain:Nothing"),
    "particles": Family("particles of known shape over many fields of view", "particles:Particles"),
    "pd-se": Family("polycrystal of palladium selenides", "palladium:Polycrystal"),
    "plasmonic": Family("metal particles that carry plasmons", "plasmonic:Array"),
    "snse": Family("tin selenide along a zone axis", "selenide:TinSelenide"),
    "srtio3": Family("strontium titanate along [001]", "perovskite:StrontiumTitanate"),
}


def family(name: str) -> Family:
    """Return a family by name.

    Raises
    ------
    UnknownName
        There is none; the message gives the nearest names.
    """
    if name not in SAMPLES:
        raise UnknownName("sample", name, SAMPLES)
    return SAMPLES[name]
