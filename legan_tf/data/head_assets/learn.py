"""Learning of face statistics from people photographed neutral and with an expression."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.ndimage import map_coordinates
from scipy.spatial import cKDTree

from legan_tf.data import images, storage
from legan_tf.data.align.landmark_finder import LandmarkFinder, make_finder
from legan_tf.data.manifest import Manifest, read_manifest
from legan_tf.data.parallel import OnProgress
from legan_tf.errors import UserError
from legan_tf.head.color import luminance, to_linear
from legan_tf.head.face_points import FacePoints, lip_rim, normalized, parted_lips, with_mean_face
from legan_tf.head.face_statistics import FaceStatistics, LearnedExpression, encode
from legan_tf.head.fields import blurred
from legan_tf.head.fit import FitError, FittedHead, fit_head, lips_apart
from legan_tf.head.head_file import load_head
from legan_tf.head.mesh import vertex_normals
from legan_tf.head.morphable_head import MorphableHead
from legan_tf.head.refinement import refined_points
from legan_tf.head.residual_field import ResidualField

NEUTRAL, SMILE = "neutral", "smile"
"""Names of expressions that are treated apart: a smile is learned with and without teeth."""

_MIN_PEOPLE = 5
_FINE = 0.007  # Of the eyes' distance: what a quotient blurs away.
_DARK = 0.008  # Linear light below which a quotient is noise.
_SLANTED = 0.2  # Cosine to the viewer below which a place is not measured.
_LIP_FADE = 0.25, 0.5  # cm from the lips' edges: there a quotient is that of other lips.


@dataclasses.dataclass(frozen=True, eq=False)
class _Person:
    """One person's neutral face and the same with an expression: change of shape and light."""

    units: np.ndarray
    residual: np.ndarray
    quotient: np.ndarray
    apart: float
    wider: float


def write_statistics(
    head: str,
    manifest: str,
    data_dir: str | None,
    finder: str,
    output: str,
    progress: OnProgress,
) -> str:
    """Learns the statistics of a head and writes their file; returns a summary.

    Args:
        head: File or folder of a head; the package's if empty.
        manifest: CSV of pictures with identity and expression.
        data_dir: Folder that its paths start from; None for its own.
        finder: Name of the landmark finder.
        output: The file to write.
        progress: Called after each picture.

    Raises:
        UserError: The manifest is none, or has too few people, or the file cannot be written.
    """
    learned = learn_statistics(
        load_head(head), read_manifest(manifest, data_dir), make_finder(finder), progress
    )
    content = encode(learned)
    storage.write_bytes(output, content)
    names = ", ".join(sorted(learned.expressions)) or "no expression"
    return f"{output}: {len(content):,} bytes, with {names}"


def learn_statistics(
    head: MorphableHead, manifest: Manifest, finder: LandmarkFinder, progress: OnProgress
) -> FaceStatistics:
    """Learns the finder's points on a head, and expressions in the mean of people.

    Args:
        head: The head.
        manifest: Pictures with identity and expression; those of people with a neutral one count.
        finder: Finds their landmarks.
        progress: Called after each picture with the numbers done and in all.

    Raises:
        UserError: There are fewer than five people with a neutral picture.
    """
    points = _find(manifest, finder, progress)
    face_points = with_mean_face(head, _mean_face(manifest, points))
    return FaceStatistics(face_points, _expressions(head, face_points, points))


def _mean_face(manifest: Manifest, points: Mapping[tuple[str, str], Shown]) -> np.ndarray:
    """Returns the mean points of the neutral people, normalized."""
    neutral = [shown for (_, what), shown in points.items() if what == NEUTRAL]
    if len(neutral) < _MIN_PEOPLE:
        raise UserError(
            f"{manifest.file}: has {len(neutral)} people with a neutral picture in which a face "
            f"is found; give {_MIN_PEOPLE} or more."
        )
    return np.mean([normalized(found) for _, found in neutral], 0)


def _expressions(
    head: MorphableHead, face_points: FacePoints, points: Mapping[tuple[str, str], Shown]
) -> dict[str, LearnedExpression]:
    """Returns the expressions that enough people show beside their neutral face."""
    field = ResidualField(head, face_points)
    people: dict[str, list[_Person]] = collections.defaultdict(list)
    for (who, what), shown in sorted(points.items()):
        neutral = points.get((who, NEUTRAL))
        if what != NEUTRAL and neutral is not None:
            try:
                person = _compare(head, face_points, field, neutral, shown)
            except FitError:
                continue
            for name in _names(what, person):
                people[name].append(person)
    mirror = _Mirror(head, face_points)
    return {name: mirror.mean(found) for name, found in people.items() if len(found) >= _MIN_PEOPLE}


