"""A small U-Net, plain or with residual blocks. O. Ronneberger et al., arXiv 1505.04597.

Given numbers that the image does not show (a pixel size, a dose), every block scales and shifts its
channels by what these numbers say: E. Perez et al., arXiv 1709.07871, equations 1 and 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nanopilot.core.errors import OutOfRange
from nanopilot.models.torch_extra import need_torch

Float32 = np.ndarray[Any, np.dtype[np.float32]]

#: Channels between the conditions and what they do to the blocks.
_HIDDEN = 32


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
    conditions : int
        Numbers told besides each image, about -1 to 1; 0: a plain U-Net.
    """

    inputs: int
    outputs: int
    width: int = 16
    depth: int = 3
    residual: bool = False
    conditions: int = 0

    def __post_init__(self) -> None:
        for name in ("inputs", "outputs", "width", "depth"):
            if getattr(self, name) < 1:
                raise OutOfRange(f"`{name}` is {getattr(self, name)}; it has to be 1 or more.")
        if self.conditions < 0:
            raise OutOfRange(f"`conditions` is {self.conditions}; it has to be 0 or more.")

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
        if shape.conditions:
            parts |= _conditioning(nn, shape.conditions, widths)
        self.parts = nn.ModuleDict(parts)

    def __call__(self, images: Any, conditions: Any = None) -> Any:
        """Return images, shape (n, outputs, rows, columns), of such of shape (n, inputs, ...).

        Parameters
        ----------
        images : torch.Tensor
            Shape (n, inputs, rows, columns), or with the conditions as further, even channels; see
            `with_conditions`.
        conditions : torch.Tensor, optional
            Shape (n, conditions).

        Raises
        ------
        OutOfRange
            Images or conditions are not those that the network is built for.
        """
        images, told = self._told(images, conditions)
        kept, x = self._down(images, told)
        for level in reversed(range(self.shape.depth)):
            x = self.parts[f"grow{level}"](x)
            x = self._run(f"up{level}", self._torch.cat([kept[level], x], dim=1), told)
        return self.parts["last"](x)

    def bottleneck(self, images: Any, conditions: Any = None) -> Any:
        """Return what the deepest level makes of images: a short description of their content.

        Parameters
        ----------
        images, conditions : torch.Tensor
            As of a call.

        Returns
        -------
        torch.Tensor
            Mean of each channel over the image, then its standard deviation, shape
            (n, 2 width 2^depth).

        Raises
        ------
        OutOfRange
            Images or conditions are not those that the network is built for.
        """
        images, told = self._told(images, conditions)
        _, x = self._down(images, told)
        spread = x.var(dim=(2, 3), unbiased=False)
        return self._torch.cat([x.mean(dim=(2, 3)), self._torch.sqrt(spread + 1e-12)], dim=1)

    def _told(self, images: Any, conditions: Any) -> tuple[Any, Any]:
        """Return images alone, and what is made of the conditions."""
        shape = self.shape
        if not shape.conditions:
            if conditions is not None:
                raise OutOfRange("`conditions` were given to a network that takes none; leave out.")
            return images, None
        if conditions is None and images.shape[1] == shape.inputs + shape.conditions:
            conditions = images[:, shape.inputs :].mean(dim=(2, 3))
            images = images[:, : shape.inputs]
        if conditions is None or tuple(conditions.shape) != (len(images), shape.conditions):
            found = None if conditions is None else tuple(conditions.shape)
            raise OutOfRange(
                f"`conditions` has shape {found}; this network needs {shape.conditions} numbers "
                f"for each of {len(images)} images."
            )
        hidden = self._torch.nn.functional.leaky_relu(self.parts["told"](conditions))
        return images, hidden

    def _down(self, images: Any, told: Any) -> tuple[list[Any], Any]:
        """Return what each level hands over to its way up, and what the deepest one says."""
        pool = self._torch.nn.functional.max_pool2d
        kept = []
        x = images
        for level in range(self.shape.depth):
            x = self._run(f"down{level}", x, told)
            kept.append(x)
            x = pool(x, 2)
        return kept, self._run(f"down{self.shape.depth}", x, told)

    def _run(self, name: str, x: Any, told: Any) -> Any:
        # A leak, so that no channel dies.
        relu = self._torch.nn.functional.leaky_relu
        first = relu(self.parts[f"{name}a"](x))
        second = self.parts[f"{name}b"](first)
        if told is not None:
            scale, shift = self.parts[f"{name}film"](told)[:, :, None, None].chunk(2, dim=1)
            second = second * (1 + scale) + shift
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


def _conditioning(nn: Any, conditions: int, widths: list[int]) -> dict[str, Any]:
    """Return what turns conditions into a scale and a shift for each channel of each block."""
    found = {"told": nn.Linear(conditions, _HIDDEN)}
    blocks = [(f"down{level}", width) for level, width in enumerate(widths)]
    blocks += [(f"up{level}", width) for level, width in enumerate(widths[:-1])]
    for name, width in blocks:
        found[f"{name}film"] = nn.Linear(_HIDDEN, 2 * width)
        # It begins as the plain network.
        nn.init.zeros_(found[f"{name}film"].weight)
        nn.init.zeros_(found[f"{name}film"].bias)
    return found


def with_conditions(images: Float32, conditions: Float32) -> Float32:
    """Return images with their conditions as further channels, each of one value all over.

    So they travel as one array: through `nanopilot.models.training.Examples`, batches, and turns
    and mirrors.

    Parameters
    ----------
    images : numpy.ndarray
        Shape (n, inputs, rows, columns).
    conditions : numpy.ndarray
        Shape (n, conditions).

    Raises
    ------
    OutOfRange
        They are not as many as the images.
    """
    if images.ndim != 4 or conditions.ndim != 2 or len(images) != len(conditions):
        raise OutOfRange(
            f"`conditions` has shape {conditions.shape} for images of shape {images.shape}; "
            "(n, conditions) and (n, inputs, rows, columns) are needed."
        )
    planes = np.broadcast_to(
        conditions[:, :, None, None], (*conditions.shape, *images.shape[2:])
    ).astype(np.float32)
    return np.concatenate([images, planes], axis=1).astype(np.float32)
