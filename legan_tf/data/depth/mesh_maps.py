"""Depth and normal maps of faces: mesh, camera fit, ray casting, hole filling, gate, write."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from legan_tf.data import exr, images, maps, storage
from legan_tf.data.align.landmarks import IBUG_POINTS, read_points
from legan_tf.data.depth import quality_gate
from legan_tf.data.depth.config import DepthMapOptions
from legan_tf.data.depth.fitted_face import FittedFace, fit_face
from legan_tf.data.depth.hole_filling import fill_holes
from legan_tf.data.depth.landmark_vertices import read_landmark_vertices
from legan_tf.data.depth.meshes import TRIANGLES_FILE, read_mesh
from legan_tf.data.depth.quality_gate import Measures
from legan_tf.data.output_folder import Rejected, rejected_if_unreadable
from legan_tf.errors import UserError, first_line
from legan_tf.head import camera_fit
from legan_tf.head.mesh import Mesh
from legan_tf.head.ray_casting import View, cast_rays

UNREADABLE = ("the mesh cannot be read", "the picture cannot be read", "no landmarks can be read")
"""Reasons that may be temporary: the file may be repaired."""

_DIGITS = 4  # Of the intensities of action units.


@dataclasses.dataclass(frozen=True)
class FittedMesh:
    """A mesh and the picture that it was fitted to.

    Attributes:
        mesh: Its full path or URL; empty where a head is to be fitted to the picture.
        picture: The picture's; empty where there is none.
        landmarks: The file of the picture's 68 landmarks; empty where there is none.
        depth: Full path of the depth map.
        normal: Full path of the normal map.
    """

    mesh: str
    picture: str
    landmarks: str
    depth: str
    normal: str

    @property
    def inputs(self) -> tuple[str, ...]:
        """The files that decide the maps."""
        if not self.mesh:
            return (self.picture,)
        triangles = storage.join(os.path.dirname(self.mesh), TRIANGLES_FILE)
        shared = (triangles,) if self.mesh.lower().endswith(".mat") else ()
        return self.mesh, self.picture, self.landmarks, *shared

    @property
    def targets(self) -> tuple[str, str]:
        """The files of the maps."""
        return self.depth, self.normal


@dataclasses.dataclass(frozen=True)
class MeshView:
    """A mesh as its picture shows it.

    Attributes:
        reason: Why it is rejected; empty where it is not.
        detail: More on the reason, such as the value that was too high.
        measures: Its measures.
        view: Its visible surface, holes filled; None where it cannot be made.
        picture: uint8 [H, W, 3]; None where there is none.
        action_units: Intensity by number, where a head was fitted; else empty.
        faces: How many faces the picture shows; 0 where no head was fitted.
    """

    reason: str = ""
    detail: str = ""
    measures: Measures = Measures()
    view: View | None = None
    picture: np.ndarray | None = None
    action_units: Mapping[int, float] = dataclasses.field(default_factory=dict)
    faces: int = 0


def make_maps(options: DepthMapOptions, size: int | None, mesh: FittedMesh) -> dict[str, Any]:
    """Makes the maps of a mesh, writes their files and returns the outcome.

    It has reason, detail, measures, the intensities of ``action_units.MEASURED`` and the number of
    faces, both empty or 0 where no head was fitted. Without a picture, maps have ``size`` x
    ``size`` pixels; a mesh is rejected if that is None.

    Raises:
        UnavailableError: A package that is needed does not work here.
        StorageError: A file cannot be written.
    """
    seen = view_mesh(options, size, mesh)
    if seen.view is not None and not seen.reason:
        storage.write_bytes(mesh.depth, _depth_file(seen.view, options.depth_format))
        storage.write_bytes(mesh.normal, _normal_file(seen.view, options.normal_format))
    return {
        "reason": seen.reason,
        "detail": seen.detail,
        **dataclasses.asdict(seen.measures),
        "action_units": [round(value, _DIGITS) for value in seen.action_units.values()],
        "faces": seen.faces,
    }


def view_mesh(options: DepthMapOptions, size: int | None, fitted: FittedMesh) -> MeshView:
    """Returns a mesh as its picture shows it; writes nothing.

    Raises:
        UnavailableError: A package that is needed does not work here.
    """
    picture = None
    try:
        if fitted.picture:
            with rejected_if_unreadable(UNREADABLE[1], fitted.picture):
                picture = images.decode(fitted.picture)
        if picture is not None and not fitted.mesh:
            face = fit_face(picture, options.finder, options.head)
            height, width = picture.shape[:2]
        else:
            face, height, width = _read_face(options, size, fitted, picture)
        try:
            view = cast_rays(face.mesh, height, width)
            filled = fill_holes(view, options.fill_holes, options.max_hole_share)
        except (UserError, MemoryError):
            raise
        except Exception as error:  # Of other meshes, numpy and scipy fail in many ways.
            raise Rejected("its maps cannot be made", f"{first_line(error)}.") from error
    except Rejected as rejected:
        return MeshView(rejected.reason, rejected.detail, picture=picture)
    measures = quality_gate.measure(filled, face.mesh, face.error)
    reason, detail = quality_gate.rejection(options, measures)
    return MeshView(reason, detail, measures, filled.view, picture, face.action_units, face.faces)


def _read_face(
    options: DepthMapOptions, size: int | None, fitted: FittedMesh, picture: np.ndarray | None
) -> tuple[FittedFace, int, int]:
    """Reads a mesh into the coordinates of its picture, whose height and width come with it.

    Raises:
        Rejected: It or its landmarks cannot be read, or the camera cannot be found.
    """
    points = None
    with rejected_if_unreadable(UNREADABLE[0], fitted.mesh):
        mesh = read_mesh(fitted.mesh)
    if fitted.landmarks:
        with rejected_if_unreadable(UNREADABLE[2], fitted.landmarks):
            points = read_points(fitted.landmarks)
    if picture is not None:
        height, width = picture.shape[:2]
    elif size is not None:
        height = width = size
    else:
        raise Rejected("there is no picture beside it, and no --image_size")
    vertices = np.full(IBUG_POINTS, -1)
    try:
        if options.landmark_vertices:
            vertices = _read_landmark_vertices(options.landmark_vertices)
            if vertices.max() >= len(mesh.vertices):
                raise ValueError(
                    f"--landmark_vertices names vertex {vertices.max()}; it has "
                    f"{len(mesh.vertices)}."
                )
        mesh = _project(options, mesh, height, vertices, points)
    except ValueError as error:
        raise Rejected("the camera cannot be found", str(error)) from error
    away = quality_gate.landmark_error(mesh, vertices, points)
    return FittedFace(mesh, away), height, width


# Once per process: all meshes share the file.
_read_landmark_vertices = functools.lru_cache(maxsize=1)(read_landmark_vertices)


def _project(
    options: DepthMapOptions,
    mesh: Mesh,
    height: int,
    landmark_vertices: np.ndarray,
    points: np.ndarray | None,
) -> Mesh:
    """Returns the mesh in the coordinates of its picture.

    Raises:
        ValueError: The camera cannot be found.
    """
    if options.camera == "fit":
        if points is None:
            raise ValueError("There is no file of landmarks.")
        known = landmark_vertices >= 0
        vertices = camera_fit.fit_weak_perspective(
            mesh.vertices, landmark_vertices[known], points[known]
        )
    elif options.camera == "frame":
        vertices = camera_fit.project_frontal(mesh.vertices, height, mesh.used)
    else:
        y_up = options.camera == "image_y_up"
        vertices = camera_fit.project_pixels(
            mesh.vertices, height, y_up, options.first_pixel, options.flip_z
        )
    return dataclasses.replace(mesh, vertices=vertices)


def _depth_file(view: View, form: str) -> bytes:
    if form == "exr":
        # OpenEXR's readers expect a number everywhere: 0 beside the mesh, 1 or more on it.
        depth = view.depth - np.nanmin(view.depth) + 1
        return exr.to_exr({"Z": np.nan_to_num(depth, nan=0.0)})
    return images.to_png(maps.depth_to_grey(view.depth, {"png8": 8, "png16": 16}[form]))


def _normal_file(view: View, form: str) -> bytes:
    if form == "exr":
        return exr.to_exr(dict(zip("RGB", np.moveaxis(np.nan_to_num(view.normals), -1, 0))))
    return images.to_png(maps.normals_to_map(view.normals))
