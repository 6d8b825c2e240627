"""Fitted face: the face of a photograph as a mesh, by a morphable head fitted to its landmarks."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from legan_tf.data.align.landmark_finder import make_finder
from legan_tf.data.output_folder import Rejected
from legan_tf.head.action_units import action_units_of
from legan_tf.head.face_statistics import load_statistics
from legan_tf.head.fit import FitError, FittedHead, fit_head
from legan_tf.head.head_file import load_head
from legan_tf.head.mesh import Mesh, facing_normals
from legan_tf.head.refinement import refined_points
from legan_tf.head.residual_field import residual_field
from legan_tf.head.surface import MOUTH

NO_FACE, NOT_FOLLOWED = "no face is found", "the head does not follow the face"
"""Reasons for which a photograph has no mesh."""

# Without ears, neck and hair, which the landmarks say nothing of. Mouth and eyes are no holes; the
# sockets of the eyes are left out, since gaps at the lids are filled better than seen through.
_PARTS = ("face", "left_eye", "right_eye", *MOUTH)
_FOREHEAD = 2.0, 12.0  # cm of head space: most to either side, and up, of its middle.


@dataclasses.dataclass(frozen=True)
class FittedFace:
    """A face as a mesh in the coordinates of its picture, as ``camera_fit`` has them.

    Attributes:
        mesh: Its surface; of a head that was fitted, only triangles that face the viewer.
        error: As ``FittedHead.error``, or what ``quality_gate.landmark_error`` returns of a mesh.
        action_units: Intensity by number, about 0 to 1; empty where no head was fitted.
        faces: How many faces the picture shows; 0 where no head was fitted.
    """

    mesh: Mesh
    error: float
    action_units: Mapping[int, float] = dataclasses.field(default_factory=dict)
    faces: int = 0


def fit_face(image: np.ndarray, finder: str, head: str) -> FittedFace:
    """Fits a head to the largest face of a photograph; networks and head stay in memory.

    Args:
        image: uint8 [H, W, 3].
        finder: Name of the landmark finder.
        head: Path of the head; that of the package if empty.

    Raises:
        Rejected: There is no face, or the head cannot follow it.
        UserError: There is no such head.
        UnavailableError: The finder's package does not work here.
    """
    meshes = make_finder(finder).meshes(image)
    if not meshes:
        raise Rejected(NO_FACE)
    try:
        fitted = fitted_to(refined_points(image, meshes[0]), head)
    except FitError as error:
        raise Rejected(NOT_FOLLOWED, str(error)) from error
    units = action_units_of(fitted.expression, fitted.head.expression_names)
    return FittedFace(face_mesh(fitted), fitted.error, units, len(meshes))


def fitted_to(points: np.ndarray, head: str = "") -> FittedHead:
    """Fits a head, by its path, to a finder's points.

    Raises:
        FitError: The head cannot follow them.
        UserError: There is no such head.
    """
    model = load_head(head)
    face_points = load_statistics(model).face_points
    return fit_head(model, face_points, residual_field(model, face_points), points)


def face_mesh(fitted: FittedHead) -> Mesh:
    """Returns the surface of a fitted head's face that can be seen in its picture."""
    head = fitted.head
    # Moved in the picture alone, vertices that follow the landmarks have worse depth and normals.
    vertices = fitted.vertices(residual=np.zeros_like(fitted.residual))
    triangles = head.triangles[head.triangles_of(*_PARTS)].astype(np.int64)
    # At the hairline the scalp reaches into the face's outline.
    scalp = head.triangles[head.triangles_of("head")].astype(np.int64)
    places = head.neutral[scalp]
    brow = (np.abs(places[..., 0]) < _FOREHEAD[0]) & (places[..., 1] < _FOREHEAD[1])
    triangles = np.concatenate([triangles, scalp[(brow & (places[..., 2] > 0)).all(1)]])
    # Otherwise the inner side of a cheek might be seen beside the teeth.
    front = facing_normals(vertices[triangles])[:, 2] > 0
    return Mesh(vertices, triangles[front])