Shown = tuple[str, np.ndarray]
"""A picture's file and its points."""


def _find(
    manifest: Manifest, finder: LandmarkFinder, progress: OnProgress
) -> dict[tuple[str, str], Shown]:
    """Returns file and points of the first picture of each person and expression."""
    rows = [row for row in manifest.rows if row.identity and row.expression]
    found: dict[tuple[str, str], Shown] = {}
    for done, row in enumerate(rows, 1):
        key = row.identity, row.expression
        if key not in found:
            image = images.decode(row.file)
            meshes = finder.meshes(image)
            if meshes:
                found[key] = row.file, refined_points(image, meshes[0])[:468, :2]
        progress(done, len(rows))
    return found


def _names(expression: str, person: _Person) -> Sequence[str]:
    """Returns under which names a person's expression is learned."""
    if expression != SMILE:
        return (expression,)
    if person.apart > 0.06 and person.wider > 0.08:
        return (SMILE,)
    if person.apart < 0.03 and person.wider > 0.05:
        return (f"{SMILE}_closed",)
    return ()


def _compare(
    head: MorphableHead, face_points: FacePoints, field: ResidualField, before: Shown, after: Shown
) -> _Person:
    fits: list[FittedHead] = []
    lights, facing = [], []
    for (file, points), expressive in ((before, False), (after, True)):
        # The person stays the same, so that all that changes is expression.
        identity = fits[0].identity if fits else None
        fitted = fit_head(head, face_points, field, points, expressive, identity)
        light, cosine = _light(fitted, images.decode(file))
        fits.append(fitted)
        lights.append(light)
        facing.append(cosine)
    quotient = lights[1] - lights[0]
    quotient[np.min(facing, 0) < _SLANTED] = np.nan
    quotient -= np.nanmedian(quotient)
    first, second = fits
    mouths = [normalized(fitted.points)[[61, 291]] for fitted in fits]
    widths = [float(np.linalg.norm(mouth[1] - mouth[0])) for mouth in mouths]
    return _Person(
        units=second.expression - first.expression,
        residual=second.residual @ second.upright - first.residual @ first.upright,
        quotient=quotient,
        apart=lips_apart(second.points),
        wider=widths[1] - widths[0],
    )


def _light(fitted: FittedHead, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the log luminance at the face's vertices, and their cosine to the viewer."""
    skin = fitted.head.vertices_of("face")
    vertices = fitted.vertices()
    light = blurred(luminance(to_linear(image)), _FINE * fitted.scale)
    seen = map_coordinates(light, vertices[skin, 1::-1].T, order=1, mode="nearest")
    triangles = fitted.head.triangles[fitted.head.triangles_of("face", "side", "head")]
    return np.log(seen + _DARK), vertex_normals(vertices, triangles)[skin, 2]


class _Mirror:
    """Means over people, and over both sides of the face."""

    def __init__(self, head: MorphableHead, face_points: FacePoints) -> None:
        self._names = head.expression_names
        other = {"L": "R", "R": "L"}
        swapped = [
            f"{name[:-1]}{other[name[-1]]}" if name[-2:] in ("_L", "_R") else name
            for name in self._names
        ]
        self._units = np.array([self._names.index(name) for name in swapped])
        places = face_points.mean_face[face_points.numbers]
        self._points = cKDTree(places).query(places * (-1, 1))[1]
        skin = head.neutral[head.vertices_of("face")]
        self._vertices = cKDTree(skin).query(skin * (-1, 1, 1))[1]
        parted = parted_lips(head)
        rims = np.concatenate([lip_rim(head, lip) for lip in ("upper", "lower")])
        away = cKDTree(parted[rims]).query(parted[head.vertices_of("face")])[0]
        self._fade = np.clip((away - _LIP_FADE[0]) / _LIP_FADE[1], 0, 1)

    def mean(self, people: Sequence[_Person]) -> LearnedExpression:
        units = np.mean([person.units for person in people], 0)
        units = (units + units[self._units]) / 2
        residual = np.mean([person.residual for person in people], 0)
        residual = (residual + residual[self._points] * (-1, 1)) / 2
        sides = [person.quotient for person in people]
        sides += [quotient[self._vertices] for quotient in sides]
        known = np.isfinite(sides).any(0)
        quotient = np.zeros(len(self._vertices))
        quotient[known] = np.nanmedian(np.array(sides)[:, known], 0)
        weights: Mapping[str, float] = {
            name: float(weight) for name, weight in zip(self._names, units) if abs(weight) > 1e-4
        }
        return LearnedExpression(weights, residual, (quotient * self._fade).astype(np.float32))
