"""Errors of normals, depth and lighting, and the lighting that a picture shows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from legan_tf.evaluation.metrics.registry import register

_LUMINANCE = np.array([0.2126, 0.7152, 0.0722])  # ITU-R BT.709
_RIDGE = 1e-5  # share of the mean diagonal; a face shows half of the normals that there are
_REWEIGHTINGS = 3
_DARKEST_RESIDUAL = 1e-6  # linear light; keeps the scale of a perfect fit above zero


def _linear_levels() -> np.ndarray:
    """Linear light of each of the 256 levels of sRGB (IEC 61966-2-1)."""
    level = np.arange(256) / 255
    return np.where(level <= 0.04045, level / 12.92, ((level + 0.055) / 1.055) ** 2.4)


_LINEAR = _linear_levels()


def linear_luminance(images: np.ndarray) -> np.ndarray:
    """Luminance of sRGB pictures in linear light; of greys within 1e-12 of IEC 61966-2-1.

    Args:
        images: uint8 [..., 3].

    Returns:
        float64 [...], 0 to 1.

    Raises:
        ValueError: The images are not of that form.
    """
    if images.dtype != np.uint8 or images.shape[-1:] != (3,):
        raise ValueError(f"images must be uint8 [..., 3], not {images.dtype} {images.shape}")
    return _LINEAR[images] @ _LUMINANCE


def _harmonics(normals: np.ndarray) -> np.ndarray:
    """The nine real spherical harmonics up to order two, float64 [..., 9], of unit normals."""
    x, y, z = np.moveaxis(np.asarray(normals, np.float64), -1, 0)
    first, second = np.sqrt(3 / (4 * np.pi)), np.sqrt(15 / (4 * np.pi))
    return np.stack(
        [
            np.full_like(x, np.sqrt(1 / (4 * np.pi))),
            first * x,
            first * y,
            first * z,
            second * x * y,
            second * y * z,
            second * x * z,
            np.sqrt(5 / (16 * np.pi)) * (3 * z * z - 1),
            second / 2 * (x * x - y * y),
        ],
        axis=-1,
    )


def _ball_products() -> np.ndarray:
    """Mean products of the harmonics, [9, 9], over the picture of a ball seen from the front."""
    at = (np.arange(64) + 0.5) / 32 - 1
    x, y = np.meshgrid(at, -at)
    rest = 1 - x * x - y * y
    ball = rest > 0
    seen = _harmonics(np.stack([x[ball], y[ball], np.sqrt(rest[ball])], axis=-1))
    return seen.T @ seen / len(seen)


_BALL = _ball_products()


def _check_mask(mask: np.ndarray, **others: np.ndarray) -> None:
    """Raises ValueError where a mask is empty, or what it is laid over has another size."""
    if mask.dtype != bool or mask.ndim != 3:
        raise ValueError(f"mask must be bool [N, H, W], not {mask.dtype} {mask.shape}")
    for name, values in others.items():
        if values.shape[:3] != mask.shape:
            raise ValueError(f"{name} has shape {values.shape}, but the mask has {mask.shape}")
    empty = np.flatnonzero(~mask.any(axis=(1, 2)))
    if len(empty):
        raise ValueError(f"the mask of picture {empty[0]} is empty")


def _unit(normals: np.ndarray, name: str) -> np.ndarray:
    """Normals [M, 3] at length one."""
    normals = np.asarray(normals, np.float64)
    lengths = np.linalg.norm(normals, axis=-1, keepdims=True)
    if not np.all(lengths > 0):  # NaN is not above zero either
        raise ValueError(f"{name} normals inside the mask must have a length above zero")
    return normals / lengths


@register("normal_error", "normal error", "lower", "normals true_normals mask", decimals=2,
          unit="°", order=(210, 110), source="Woodham 1980")  # fmt: skip
@register("map_angle", "map angle", "lower", "map_normals true_map_normals true_silhouette",
          decimals=2, unit="°", order=(250, 150))  # fmt: skip
@register("map_angle", "mean angle inside", "lower", "map_normals true_map_normals true_silhouette",
          kind="depth", decimals=2, unit="°", order=(50, None))  # fmt: skip
def normal_error(predicted: np.ndarray, true: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Mean angle between normals, lower is better.

    Within 1e-7, relatively, of the angles of a ball's normals by other formulas; exactly 0 for
    the normals of a ball and themselves.

    Args:
        predicted: float [N, H, W, 3], of any length above zero inside the mask.
        true: float [N, H, W, 3], likewise.
        mask: bool [N, H, W], what counts.

    Returns:
        float64 [N], degrees, 0 to 180.

    Raises:
        ValueError: The shapes differ, a mask is empty, or a normal inside it has no direction.
    """
    return np.array([angles.mean() for angles in _angles(predicted, true, mask)])


@register("median_angle", "median angle inside", "lower",
          "map_normals true_map_normals true_silhouette", kind="depth", decimals=2, unit="°",
          order=(60, None))  # fmt: skip
