"""Scan one frame on any instrument: `python scan_anywhere.py NAME [OPTION=VALUE ...] [--png FILE]`.

Prints, as JSON, what every instrument returns in the same form: dims, units of the coordinates,
metadata keys. With `--png FILE` it draws the frame as well.
"""

from __future__ import annotations

import argparse
import json

import nanopilot as npl
from nanopilot.core.capabilities import Scanner
from nanopilot.core.requests import ScanRequest
from nanopilot.core.signals import SignalSet, metadata
from nanopilot.instruments import Guard


def scan(scope: Guard, shape: tuple[int, int] = (32, 32)) -> SignalSet:
    """Return a frame of the middle half of what the instrument can reach, first channel only."""
    description = scope.describe()
    (left, right), (bottom, top) = description.area.x, description.area.y
    request = ScanRequest(
        centre=description.area.centre,
        field_of_view=((right - left) / 2, (top - bottom) / 2),
        shape=shape,
        channels=description.scan_channels[:1],
    )
    return scope.capability(Scanner).start(request).result()


def told(frame: SignalSet) -> dict[str, object]:
    """Return what does not depend on the instrument."""
    (channel,) = frame.data_vars.values()
    return {
        "dims": list(channel.dims),
        "units": {str(name): one.attrs["units"] for name, one in sorted(frame.coords.items())},
        "keys": sorted(metadata(frame)),
        "channel_keys": sorted(metadata(channel)),
    }


def draw(frame: SignalSet, path: str) -> None:
    """Draw the frame with its unit and its scale."""
    import matplotlib.pyplot as plt

    ((name, channel),) = frame.data_vars.items()
    x, y = (1e9 * frame[axis].to_numpy() for axis in ("x", "y"))
    figure, axes = plt.subplots(figsize=(4, 3.4), layout="constrained")
    image = axes.imshow(
        channel, extent=(x[0], x[-1], y[0], y[-1]), origin="lower", cmap="viridis", aspect="auto"
    )
    figure.colorbar(image, label=f"{channel.attrs['quantity']} ({channel.attrs['units']})")
    axes.set(xlabel="x (nm)", ylabel="y (nm)", title=f"{metadata(frame)['instrument']}: {name}")
    figure.savefig(path, dpi=150)
    plt.close(figure)


def main() -> None:
    """Connect, scan, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("options", nargs="*", metavar="OPTION=VALUE")
    parser.add_argument("--png")
    asked = parser.parse_args()
    pairs = (option.split("=", 1) for option in asked.options)
    options = {key: int(value) if value.isdecimal() else value for key, value in pairs}
    with npl.connect(asked.name, **options) as scope:
        frame = scan(scope)
    print(json.dumps(told(frame), indent=1))
    if asked.png:
        draw(frame, asked.png)


if __name__ == "__main__":
    main()
