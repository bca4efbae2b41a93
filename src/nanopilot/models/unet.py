"""A small U-Net, plain or with residual blocks. O. Ronneberger et al., arXiv 1505.04597."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nanopilot.core.errors import OutOfRange
from nanopilot.models.torch_extra import need_torch


@dataclass(frozen=True, slots=True)
class UNetShape:
    """What a U-Net is built of.

    Parameters
    ----------
    inputs, outputs : int
        Channels.
    width : int
        Channels of the first level; each further level has twice as many.
    depth : int
        How often the image is halved.
    residual : bool
        Every block adds to what comes in, instead of replacing it.
    """

    inputs: int
    outputs: int
    width: int = 16
    depth: int = 3
    residual: bool = False

    def __post_init__(self) -> None:
        for name in ("inputs", "outputs", "width", "depth"):
            if getattr(self, name) < 1:
                raise OutOfRange(f"`{name}` is {getattr(self, name)}; it has to be 1 or more.")

    @property
    def step(self) -> int:
        """Rows and columns of an image have to be multiples of this."""
        return int(2**self.depth)


class UNet:
    """The network; its tensors are in `parts`, a `torch.nn.ModuleDict`.

    No layer depends on the other images of a batch or on the mean of the image, so that
    absolute heights survive.

    Raises
    ------
    MissingExtra
        PyTorch is not installed.
    """

    def __init__(self, shape: UNetShape) -> None:
        torch = need_torch()
        nn = torch.nn
        self.shape = shape
        self._torch = torch
        widths = [shape.width * 2**level for level in range(shape.depth + 1)]
        parts: dict[str, Any] = {}
        before = shape.inputs
        for level, width in enumerate(widths):
            parts |= _block(nn, f"down{level}", (before, width), shape.residual)
            before = width
        for level in reversed(range(shape.depth)):
            parts[f"grow{level}"] = nn.ConvTranspose2d(widths[level + 1], widths[level], 2, 2)
            parts |= _block(nn, f"up{level}", (2 * widths[level], widths[level]), shape.residual)
        parts["last"] = nn.Conv2d(widths[0], shape.outputs, 1)
        # It begins by changing nothing.
        nn.init.zeros_(parts["last"].weight)
        nn.init.zeros_(parts["last"].bias)
        self.parts = nn.ModuleDict(parts)

    def __call__(self, images: Any) -> Any:
        """Return images, shape (n, outputs, rows, columns), of such of shape (n, inputs, ...)."""
        pool = self._torch.nn.functional.max_pool2d
        kept = []
        x = images
        for level in range(self.shape.depth):
            x = self._run(f"down{level}", x)
            kept.append(x)
            x = pool(x, 2)
        x = self._run(f"down{self.shape.depth}", x)
        for level in reversed(range(self.shape.depth)):
            x = self.parts[f"grow{level}"](x)
            x = self._run(f"up{level}", self._torch.cat([kept[level], x], dim=1))
        return self.parts["last"](x)

    def _run(self, name: str, x: Any) -> Any:
        # A leak, so that no channel dies.
        relu = self._torch.nn.functional.leaky_relu
        first = relu(self.parts[f"{name}a"](x))
        second = self.parts[f"{name}b"](first)
        if self.shape.residual:
            second = second + self.parts[f"{name}c"](x)
        return relu(second)

    def count(self) -> int:
        """Return how many parameters there are."""
        return sum(int(one.numel()) for one in self.parts.parameters())


def _block(nn: Any, name: str, widths: tuple[int, int], residual: bool) -> dict[str, Any]:
    """Return two convolutions, and the way round them if the block has one."""
    before, width = widths
    block = {
        f"{name}a": nn.Conv2d(before, width, 3, padding=1),
        f"{name}b": nn.Conv2d(width, width, 3, padding=1),
    }
    return block | ({f"{name}c": nn.Conv2d(before, width, 1)} if residual else {})
