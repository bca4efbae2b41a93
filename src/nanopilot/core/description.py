"""What an instrument says of itself: all that a client, a console and a language model see."""

from __future__ import annotations

from nanopilot.core.limits import Area, Sweep
from nanopilot.core.parameters import Parameter
from nanopilot.core.requests import Order, SpectrumKind
from nanopilot.core.values import Value


class SpectrumMode(Value):
    """A kind of spectrum, its axis, and what can be chosen about it.

    Parameters
    ----------
    kind : {"bias", "force", "energy", "frequency", "time", "xray"}
        What is swept.
    dim, quantity, unit : str
        Of the spectral axis: ``"bias"`` in V, ``"energy"`` in eV, ``"frequency"`` in Hz,
        ``"time"`` in s after a pulse; a force curve runs over
        ``"time"`` in s and carries the height of the tip as coordinate ``z``.
    low, high : float
        Ends of the axis as the instrument is set.
    points : int
        Samples along it.
    channels : tuple of str
        Detectors that can be recorded.
    parameters : tuple of Parameter
        Settings of `SpectrumRequest.parameters`, with unit and limits.
    """

    kind: SpectrumKind
    dim: str
    quantity: str
    unit: str
    low: float
    high: float
    points: int
    channels: tuple[str, ...]
    parameters: tuple[Parameter, ...] = ()


class InstrumentDescription(Value):
    """What a client, a console and a language model see of an instrument.

    Parameters
    ----------
    name, kind : str
        Which one it is, and what: ``"replay"``, ``"twin"``, ``"instrument"``.
    capabilities : tuple of str
        Names of the capability protocols it has, such as ``"Scanner"``.
    area : Area
        Where it can measure.
    scan_channels, spectrum_channels : tuple of str
        Detectors of frames and of spectra.
    directions : tuple of str
        Scan directions it records.
    grid : (int, int)
        Rows and columns of its natural pixel grid over `area`.
    sweep : Sweep, optional
        Bias of its own spectra.
    state : dict
        Further read-only facts, such as what is known to be wrong with a recording.
    parameters : tuple of Parameter
        Everything that can be read or set, of all capabilities.
    spectra : tuple of SpectrumMode
        Kinds of spectra it takes, with their axes and further settings.
    cameras : tuple of str
        Channels of its `Camera`.
    camera_grids : bool
        The camera takes a pattern at every place of a grid.
    orders : tuple of str
        Paths over the pixels it can scan.
    notice : str
        What everybody who connects has to know, such as "not tried on hardware".
    units : dict of str to str
        SI unit of each channel by name, as far as the instrument knows before it measures.
    """

    name: str
    kind: str
    capabilities: tuple[str, ...]
    area: Area
    scan_channels: tuple[str, ...] = ()
    spectrum_channels: tuple[str, ...] = ()
    directions: tuple[str, ...] = ("trace",)
    grid: tuple[int, int] = (1, 1)
    sweep: Sweep | None = None
    state: dict[str, str | float | int | bool] = {}
    parameters: tuple[Parameter, ...] = ()
    spectra: tuple[SpectrumMode, ...] = ()
    cameras: tuple[str, ...] = ()
    camera_grids: bool = False
    orders: tuple[Order, ...] = ("raster",)
    notice: str = ""
    units: dict[str, str] = {}
