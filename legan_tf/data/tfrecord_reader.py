"""Reads the pictures of TFRecords, one by one or all at once; ``tfrecord_writer`` writes them.

A manifest names them ``FILE.tfrecord#OFFSET``, so that whatever reads manifests reads records too.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import tensorflow as tf

from legan_tf.data import images, maps, storage
from legan_tf.data.parallel import OnProgress
from legan_tf.data.storage import StorageError
from legan_tf.data.tfrecord import FRAME_BYTES, HEIGHT, PICTURE, WIDTH, serialized_record
from legan_tf.errors import UserError


def are_records(files: Sequence[str]) -> bool:
    """Returns whether all pictures are in records."""
    return bool(files) and all(storage.record_place(file) for file in files)


def refuse_crop(files: Sequence[str], crop: images.Crop | None) -> None:
    """Refuses a crop of pictures in records, which were cropped when they were written.

    Raises:
        UserError: A crop is given, and a picture is in a record.
    """
    cropped = next(filter(storage.record_place, files), None) if crop else None
    if cropped:
        raise UserError(
            f"{cropped}: a picture in records is cropped already; leave out --crop, or make the "
            "records anew with it."
        )


def enlarging_note(files: Sequence[str], image_size: int) -> list[str]:
    """Returns a sentence if the first picture in records, if any, is smaller than asked."""
    first = next(filter(storage.record_place, files), None)
    stored = images.decode(first).shape[0] if first else image_size
    if stored >= image_size:
        return []
    return [f"The records hold pictures of {stored} pixels; they are enlarged to {image_size}."]


def loader(
    files: Sequence[str], image_size: int, kind: str = ""
) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns the ``load`` of a face set whose pictures or maps are read from records as needed.

    Those of the asked size are read and decoded without Python. Called outside a TensorFlow graph,
    it raises ``StorageError`` where a record cannot be read.

    Args:
        files: ``FILE.tfrecord#OFFSET`` of each picture or map.
        image_size: Height and width of the pictures, in pixels.
        kind: ``depth`` or ``normal`` for the maps of this kind; empty for the pictures.

    Raises:
        StorageError: A shard is not there.
    """
    shards, shard_of, offsets = _places(files)
    with tf.device("/CPU:0"):
        names = tf.constant(shards)
        which, offset = tf.constant(shard_of, tf.int32), tf.constant(offsets, tf.int64)

    @tf.function(input_signature=[tf.TensorSpec([], tf.int64)])
    def read(index: tf.Tensor) -> tf.Tensor:
        with tf.device("/CPU:0"):
            record = serialized_record(names[which[index]], offset[index])
            return _decode(record, image_size, kind)

    def load(index: tf.Tensor) -> tf.Tensor:
        if tf.inside_function():
            return read(index)
        with storage.record_errors(files[int(index)]):
            return read(index)

    return load


def pool(
    files: Sequence[str],
    image_size: int,
    on_progress: OnProgress | None = None,
    kind: str = "",
) -> np.ndarray:
    """Reads all pictures or maps, shard by shard from beginning to end.

    Args:
        files: ``FILE.tfrecord#OFFSET`` of each picture.
        image_size: Height and width of the pictures, in pixels.
        on_progress: Called with (pictures done, pictures in all).
        kind: As for ``loader``.

    Returns:
        uint8 [n, image_size, image_size, 3].

    Raises:
        StorageError: A shard is missing, damaged or cut short, or no record begins at an offset.
    """
    shards, shard_of, offsets = _places(files)
    indices: list[dict[int, list[int]]] = [collections.defaultdict(list) for _ in shards]
    for index, (which, offset) in enumerate(zip(shard_of, offsets)):
        indices[which][offset].append(index)
    pictures = np.empty((len(files), image_size, image_size, 3), np.uint8)
    done = 0
    for shard, wanted in zip(shards, indices):
        for offset, picture in _read_through(shard, image_size, kind):
            for index in wanted.pop(offset, ()):
                pictures[index] = picture
                done += 1
                if on_progress:
                    on_progress(done, len(files))
            if not wanted:
                break
        for offset in wanted:
            raise storage.no_record(f"{shard}#{offset}")
    return pictures


def _places(files: Sequence[str]) -> tuple[list[str], list[int], list[int]]:
    """Returns the shards, and shard and offset of each file."""
    numbers: dict[str, int] = {}
    places = [storage.record_place(file) or (file, 0) for file in files]
    shard_of = [numbers.setdefault(shard, len(numbers)) for shard, _ in places]
    for shard in numbers:
        if not storage.exists(shard):
            raise StorageError(f"{shard}: no such file.")
    return list(numbers), shard_of, [offset for _, offset in places]


def _read_through(shard: str, image_size: int, kind: str) -> Iterator[tuple[int, np.ndarray]]:
    """Yields offset and picture of each record of a file."""

    def place(at: tf.Tensor, record: tf.Tensor) -> tuple[tf.Tensor, tuple]:
        end = at + FRAME_BYTES + tf.cast(tf.strings.length(record), tf.int64)
        return end, (at, end, record)

    def decode(at: tf.Tensor, end: tf.Tensor, record: tf.Tensor) -> tuple:
        return at, end, _decode(record, image_size, kind)

    dataset = tf.data.TFRecordDataset(shard).scan(tf.constant(0, tf.int64), place)
    dataset = dataset.map(decode, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
    pictures, end = dataset.as_numpy_iterator(), 0
    while True:
        with storage.record_errors(f"{shard}#{end}"):
            following = next(pictures, None)
        if following is None:
            return
        at, end, picture = following
        yield int(at), picture


def _decode(record: tf.Tensor, image_size: int, kind: str = "") -> tf.Tensor:
    """Returns the picture or map of a serialized record as uint8 [image_size, image_size, 3]."""

    def resize(content: bytes) -> np.ndarray:
        if kind:
            return maps.to_map(maps.decode_levels(content, kind), kind, image_size)
        return images.to_square(images.decode(content), image_size)

    feature = maps.FEATURES[kind] if kind else PICTURE
    kinds = {feature: tf.string, HEIGHT: tf.int64, WIDTH: tf.int64}
    features = tf.io.parse_single_example(
        record, {name: tf.io.FixedLenFeature([], kind) for name, kind in kinds.items()}
    )
    content = features[feature]
    image = tf.cond(
        (features[HEIGHT] == image_size) & (features[WIDTH] == image_size),
        lambda: tf.io.decode_png(content, channels=3),
        lambda: tf.numpy_function(resize, [content], tf.uint8, stateful=False),
    )
    return tf.ensure_shape(image, (image_size, image_size, 3))
