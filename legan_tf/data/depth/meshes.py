"""Meshes of faces from OBJ, PLY and Matlab files, their vertices in the files' own order."""

from __future__ import annotations

import io
import os
import re
import warnings

import numpy as np
import scipy.io

from legan_tf import optional
from legan_tf.data import storage
from legan_tf.errors import UserError, first_line
from legan_tf.head.mesh import Mesh

TRIANGLES_FILE = "tri.mat"
"""Name of the file beside Matlab meshes that has the triangles for all of them."""

_REMARK = re.compile(r"(?<!\S)#.*")
_INDENT = re.compile(r"^[^\S\n]+", re.MULTILINE)


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
    if mesh.vertices.ndim != 2 or mesh.vertices.shape[1] != 3:
        raise MeshError(f"{file}: has vertices without three coordinates.")
    if mesh.triangles.min() < 0 or mesh.triangles.max() >= len(mesh.vertices):
        raise MeshError(f"{file}: has triangles of vertices that are not there; it is cut short.")
    if not np.all(np.isfinite(mesh.vertices)):
        raise MeshError(f"{file}: has vertices whose coordinates are no numbers.")
    return mesh


def _read_obj(file: str, content: bytes) -> Mesh:
    # Not through trimesh: of a vertex with several texture coordinates or normals it makes several,
    # in another order, and of several materials several meshes; and it takes twice as long.
    lines = _obj_lines(content)
    places: list[str] = []
    polygons: list[str] = []
    kinds = {"v ": places, "f ": polygons}
    for line in lines:
        if line[:2] in kinds:
            kinds[line[:2]].append(line[2:])
    if not places or not polygons:
        raise MeshError(f"{file}: has no triangles.")
    # A NaN between lines shows where one has more numbers than another.
    values = _numbers(" nan ".join([*places, ""]), np.float64)
    columns = len(places[0].split()) + 1  # Colours may follow, of some or all.
    table = values.reshape(-1, columns) if len(values) == len(places) * columns else None
    if table is not None and np.isnan(table[:, -1]).all():
        vertices = table[:, :-1][:, :3]
    else:
        rows = [line.split()[:3] for line in places]
        if any(len(row) < 3 for row in rows):
            raise MeshError(f"{file}: has vertices without three coordinates.")
        vertices = np.array(rows, np.float64)
    corners = re.sub(r"/\S*", "", "\n".join(polygons))
    counts = np.array([len(line.split()) for line in corners.split("\n")])
    numbers = _numbers(corners, np.int64)
    if len(numbers) != counts.sum() or not numbers.all():
        raise MeshError(f"{file}: has faces whose corners are no vertices.")
    if numbers.min() < 0:  # Counted back from the last vertex above the face.
        above = np.cumsum([line[:2] == "v " for line in lines])
        above = above[[line[:2] == "f " for line in lines]]
        numbers = np.where(numbers < 0, numbers + np.repeat(above, counts) + 1, numbers)
    numbers = numbers - 1
    first = np.cumsum(counts) - counts
    # Each polygon as a fan around its first corner.
    fans = [
        np.stack([first, first + turn, first + turn + 1], -1)[counts > turn + 1]
        for turn in range(1, counts.max() - 1)
    ]
    return Mesh(vertices, numbers[np.concatenate([np.zeros((0, 3), np.int64), *fans])])


def _obj_lines(content: bytes) -> list[str]:
    """Returns the lines of an OBJ without indent and remarks, keywords followed by a space."""
    text = content.decode("utf-8-sig", "replace")
    # Each only where it is needed, since most files have none of these.
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if "\\\n" in text:
        text = text.replace("\\\n", " ")
    if "\t" in text:
        text = text.replace("\t", " ")
    if text.startswith(" ") or "\n " in text:
        text = _INDENT.sub("", text)
    lines = text.split("\n")
    if "#" in text:
        lines = [_REMARK.sub("", line) if "#" in line else line for line in lines]
    return lines


def _numbers(text: str, kind: type) -> np.ndarray:
    with warnings.catch_warnings():
        # numpy only warns of text that is no number and drops it with all that follows.
        warnings.simplefilter("error", DeprecationWarning)
        return np.fromstring(text, kind, sep=" ")


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
