"""Files wherever they are: local paths, object storage, and float formats of depth.

The only module that uses tensorflow-io.
"""

from __future__ import annotations

import os
import uuid

import numpy as np
import tensorflow as tf

from legan_tf import optional
from legan_tf.errors import UserError

_CORE_SCHEMES = frozenset({"", "file", "gs", "ram"})


class StorageError(UserError):
    """A file cannot be read or written; the message starts with its path."""


def join(folder: str, path: str) -> str:
    """Returns ``path`` as seen from ``folder``; a full path or URL stays as it is."""
    if _scheme(path) or not folder:
        return path
    return os.path.join(folder, path)


def exists(path: str) -> bool:
    """Returns whether there is a file or folder at ``path``.

    Raises:
        UnavailableError: The scheme needs tensorflow-io, which does not work here.
        StorageError: The storage cannot be asked.
    """
    _register(path)
    try:
        return tf.io.gfile.exists(path)
    except (tf.errors.OpError, RuntimeError) as error:
        raise _storage_error(path, error) from error


def read_bytes(path: str) -> bytes:
    """Returns the content of a file.

    Args:
        path: Local path or URL (``gs://``; with tensorflow-io also ``s3://`` and others).

    Raises:
        UnavailableError: The scheme needs tensorflow-io, which does not work here.
        StorageError: The file is missing or cannot be read.
    """
    _register(path)
    try:
        with tf.io.gfile.GFile(path, "rb") as file:
            return file.read()
    except (tf.errors.OpError, RuntimeError) as error:
        raise _storage_error(path, error) from error


def write_bytes(path: str, content: bytes) -> None:
    """Writes a file whole or not at all: aside, then renamed. Makes missing folders.

    Raises:
        UnavailableError: The scheme needs tensorflow-io, which does not work here.
        StorageError: The file cannot be written.
    """
    _register(path)
    folder, name = os.path.split(path)
    aside = join(folder, f".{name}.{uuid.uuid4().hex}.part")
    try:
        if folder:
            tf.io.gfile.makedirs(folder)
        with tf.io.gfile.GFile(aside, "wb") as file:
            file.write(content)
        tf.io.gfile.rename(aside, path, overwrite=True)
    except (tf.errors.OpError, RuntimeError) as error:
        try:
            tf.io.gfile.remove(aside)
        except (tf.errors.OpError, RuntimeError):
            pass  # Never begun, or as unreachable as the file itself.
        raise _storage_error(path, error) from error


def read_exr(path: str) -> np.ndarray:
    """Reads an OpenEXR picture, the usual form of float depth.

    Args:
        path: Local path or URL.

    Returns:
        float32 [H, W, channels], values as stored. The channels are in the order R, G, B, A where
        they have these names, else as in the file.

    Raises:
        UnavailableError: tensorflow-io does not work here.
        StorageError: The file cannot be read or is not OpenEXR.
    """
    purpose = f"{path}: reading OpenEXR"
    tfio = optional.require("tensorflow_io", purpose)
    content = read_bytes(path)
    exr = tfio.experimental.image
    try:
        with tf.device("CPU:0"):
            _, dtypes, names = exr.decode_exr_info(content)
            # Part 0: a picture of several parts has its main one first.
            stored = [
                (name.decode(), tf.dtypes.as_dtype(int(dtype)))
                for name, dtype in zip(names.numpy()[0], dtypes.numpy()[0])
                if name
            ]
            stored.sort(key=lambda channel: "RGBA".find(channel[0]))
            return np.stack(
                [
                    exr.decode_exr(content, 0, name, dtype).numpy().astype(np.float32)
                    for name, dtype in stored
                ],
                axis=-1,
            )
    except NotImplementedError as error:
        raise optional.unavailable("tensorflow_io", purpose) from error
    except tf.errors.OpError as error:
        raise StorageError(f"{path}: is not a readable OpenEXR picture ({_reason(error)}).") from (
            error
        )


def _scheme(path: str) -> str:
    scheme, separator, _ = path.partition("://")
    return scheme if separator else ""


def _register(path: str) -> None:
    """Lets tensorflow-io add its file systems, if ``path`` needs one of them."""
    scheme = _scheme(path)
    if scheme not in _CORE_SCHEMES:
        optional.require("tensorflow_io", f"{path}: reading and writing {scheme}://")


def _storage_error(path: str, error: Exception) -> StorageError:
    if isinstance(error, tf.errors.NotFoundError):
        return StorageError(f"{path}: no such file.")
    if isinstance(error, tf.errors.UnimplementedError):
        return StorageError(f"{path}: no file system is known for {_scheme(path)}://.")
    return StorageError(f"{path}: cannot be read or written ({_reason(error)}).")


def _reason(error: Exception) -> str:
    text = error.message if isinstance(error, tf.errors.OpError) else str(error)
    return (text.strip() or type(error).__name__).splitlines()[0].rstrip(".")
