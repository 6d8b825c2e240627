"""ICT-FaceKit's light face model (Li et al., 2020), read from a folder of its user's.

Nothing of it comes with this package: https://github.com/ICT-VGL/ICT-FaceKit (MIT licence).
"""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from legan_tf.errors import UserError
from legan_tf.head.cage import Cage
from legan_tf.head.morphable_head import PARTS

LANDMARKS = np.array(
    # fmt: off
    [
        1225,
        1888,
        1052,
        367,
        1719,
        1722,
        2199,
        1447,
        966,
        3661,
        4390,
        3927,
        3924,
        2608,
        3272,
        4088,
        3443,
        268,
        493,
        1914,
        2044,
        1401,
        3615,
        4240,
        4114,
        2734,
        2509,
        978,
        4527,
        4942,
        4857,
        1140,
        2075,
        1147,
        4269,
        3360,
        1507,
        1542,
        1537,
        1528,
        1518,
        1511,
        3742,
        3751,
        3756,
        3721,
        3725,
        3732,
        5708,
        5695,
        2081,
        0,
        4275,
        6200,
        6213,
        6346,
        6461,
        5518,
        5957,
        5841,
        5702,
        5711,
        5533,
        6216,
        6207,
        6470,
        5517,
        5966,
    ]
    # fmt: on
)
"""Vertices of iBUG's 68 landmarks, as the model's documentation lists them."""

_MODEL = "the light model of ICT-FaceKit"
_CLONE_AGAIN = "Clone the repository again."
_NEUTRAL = "generic_neutral_mesh"
_IDENTITY = "identity"
_VERTICES = 26719
_POLYGONS = 26384
# The meshes' polygons are in the order of these parts; each with the polygon after its last.
_PART_ENDS = (
    ("face", 6560),
    ("side", 9230),
    ("head", 11144),
    ("mouth_socket", 13226),
    ("eye_socket", 14034),
    ("tongue", 17006),
    ("upper_teeth", 21496),
    ("left_eye", 23094),
    ("right_eye", 24692),
    ("lashes", _POLYGONS),
)
_FIRST_OF_LOWER_TEETH = 19247
_OUTER_LIPS = slice(48, 60)
_INNER_LIPS = slice(60, 68)


def read(folder: str, on_progress: Callable[[int, int], None] | None = None) -> Cage:
    """Reads the model.

    Args:
        folder: The folder of its OBJ files, or of a clone of its repository.
        on_progress: Called with the number of files read, and their total.

    Raises:
        UserError: Files are missing, damaged, or of another mesh.
    """
    within = os.path.join(folder, "FaceXModel")
    folder = within if _has(within) else folder
    if not _has(folder):
        raise UserError(
            f"{folder}: it has no {_NEUTRAL}.obj. Name the folder of a clone of "
            "https://github.com/ICT-VGL/ICT-FaceKit, or its folder FaceXModel."
        )
    stems = sorted(stem for stem, end in map(os.path.splitext, os.listdir(folder)) if end == ".obj")
    identities = [stem for stem in stems if stem.startswith(_IDENTITY)]
    expressions = [stem for stem in stems if stem not in identities and stem != _NEUTRAL]
    if not identities or not expressions:
        raise UserError(f"{folder}: it has no modes of identity, or no expressions.")
    neutral, faces, uv, face_uv = _read_mesh(os.path.join(folder, f"{_NEUTRAL}.obj"))
    names = (*identities, *expressions)
    modes = np.empty((len(names), *neutral.shape), np.float32)
    for index, name in enumerate(names):
        modes[index] = _read_vertices(os.path.join(folder, f"{name}.obj")) - neutral
        if on_progress:
            on_progress(index + 1, len(names))
    try:
        cage = cage_of(neutral, faces, uv, face_uv, modes, names, len(identities))
        cage.check()
    except ValueError as error:
        raise UserError(f"{folder}: it is not {_MODEL} ({error}). {_CLONE_AGAIN}") from error
    return cage


def cage_of(
    neutral: np.ndarray,
    faces: np.ndarray,
    uv: np.ndarray,
    face_uv: np.ndarray,
    modes: np.ndarray,
    names: tuple[str, ...],
    identities: int,
) -> Cage:
    """Returns the model as a cage, its polygons told apart by part.

    Args:
        neutral: Vertices of the neutral mesh, ``[26719, 3]``.
        faces: Its polygons, int ``[26384, 4]``; a triangle repeats its last corner.
        uv: Texture coordinates ``[U, 2]``.
        face_uv: Rows of ``uv`` of the polygons' corners, int ``[26384, 4]``.
        modes: Displacements, ``[K, 26719, 3]``.
        names: Names of the modes, those of identity first.
        identities: Number of the modes of identity.

    Raises:
        ValueError: The mesh is another one.
    """
    part = np.empty(len(faces), np.uint8)
    start = 0
    for name, end in _PART_ENDS:
        part[start:end] = PARTS.index(name)
        start = end
    gums = (part == PARTS.index("tongue")) & _is_gum(uv[face_uv].mean(1))
    part[gums] = PARTS.index("gums")
    teeth = part == PARTS.index("upper_teeth")
    part[teeth & (faces[:, 0] >= _FIRST_OF_LOWER_TEETH)] = PARTS.index("lower_teeth")
    in_teeth = np.isin(part, [PARTS.index(each) for each in ("gums", "upper_teeth", "lower_teeth")])
    return Cage(
        name="ict",
        subdivided=False,
        points=neutral,
        faces=faces,
        face_part=part,
        face_lips=_lips(neutral, faces, part),
        uv=uv,
        face_uv=face_uv,
        mode_names=names,
        identities=identities,
        modes=modes,
        bind=np.zeros(0, np.uint8),
        affine=np.zeros((len(names), 0, 4, 3), np.float32),
        landmarks=LANDMARKS,
        teeth_sets=np.zeros((1, len(np.unique(faces[in_teeth])), 3), np.float32),
    )


