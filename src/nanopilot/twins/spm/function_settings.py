"""What a tip does beside imaging: piezoresponse, switching, contact, potential, tunnelling."""

from __future__ import annotations

from pydantic import Field

from nanopilot.core.units import Bias, Duration, Length
from nanopilot.core.values import Value


class Piezoresponse(Value):
    """How a surface that moves under an alternating voltage moves the lever.

    Parameters
    ----------
    sensitivity : float
        Metres of surface per volt where the polarisation is 1 and the lever is not in resonance.
    lateral : float
        The same along the surface where all of the polarisation lies in it.
    background : float
        Electrostatic: metres per volt of drive and per volt between bias and surface potential.
    stiffening : float
        Exponent by which the contact resonance follows the contact stiffness: between 0 (an end
        that is pinned) and 0.5 (a mass on a spring).
    crosstalk : float
        By how much a slope s stiffens the contact, relative, per s².
    reference : float
        Contact stiffness in N/m at which the contact resonance is that of the lever's settings.
    spot : float
        Radius of what responds under the tip over the tip's radius; 0: a point.
    tracking : bool
        The drive follows the contact resonance (dual-frequency tracking) and stays at it.
    """

    sensitivity: float = Field(default=50e-12, gt=0)
    lateral: float = Field(default=30e-12, ge=0)
    background: float = Field(default=0.0, ge=0)
    stiffening: float = Field(default=0.1, ge=0, le=0.5)
    crosstalk: float = Field(default=0.0, ge=0)
    reference: float = Field(default=500.0, gt=0)
    spot: float = Field(default=0.5, ge=0, le=10)
    tracking: bool = False


class Switching(Value):
    """How bias reverses the polarisation under the tip.

    Parameters
    ----------
    growth : float
        Metres by which a domain's radius grows per volt and per decade of time.
    onset : float
        Seconds from which the logarithm of time counts.
    ease : float
        By how much a wall moves more easily than a new domain begins, relative to the local
        switching bias.
    scatter : float
        Standard deviation of the switching bias from pulse to pulse, relative.
    sweep : float
        Volts of the instrument's own hysteresis loop, either way.
    """

    growth: float = Field(default=20e-9, ge=0, le=1e-6)
    onset: Duration = Field(default=1e-3, gt=0)
    ease: float = Field(default=0.4, ge=0, lt=1)
    scatter: float = Field(default=0.0, ge=0, lt=1)
    sweep: Bias = Field(default=8.0, gt=0, le=10)


class Contact(Value):
    """The force between tip and surface.

    Parameters
    ----------
    load : float
        Newtons at which the contact is as stiff as the sample's layer says.
    range : float
        Metres over which the attraction before contact falls to a quarter.
    """

    load: float = Field(default=50e-9, gt=0, le=1e-3)
    range: Length = Field(default=0.2e-9, gt=0, le=1e-7)


class Kelvin(Value):
    """Whose potential a Kelvin probe reads.

    Parameters
    ----------
    lift : float
        Metres between tip and surface.
    cone, cone_width : float
        Share of the capacitance gradient that belongs to the cone of the tip, and how many times
        wider than the apex it sees.
    lever : float
        Share that belongs to the lever: it sees the mean of the sample.
    """

    lift: Length = Field(default=20e-9, ge=0, le=1e-5)
    cone: float = Field(default=0.15, ge=0, le=0.5)
    cone_width: float = Field(default=10.0, ge=1, le=100)
    lever: float = Field(default=0.05, ge=0, le=0.4)


class Tunnelling(Value):
    """How the density of states depends on energy; in space it is the sample's layer.

    Parameters
    ----------
    gap : float
        Half the width of a gap around the Fermi level, in volts; 0: a metal.
    temperature : float
        Kelvin: rounds the edges of the gap.
    """

    gap: Bias = Field(default=0.0, ge=0, le=10)
    temperature: float = Field(default=77.0, gt=0, le=2000)


class Electrochemistry(Value):
    """Swelling under bias where the sample's ions can move.

    Parameters
    ----------
    charging : float
        Seconds in which the ions follow the bias (1/e).
    relaxation : float
        Seconds in which the strain decays afterwards (1/e), if the sample does not say.
    """

    charging: Duration = Field(default=0.05, gt=0)
    relaxation: Duration = Field(default=0.5, gt=0)


class Function(Value):
    """Everything about what the twin measures beside topography."""

    piezoresponse: Piezoresponse = Piezoresponse()
    switching: Switching = Switching()
    contact: Contact = Contact()
    kelvin: Kelvin = Kelvin()
    tunnelling: Tunnelling = Tunnelling()
    electrochemistry: Electrochemistry = Electrochemistry()
