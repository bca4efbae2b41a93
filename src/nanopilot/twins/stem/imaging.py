"""What the detectors catch when the beam is at a place of the sample."""

from __future__ import annotations

from nanopilot.core.errors import OutOfRange
from nanopilot.core.limits import Violation
from nanopilot.twins.stem.contrast import check_ring, fractions
from nanopilot.twins.stem.film import Film
from nanopilot.twins.stem.render import Renderer
from nanopilot.twins.stem.scene import FloatArray
from nanopilot.twins.stem.world import World


class Imager:
    """The fraction of the beam that each detector catches.

    Parameters
    ----------
    world : World
        Sample and lens; pictures of its atoms are kept there from frame to frame.
    names : tuple of str
        Of the detectors.
    """

    def __init__(self, world: World, names: tuple[str, ...]) -> None:
        self._world, self._names = world, names
        rings = world.settings.detectors.named()
        self._rings = {name: rings[name] for name in names}
        kept = world.pictures.get(names)
        if isinstance(kept, Renderer):
            self._renderer = kept
            self._renderer.use(world.lens)
        else:
            film = Film((world.scene.matter, world.grown), world.seed)
            self._renderer = Renderer(
                world.scene.atoms, world.lens, self._rings, film, columns=True
            )
            self._renderer.remove((~world.there).nonzero()[0])
            world.pictures[names] = self._renderer

    def fractions(self, spots: FloatArray) -> dict[str, FloatArray]:
        """Return fractions by detector at places on the sample (m, shape (n, 2)), shape (n,)."""
        x, y = spots[:, 0], spots[:, 1]
        exponents = self._renderer.values(x, y, self._world.height(x, y))
        angle = self._renderer.lens.convergence_angle
        return {
            name: fractions(exponent, self._rings[name], angle)
            for name, exponent in zip(self._names, exponents, strict=True)
        }


def check_detectors(world: World, names: tuple[str, ...]) -> list[Violation]:
    """List detectors whose angles do not go with voltage and aperture as they are set."""
    found, values = [], world.panel.values
    for name in names:
        ring = world.settings.detectors.named()[name]
        try:
            check_ring(ring, values["Beam.voltage"], values["Beam.convergence_angle"])
        except OutOfRange as cause:
            found.append(Violation(parameter=f"detectors.{name}", message=str(cause)))
    return found
