"""`make bench-speed`: one JSON row per kernel, in the order they are measured.

Read the ratios: baseline and ours run alternately in one process, so that whatever else
the machine does hits both.
"""

import importlib
import json
import sys

MODULES = (
    "gaussian_process",
    "decision",
    "journal",
    "zarr_frames",
    "remote",
    "guard",
    "sho",
    "feedback",
    "tip_imaging",
    "drift",
    "atoms",
    "stem_frame",
    "virtual_detectors",
    "multislice",
    "particle_shapes",
    "particles_large",
)


def main(chosen: list[str]) -> int:
    """Print the rows of the modules asked for; return 1 if a goal was not reached."""
    unknown = sorted(set(chosen) - set(MODULES))
    if unknown:
        sys.stderr.write(f"error: {unknown[0]!r} is no benchmark; there are {', '.join(MODULES)}\n")
        return 2
    reached = True
    for name in chosen or MODULES:
        sys.stderr.write(f"{name} ...\n")
        row = importlib.import_module(f"benchmarks.{name}").row()
        print(json.dumps(row), flush=True)
        reached = reached and bool(row["ok"])
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
