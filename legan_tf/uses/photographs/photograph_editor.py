"""Editor of a photograph: finds the faces in it, fits the head to them once, and edits them."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from legan_tf.data.align import landmark_finder, landmarks
from legan_tf.errors import UserError
from legan_tf.head.action_units import parse_action_units, units_of_action_units
from legan_tf.head.face_editor import MAX_STRENGTH, FaceEditor
from legan_tf.head.face_statistics import load_statistics
from legan_tf.head.head_file import load_head
from legan_tf.head.light import Light, parse_light
from legan_tf.uses.photographs import photograph_file
from legan_tf.uses.photographs.photograph_file import Photograph, Source

LARGEST, ALL = "largest", "all"
_REMEMBERED = 4
"""Faces of which all is kept that makes a further edit quick: up to 0.3 GB each."""
_POINT_SHAPES = tuple((count, axes) for count in (68, 468, 478) for axes in (2, 3))


class NoFaceError(UserError):
    """A photograph shows no face that can be edited; the message starts with its name."""


@dataclasses.dataclass(frozen=True)
class Target:
    """What a face is edited to; what is left out stays as it is.

    Attributes:
        expression: Name of an expression, of ``head.expressions.PRESETS`` or a learned one.
        lighting: A light, its name, or its direction as text; see ``head.light.parse_light``.
        strength: How much of the expression, 0 to 2; 1 is all of it, 0 changes nothing.
        action_units: Intensities by FACS number or name (12 or ``AU12``), 0 to 1, in place of an
            expression; or as text, ``AU12=.8,AU6=.5``.
    """

    expression: str | None = None
    lighting: Light | str | None = None
    strength: float = 1.0
    action_units: Mapping[int | str, float] | str | None = None

    def __post_init__(self) -> None:
        """Checks the values.

        Raises:
            UserError: One is unknown or out of its range, or two exclude each other.
        """
        if self.expression is not None and self.action_units is not None:
            raise UserError("Give either an expression or action units, not both.")
        if not 0 <= self.strength <= MAX_STRENGTH:
            raise UserError(f"strength {self.strength:g} is not within 0 to {MAX_STRENGTH:g}.")
        self.light()
        self.shapes()

    def light(self) -> Light | None:
        """Returns the light."""
        return parse_light(self.lighting) if isinstance(self.lighting, str) else self.lighting

    def shapes(self) -> dict[str, float] | None:
        """Returns the weights of expression shapes that the action units ask for."""
        if isinstance(self.action_units, str):
            return parse_action_units(self.action_units)
        return None if self.action_units is None else units_of_action_units(self.action_units)

    def __str__(self) -> str:
        """Returns the target as text, for the history of a picture."""
        units, light = self.action_units, self.lighting
        if isinstance(light, Light):
            light = f"azimuth {light.azimuth:g} elevation {light.elevation:g}"
        if isinstance(units, Mapping):
            units = " ".join(f"AU{number}={value:g}" for number, value in units.items())
        given = {
            "expression": self.expression,
            "action units": units,
            "strength": None if self.strength == 1 else f"{self.strength:g}",
            "light": light,
        }
        return ", ".join(f"{name} {value}" for name, value in given.items() if value is not None)


@dataclasses.dataclass(frozen=True, eq=False)
class EditedPhotograph:
    """An edit of a photograph.

    Attributes:
        image: uint8 [H, W, 3], sRGB.
        mask: uint8 [H, W], where it was changed: 0 where no pixel is another.
        notes: A sentence for each thing that could not be done or kept.
    """

    image: np.ndarray
    mask: np.ndarray
    notes: tuple[str, ...]
    _photograph: Photograph
    _target: Target

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes it with the colours and metadata of the photograph; see ``Photograph.encode``.

        Args:
            path: Ends in .png, .jpg, .jpeg, .webp, .tif or .tiff.

        Raises:
            UserError: It does not, or cannot be written.
        """
        self._photograph.save(os.fspath(path), self.image, str(self._target))

    def encode(self, suffix: str) -> bytes:
        """Returns the content of the file that ``save`` writes."""
        return self._photograph.encode(self.image, suffix, str(self._target))


