"""Controlled image damage of a given severity: distortions that make a face unnatural.

Every function maps a float32 picture [H, W, 3] in [0, 1], a severity in [0, 1] and a random
generator to a damaged float32 picture of the same shape and range. At severity 0 nothing changes.
The kinds follow the failures of generated faces that LEGAN's raters saw: blurred and blotchy
skin, wrong shapes, wrong colours, visible seams of a pasted face; and of editors: specks, grids,
mouths that are carried over by half, shadows without a light.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Damage = Callable[[np.ndarray, float, np.random.Generator], np.ndarray]


def _coordinates(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns x and y of the pixels, from -1 to 1 across the picture."""
    rows, columns = image.shape[:2]
    y, x = np.meshgrid(
        np.linspace(-1, 1, rows, dtype=np.float32),
        np.linspace(-1, 1, columns, dtype=np.float32),
        indexing="ij",
    )
    return x, y


def _sampled(image: np.ndarray, columns: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Returns the picture at fractional pixels, bilinear; outside, its edge."""
    height, width = image.shape[:2]
    columns = np.clip(columns, 0, width - 1.001)
    rows = np.clip(rows, 0, height - 1.001)
    left, top = columns.astype(np.intp), rows.astype(np.intp)
    u, v = (columns - left)[..., None], (rows - top)[..., None]
    upper = image[top, left] * (1 - u) + image[top, left + 1] * u
    lower = image[top + 1, left] * (1 - u) + image[top + 1, left + 1] * u
    return (upper * (1 - v) + lower * v).astype(np.float32)


def blur(image: np.ndarray, severity: float, rng: np.random.Generator) -> np.ndarray:
    """Blurs with a Gaussian of up to 5 % of the picture's height."""
    sigma = severity * rng.uniform(0.04, 0.05) * image.shape[0]
    if sigma < 0.05:
        return image
    radius = max(1, int(np.ceil(3 * sigma)))
    kernel = np.exp(-0.5 * np.square(np.arange(-radius, radius + 1) / sigma))
    kernel = (kernel / kernel.sum()).astype(np.float32)
    for axis in (0, 1):
        padding = [(radius, radius) if axis == a else (0, 0) for a in range(3)]
        padded, length = np.pad(image, padding, mode="edge"), image.shape[axis]
        image = np.zeros_like(image)
        for tap, weight in enumerate(kernel):
            part = slice(tap, tap + length)
            image += weight * (padded[part] if axis == 0 else padded[:, part])
    return image


def blobs(image: np.ndarray, severity: float, rng: np.random.Generator) -> np.ndarray:
    """Lays soft blobs of wrong colour over the face."""
    x, y = _coordinates(image)
    for _ in range(int(rng.integers(4, 8))):
        cx, cy = rng.uniform(-0.6, 0.6), rng.uniform(-0.7, 0.7)
        wide, high = (float(v) for v in rng.uniform(0.07, 0.24, 2))
        colour = rng.uniform(0, 1, 3).astype(np.float32)
        distance = np.square((x - cx) / wide) + np.square((y - cy) / high)
        share = severity * 0.85 * np.exp(-np.square(distance))
        image = image + share[..., None] * (colour - image)
    return image


def noise(image: np.ndarray, severity: float, rng: np.random.Generator) -> np.ndarray:
    """Adds noise of a standard deviation up to 0.22, partly grey, partly coloured."""
    grey = rng.normal(size=image.shape[:2] + (1,))
    coloured = rng.normal(size=image.shape)
    noisy = image + severity * rng.uniform(0.18, 0.22) * (0.8 * grey + 0.6 * coloured)
    return np.clip(noisy, 0, 1).astype(np.float32)


def warp(image: np.ndarray, severity: float, rng: np.random.Generator) -> np.ndarray:
    """Pushes parts of the face sideways by up to a tenth of the picture."""
    x, y = _coordinates(image)
    dx, dy = np.zeros_like(x), np.zeros_like(y)
    for _ in range(int(rng.integers(4, 7))):
        cx, cy = rng.uniform(-0.55, 0.55), rng.uniform(-0.6, 0.6)
        width, angle = rng.uniform(0.16, 0.32), rng.uniform(0, 2 * np.pi)
        push = (
            severity
            * rng.uniform(0.13, 0.2)
            * np.exp(-0.5 * (np.square(x - cx) + np.square(y - cy)) / width**2)
        )
        dx += push * np.cos(angle)
        dy += push * np.sin(angle)
    height, width = image.shape[:2]
    return _sampled(image, (x + dx + 1) * 0.5 * (width - 1), (y + dy + 1) * 0.5 * (height - 1))


def colour_cast(image: np.ndarray, severity: float, rng: np.random.Generator) -> np.ndarray:
    """Shifts the balance of the colours, as far as greenish or violet skin."""
    shift = rng.normal(size=3)
    shift = shift - shift.mean()
    shift = shift / max(float(np.abs(shift).max()), 1e-6)
    gain = np.exp(severity * 0.45 * shift).astype(np.float32)
    return np.clip(image * gain + severity * 0.06 * shift.astype(np.float32), 0, 1)


def seam(image: np.ndarray, severity: float, rng: np.random.Generator) -> np.ndarray:
    """Pastes half of the face, or a patch of it, back shifted and in another tone."""
    x, y = _coordinates(image)
    if rng.random() < 0.5:
        angle, offset = rng.uniform(0, 2 * np.pi), rng.uniform(-0.2, 0.2)
        pasted = np.cos(angle) * x + np.sin(angle) * y > offset
    else:
        cx, cy = rng.uniform(-0.3, 0.3), rng.uniform(-0.3, 0.3)
        wide, high = (float(v) for v in rng.uniform(0.3, 0.5, 2))
        pasted = np.maximum(np.abs(x - cx) / wide, np.abs(y - cy) / high) < 1
    height, width = image.shape[:2]
    angle = rng.uniform(0, 2 * np.pi)
    push = severity * rng.uniform(0.06, 0.10)
    moved = _sampled(
        image,
        (x + push * 2 * np.cos(angle) + 1) * 0.5 * (width - 1),
        (y + push * 2 * np.sin(angle) + 1) * 0.5 * (height - 1),
    )
    tone = 1 + severity * rng.choice([-1, 1]) * rng.uniform(0.2, 0.35)
    tint = 1 + severity * rng.normal(0, 0.06, 3)
    moved = np.clip(moved * (tone * tint).astype(np.float32), 0, 1)
    return np.where(pasted[..., None], moved, image).astype(np.float32)


def specks(image: np.ndarray, severity: float, rng: np.random.Generator) -> np.ndarray:
    """Scatters small specks that are too light or too dark, as unsteady generators do."""
    x, y = _coordinates(image)
    change = np.zeros_like(x)
    for _ in range(int(rng.integers(12, 30))):
        cx, cy, size = rng.uniform(-0.75, 0.75), rng.uniform(-0.8, 0.8), rng.uniform(0.02, 0.06)
        away = (np.square(x - cx) + np.square(y - cy)) / size**2
        change += rng.choice([-1, 1]) * rng.uniform(0.3, 0.7) * np.exp(-away)
    return np.clip(image + severity * change[..., None], 0, 1).astype(np.float32)


def grid(image: np.ndarray, severity: float, rng: np.random.Generator) -> np.ndarray:
    """Lays the checkerboard of a transposed convolution over the picture."""
    rows, columns = np.indices(image.shape[:2])
    step = int(rng.choice([2, 4]))
    pattern = np.where(rows % step < step // 2, 1, -1) * np.where(columns % step < step // 2, 1, -1)
    tint = 1 + rng.normal(0, 0.3, 3)
    return np.clip(
        image + severity * rng.uniform(0.09, 0.14) * pattern[..., None] * tint, 0, 1
    ).astype(np.float32)


def ghost(image: np.ndarray, severity: float, rng: np.random.Generator) -> np.ndarray:
    """Shows mouth and eyes twice, as where an expression is carried over by half."""
    x, y = _coordinates(image)
    height, width = image.shape[:2]
    shift, aside = rng.uniform(0.08, 0.16) * rng.choice([-1, 1]), rng.uniform(-0.05, 0.05)
    moved = _sampled(
        image, (x + aside + 1) * 0.5 * (width - 1), (y + shift + 1) * 0.5 * (height - 1)
    )
    mouth = np.exp(-np.square(x / 0.5) - np.square((y - 0.38) / 0.22))
    eyes = np.exp(-np.square(x / 0.7) - np.square((y + 0.38) / 0.15))
    share = severity * 0.6 * (np.maximum(mouth, eyes) if rng.random() < 0.5 else mouth)
    return (image + share[..., None] * (moved - image)).astype(np.float32)


def shadow(image: np.ndarray, severity: float, rng: np.random.Generator) -> np.ndarray:
    """Darkens soft parts of the face where no light would leave a shadow."""
    x, y = _coordinates(image)
    light = np.ones_like(x)
    for _ in range(int(rng.integers(2, 5))):
        cx, cy = rng.uniform(-0.5, 0.5), rng.uniform(-0.6, 0.6)
        wide, high = (float(v) for v in rng.uniform(0.15, 0.4, 2))
        away = np.square((x - cx) / wide) + np.square((y - cy) / high)
        light *= 1 - severity * rng.uniform(0.35, 0.65) * np.exp(-away)
    return (image * light[..., None]).astype(np.float32)


_KINDS = (blur, blobs, noise, warp, colour_cast, seam, specks, grid, ghost, shadow)

DAMAGES: dict[str, Damage] = {function.__name__: function for function in _KINDS}
"""Every kind of damage."""
