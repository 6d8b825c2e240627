"""Files of morphable heads: NumPy archives of a cage, written to the same bytes every time."""

from __future__ import annotations

import functools
import os
import zipfile
import zlib

import numpy as np

from legan_tf.errors import UserError
from legan_tf.head import archive, ict_facekit
from legan_tf.head.cage import Cage
from legan_tf.head.morphable_head import MorphableHead

ASSET = os.path.join(os.path.dirname(__file__), "assets", "head.npz")
"""The head that comes with the package."""

_FORMAT = 1
_MAX_BYTES = 1 << 29
_TEETH_STEP = 0.0005


def load_head(path: str = "") -> MorphableHead:
    """Returns a morphable head; the same object for the same arguments.

    Args:
        path: A file that ``scripts/build_head.py`` wrote, or the folder of ICT-FaceKit's meshes or
            of a clone of its repository; the head of the package if empty.

    Raises:
        UserError: There is nothing at the path, or it is no head.
    """
    return _loaded(path or ASSET)


@functools.lru_cache(maxsize=2)
def _loaded(path: str) -> MorphableHead:
    if os.path.isdir(path):
        return ict_facekit.read(path).expand()
    return read(path).expand()


def encode(cage: Cage, steps: np.ndarray) -> bytes:
    """Returns the content of a file that stores a cage.

    Displacements are stored as multiples of a step in two planes of bytes, which compress well.

    Args:
        cage: What to store.
        steps: Step of each mode in cm, float ``[K]``.
    """
    cage.check()
    whole = np.round(cage.modes / steps[:, None, None]).astype(np.int16)
    low, high = _bytes_of(whole)
    teeth_low, teeth_high = _bytes_of(np.round(cage.teeth_sets / _TEETH_STEP).astype(np.int16))
    arrays = {
        "format": np.int32(_FORMAT),
        "name": np.array(cage.name),
        "subdivided": np.bool_(cage.subdivided),
        "points": cage.points.astype(np.float32),
        "faces": _narrow(cage.faces),
        "face_part": cage.face_part.astype(np.uint8),
        "face_lips": cage.face_lips.astype(bool),
        "uv": cage.uv.astype(np.float32),
        "face_uv": _narrow(cage.face_uv),
        "mode_names": np.array(cage.mode_names),
        "identities": np.int32(cage.identities),
        "modes_low": low,
        "modes_high": high,
        "steps": steps.astype(np.float32),
        "bind": cage.bind.astype(np.uint8),
        "affine": cage.affine.astype(np.float32),
        "landmarks": cage.landmarks.astype(np.int32),
        "teeth_low": teeth_low,
        "teeth_high": teeth_high,
    }
    return archive.encode(arrays)


def read(path: str) -> Cage:
    """Reads a file that ``encode`` made.

    Raises:
        UserError: It cannot be read or is no such file.
    """
    try:
        arrays = archive.decode(path, _MAX_BYTES)
        if arrays["format"].shape or arrays["format"] != _FORMAT:
            raise ValueError("it is of another version")
        steps = arrays["steps"]
        cage = Cage(
            name=str(arrays["name"]),
            subdivided=bool(arrays["subdivided"]),
            points=arrays["points"].astype(np.float32),
            faces=arrays["faces"],
            face_part=arrays["face_part"],
            face_lips=arrays["face_lips"].astype(bool),
            uv=arrays["uv"].astype(np.float32),
            face_uv=arrays["face_uv"],
            mode_names=tuple(str(each) for each in arrays["mode_names"]),
            identities=int(arrays["identities"]),
            modes=_from_bytes(arrays, "modes") * steps.astype(np.float32)[:, None, None],
            bind=arrays["bind"],
            affine=arrays["affine"].astype(np.float32),
            landmarks=arrays["landmarks"],
            teeth_sets=_from_bytes(arrays, "teeth") * np.float32(_TEETH_STEP),
        )
        cage.check()
    except OSError as error:
        raise UserError(
            f"--head={path}: it cannot be read ({error.strerror or 'damaged'}). Name a file that "
            "scripts/build_head.py wrote, or a folder of ICT-FaceKit."
        ) from error
    except KeyError as error:
        raise UserError(_no_head(path, f"{error.args[0]} is missing")) from error
    except (ValueError, TypeError, IndexError, EOFError, MemoryError) as error:
        raise UserError(_no_head(path, str(error))) from error
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError) as error:
        raise UserError(_no_head(path, "it is no archive, or damaged")) from error
    return cage


def _no_head(path: str, why: str) -> str:
    return (
        f"--head={path}: it is no head as scripts/build_head.py writes them ({why}). Make it again."
    )


def _bytes_of(whole: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return (whole & 255).astype(np.uint8), (whole >> 8).astype(np.int8)


def _from_bytes(arrays: dict[str, np.ndarray], name: str) -> np.ndarray:
    low, high = arrays[f"{name}_low"], arrays[f"{name}_high"]
    if low.ndim != 3 or low.dtype != np.uint8 or high.dtype != np.int8:
        raise ValueError(f"{name} is not stored in bytes")
    return (high.astype(np.int16) << 8 | low).astype(np.float32)


def _narrow(indices: np.ndarray) -> np.ndarray:
    return indices.astype(np.uint16 if indices.max(initial=0) < 1 << 16 else np.int32)