class PhotographEditor:
    """Edits the faces of one photograph, fitted once: a further edit takes a fraction of the first.

    Attributes:
        photograph: The photograph.
        faces: The points of the faces that are edited, float64 [468 or 478, 2 or 3] each, in
            pixels, from the left of the picture to the right.
        found: How many faces there are, edited or not.
        head: The head that is fitted, as it was asked for.
        statistics: What was learned for it, as it was asked for.
        notes: A sentence for each thing of the file that is left out, and each face that the head
            cannot follow.
    """

    def __init__(
        self,
        source: Source | Photograph,
        face: str | int = LARGEST,
        points: np.ndarray | None = None,
        finder: str = landmark_finder.FINDERS[0],
        head: str = "",
        statistics: str = "",
    ) -> None:
        """Finds the faces and fits the head to them.

        Args:
            source: A path, the content of a file, a PIL image, or uint8 [H, W, 3].
            face: ``largest``, ``all``, or a number: faces count from 1, from the left of the
                picture.
            points: Landmarks of the one face to edit, float [68, 2] (iBUG) or [468 or 478, 2 or 3]
                (MediaPipe), in pixels of the upright picture; default is to find them.
            finder: Name of the finder; see ``data.align.landmark_finder``.
            head: Head to fit, see ``head.head_file.load_head``; default is the one that comes with
                the package.
            statistics: File of what was learned for the head, with expressions of its own; see
                ``head.face_statistics.load_statistics``.

        Raises:
            NoFaceError: There is no face, not the one asked for, or the head follows none.
            UserError: The picture cannot be read, or the finder or the head cannot be used.
        """
        if not isinstance(source, Photograph):
            source = photograph_file.read(source)
        self.photograph, self.head, self.statistics = source, head, statistics
        model = load_head(head)
        learned = load_statistics(model, statistics)
        if points is None:
            found = _make_finder(finder).meshes(source.image)
            chosen = chosen_faces(found, face, source.name)
        else:
            found = chosen = [_checked_points(points, source)]
        self.found = len(found)
        self._editors: list[FaceEditor] = []
        faces, notes = [], list(source.notes)
        for one in chosen:
            try:
                self._editors.append(FaceEditor(source.image, one, model, learned))
            except UserError as error:
                notes.append(f"{source.name}: {error}")
                continue
            faces.append(one)
        if not faces:
            raise NoFaceError(notes[-1])
        self.faces, self.notes = tuple(faces), tuple(notes)

    def edit(
        self,
        expression: str | None = None,
        lighting: Light | str | None = None,
        strength: float = 1.0,
        action_units: Mapping[int | str, float] | str | None = None,
    ) -> EditedPhotograph:
        """Edits the faces; see ``Target`` for what can be asked for.

        Raises:
            UserError: A target is unknown or out of its range.
        """
        return self.edit_to(Target(expression, lighting, strength, action_units))

    def edit_to(self, target: Target) -> EditedPhotograph:
        """Edits the faces to a target."""
        image = self.photograph.image.copy()
        mask = np.zeros(image.shape[:2], np.uint8)
        owner = np.zeros(mask.shape, np.uint16)
        middles = np.array([editor.fitted.points.mean(0) for editor in self._editors])
        scales = np.array([editor.fitted.scale for editor in self._editors])
        for number, editor in enumerate(self._editors):
            edited = editor.edit(
                target.expression, target.strength, units=target.shapes(), light=target.light()
            )
            changed = edited.mask > 0
            # Where two faces' edits meet, the nearer face has the pixel.
            y, x = np.nonzero(changed & (mask > 0))
            first = owner[y, x]
            away = [
                np.hypot(*(np.stack([x, y], -1) - middles[face]).T) / scales[face]
                for face in (number, first)
            ]
            changed[y, x] = away[0] < away[1]
            image[changed], mask[changed] = edited.image[changed], edited.mask[changed]
            owner[changed] = number
            if len(self._editors) > _REMEMBERED:
                editor.forget()
        return EditedPhotograph(image, mask, self.notes, self.photograph, target)


def edit_photograph(
    source: Source | Photograph,
    expression: str | None = None,
    lighting: Light | str | None = None,
    strength: float = 1.0,
    action_units: Mapping[int | str, float] | str | None = None,
    **finding: Any,
) -> EditedPhotograph:
    """Edits the faces of a photograph at its own size, with nothing trained.

    Args:
        source: A path, the content of a file, a PIL image, or uint8 [H, W, 3].
        expression: Name of an expression: ``smile``, ``neutral``, ``surprise`` and others.
        lighting: Name or direction of a light: ``left``, ``soft``, ``azimuth=-60,elevation=20``.
        strength: How much of the expression: 1 is all of it.
        action_units: Intensities by FACS number, in place of an expression.
        **finding: Which faces, and how to find them; see ``PhotographEditor``.

    Returns:
        The edit, with ``image``, ``mask`` and ``save(path)``.

    Raises:
        UserError: The picture or a target cannot be used, or there is no face.
    """
    target = Target(expression, lighting, strength, action_units)
    return PhotographEditor(source, **finding).edit_to(target)


