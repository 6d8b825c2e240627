"""Meshes of faces from OBJ, PLY and Matlab files, their vertices in the files' own order."""

from __future__ import annotations

import io
import os
import re

import numpy as np
import scipy.io

from legan_tf import optional
from legan_tf.data import storage
from legan_tf.errors import UserError, first_line
from legan_tf.head.mesh import Mesh

TRIANGLES_FILE = "tri.mat"
"""Name of the file beside Matlab meshes that has the triangles for all of them."""

_REMARK = re.compile(r"(?<!\S)#.*")
_CONTINUED = re.compile(r"\\(\r\n|\r|\n)")


class MeshError(UserError):
    """A file is not a mesh that can be read; the message starts with its path."""


def read_mesh(file: str) -> Mesh:
    """Reads a mesh; polygons become triangles, materials and textures do not count.

    Args:
        file: Path or URL of an OBJ, of a PLY, or of a Matlab file with ``vertex``, 3 x V, and,
            here or in ``tri.mat`` beside it, ``tri``, 3 x T of numbers from 1, as 3DDFA has them.

    Raises:
        MeshError: It is damaged, or no such mesh.
        StorageError: The file cannot be read.
        UnavailableError: trimesh is not there.
    """
    ending = os.path.splitext(file)[1].lower()
    if ending not in SUFFIXES:
        raise MeshError(f"{file}: is named like no mesh; known are {', '.join(sorted(SUFFIXES))}.")
    content = storage.read_bytes(file)
    try:
        mesh = _READERS[ending](file, content)
    except UserError:
        raise
    except Exception as error:  # On damaged files the readers fail in many ways.
        raise MeshError(
            f"{file}: cannot be read as {ending[1:].upper()} ({first_line(error)})."
        ) from error
    if not len(mesh.triangles):
        raise MeshError(f"{file}: has no triangles.")
    if mesh.triangles.min() < 0 or mesh.triangles.max() >= len(mesh.vertices):
        raise MeshError(f"{file}: has triangles of vertices that are not there; it is cut short.")
    if not np.all(np.isfinite(mesh.vertices)):
        raise MeshError(f"{file}: has vertices whose coordinates are no numbers.")
    return mesh


def _read_obj(file: str, content: bytes) -> Mesh:
    # Not through trimesh: of a vertex with several texture coordinates or normals it makes several,
    # in another order, and of several materials several meshes.
    text = content.decode("utf-8-sig", "replace")
    places: list[list[str]] = []
    triangles: list[tuple[int, int, int]] = []
    for line in _CONTINUED.sub(" ", text).splitlines():
        keyword, *cells = (_REMARK.sub("", line) if "#" in line else line).split() or [""]
        if keyword == "v":
            places.append(cells[:3])  # Colours may follow.
        elif keyword == "f":
            numbers = [int(cell.partition("/")[0]) for cell in cells]
            if 0 in numbers:
                raise MeshError(f"{file}: has faces whose corners are no vertices.")
            # From 1 on; negative ones count back from the last vertex above.
            corners = [n - 1 if n > 0 else n + len(places) for n in numbers]
            # Each polygon is a fan around its first corner.
            triangles += [(corners[0], *pair) for pair in zip(corners[1:], corners[2:])]
    if any(len(place) < 3 for place in places):
        raise MeshError(f"{file}: has vertices without three coordinates.")
    vertices = np.array(places, np.float64).reshape(-1, 3)
    return Mesh(vertices, np.array(triangles, np.int64).reshape(-1, 3))


def _read_ply(file: str, content: bytes) -> Mesh:
    trimesh = optional.require("trimesh", "Reading PLY")
    # With process, it would merge and remove vertices, whose numbers landmarks are known by.
    loaded = trimesh.load(io.BytesIO(content), file_type="ply", process=False)
    if not isinstance(loaded, trimesh.Trimesh):
        raise MeshError(f"{file}: has no triangles.")
    mesh = Mesh(np.array(loaded.vertices, np.float64), np.array(loaded.faces, np.int64))
    # trimesh does not mind lines that are missing.
    faces = loaded.metadata["_ply_raw"]["face"]
    read = faces["data"]
    if len(next(iter(read.values())) if isinstance(read, dict) else read) < faces["length"]:
        raise MeshError(f"{file}: has fewer faces than its header says; it is cut short.")
    return mesh


def _read_mat(file: str, content: bytes) -> Mesh:
    found = _variables(content)
    if "vertex" not in found:
        raise MeshError(f"{file}: has no variable 'vertex', 3 x V; it has {_listed(found)}.")
    if "tri" not in found:
        beside = storage.join(os.path.dirname(file), TRIANGLES_FILE)
        if not storage.exists(beside):
            raise MeshError(
                f"{file}: has no variable 'tri', 3 x T, but {_listed(found)}, and beside it is no "
                f"{TRIANGLES_FILE}."
            )
        others = _variables(storage.read_bytes(beside))
        if "tri" not in others:
            raise MeshError(f"{beside}: has no variable 'tri', 3 x T; it has {_listed(others)}.")
        found["tri"] = others["tri"]
    for name in ("vertex", "tri"):
        if found[name].ndim != 2 or found[name].shape[0] != 3:
            raise MeshError(f"{file}: its {name!r} is not 3 x N but {found[name].shape}.")
    triangles = found["tri"].T.astype(np.int64) - 1
    if triangles.size and triangles.min() < 0:
        raise MeshError(f"{file}: its 'tri' has numbers below 1, from which vertices count.")
    return Mesh(found["vertex"].T.astype(np.float64), triangles)


def _variables(content: bytes) -> dict[str, np.ndarray]:
    found = scipy.io.loadmat(io.BytesIO(content))
    return {name: value for name, value in found.items() if not name.startswith("__")}


def _listed(variables: dict[str, np.ndarray]) -> str:
    return ", ".join(sorted(variables)) or "none"


_READERS = {".obj": _read_obj, ".ply": _read_ply, ".mat": _read_mat}

SUFFIXES = frozenset(_READERS)
"""Suffixes of the files that ``read_mesh`` reads, in lower case."""