def _is_gum(uv: np.ndarray) -> np.ndarray:
    """Tells gums from the tongue, one surface with them, by the place in their texture."""
    across, down = 634 * (uv[:, 0] - 2), 634 * (1 - uv[:, 1])
    arch = 228 + 0.75 * np.maximum(np.abs(across - 240) - 60, 0)
    return (down < 190) | ((down < 330) & (across < 495) & (down < arch))


def _lips(neutral: np.ndarray, faces: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Returns which faces are red of the lips: those inside the outline of the lips."""
    face = faces[part == PARTS.index("face")].astype(np.int64)
    ends = np.stack([face, np.roll(face, -1, 1)], -1).reshape(-1, 2)
    lengths = np.linalg.norm(neutral[ends[:, 0]] - neutral[ends[:, 1]], axis=1)
    ends, lengths = ends[lengths > 0], lengths[lengths > 0]
    graph = sparse.coo_matrix((lengths, ends.T), (len(neutral), len(neutral))).tocsr()
    graph = graph.maximum(graph.T)
    corners = LANDMARKS[_OUTER_LIPS]
    outline = np.zeros(len(neutral), bool)
    for start, end in zip(corners, np.roll(corners, -1)):
        before = csgraph.dijkstra(graph, indices=start, return_predecessors=True)[1]
        outline[end] = True
        while end != start:
            end = before[end]
            if end < 0:
                raise ValueError("the outline of its lips is broken")
            outline[end] = True
    within = sparse.diags((~outline).astype(float))
    _, component = csgraph.connected_components(within @ graph @ within, directed=False)
    inner = np.isin(component, component[LANDMARKS[_INNER_LIPS]]) & ~outline
    return (part == PARTS.index("face")) & (inner | outline)[faces].all(1) & inner[faces].any(1)


def _has(folder: str) -> bool:
    return os.path.isfile(os.path.join(folder, f"{_NEUTRAL}.obj"))


def _lines(path: str) -> list[str]:
    try:
        with open(path, encoding="ascii") as file:
            return file.read().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: it cannot be read as an OBJ file ({error}).") from error


def _read_vertices(path: str) -> np.ndarray:
    return _vertices(path, _lines(path))


def _vertices(path: str, lines: list[str]) -> np.ndarray:
    fields = " ".join(line[2:] for line in lines if line.startswith("v ")).split()
    try:
        vertices = np.array(fields, np.float32).reshape(-1, 3)
    except ValueError as error:
        raise UserError(f"{path}: its vertices are no points ({error}).") from error
    if not np.isfinite(vertices).all():
        raise UserError(f"{path}: it has vertices that are not finite. {_CLONE_AGAIN}")
    if len(vertices) != _VERTICES:
        raise UserError(
            f"{path}: it has {len(vertices)} vertices instead of {_VERTICES}, which {_MODEL} has. "
            f"{_CLONE_AGAIN}"
        )
    return vertices


def _read_mesh(path: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Returns vertices, polygons, texture coordinates and those of the polygons' corners."""
    lines = _lines(path)
    vertices = _vertices(path, lines)
    try:
        uv = np.array([line.split()[1:3] for line in lines if line.startswith("vt ")], np.float32)
        corners = np.zeros((_POLYGONS, 4, 2), np.int64)
        polygons = [line.split()[1:] for line in lines if line.startswith("f ")]
        if len(polygons) != _POLYGONS:
            raise ValueError(f"{len(polygons)} polygons instead of {_POLYGONS}")
        for index, polygon in enumerate(polygons):
            fields = [corner.split("/")[:2] for corner in polygon]
            corners[index, : len(fields)] = fields
            corners[index, len(fields) :] = corners[index, len(fields) - 1]
        faces, face_uv = corners[..., 0] - 1, corners[..., 1] - 1
        for indices, limit in ((faces, len(vertices)), (face_uv, len(uv))):
            if indices.min() < 0 or indices.max() >= limit:
                raise ValueError("a corner that is not among its points")
    except (ValueError, IndexError) as error:
        raise UserError(f"{path}: it is not {_MODEL} ({error}). {_CLONE_AGAIN}") from error
    return vertices, faces, uv, face_uv
