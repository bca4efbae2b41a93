"""What the scanning-probe twin measures beside topography, and what it writes.

Channels are in `detectors`, spectra in `modes`, what bias does to the sample in `switching`, what
moves by itself in `molecules`.
"""

from __future__ import annotations