def median_normal_error(predicted: np.ndarray, true: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Median angle between normals, lower is better.

    Arguments, returned values and errors as of ``normal_error``.
    """
    return np.array([np.median(angles) for angles in _angles(predicted, true, mask)])


def _angles(predicted: np.ndarray, true: np.ndarray, mask: np.ndarray) -> Iterator[np.ndarray]:
    """The angles in degrees between the normals inside each mask."""
    _check_mask(mask, predicted=predicted, true=true)
    for i, inside in enumerate(mask):
        first, second = _unit(predicted[i][inside], "predicted"), _unit(true[i][inside], "true")
        # The arc cosine of the product alone loses the small angles to rounding.
        across = np.linalg.norm(np.cross(first, second), axis=-1)
        yield np.degrees(np.arctan2(across, np.sum(first * second, axis=-1)))


@register("depth_error", "depth error", "lower", "depth true_depth mask", order=(220, 120),
          source="Woodham 1980")  # fmt: skip
def aligned_depth_error(predicted: np.ndarray, true: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Mean absolute error of depth, after its offset and scale are aligned, lower is better.

    Neither a depth map that is normalised per picture nor one integrated from normals knows its
    offset, and the first has no scale: both are set to fit the true depth best in least squares.
    Normalising both maps by their extremes would do the same, but one stray pixel would decide.
    The scale is not below zero, so a relief turned inside out is no better than none at all.
    0 within 1e-12 for what differs in offset and scale only.

    Args:
        predicted: float [N, H, W], larger is nearer; what is outside the mask may be NaN.
        true: float [N, H, W], likewise.
        mask: bool [N, H, W], what counts.

    Returns:
        float64 [N], as a share of the true depth's range inside the mask. A flat prediction gets
        the mean absolute deviation of the true depth.

    Raises:
        ValueError: The shapes differ, a mask is empty, depth inside it is not finite, or the true
            depth is flat.
    """
    _check_mask(mask, predicted=predicted, true=true)
    errors = np.empty(len(mask))
    for i, inside in enumerate(mask):
        x, y = (np.asarray(depth[i][inside], np.float64) for depth in (predicted, true))
        if not (np.isfinite(x).all() and np.isfinite(y).all()):
            raise ValueError(f"the depth of picture {i} is not finite everywhere inside the mask")
        extent = np.ptp(y)
        if extent == 0:
            raise ValueError(f"the true depth of picture {i} is flat")
        x, y = x - x.mean(), y - y.mean()
        varies = np.sum(x * x)
        scale = max(0.0, np.sum(x * y) / varies) if varies > 0 else 0.0
        errors[i] = np.abs(scale * x - y).mean() / extent
    return errors


def light_coefficients(
    images: np.ndarray, normals: np.ndarray, albedo: np.ndarray, mask: np.ndarray
) -> np.ndarray:
    """The light that pictures show, as spherical harmonics up to order two.

    Linear luminance is albedo times a function of the normal, which has nine coefficients
    (Ramamoorthi and Hanrahan, SIGGRAPH 2001). They are fitted by least squares; each pixel weighs
    with its albedo squared, as noise is divided by it, and less the further it is from the fit
    (Cauchy's weights), as highlights and cast shadows are. What the surface leaves open is drawn
    to zero by a small ridge. On a ball of random albedo, in eight bits, they are within 0.01 of
    the light that it was lit by.

    Args:
        images: uint8 [N, H, W, 3], sRGB.
        normals: float [N, H, W, 3], unit; x right, y up, z to the viewer.
        albedo: float [N, H, W, 3], linear RGB in [0, 1].
        mask: bool [N, H, W], the pixels to look at.

    Returns:
        float64 [N, 9]: the constant, x, y, z, xy, yz, xz, 3z²-1, x²-y², orthonormal on the
        sphere, in units of linear luminance of a white surface.

    Raises:
        ValueError: The shapes differ, a mask is empty, or the images are not uint8.
    """
    _check_mask(mask, images=images, normals=normals, albedo=albedo)
    return np.stack(
        [
            _fitted_light(
                linear_luminance(images[i][inside]),
                _harmonics(normals[i][inside]) * (albedo[i][inside] @ _LUMINANCE)[:, None],
            )
            for i, inside in enumerate(mask)
        ]
    )


def _fitted_light(luminance: np.ndarray, harmonics: np.ndarray) -> np.ndarray:
    """Coefficients [9] of luminance [M] in harmonics times albedo [M, 9]."""
    weights = np.ones_like(luminance)
    for _ in range(_REWEIGHTINGS + 1):
        products = (harmonics * weights[:, None]).T @ harmonics
        ridge = _RIDGE * np.trace(products) / len(products) + np.finfo(np.float64).tiny
        products += ridge * np.eye(len(products))
        fitted = np.linalg.solve(products, harmonics.T @ (weights * luminance))
        residuals = np.abs(luminance - harmonics @ fitted)
        # 1.4826 makes the median of normal noise its standard deviation.
        scale = 2 * 1.4826 * np.median(residuals) + _DARKEST_RESIDUAL
        weights = 1 / (1 + np.square(residuals / scale))
    return fitted


@register("light_error", "light error", "lower", "light true_light", order=(180, 80))
def light_error(edited: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Relative distance of two lights, lower is better.

    The distance is that of two pictures of a white ball, seen from the front, under the two
    lights. The distance of the coefficients themselves would be that of the whole ball, whose far
    half no picture of a face shows. Within 1e-7, relatively, of examples by hand that
    differ in brightness, and within 0.3 % of one in direction, as the ball has 64 x 64 pixels.

    Args:
        edited: float [N, 9], what ``light_coefficients`` gave for the edits.
        true: float [N, 9], for the true pictures, on the same surfaces.

    Returns:
        float64 [N], the root mean square of the difference over that of the true ball; 0 where the
        light is the same, 1 where it is out.

    Raises:
        ValueError: The shapes differ, or a true light is dark.
    """
    edited, true = np.asarray(edited, np.float64), np.asarray(true, np.float64)
    if edited.shape != true.shape or edited.shape[1:] != (9,):
        raise ValueError(f"the lights must be [N, 9] each, not {edited.shape} and {true.shape}")
    difference, wanted = (
        np.einsum("ni,ij,nj->n", light, _BALL, light) for light in (edited - true, true)
    )
    if np.any(wanted <= 0):
        raise ValueError(f"the true light of picture {np.flatnonzero(wanted <= 0)[0]} is dark")
    return np.sqrt(np.maximum(difference, 0) / wanted)