def opener(
    face: str = LARGEST,
    landmarks_file: str = "",
    finder: str = landmark_finder.FINDERS[0],
    head: str = "",
    statistics: str = "",
) -> Callable[[Photograph], PhotographEditor]:
    """Returns what opens photographs of picture files for editing.

    The head and the finder are loaded first, so that what is wrong with them is told once.

    Args:
        face: Which faces to edit; see ``PhotographEditor``.
        landmarks_file: CSV of the points of a face in each picture; see
            ``data.align.landmarks.read_point_csv``. Nothing is searched for then.
        finder: Name of the finder.
        head: Head to fit.
        statistics: What was learned for it.

    Raises:
        UserError: One of them cannot be used.
    """
    checked_face(face)
    load_statistics(load_head(head), statistics)
    fitted: dict[str, Any] = {"head": head, "statistics": statistics}
    if not landmarks_file:
        _make_finder(finder)
        return lambda photograph: PhotographEditor(photograph, face, finder=finder, **fitted)
    points = landmarks.read_point_csv(landmarks_file)

    def open_editor(photograph: Photograph) -> PhotographEditor:
        found = points.get(photograph.name, points.get(os.path.basename(photograph.name)))
        if found is None:
            raise NoFaceError(f"{photograph.name}: has no points in {landmarks_file}.")
        return PhotographEditor(photograph, points=found, **fitted)

    return open_editor


def _checked_points(points: np.ndarray, photograph: Photograph) -> np.ndarray:
    """Returns landmarks of a face in a photograph as float64."""
    values = np.asarray(points, np.float64)
    height, width = photograph.image.shape[:2]
    if values.shape not in _POINT_SHAPES:
        raise UserError(
            f"{photograph.name}: landmarks are [68, 2] or [468 or 478, 2 or 3], not "
            f"{list(values.shape)}."
        )
    middle = values[:, :2].mean(0)
    if not (np.all(np.isfinite(values)) and np.all((middle >= 0) & (middle < (width, height)))):
        raise UserError(
            f"{photograph.name}: the landmarks are not in the picture; they are pixels of the "
            "upright picture, the centre of the first being (0, 0)."
        )
    return values


def _make_finder(name: str) -> landmark_finder.LandmarkFinder:
    if name not in landmark_finder.FINDERS:
        raise UserError(f"--finder={name}: choose from {', '.join(landmark_finder.FINDERS)}.")
    return landmark_finder.make_finder(name)


def checked_face(text: str | int) -> str | int:
    """Returns which faces to edit: ``largest``, ``all``, or a number from 1.

    Raises:
        UserError: It is none of these.
    """
    if text in (LARGEST, ALL):
        return text
    if re.fullmatch("[0-9]{1,9}", str(text)) and int(text) > 0:
        return int(text)
    raise UserError(
        f"--face={text}: say {LARGEST}, {ALL}, or a number: 1 is the face at the left of the "
        "picture."
    )


def chosen_faces(faces: Sequence[np.ndarray], which: str | int, name: str) -> list[np.ndarray]:
    """Returns the faces to edit, from the left of the picture to the right.

    Args:
        faces: Points of each face, the largest first.
        which: See ``checked_face``.
        name: Name of the picture in errors.

    Raises:
        NoFaceError: There is none, or not that one.
    """
    which = checked_face(which)
    if not faces:
        raise NoFaceError(
            f"{name}: no face was found; one must be at least a twelfth of the longer side, and "
            "not in profile. Cut the picture closer around it."
        )
    if which == LARGEST:
        return [faces[0]]
    ordered = sorted(faces, key=lambda points: points[:, 0].mean())
    if which == ALL:
        return ordered
    number = int(which)
    if number > len(ordered):
        count = "1 face" if len(ordered) == 1 else f"{len(ordered)} faces"
        raise NoFaceError(f"{name}: has {count}; there is no --face={number}.")
    return [ordered[number - 1]]
