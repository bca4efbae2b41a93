"""Commands of the Nanonis TCP protocol that nanopilot speaks: what each takes and returns.

Kinds are those of `nanopilot.instruments.nanonis.codec`. Driver and facade read the same table,
so that they cannot disagree. Source: the docstrings of nanonis_spm 1.0.9, the maker's client.
"""

from __future__ import annotations

from dataclasses import dataclass

from nanopilot.core.errors import Unsupported


@dataclass(frozen=True, slots=True)
class Command:
    """What a command takes and returns.

    Parameters
    ----------
    takes, returns : tuple of str
        Kinds of the values of a request and of a reply (the error block not counted).
    """

    takes: tuple[str, ...] = ()
    returns: tuple[str, ...] = ()


def _command(takes: str = "", returns: str = "") -> Command:
    return Command(tuple(takes.split()), tuple(returns.split()))


COMMANDS: dict[str, Command] = {
    "Bias.Set": _command("f"),
    "Bias.Get": _command("", "f"),
    "Bias.RangeGet": _command("", "*s H"),
    "Bias.Pulse": _command("I f f H H"),
    "BiasSpectr.Open": _command(),
    "BiasSpectr.Start": _command("I s", "*s 2f *f"),
    "BiasSpectr.Stop": _command(),
    "BiasSpectr.StatusGet": _command("", "I"),
    "BiasSpectr.ChsSet": _command("*i"),
    "BiasSpectr.ChsGet": _command("", "*i *s"),
    "BiasSpectr.PropsSet": _command("H i H i f H H"),
    "BiasSpectr.PropsGet": _command("", "H i H i *s *s *s"),
    "BiasSpectr.LimitsSet": _command("f f"),
    "BiasSpectr.LimitsGet": _command("", "f f"),
    "BiasSpectr.TimingGet": _command("", "f f f f f f f f"),
    "Current.Get": _command("", "f"),
    "ZCtrl.ZPosSet": _command("f"),
    "ZCtrl.ZPosGet": _command("", "f"),
    "ZCtrl.OnOffSet": _command("I"),
    "ZCtrl.OnOffGet": _command("", "I"),
    "ZCtrl.SetpntSet": _command("f"),
    "ZCtrl.SetpntGet": _command("", "f"),
    "ZCtrl.GainSet": _command("f f f"),
    "ZCtrl.GainGet": _command("", "f f f"),
    "ZCtrl.CtrlListGet": _command("", "*s i"),
    "ZCtrl.Withdraw": _command("I i"),
    "ZCtrl.LimitsGet": _command("", "f f"),
    "ZCtrl.StatusGet": _command("", "H"),
    "AutoApproach.Open": _command(),
    "AutoApproach.OnOffSet": _command("H"),
    "AutoApproach.OnOffGet": _command("", "H"),
    "Piezo.RangeGet": _command("", "f f f"),
    "Piezo.TiltGet": _command("", "f f"),
    "Scan.Action": _command("H I"),
    "Scan.StatusGet": _command("", "I"),
    "Scan.WaitEndOfScan": _command("i", "I s"),
    "Scan.FrameSet": _command("f f f f f"),
    "Scan.FrameGet": _command("", "f f f f f"),
    "Scan.BufferSet": _command("*i i i"),
    "Scan.BufferGet": _command("", "*i i i"),
    # What follows the comment is packed in two ways, depending on the client; it is not read.
    "Scan.PropsSet": _command("I I I s s"),
    # The last five: parameters of modules in the header of a file (none), and autopaste.
    "Scan.PropsGet": _command("", "I I I s s *s *i i i I"),
    "Scan.SpeedSet": _command("f f f f H f"),
    "Scan.SpeedGet": _command("", "f f f f H f"),
    "Scan.FrameDataGrab": _command("I I", "s 2f I"),
    "Scan.XYPosGet": _command("I", "f f"),
    "FolMe.XYPosSet": _command("d d I"),
    "FolMe.XYPosGet": _command("I", "d d"),
    "FolMe.SpeedSet": _command("f I"),
    "FolMe.SpeedGet": _command("", "f I"),
    "FolMe.OversamplSet": _command("i"),
    "FolMe.OversamplGet": _command("", "i f"),
    "FolMe.Stop": _command(),
    "Signals.NamesGet": _command("", "*s"),
    "Signals.InSlotsGet": _command("", "*s *i"),
    "Signals.MeasNamesGet": _command("", "*s"),
    "Signals.RangeGet": _command("i", "f f"),
    "Signals.ValGet": _command("i I", "f"),
    "Signals.ValsGet": _command("*i I", "*f"),
    "Util.VersionGet": _command("", "s s I I"),
    "Util.SessionPathGet": _command("", "s"),
}


def find(name: str) -> Command:
    """Return what a command takes and returns.

    Raises
    ------
    Unsupported
        nanopilot does not speak it.
    """
    if name not in COMMANDS:
        raise Unsupported(f"`{name}` is no command nanopilot speaks.")
    return COMMANDS[name]
