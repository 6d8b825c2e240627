"""Files on local paths and in object storage (gs://, s3://, ...), and pictures in TFRecords.

Local files are handled without TensorFlow, which clients do not have; all others through
``tf.io.gfile``. The only module that uses tensorflow-io. Every function that reads, writes or
queries a file raises ``StorageError`` where that fails, and ``UnavailableError`` where the scheme
of its URL needs tensorflow-io and that does not work here; so do their callers in other modules.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import re
import shutil
import types
import uuid
from collections.abc import Iterator
from typing import Any

from legan_tf import optional
from legan_tf.errors import UserError

_BLOCK_BYTES = 1 << 22
_CORE_SCHEMES = frozenset({"file", "gs", "ram"})

_RECORD = re.compile(r"(.+\.tfrecord)#([0-9]{1,18})")  # Offsets are 64-bit numbers.

_LOCAL = types.SimpleNamespace(
    GFile=open,
    exists=os.path.exists,
    isdir=os.path.isdir,
    listdir=os.listdir,
    makedirs=functools.partial(os.makedirs, exist_ok=True),
    remove=os.remove,
    rename=lambda source, target, overwrite: os.replace(source, target),
    rmtree=shutil.rmtree,
)
"""The functions of ``tf.io.gfile`` that this module calls, for local paths."""


class StorageError(UserError):
    """A file cannot be read or written; the message starts with its path."""


def join(folder: str, path: str) -> str:
    """Returns ``path`` as seen from ``folder``; a full path or URL stays as it is."""
    if _scheme(path) or not folder:
        return path
    return os.path.join(folder, path)


def record_place(path: str) -> tuple[str, int] | None:
    """Returns file and offset of ``FILE.tfrecord#OFFSET``, or nothing for any other path."""
    found = _RECORD.fullmatch(path)
    return (found[1], int(found[2])) if found else None


def exists(path: str) -> bool:
    """Returns whether there is a file or folder at ``path``; of a record, whether its file is."""
    shard, _ = record_place(path) or (path, 0)
    with _files(path) as files:
        return files.exists(shard)


def read_bytes(path: str) -> bytes:
    """Returns the content of a file, or the picture of a record, whose checksums are compared.

    Args:
        path: Local path or URL (``gs://``; with tensorflow-io also ``s3://`` and others), or
            ``FILE.tfrecord#OFFSET`` of a record.

    Raises:
        StorageError: The file is missing or cannot be read, or holds no such record.
    """
    if record_place(path):
        return read_feature(path)
    with _files(path) as files, files.GFile(path, "rb") as file:
        return file.read()


def read_feature(path: str, name: str = "") -> bytes:
    """Returns a feature of the record ``FILE.tfrecord#OFFSET``; default is the encoded picture.

    Raises:
        StorageError: The file is missing or cannot be read, or holds no such record or feature.
    """
    import tensorflow as tf  # Here, so that local files need no TensorFlow.

    from legan_tf.data.tfrecord import PICTURE, serialized_record

    wanted = name or PICTURE
    feature = {wanted: tf.io.FixedLenFeature([], tf.string, default_value="")}
    with record_errors(path):
        shard, offset = record_place(path) or (path, 0)
        record = serialized_record(shard, offset)
        content = tf.io.parse_single_example(record, feature)[wanted].numpy()
    if content:
        return content
    if name:
        raise StorageError(f"{path}: the record has no {name}.")
    raise no_record(path)


def sha256(path: str) -> str:
    """Returns the sha256 of a file, or of a local folder: of all its files and their names."""
    if os.path.isdir(path):
        names = [os.path.join(folder, n) for folder, _, files in os.walk(path) for n in files]
        digests = {os.path.relpath(name, path): sha256(name) for name in names}
        return hashlib.sha256(json.dumps(digests, sort_keys=True).encode()).hexdigest()
    with _files(path) as files, files.GFile(path, "rb") as file:
        digest = hashlib.sha256()
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
        return digest.hexdigest()


