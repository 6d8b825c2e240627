"""Meshes of faces from OBJ, PLY and Matlab files, their vertices in the files' own order."""

from __future__ import annotations

import dataclasses
import io
import os
import re
import warnings
from collections.abc import Callable

import numpy as np
import scipy.io

from legan_tf import optional
from legan_tf.data import storage
from legan_tf.errors import UserError, first_line

SUFFIXES = frozenset((".obj", ".ply", ".mat"))
"""Suffixes of the files that ``read_mesh`` reads, in lower case."""

TRIANGLES_FILE = "tri.mat"
"""Name of the file beside Matlab meshes that has the triangles for all of them."""


class MeshError(UserError):
    """A file is not a mesh that can be read; the message starts with its path."""


@dataclasses.dataclass(frozen=True)
class Mesh:
    """A surface of triangles.

    Attributes:
        vertices: float64 [V, 3].
        triangles: int64 [T, 3], numbers of vertices, from 0.
    """

    vertices: np.ndarray
    triangles: np.ndarray


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
    readers: dict[str, Callable[[str, bytes], Mesh]] = {
        ".obj": _read_obj,
        ".ply": _read_ply,
        ".mat": _read_mat,
    }
    ending = os.path.splitext(file)[1].lower()
    if ending not in readers:
        raise MeshError(f"{file}: is named like no mesh; known are {', '.join(sorted(readers))}.")
    content = storage.read_bytes(file)
    try:
        with warnings.catch_warnings():
            # What is no number, numpy reports so and leaves out, and with it all that follows.
            warnings.simplefilter("error", DeprecationWarning)
            mesh = readers[ending](file, content)
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
    # in another order, and of several materials several meshes; and it takes twice as long.
    text = content.decode("utf-8", "replace").replace("\r\n", "\n").replace("\\\n", " ")
    places: list[str] = []
    polygons: list[str] = []
    kinds = {"v ": places, "f ": polygons}
    for line in text.split("\n"):
        if line[:2] in kinds:
            kinds[line[:2]].append(line[2:])
    if not places or not polygons:
        raise MeshError(f"{file}: has no triangles.")
    values = np.fromstring(" ".join(places), np.float64, sep=" ")
    columns = len(places[0].split())  # Colours may follow the coordinates, of some or all.
    if len(values) == len(places) * columns:
        vertices = values.reshape(len(places), columns)[:, :3]
    else:
        vertices = np.array([line.split()[:3] for line in places], np.float64)
    corners = re.sub(r"/\S*", "", "\n".join(polygons))
    counts = np.array([len(line.split()) for line in corners.split("\n")])
    numbers = np.fromstring(corners, np.int64, sep=" ")
    if len(numbers) != counts.sum() or not numbers.all():
        raise MeshError(f"{file}: has faces whose corners are no vertices.")
    numbers = np.where(numbers < 0, numbers + len(vertices), numbers - 1)
    first = np.cumsum(counts) - counts
    # Each polygon as a fan around its first corner.
    fans = [
        np.stack([first, first + turn, first + turn + 1], -1)[counts > turn + 1]
        for turn in range(1, counts.max() - 1)
    ]
    return Mesh(vertices, numbers[np.concatenate([np.zeros((0, 3), np.int64), *fans])])


def _read_ply(file: str, content: bytes) -> Mesh:
    trimesh = optional.require("trimesh", "Reading PLY")
    # With process, it would merge and remove vertices, whose numbers landmarks are known by.
    loaded = trimesh.load(io.BytesIO(content), file_type="ply", process=False)
    if not isinstance(loaded, trimesh.Trimesh):
        raise MeshError(f"{file}: has no triangles.")
    mesh = Mesh(np.array(loaded.vertices, np.float64), np.array(loaded.faces, np.int64))
    told = re.search(rb"^element face (\d+)\s", content, re.MULTILINE)
    if told and len(mesh.triangles) < int(told[1]):
        raise MeshError(f"{file}: has fewer faces than its header tells; it is cut short.")
    return mesh


def _read_mat(file: str, content: bytes) -> Mesh:
    found = scipy.io.loadmat(io.BytesIO(content), variable_names=["vertex", "tri"])
    if "vertex" not in found:
        raise MeshError(f"{file}: has no variable 'vertex', 3 x V.")
    if "tri" not in found:
        beside = storage.join(os.path.dirname(file), TRIANGLES_FILE)
        content = storage.read_bytes(beside)
        found["tri"] = scipy.io.loadmat(io.BytesIO(content), variable_names=["tri"]).get("tri")
        if found["tri"] is None:
            raise MeshError(f"{beside}: has no variable 'tri', 3 x T.")
    for name in ("vertex", "tri"):
        if found[name].ndim != 2 or found[name].shape[0] != 3:
            raise MeshError(f"{file}: its {name!r} is not 3 x N but {found[name].shape}.")
    return Mesh(found["vertex"].T.astype(np.float64), found["tri"].T.astype(np.int64) - 1)
