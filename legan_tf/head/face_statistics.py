"""Face statistics: what was learned from people for a head.

The finder's points on the head, and expressions in the mean of people who show them.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Mapping

import numpy as np
from scipy.spatial import cKDTree

from legan_tf.errors import UserError, first_line
from legan_tf.head import archive
from legan_tf.head.face_points import FacePoints, with_mean_face
from legan_tf.head.head_file import load_head
from legan_tf.head.morphable_head import MorphableHead

ASSET = os.path.join(os.path.dirname(__file__), "assets", "face_statistics.npz")
"""The statistics that come with the package, for the head that comes with it."""

_MAX_BYTES = 1 << 26


@dataclasses.dataclass(frozen=True, eq=False)
class LearnedExpression:
    """An expression in the mean of people, beside their neutral faces.

    Attributes:
        units: Change of the expression shapes, by name.
        residual: float64 [P, 2], change of the landmarks' residual: upright, shares of the eyes'
            distance.
        quotient: float32 [n], logarithm of the gain of linear light at the face's vertices.
    """

    units: Mapping[str, float]
    residual: np.ndarray
    quotient: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class FaceStatistics:
    """What was learned for a head.

    Attributes:
        face_points: The finder's points on the head.
        expressions: Learned expressions by name.
    """

    face_points: FacePoints
    expressions: Mapping[str, LearnedExpression]


def encode(statistics: FaceStatistics) -> bytes:
    """Returns the content of a file of statistics: the same bytes for the same statistics."""
    points = statistics.face_points
    arrays = {
        "numbers": points.numbers.astype(np.int32),
        "vertices": points.vertices.astype(np.int32),
        "weights": points.weights.astype(np.float32),
        "residual": points.residual.astype(np.float32),
        "identity": points.identity.astype(np.float32),
        "mean_face": points.mean_face.astype(np.float32),
        "expressions": np.array(sorted(statistics.expressions)),
    }
    for name, learned in statistics.expressions.items():
        arrays[f"{name}.units"] = np.array(sorted(learned.units))
        weights = [learned.units[unit] for unit in sorted(learned.units)]
        arrays[f"{name}.weights"] = np.array(weights, np.float32)
        arrays[f"{name}.residual"] = learned.residual.astype(np.float32)
        arrays[f"{name}.quotient"] = learned.quotient.astype(np.float16)
    return archive.encode(arrays)


@functools.lru_cache(maxsize=4)
def load_statistics(head: MorphableHead, path: str = "") -> FaceStatistics:
    """Returns the statistics for a head.

    Args:
        head: The head.
        path: A file that ``scripts/build_head.py learn`` wrote for this head. If empty, those of
            the package; for another head than the package's its points are found on it anew, and
            quotients are taken from the nearest places.

    Raises:
        UserError: The file is not there, or is no such file, or is for another head.
    """
    if path or head.name == load_head().name:
        return _read(path or ASSET, head)
    return transferred(load_statistics(load_head()), load_head(), head)


def transferred(
    statistics: FaceStatistics, head: MorphableHead, other: MorphableHead
) -> FaceStatistics:
    """Returns the statistics of a head for another one."""
    points = with_mean_face(other, statistics.face_points.mean_face)
    here = head.neutral[head.vertices_of("face")]
    there = other.neutral[other.vertices_of("face")]
    # The noses' tips lie on one another.
    shift = head.neutral[head.landmark_vertices[30]] - other.neutral[other.landmark_vertices[30]]
    nearest = cKDTree(here).query(there + shift)[1]
    expressions = {}
    for name, learned in statistics.expressions.items():
        residual = points.carried(learned.residual, statistics.face_points)
        known = {
            unit: weight for unit, weight in learned.units.items() if unit in other.expression_names
        }
        expressions[name] = LearnedExpression(known, residual, learned.quotient[nearest])
    return FaceStatistics(points, expressions)


def _read(path: str, head: MorphableHead) -> FaceStatistics:
    try:
        statistics = _decode(archive.decode(path, _MAX_BYTES))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({first_line(error)}).") from error
    except Exception as error:  # Damaged archives fail in many ways.
        raise UserError(
            f"{path}: is no file of face statistics ({first_line(error)}); "
            "scripts/build_head.py learn writes them."
        ) from error
    if not _fits(statistics, head):
        raise UserError(
            f"{path}: was learned for another head; learn it again by scripts/build_head.py learn."
        )
    return statistics


def _decode(arrays: Mapping[str, np.ndarray]) -> FaceStatistics:
    points = FacePoints(
        numbers=arrays["numbers"].astype(np.int64),
        vertices=arrays["vertices"].astype(np.int64),
        weights=arrays["weights"].astype(np.float64),
        residual=arrays["residual"].astype(np.float64),
        identity=arrays["identity"].astype(np.float64),
        mean_face=arrays["mean_face"].astype(np.float64),
    )
    expressions = {
        str(name): LearnedExpression(
            units=dict(zip(map(str, arrays[f"{name}.units"]), arrays[f"{name}.weights"].tolist())),
            residual=arrays[f"{name}.residual"].astype(np.float64),
            quotient=arrays[f"{name}.quotient"].astype(np.float32),
        )
        for name in arrays["expressions"]
    }
    return FaceStatistics(points, expressions)


def _fits(statistics: FaceStatistics, head: MorphableHead) -> bool:
    points, skin = statistics.face_points, len(head.vertices_of("face"))
    count = len(points.numbers)
    return (
        points.vertices.shape == points.weights.shape == (count, 3)
        and points.residual.shape == (count, 2)
        and points.mean_face.shape == (468, 2)
        and len(points.identity) == len(head.identity)
        and 0 <= points.vertices.min()
        and points.vertices.max() < len(head.neutral)
        and all(
            learned.residual.shape == (count, 2)
            and learned.quotient.shape == (skin,)
            and set(learned.units) <= set(head.expression_names)
            for learned in statistics.expressions.values()
        )
    )
