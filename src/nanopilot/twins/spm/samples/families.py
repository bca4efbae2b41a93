"""The families of samples by name."""

from __future__ import annotations

from nanopilot.core.errors import UnknownName
from nanopilot.twins.spm.samples.family import Family

SAMPLES: dict[str, Family] = {
    "droplets": Family("caps of liquid at one contact angle", "particles:Droplets"),
    "ferroelectric": Family("film with a- and c-domains that can be poled", "ferroelectric:Film"),
    "filaments": Family("worm-like filaments of known height and way", "filaments:Filaments"),
    "grains": Family("domed polycrystal, sizes known", "grains:Grains"),
    "ionic": Family("film that swells where bias draws its ions", "ionic:Ionic"),
    "lattice": Family("atoms with vacancies, adatoms and scattering, for STM", "lattice:Lattice"),
    "measured": Family("a measured topography", "measured:Measured"),
    "molecules": Family("molecules that diffuse, for movies", "molecules:Molecules"),
    "nanolitho": Family("pattern of known pitch and depth", "nanolitho:Pattern"),
    "particles": Family("spheres of known place and radius", "particles:Particles"),
    "rough": Family("self-affine roughness", "rough:Rough"),
    "steps": Family("terraces with steps of one height", "steps:Steps"),
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
