"""A small grey picture instead of a large coloured one, for networks without an encoder."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

LUMINANCE = (0.299, 0.587, 0.114)  # of red, green, blue; ITU-R BT.601
BRIGHTEST = 255.0  # of a uint8 channel; becomes 1


class GreyPixels(
    gymnasium.ObservationWrapper[NDArray[np.float32], Any, NDArray[np.uint8]],
    gymnasium.utils.RecordConstructorArgs,
):
    """Observe [size * size] grey values in [0, 1], float32, row by row from the top left.

    env: observes RGB images, uint8 [height, width, 3].
    size: rows and columns of the small picture.
    crop_bottom: rows cut off below; the default cuts the 12 of CarRacing-v3's 96 that show its
        indicators.

    Each value is the mean luminance (ITU-R BT.601) of its share of the picture. Where the sizes do
    not divide, as 84 rows into 8, a pixel on a border counts for both by the area it has there.
    No network is needed to see with (the paper's VAE weights cannot be carried over).

    Raises ValueError when the observations are no such images, and when `size` or `crop_bottom` is
    no whole number or does not fit them.
    """

    def __init__(
        self,
        env: gymnasium.Env[NDArray[np.uint8], Any],
        size: int = 8,
        crop_bottom: int = 12,
    ) -> None:
        gymnasium.utils.RecordConstructorArgs.__init__(self, size=size, crop_bottom=crop_bottom)
        gymnasium.ObservationWrapper.__init__(self, env)
        height, width = _image_shape(env.observation_space)
        _check_whole_number("crop_bottom", crop_bottom, 0, height - 1)
        self._kept_rows = height - crop_bottom
        _check_whole_number("size", size, 1, min(self._kept_rows, width))
        self._row_means = area_means(self._kept_rows, size)
        # [width * 3, size]: column means and luminance at once, on pixels left as they are stored
        self._column_means = np.kron(
            area_means(width, size), np.array(LUMINANCE) / BRIGHTEST
        ).T.copy()
        self.observation_space = gymnasium.spaces.Box(0.0, 1.0, (size * size,), dtype=np.float32)

    def observation(self, observation: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the grey values of one image, uint8 [height, width, 3], as float32 [size * size].

        Sums are float64 and rounded once.
        """
        rows = observation[: self._kept_rows].reshape(self._kept_rows, -1)
        grey = self._row_means @ rows.astype(np.float64) @ self._column_means
        return grey.astype(np.float32).ravel()


def area_means(length: int, parts: int) -> NDArray[np.float64]:
    """Return the matrix [parts, length] that turns pixels in a line into means of equal parts.

    Entry [part, pixel] is the share of the part that the pixel covers; a row's sum is 1.
    """
    edges = np.arange(parts + 1) * length / parts
    pixels = np.arange(length)
    covered_to = np.minimum(pixels + 1, edges[1:, None])
    covered_from = np.maximum(pixels, edges[:-1, None])
    return np.maximum(covered_to - covered_from, 0.0) * parts / length


def _image_shape(space: gymnasium.Space[Any]) -> tuple[int, int]:
    """Return height and width when the space holds RGB images; raise ValueError otherwise."""
    if (
        not isinstance(space, gymnasium.spaces.Box)
        or space.dtype != np.uint8
        or len(space.shape) != 3
        or space.shape[2] != 3
    ):
        wanted = "uint8 images of shape (height, width, 3)"
        shown = " ".join(str(space).split())  # a Box shows its bounds over several lines
        raise ValueError(f"GreyPixels needs {wanted}, but the observations are {shown}")
    return space.shape[0], space.shape[1]


def _check_whole_number(name: str, value: object, low: int, high: int) -> None:
    """Raise ValueError unless `value` is an int in [low, high]."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        wanted = f"a whole number between {low} and {high}"
        raise ValueError(f"{name} must be {wanted}, but it is {value!r}")
