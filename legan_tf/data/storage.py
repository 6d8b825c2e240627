"""Files wherever they are: local paths, object storage, records, and float formats of depth.

The only module that uses tensorflow-io.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import struct
import uuid
from collections.abc import Iterator, Mapping

import numpy as np
import tensorflow as tf

from legan_tf import optional
from legan_tf.data import local_files
from legan_tf.data.local_files import StorageError
from legan_tf.files import sha256_of

_CORE_SCHEMES = frozenset({"", "file", "gs", "ram"})

_IN_SHARD = re.compile(r"(.+\.tfrecord)#([0-9]{1,18})")  # Offsets are 64-bit numbers.


PICTURE, HEIGHT, WIDTH = "image/encoded", "image/height", "image/width"
"""Features of a record, called as in TensorFlow's own data sets: the picture's file, its size."""

_EXR_MAGIC = b"\x76\x2f\x31\x01"
_EXR_KINDS = 0x1A00  # Flags of tiled, deep and multi-part files.
_EXR_BLOCK_LINES = (1, 1, 1, 16, 32, 16, 32, 32, 32, 256)  # By compression method.


def join(folder: str, path: str) -> str:
    """Returns ``path`` as seen from ``folder``; a full path or URL stays as it is."""
    if _scheme(path) or not folder:
        return path
    return os.path.join(folder, path)


def exists(path: str) -> bool:
    """Returns whether there is a file or folder at ``path``; of a record, whether its file is.

    Raises:
        UnavailableError: The scheme needs tensorflow-io, which does not work here.
        StorageError: The storage cannot be asked.
    """
    _register(path)
    place = in_shard(path)
    try:
        return tf.io.gfile.exists(place[0] if place else path)
    except (tf.errors.OpError, RuntimeError) as error:
        raise _storage_error(path, error) from error


def read_bytes(path: str) -> bytes:
    """Returns the content of a file, or the picture of a record.

    Args:
        path: Local path or URL (``gs://``; with tensorflow-io also ``s3://`` and others). With
            ``FILE.tfrecord#OFFSET``, the record that begins there is read and its checksums are
            compared.

    Raises:
        UnavailableError: The scheme needs tensorflow-io, which does not work here.
        StorageError: The file is missing or cannot be read, or holds no such record.
    """
    if local_files.is_local(path):
        return local_files.read_bytes(path)
    _register(path)
    place = in_shard(path)
    try:
        if place:
            return read_record(*place)[PICTURE].numpy()
        with tf.io.gfile.GFile(path, "rb") as file:
            return file.read()
    except (tf.errors.OpError, RuntimeError) as error:
        raise (record_error(path, error) if place else _storage_error(path, error)) from error


def read_feature(path: str, name: str) -> bytes:
    """Returns what a record has besides its picture.

    Args:
        path: ``FILE.tfrecord#OFFSET``.
        name: Of a feature that is one string of bytes.

    Raises:
        UnavailableError: The scheme needs tensorflow-io, which does not work here.
        StorageError: The file is missing or cannot be read, or holds no such record or feature.
    """
    _register(path)
    try:
        record = _serialized(*in_shard(path)).numpy()
    except (tf.errors.OpError, RuntimeError) as error:
        raise record_error(path, error) from error
    values = tf.train.Example.FromString(record).features.feature[name].bytes_list.value
    if not values:
        raise StorageError(f"{path}: the record has no {name}.")
    return values[0]


def in_shard(path: str) -> tuple[str, int] | None:
    """Returns file and offset of ``FILE.tfrecord#OFFSET``, or nothing for any other path."""
    found = _IN_SHARD.fullmatch(path)
    return (found[1], int(found[2])) if found else None


@tf.function(input_signature=[tf.TensorSpec([], tf.string), tf.TensorSpec([], tf.int64)])
def read_record(shard: tf.Tensor, offset: tf.Tensor) -> dict[str, tf.Tensor]:
    """Reads the record that begins at ``offset`` bytes, in a TensorFlow graph or out of it.

    TensorFlow compares the checksums of its length and content, and raises errors of its own.

    Returns:
        As ``parse_record``.
    """
    with tf.device("/CPU:0"):
        return parse_record(_serialized(shard, offset))


def _serialized(shard: tf.Tensor | str, offset: tf.Tensor | int) -> tf.Tensor:
    record = {"output_types": [tf.string], "output_shapes": [[]]}
    with tf.device("/CPU:0"):
        # The public class reads a file from its beginning only. Without a buffer, no more is read
        # than the record itself.
        following = tf.raw_ops.TFRecordDatasetV2(
            filenames=shard,
            compression_type="",
            buffer_size=0,
            byte_offsets=tf.cast(offset, tf.int64),
        )
        one = tf.raw_ops.TakeDataset(input_dataset=following, count=1, **record)
        return tf.raw_ops.DatasetToSingleElement(dataset=one, **record)[0]


def parse_record(record: tf.Tensor) -> dict[str, tf.Tensor]:
    """Returns the features ``PICTURE``, ``HEIGHT`` and ``WIDTH`` of a serialized example."""
    kinds = {PICTURE: tf.string, HEIGHT: tf.int64, WIDTH: tf.int64}
    return tf.io.parse_single_example(
        record, {name: tf.io.FixedLenFeature([], kind) for name, kind in kinds.items()}
    )


def record_error(path: str, error: Exception) -> StorageError:
    """Returns the error for ``FILE.tfrecord#OFFSET``, given what TensorFlow raised there."""
    if isinstance(error, (tf.errors.DataLossError, tf.errors.InvalidArgumentError)):
        return no_record(path)
    return _storage_error(in_shard(path)[0], error)


def no_record(path: str) -> StorageError:
    """Returns the error for a place in a file at which no whole record begins."""
    return StorageError(
        f"{path}: no whole record with a picture begins here; the file is damaged, cut short or "
        "not of this manifest. `sha256sum -c SHA256SUMS` in its folder tells which."
    )


def sha256(path: str) -> str:
    """Returns the sha256 of a file, or of a local folder: of all its files and their names.

    Raises:
        UnavailableError: The scheme needs tensorflow-io, which does not work here.
        StorageError: A file is missing or cannot be read.
    """
    if not os.path.isdir(path):
        return _file_sha256(path)
    names = [os.path.join(folder, n) for folder, _, files in os.walk(path) for n in files]
    digests = {os.path.relpath(name, path): sha256(name) for name in names}
    return hashlib.sha256(json.dumps(digests, sort_keys=True).encode()).hexdigest()


def _file_sha256(path: str) -> str:
    _register(path)
    try:
        with tf.io.gfile.GFile(path, "rb") as file:
            return sha256_of(file)
    except (tf.errors.OpError, RuntimeError) as error:
        raise _storage_error(path, error) from error


def write_bytes(path: str, content: bytes, aside_in: str = "") -> None:
    """Writes a file whole or not at all: aside, then renamed. Makes missing folders.

    Args:
        path: Local path or URL.
        content: All of it.
        aside_in: As in ``written_aside``.

    Raises:
        UnavailableError: The scheme needs tensorflow-io, which does not work here.
        StorageError: The file cannot be written.
    """
    if local_files.is_local(path):
        local_files.write_bytes(path, content, aside_in)
        return
    with written_aside(path, aside_in) as aside, tf.io.gfile.GFile(aside, "wb") as file:
        file.write(content)


@contextlib.contextmanager
def written_aside(path: str, aside_in: str = "") -> Iterator[str]:
    """Gives a name beside ``path`` to write to; what is there in the end becomes ``path``.

    If the block fails, what it wrote is removed; if the process is killed, it stays. Makes missing
    folders.

    Args:
        path: Local path or URL.
        aside_in: Folder of the other name, on the same storage; default is that of ``path``.

    Raises:
        UnavailableError: The scheme needs tensorflow-io, which does not work here.
        StorageError: The file cannot be written.
    """
    _register(path)
    folder = os.path.dirname(path)
    # Without the file's own name, which may be as long as names can be.
    aside = join(aside_in or folder, f".{uuid.uuid4().hex}.part")
    try:
        for needed in filter(None, (folder, aside_in)):
            tf.io.gfile.makedirs(needed)
        yield aside
        tf.io.gfile.rename(aside, path, overwrite=True)
    except BaseException as error:
        try:
            tf.io.gfile.remove(aside)
        except (tf.errors.OpError, RuntimeError):
            pass  # Never begun, or as unreachable as the file itself.
        if isinstance(error, (tf.errors.OpError, RuntimeError)):
            raise _storage_error(path, error) from error
        raise


def is_free(path: str) -> bool:
    """Returns whether there is nothing at ``path``, or an empty folder.

    Raises:
        UnavailableError: The scheme needs tensorflow-io, which does not work here.
        StorageError: The storage cannot be asked.
    """
    if not exists(path):
        return True
    try:
        return tf.io.gfile.isdir(path) and not tf.io.gfile.listdir(path)
    except (tf.errors.OpError, RuntimeError) as error:
        raise _storage_error(path, error) from error


def remove_folder(path: str) -> None:
    """Removes a folder and what is in it, if it is there.

    Raises:
        UnavailableError: The scheme needs tensorflow-io, which does not work here.
        StorageError: It cannot be removed.
    """
    if exists(path):
        try:
            tf.io.gfile.rmtree(path)
        except (tf.errors.OpError, RuntimeError) as error:
            raise _storage_error(path, error) from error


def read_exr(path: str) -> np.ndarray:
    """Reads an OpenEXR picture (one part, scan lines), the usual form of float depth.

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
    _check_exr(path, content)
    exr = tfio.experimental.image
    try:
        with tf.device("CPU:0"):
            _, dtypes, names = exr.decode_exr_info(content)
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
        raise StorageError(f"{path}: cannot be decoded ({_reason(error)}).") from error


def to_exr(channels: Mapping[str, np.ndarray]) -> bytes:
    """Returns the content of an uncompressed OpenEXR file; tensorflow-io writes none.

    Args:
        channels: By their names, float [H, W], all of one size; stored as float32.
    """

    def attribute(name: str, kind: str, value: bytes) -> bytes:
        return f"{name}\0{kind}\0".encode() + struct.pack("<i", len(value)) + value

    names = sorted(channels)  # The format wants them in alphabetical order.
    height, width = channels[names[0]].shape
    box = struct.pack("<4i", 0, 0, width - 1, height - 1)
    listed = b"".join(n.encode() + b"\0" + struct.pack("<iBxxxii", 2, 0, 1, 1) for n in names)
    header = (
        _EXR_MAGIC
        + b"\x02\0\0\0"
        + attribute("channels", "chlist", listed + b"\0")
        + attribute("compression", "compression", b"\0")
        + attribute("dataWindow", "box2i", box)
        + attribute("displayWindow", "box2i", box)
        + attribute("lineOrder", "lineOrder", b"\0")
        + attribute("pixelAspectRatio", "float", struct.pack("<f", 1))
        + attribute("screenWindowCenter", "v2f", struct.pack("<2f", 0, 0))
        + attribute("screenWindowWidth", "float", struct.pack("<f", 1))
        + b"\0"
    )
    length = 4 * width * len(names)
    start = len(header) + 8 * height
    offsets = b"".join(struct.pack("<Q", start + y * (8 + length)) for y in range(height))
    lines = b"".join(
        struct.pack("<ii", y, length)
        + b"".join(channels[name][y].astype("<f4").tobytes() for name in names)
        for y in range(height)
    )
    return header + offsets + lines


def _check_exr(path: str, content: bytes) -> None:
    """Refuses what is not a whole OpenEXR file: the decoder would end the process on it."""

    def text(start: int) -> tuple[bytes, int]:
        end = content.index(b"\0", start)
        return content[start:end], end + 1

    if content[:4] != _EXR_MAGIC:
        raise StorageError(f"{path}: is not an OpenEXR picture.")
    if int.from_bytes(content[4:8], "little") & _EXR_KINDS:
        raise StorageError(
            f"{path}: is a tiled, deep or multi-part OpenEXR picture; save it with scan lines and "
            "in one part."
        )
    try:
        header = {}
        name, at = text(8)
        while name:
            _, at = text(at)
            (length,) = struct.unpack_from("<I", content, at)
            header[name] = content[at + 4 : at + 4 + length]
            name, at = text(at + 4 + length)
        _, top, _, bottom = struct.unpack("<4i", header[b"dataWindow"])
        blocks = -(-(bottom - top + 1) // _EXR_BLOCK_LINES[header[b"compression"][0]])
        for offset in struct.unpack_from(f"<{blocks}Q", content, at):
            (length,) = struct.unpack_from("<I", content, offset + 4)
            if offset + 8 + length > len(content):
                raise IndexError(offset)
    except (IndexError, KeyError, ValueError, OverflowError, struct.error) as error:
        raise StorageError(f"{path}: is a damaged or cut short OpenEXR picture.") from error


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
    # Out of a graph, the message is the line before the nodes; names of functions precede it.
    before, nodes, _ = re.sub(r"\{\{function_node .*?\}\}", "", text).partition("\n\t [[")
    lines = before.partition(" [Op:")[0].strip().splitlines() or [type(error).__name__]
    return lines[-1 if nodes else 0].strip().rstrip(".")
