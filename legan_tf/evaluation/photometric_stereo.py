"""Photometric stereo: the surface that relit faces imply, against the true one.

A model that knows the shape of a face relights it accordingly. From pictures of one face under many
lights, photometric stereo (Woodham, Optical Engineering 1980) recovers the normals, and from these
the depth, as from photographs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import spsolve

from legan_tf.command_line.cli import counter
from legan_tf.data.faceset import FaceSet
from legan_tf.evaluation.edit_plan import Edit
from legan_tf.evaluation.metrics.registry import compute
from legan_tf.evaluation.metrics.surface import linear_luminance

INPUTS = ("normals", "true_normals", "depth", "true_depth", "mask")
"""Inputs of metrics, as in ``metrics.registry.INPUTS``, that come from relit faces."""

_REWEIGHTINGS = 5
_LEAST_RESIDUAL = 0.01  # linear light; what eight bits and the noise of a network leave
_LEAST_RESPONSE = 1e-3  # linear light; below it the normal of a pixel is undetermined
_STEEPEST = 0.1  # least z of a normal that is integrated


def photometric_normals(lit: np.ndarray, unlit: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Normals of a face from pictures of it under known flashes.

    What a flash adds, in linear light, is the albedo times the cosine of its angle to the normal:
    least squares over the flashes give both. Flashes that are behind the fitted surface are left
    out in turn, and others weigh less the further they are from the fit (Cauchy's weights), as
    cast shadows, highlights and saturation are.

    Args:
        lit: uint8 [L, H, W, 3], sRGB, one picture for each flash.
        unlit: uint8 [H, W, 3], the same without flash.
        directions: float [L, 3], unit vectors to the flashes, not all in one plane; x right, y up,
            z to the viewer.

    Returns:
        float64 [H, W, 3], unit. A pixel that responds to no flash faces the viewer.

    Raises:
        ValueError: There are fewer than three flashes, or they lie in one plane.
    """
    directions = np.asarray(directions, np.float64)
    if not _determine_normals(directions):
        raise ValueError("normals need three flashes that do not lie in one plane with the face")
    added = linear_luminance(lit) - linear_luminance(unlit)
    weights = np.ones_like(added)
    for _ in range(_REWEIGHTINGS):
        expected = np.einsum("li,hwi->lhw", directions, _scaled_normals(added, weights, directions))
        residuals = np.abs(added - np.maximum(expected, 0))
        scale = np.maximum(1.4826 * np.median(residuals, axis=0), _LEAST_RESIDUAL)
        weights = (expected > 0) / (1 + np.square(residuals / scale))
    scaled = _scaled_normals(added, weights, directions)
    response = np.linalg.norm(scaled, axis=-1, keepdims=True)
    responds = response > _LEAST_RESPONSE
    return np.where(responds, scaled / np.where(responds, response, 1), [0.0, 0.0, 1.0])


def _determine_normals(directions: Sequence[np.ndarray] | np.ndarray) -> bool:
    """Whether flashes from these directions are three or more, and not all in one plane."""
    return len(directions) >= 3 and np.linalg.matrix_rank(directions, tol=1e-3) == 3


def _scaled_normals(added: np.ndarray, weights: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Normals times albedo, [H, W, 3], that explain what weighted flashes add, both [L, H, W]."""
    products = np.einsum("lhw,li,lj->hwij", weights, directions, directions)
    # Where too few flashes are left, undetermined components are zero.
    products += 1e-6 * np.eye(3)
    wanted = np.einsum("lhw,li->hwi", weights * added, directions)
    return np.linalg.solve(products, wanted[..., None])[..., 0]


def depth_of_normals(normals: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Depth whose slopes are, in least squares, those of the normals.

    Args:
        normals: float [H, W, 3], unit; x right, y up, z to the viewer.
        mask: bool [H, W], where to integrate.

    Returns:
        float64 [H, W], larger is nearer, in half widths of the picture; the mean of each part of
        the mask is zero. NaN outside.
    """
    step = 2 / mask.shape[1]
    z = np.maximum(normals[..., 2], _STEEPEST)
    number = np.cumsum(mask).reshape(mask.shape) - 1
    pixels = int(mask.sum())
    differences, rises = [], []
    right, below = (np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1], np.s_[1:])
    for (here, there), slope in ((right, -normals[..., 0] / z), (below, normals[..., 1] / z)):
        both = mask[here] & mask[there]
        first, second = number[here][both], number[there][both]
        row = np.arange(len(first))
        signs = np.concatenate([-np.ones(len(row)), np.ones(len(row))])
        places = np.concatenate([row, row]), np.concatenate([first, second])
        differences.append(sparse.csr_matrix((signs, places), (len(row), pixels)))
        rises.append(step * (slope[here][both] + slope[there][both]) / 2)
    slopes = sparse.vstack(differences)
    # Slopes leave the offset of every part of the mask open.
    products = slopes.T @ slopes + 1e-8 * sparse.identity(pixels)
    depth = np.full(mask.shape, np.nan)
    depth[mask] = spsolve(products.tocsc(), slopes.T @ np.concatenate(rises))
    return depth


