"""Nion's simulator, built without its user interface; the only module that imports Nion's packages.

Everything goes through the hardware sources of nionswift-instrumentation (record tasks, data
channels, controls by name), as scripts in Nion Swift do. It runs in the worker process only.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nanopilot.instruments.nion.updates import Array, Part, lines, until_finished

#: The samples of the simulator, in its own order.
SAMPLES = ("flake", "amorphous", "gold")
_POLL = 0.002


class Microscope:
    """The simulated microscope: controls, scan, cameras.

    Parameters
    ----------
    sample : str
        One of `SAMPLES`.
    folder : Path
        Where Nion's packages keep their settings.
    say : callable
        Told what is being done.
    """

    def __init__(self, sample: str, folder: Path, say: Callable[[str], None]) -> None:
        say("importing Nion's packages")
        from nion.instrumentation import HardwareSource, camera_base, scan_base
        from nion.usim_device import DeviceConfiguration
        from nion.utils import Registry

        say("building the simulated microscope")
        HardwareSource.run()
        camera_base.run(folder)
        scan_base.run(folder)
        configuration = DeviceConfiguration.AcquisitionContextConfiguration(
            sample_index=SAMPLES.index(sample), set_configuration_location=False
        )
        configuration.run()
        self._configuration = configuration
        self._stem: Any = Registry.get_component("stem_controller")
        self._scan: Any = self._stem.scan_controller
        self._cameras: dict[str, Any] = {
            "ronchigram": self._stem.ronchigram_camera, "eels": self._stem.eels_camera
        }  # fmt: skip
        self._reach = float(self._scan.max_field_of_view_nm_stream.value)
        self.stopped = threading.Event()
        self._rest()

    def _rest(self) -> None:
        """Let positions of the resting beam be fractions of the largest field of view.

        A beam that nobody has parked rests in the middle; saying so makes its place known.
        """
        whole = {"pixel_size": (256, 256), "fov_nm": self._reach, "center_nm": (0.0, 0.0)}
        self._scan.set_current_frame_parameters(self._scan.get_frame_parameters_from_dict(whole))
        self._park(0.0, 0.0)

    def facts(self, controls: list[str]) -> dict[str, Any]:
        """Return what does not change, and which of these controls there are."""
        states = [self._scan.get_channel_state(i) for i in range(self._scan.channel_count)]
        return {
            "channels": [state.name for state in states],
            "reach": self._reach * 1e-9,
            "dwell_time": self._scan.get_current_frame_parameters().pixel_time_us * 1e-6,
            "max_defocus": getattr(self._stem, "max_defocus", None),
            "controls": [name for name in controls if self._stem.TryGetVal(name)[0]],
            "cameras": {
                name: {
                    "shape": list(camera.camera.sensor_dimensions),
                    "binning": list(camera.camera.binning_values),
                    "exposure": camera.get_current_frame_parameters().exposure_ms * 1e-3,
                }
                for name, camera in self._cameras.items()
            },
        }

    def read(self, names: list[str]) -> dict[str, float]:
        """Return controls by name; those that are not known are left out."""
        found = {}
        for name in names:
            value = self._resting(name) if name.startswith("beam.") else self._control(name)
            if value is not None:
                found[name] = value
        return found

    def _control(self, name: str) -> float | None:
        known, value = self._stem.TryGetVal(name)
        return float(value) if known and value is not None else None

    def _resting(self, name: str) -> float | None:
        place = self._stem.probe_position
        if place is None:
            return None
        return float((place.x if name == "beam.x" else place.y) - 0.5) * self._reach * 1e-9

    def write(self, values: Mapping[str, float]) -> None:
        """Set controls; ``beam.x`` and ``beam.y`` (m) are where the beam rests."""
        place = {name: value for name, value in values.items() if name.startswith("beam.")}
        if place:
            here = {name: self._resting(name) or 0.0 for name in ("beam.x", "beam.y")} | place
            self._park(here["beam.x"], here["beam.y"])
        for name in values.keys() - place.keys():
            if not self._stem.SetVal(name, values[name]):
                raise RuntimeError(f"the microscope did not take {name} = {values[name]:g}")

    def _park(self, x: float, y: float) -> None:
        from nion.utils import Geometry

        reach = self._reach * 1e-9
        self._stem.probe_position = Geometry.FloatPoint(y=0.5 + y / reach, x=0.5 + x / reach)

    def axes(self, camera: str) -> dict[str, list[float]]:
        """Return the calibration of a camera, by axis: value of pixel 0, and step per pixel.

        In rad, or eV along ``x`` of ``eels``; without binning.
        """
        controls = self._cameras[camera].camera.calibration_controls
        return {
            axis: [
                float(self._stem.GetVal(controls[f"{axis}_{what}_control"]))
                for what in ("offset", "scale")
            ]
            for axis in "xy"
        }

    def scan(self, asked: Mapping[str, Any]) -> Iterator[Part]:
        """Scan one frame; yield its lines as the hardware delivers them.

        Parameters
        ----------
        asked : mapping
            ``shape``, ``pixel`` (m), ``centre`` (x, y in m), ``rotation`` (rad), ``dwell_time``
            (s), and the indices of the ``channels``.
        """
        updates: queue.SimpleQueue[tuple[str, Array]] = queue.SimpleQueue()
        rows = dict.fromkeys((str(self._scan.get_channel_name(i)) for i in asked["channels"]), 0)

        def updated(channel: Any, found: Any) -> None:
            # After a stop the simulator calls lines complete that it has not scanned.
            valid = int(found.metadata["hardware_source"]["valid_rows"])
            if not self.stopped.is_set() and channel.name in rows:
                updates.put((channel.name, np.array(found.data[:valid])))

        if not self._idle(self._scan):
            return
        listener = self._scan.data_channel_updated_event.listen(updated)
        task = self._scan.start_recording(frame_parameters=self._frame(asked))
        try:
            found = until_finished(task, updates, self.stopped)
            yield from lines(rows, found, asked["shape"][0])
        finally:
            listener.close()
            _end(self._scan, task)

    def _frame(self, asked: Mapping[str, Any]) -> Any:
        (height, width), side = asked["shape"], max(asked["shape"])
        settings = {
            "pixel_size": (side, side),
            "fov_nm": side * asked["pixel"] * 1e9,
            "center_nm": (asked["centre"][1] * 1e9, asked["centre"][0] * 1e9),
            "rotation_rad": asked["rotation"],
            "pixel_time_us": asked["dwell_time"] * 1e6,
            "enabled_channel_indexes": asked["channels"],
        }
        if height != width:
            # Which side `fov_nm` means is told in two ways; of a square it does not matter.
            settings |= {
                "subscan_pixel_size": (height, width),
                "subscan_fractional_size": (height / side, width / side),
                "subscan_fractional_center": (0.5, 0.5),
                "subscan_type_partial": True,
            }
        return self._scan.get_frame_parameters_from_dict(settings)

    def expose(self, asked: Mapping[str, Any]) -> Iterator[Part]:
        """Record patterns of a camera; of ``eels``, spectra summed over the other axis.

        Parameters
        ----------
        asked : mapping
            ``camera``, ``exposure`` (s), ``binning``, ``frames``, and ``places`` (x, y in m) to
            rest the beam at, one per frame; empty: where it is.
        """
        camera = self._cameras[asked["camera"]]
        settings = camera.get_frame_parameters_from_dict(
            {"exposure_ms": asked["exposure"] * 1e3, "binning": asked["binning"]}
        )
        for index in range(asked["frames"]):
            if asked["places"]:
                self._park(*asked["places"][index])
            found = self._record(camera, settings)
            if found is None:
                return
            values = found.data.sum(axis=0) if asked["camera"] == "eels" else found.data
            yield {"index": index}, {asked["camera"]: np.array(values)}

    def _record(self, camera: Any, settings: Any) -> Any:
        """Return the next frame of a camera, or None if it was stopped."""
        if not self._idle(camera):
            return None
        task = camera.start_recording(frame_parameters=settings)
        try:
            while not task.is_finished and not self.stopped.is_set():
                time.sleep(_POLL)
            if self.stopped.is_set():
                return None
            if task.is_error:
                raise RuntimeError("the camera reported an error")
            return task.grab_xdatas(timeout=10)[0]
        finally:
            _end(camera, task)

    def _idle(self, source: Any) -> bool:
        """Wait until nothing is recorded any more; tell whether nobody has said stop meanwhile."""
        # A camera that was stopped finishes its exposure all the same.
        while source.is_recording and not self.stopped.is_set():
            time.sleep(_POLL)
        return not self.stopped.is_set()


def _end(source: Any, task: Any) -> None:
    """Tell a source to drop a recording that nobody waits for any more."""
    if not task.is_finished:
        source.abort_recording()