def write_bytes(path: str, content: bytes, temporary_folder: str = "") -> None:
    """Writes a file completely or not at all, as ``atomic_path`` does."""
    with atomic_path(path, temporary_folder) as temporary, _files(path) as files:
        with files.GFile(temporary, "wb") as file:
            file.write(content)


@contextlib.contextmanager
def atomic_path(path: str, temporary_folder: str = "") -> Iterator[str]:
    """Gives a temporary path to write to, which is renamed to ``path`` at the end of the block.

    If the block fails, the temporary file is removed; if the process is killed, it stays. Makes
    missing folders.

    Args:
        path: Local path or URL.
        temporary_folder: Folder of the temporary file, on the same storage; default is that of
            ``path``.
    """
    folder = os.path.dirname(path)
    # Without the file's own name, which may be as long as names can be.
    temporary = join(temporary_folder or folder, f".{uuid.uuid4().hex}.part")
    try:
        with _files(path) as files:
            for needed in filter(None, (folder, temporary_folder)):
                files.makedirs(needed)
        yield temporary
        with _files(path) as files:
            files.rename(temporary, path, overwrite=True)
    except BaseException:
        # Never begun, or as unreachable as the file itself.
        with contextlib.suppress(StorageError), _files(temporary) as files:
            files.remove(temporary)
        raise


def is_free(path: str) -> bool:
    """Returns whether there is nothing at ``path``, or an empty folder."""
    with _files(path) as files:
        return not files.exists(path) or (files.isdir(path) and not files.listdir(path))


def remove_folder(path: str) -> None:
    """Removes a folder and what is in it, if it is there."""
    with _files(path) as files:
        if files.exists(path):
            files.rmtree(path)


@contextlib.contextmanager
def tensorflow_files(path: str) -> Iterator[Any]:
    """Gives ``tf.io.gfile`` with the file system of ``path``, and turns its errors."""
    import tensorflow as tf  # Here, so that local files need no TensorFlow.

    scheme = _scheme(path)
    if scheme and scheme not in _CORE_SCHEMES:
        optional.require("tensorflow_io", f"{path}: reading and writing {scheme}://")
    try:
        yield tf.io.gfile
    except tf.errors.NotFoundError as error:
        raise StorageError(f"{path}: no such file.") from error
    except tf.errors.UnimplementedError as error:
        raise StorageError(f"{path}: no file system is known for {scheme}://.") from error
    except (tf.errors.OpError, RuntimeError) as error:
        raise StorageError(f"{path}: cannot be read or written ({_reason(error)}).") from error


@contextlib.contextmanager
def record_errors(path: str) -> Iterator[None]:
    """Turns TensorFlow's errors at ``FILE.tfrecord#OFFSET`` into ``StorageError``."""
    import tensorflow as tf

    shard, _ = record_place(path) or (path, 0)
    with tensorflow_files(shard):
        try:
            yield
        except (tf.errors.DataLossError, tf.errors.InvalidArgumentError) as error:
            raise no_record(path) from error


def no_record(path: str) -> StorageError:
    """Returns the error for a record that is not there."""
    return StorageError(
        f"{path}: no whole record with a picture begins here; the file is damaged, cut short or "
        "not of this manifest. `sha256sum -c SHA256SUMS` in its folder says which."
    )


@contextlib.contextmanager
def _local_files(path: str) -> Iterator[Any]:
    try:
        yield _LOCAL
    except FileNotFoundError as error:
        raise StorageError(f"{path}: no such file.") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise StorageError(f"{path}: cannot be read or written ({reason}).") from error


def _files(path: str) -> contextlib.AbstractContextManager[Any]:
    return tensorflow_files(path) if _scheme(path) else _local_files(path)


def _scheme(path: str) -> str:
    scheme, separator, _ = path.partition("://")
    return scheme if separator else ""


def _reason(error: Exception) -> str:
    """Returns what TensorFlow says, without the names of functions and nodes."""
    text = getattr(error, "message", str(error))
    before, nodes, _ = re.sub(r"\{\{function_node .*?\}\}", "", text).partition("\n\t [[")
    lines = before.partition(" [Op:")[0].strip().splitlines() or [type(error).__name__]
    return lines[-1 if nodes else 0].strip().rstrip(".")