def lights_suffice(faces: FaceSet) -> bool:
    """Whether the lights of rendered faces determine normals."""
    if faces.light_directions is None or not faces.names("lighting"):
        return False
    shots = _directions(faces)
    flashes = [direction for direction in shots if direction.any()]
    return len(flashes) < len(shots) and _determine_normals(flashes)


def _directions(faces: FaceSet) -> np.ndarray:
    """Returns the way to the flash of each class of light, float32 [L, 3]; 0 without one."""
    assert faces.light_directions is not None
    _, first = np.unique(faces.labels["lighting"], return_index=True)
    return faces.light_directions[first]


def relighting_metrics(
    editor: Edit, faces: FaceSet, people: int, seed: int
) -> dict[str, dict[str, np.ndarray]]:
    """Relights faces with every flash, and computes the metrics of the recovered surfaces.

    One random picture of each of some random people is relit, its expression kept. The error of the
    surface recovered from true pictures is that of the method, the least that is possible; copies
    of the input respond to no flash, so they imply a flat face.

    Args:
        editor: The model.
        faces: Rendered faces, among whose lights are one without flash and three or more flashes
            that do not lie in one plane; see ``lights_suffice``.
        people: How many people, at most those of ``faces``.
        seed: Seed of people and pictures.

    Returns:
        For ``edit``, ``copy`` and ``truth``: ``normal_error`` (degrees) and ``depth_error`` (share
        of the range, ``aligned_depth_error``), float64 [people], lower is better; and other
        metrics that need no more than ``INPUTS``.

    Raises:
        ValueError: The faces have no true surfaces, too few people, or not the lights it takes.
    """
    if faces.surface is None or faces.truth is None or not lights_suffice(faces):
        raise ValueError(
            f"{faces.name} cannot be relit: it takes rendered faces, a light without flash, and "
            "three flashes that do not lie in one plane"
        )
    if not 1 <= people <= len(faces.identities):
        raise ValueError(f"people must be 1 to {len(faces.identities)}, not {people}")
    given = _directions(faces)
    flashes = np.flatnonzero(given.any(1))
    unlit = np.flatnonzero(~given.any(1))[0]
    shots, directions = np.array([unlit, *flashes]), given[flashes]
    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(faces.identities), size=people, replace=False)
    found: dict[str, dict[str, list]] = {name: {} for name in ("edit", "copy", "truth")}
    count = counter(people * len(shots), "relighting")
    for person in chosen:
        source = rng.choice(np.flatnonzero(faces.identity == person), size=1)
        expression = faces.labels["expression"][source]
        surface = faces.surface(source, expression)
        copies = np.repeat(faces.images(source), len(shots), axis=0)
        relit = {
            "edit": editor(copies, expression=np.repeat(expression, len(shots)), lighting=shots),
            "copy": copies,
            "truth": np.stack(
                [
                    faces.truth(int(source[0]), {"expression": expression[0], "lighting": shot})
                    for shot in shots
                ]
            ),
        }
        for name, pictures in relit.items():
            normals = photometric_normals(pictures[1:], pictures[0], directions)
            depth = depth_of_normals(normals, surface.mask[0])
            inputs = dict(
                normals=normals[None],
                true_normals=surface.normals,
                depth=depth[None],
                true_depth=surface.depth,
                mask=surface.mask,
            )
            for metric, value in compute("editor", inputs).items():
                found[name].setdefault(metric, []).append(np.ravel(value))
        count(len(shots))
    return {
        name: {metric: np.concatenate(values) for metric, values in of_row.items()}
        for name, of_row in found.items()
    }
