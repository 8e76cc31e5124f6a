"""What is done to images before a network sees them: luminance, another size, no slant."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Float64

LUMINANCE = (0.299, 0.587, 0.114)  # of red, green and blue; ITU-R BT.601
SLANT_LIMIT = 1e-2  # second moments below this tell nothing of a slant; as in OpenCV's example


def luminance(
    images: Float32[np.ndarray, "n height width 3"],
) -> Float32[np.ndarray, "n height width"]:
    """Return the brightness of colour images: of red, green and blue."""
    return images @ np.array(LUMINANCE, dtype=np.float32)


def resized(
    images: Float32[np.ndarray, "n height width"], size: int, resize: str
) -> Float32[np.ndarray, "n size size"]:
    """Return the images as squares of `size` x `size` pixels.

    resize: "area" averages what a new pixel covers; "linear" interpolates between the four pixels
        nearest to a new one's centre, as OpenCV's `resize` does by default.
    """
    weights = area_weights if resize == "area" else linear_weights
    _, height, width = images.shape
    if (height, width) == (size, size):
        return images
    rows = weights(height, size).astype(np.float32)
    columns = weights(width, size).astype(np.float32)
    return rows @ images @ columns.T


def area_weights(old: int, new: int) -> Float64[np.ndarray, "new old"]:
    """Return how much of each new pixel is covered by each old one; rows sum to 1."""
    scale = old / new
    first = np.arange(new)[:, None] * scale
    left = np.maximum(first, np.arange(old))
    right = np.minimum(first + scale, np.arange(old) + 1)
    return np.maximum(right - left, 0.0) / scale


def linear_weights(old: int, new: int) -> Float64[np.ndarray, "new old"]:
    """Return the shares of the two old pixels nearest to each new one's centre; rows sum to 1."""
    centres = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
    return np.maximum(1.0 - np.abs(centres[:, None] - np.arange(old)), 0.0)


def deskewed(
    images: Float32[np.ndarray, "n height width"],
) -> Float32[np.ndarray, "n height width"]:
    """Return the images without the slant that their second moments show.

    Row y is moved by (y - height / 2) mu11 / mu02 pixels, with linear interpolation and 0 outside,
    as the reference's preprocessing does with OpenCV (which rounds the shift to 1/32 pixel).
    """
    _, height, width = images.shape
    y, x = np.arange(height, dtype=np.float64), np.arange(width, dtype=np.float64)
    mass = images.astype(np.float64)
    by_row, by_column = mass.sum(axis=2), mass.sum(axis=1)
    total = np.maximum(by_row.sum(axis=1), np.finfo(np.float64).tiny)
    mean_y, mean_x = by_row @ y / total, by_column @ x / total
    mu02 = by_row @ y**2 - mean_y**2 * total
    mu11 = (mass @ x * y).sum(axis=1) - mean_x * mean_y * total
    is_clear = np.abs(mu02) >= SLANT_LIMIT
    skew = np.where(is_clear, mu11, 0.0) / np.where(is_clear, mu02, 1.0)
    places = x + (skew[:, None] * (y - 0.5 * height))[:, :, None]  # [n, height, width]
    left = np.floor(places)
    share = (places - left).astype(np.float32)
    padded = np.pad(images, ((0, 0), (0, 0), (2, 2)))
    index = (np.clip(left, -2, width) + 2).astype(np.int64)
    near = np.take_along_axis(padded, index, axis=2)
    far = np.take_along_axis(padded, index + 1, axis=2)
    moved = near + share * (far - near)
    return np.where(is_clear[:, None, None], moved, images)
