"""Cage of a morphable head: the coarse mesh that is stored, and its expansion to the head."""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy import sparse

from legan_tf.head import subdivision
from legan_tf.head.morphable_head import PARTS, TEETH_PARTS, MorphableHead

_MAX_POINTS = 1 << 18
_MAX_MODES = 1 << 10


@dataclasses.dataclass(frozen=True, eq=False)
class Cage:
    """Coarse mesh with its modes.

    Skin moves by a displacement of each point in each mode. Teeth, gums and eyeballs, whose shape
    is made apart from the skin, come after it in ``points`` and move by an affine map in each mode.

    Attributes:
        name: Name of the head.
        subdivided: Whether the head is this mesh after one Catmull-Clark step, or this mesh itself.
        points: float ``[n, 3]`` in cm.
        faces: Corners of the quadrilaterals, int ``[F, 4]``; a triangle repeats its last corner.
        face_part: Index into ``PARTS``, int ``[F]``.
        face_lips: Whether a face is red of the lips, bool ``[F]``.
        uv: Texture coordinates, float ``[U, 2]``.
        face_uv: Rows of ``uv`` of the corners, int ``[F, 4]``.
        mode_names: Names of the modes: first those of identity, then the expression shapes.
        identities: Number of the modes of identity.
        modes: Displacements of the first m points, float ``[K, m, 3]`` in cm.
        bind: Which affine map moves each of the other points, int ``[n - m]``.
        affine: Displacement as an affine function of the place, float ``[K, B, 4, 3]``: rows of x,
            y, z and 1.
        landmarks: Vertices of iBUG's 68 landmarks, int ``[68]``, in the order that
            ``subdivision.catmull_clark`` gives, or of ``points`` if not subdivided.
        teeth_sets: Sets of teeth as offsets of the points of gums and teeth in ascending order,
            float ``[S, t, 3]``.
    """

    name: str
    subdivided: bool
    points: np.ndarray
    faces: np.ndarray
    face_part: np.ndarray
    face_lips: np.ndarray
    uv: np.ndarray
    face_uv: np.ndarray
    mode_names: tuple[str, ...]
    identities: int
    modes: np.ndarray
    bind: np.ndarray
    affine: np.ndarray
    landmarks: np.ndarray
    teeth_sets: np.ndarray

    def teeth_points(self) -> np.ndarray:
        """Returns the points of gums and teeth in ascending order."""
        return np.unique(self.faces[np.isin(self.face_part, [PARTS.index(p) for p in TEETH_PARTS])])

    def check(self) -> None:
        """Checks sizes and indices.

        Raises:
            ValueError: They do not fit each other; the message names the first that does not.
        """
        count, modes, moved = len(self.points), len(self.mode_names), self.modes.shape[1:2]
        faces = len(self.faces)
        shapes = {
            "points": (self.points, (count, 3)),
            "faces": (self.faces, (faces, 4)),
            "face_part": (self.face_part, (faces,)),
            "face_lips": (self.face_lips, (faces,)),
            "uv": (self.uv, (len(self.uv), 2)),
            "face_uv": (self.face_uv, (faces, 4)),
            "modes": (self.modes, (modes, *moved, 3)),
            "bind": (self.bind, (count - (moved or (0,))[0],)),
            "affine": (self.affine, (modes, *self.affine.shape[1:2], 4, 3)),
            "landmarks": (self.landmarks, (68,)),
        }
        for name, (array, shape) in shapes.items():
            if array.shape != shape:
                raise ValueError(f"{name} is of shape {array.shape} instead of {shape}")
        if not (0 < count <= _MAX_POINTS and 0 < faces <= 2 * _MAX_POINTS and modes <= _MAX_MODES):
            raise ValueError(f"{count} points, {faces} faces and {modes} modes are no head")
        _require_indices("faces", self.faces, count)
        _require_indices("face_part", self.face_part, len(PARTS))
        _require_indices("face_uv", self.face_uv, len(self.uv))
        _require_indices("bind", self.bind, self.affine.shape[1])
        _require_indices("identities", np.array([self.identities]), modes + 1)
        finer = faces + len(subdivision.edges_of(self.faces)[0]) if self.subdivided else 0
        _require_indices("landmarks", self.landmarks, count + finer)
        placed = np.r_[np.zeros(count, bool), np.ones(finer, bool)]
        placed[self.faces] = True
        if not placed[self.landmarks].all():
            raise ValueError("landmarks has points that no face uses")
        teeth = len(self.teeth_points())
        if self.teeth_sets.shape != (max(len(self.teeth_sets), 1), teeth, 3):
            raise ValueError(f"teeth_sets does not fit the {teeth} points of gums and teeth")
        for name in ("points", "uv", "modes", "affine", "teeth_sets"):
            if not np.isfinite(getattr(self, name)).all():
                raise ValueError(f"{name} has values that are not finite")

    def expand(self) -> MorphableHead:
        """Returns the head: subdivided, in triangles, everything sorted by part."""
        modes, points, sets = len(self.mode_names), len(self.points), len(self.teeth_sets)
        moved = self.modes.shape[1]
        # Columns: the mesh, its modes, its sets of teeth; one product subdivides them all.
        columns = np.zeros((points, 1 + modes + sets, 3), np.float32)
        columns[:, 0] = self.points
        columns[:moved, 1 : 1 + modes] = self.modes.transpose(1, 0, 2)
        homogeneous = np.concatenate([self.points, np.ones((points, 1))], 1)
        for which in range(self.affine.shape[1]):
            bound = moved + np.flatnonzero(self.bind == which)
            moves = np.tensordot(homogeneous[bound], self.affine[:, which], (1, 1))
            columns[bound, 1 : 1 + modes] = moves
        columns[self.teeth_points(), 1 + modes :] = self.teeth_sets.transpose(1, 0, 2)

        faces, part, lips = self.faces.astype(np.int64), self.face_part, self.face_lips
        uv, face_uv = self.uv, self.face_uv.astype(np.int64)
        matrix = sparse.identity(points, np.float32, "csr")
        if self.subdivided:
            uv, face_uv = subdivision.bilinear(face_uv, uv)
            matrix, faces = subdivision.catmull_clark(faces, points)
            part, lips = np.repeat(part, 4), np.repeat(lips, 4)
        first = np.full(matrix.shape[0], len(PARTS), np.uint8)
        np.minimum.at(first, faces.ravel(), np.repeat(part, 4))
        order = np.argsort(first, kind="stable")[: np.count_nonzero(first < len(PARTS))]
        rank = np.full(len(first), -1)
        rank[order] = np.arange(len(order))
        finer = (matrix.astype(np.float32)[order] @ columns.reshape(points, -1)).reshape(
            len(order), -1, 3
        )
        finer = np.ascontiguousarray(finer.transpose(1, 0, 2))

        by_part = np.argsort(part, kind="stable")
        halves = [[0, 1, 2], [0, 2, 3]]
        triangles = rank[faces[by_part][:, halves].reshape(-1, 3)]
        real = (triangles[:, 1] != triangles[:, 2]) & (triangles[:, 2] != triangles[:, 0])
        teeth = np.flatnonzero(np.isin(first[order], [PARTS.index(each) for each in TEETH_PARTS]))
        expressions = slice(1 + self.identities, 1 + modes)
        return MorphableHead(
            name=self.name,
            neutral=finer[0],
            identity=finer[1 : 1 + self.identities],
            expressions=finer[expressions],
            expression_names=self.mode_names[self.identities :],
            triangles=triangles[real].astype(np.int32),
            triangle_part=np.repeat(part[by_part], 2)[real].astype(np.uint8),
            vertex_part=first[order],
            uv=uv.astype(np.float32),
            triangle_uv=face_uv[by_part][:, halves].reshape(-1, 3)[real].astype(np.int32),
            landmark_vertices=rank[self.landmarks].astype(np.int32),
            lips=np.unique(rank[faces[lips]]).astype(np.int32),
            teeth_sets=np.ascontiguousarray(finer[1 + modes :, teeth]),
        )


def _require_indices(name: str, array: np.ndarray, limit: int) -> None:
    if array.dtype.kind not in "iu":
        raise ValueError(f"{name} is not of whole numbers")
    if array.size and not (0 <= array.min() and array.max() < limit):
        raise ValueError(f"{name} is not within 0 to {limit - 1}")
