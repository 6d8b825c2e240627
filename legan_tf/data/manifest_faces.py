"""Face sets of manifests: the pictures and labels of a split, ready for training."""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from legan_tf.data import attributes, images, maps, parallel, tfrecord_reader
from legan_tf.data.faceset import FaceSet, from_pool
from legan_tf.data.manifest import Manifest, ManifestError
from legan_tf.data.parallel import OnProgress

DEFAULT_POOL_BYTES = 4 << 30


def manifest_faces(
    manifest: Manifest,
    split: str,
    image_size: int,
    crop: images.Crop | None = None,
    max_pool_bytes: int = DEFAULT_POOL_BYTES,
    on_progress: OnProgress | None = None,
    map_kind: str = "",
) -> FaceSet:
    """Returns one split of a manifest as a face set.

    Args:
        manifest: As ``read_manifest`` returns it.
        split: ``train``, ``val`` or ``test``.
        image_size: Height and width of the pictures, in pixels.
        crop: Part of each picture to cut out, before it is cut to a square.
        max_pool_bytes: Up to this size all pictures and maps of the split are decoded now and kept
            in memory; beyond, each is decoded whenever it is needed.
        on_progress: Called with (pictures and maps decoded, all of them).
        map_kind: ``depth`` or ``normal`` to have these maps too, cropped as the pictures are.

    Returns:
        The split; class ids mean the same in all splits of a manifest.

    Raises:
        ManifestError: The manifest's text has problems.
        ImageError: A picture cannot be decoded.
        StorageError: A picture cannot be read.
        UserError: ``crop`` is given for pictures in records.
    """
    if manifest.problems:
        raise ManifestError(manifest.problems)
    rows = manifest.split(split)
    files = [row.file for row in rows]
    tfrecord_reader.refuse_crop(files, crop)
    in_records = tfrecord_reader.are_records(files)
    total = len(files) * (2 if map_kind else 1)
    in_memory = total * image_size * image_size * 3 <= max_pool_bytes

    def counted_from(before: int) -> OnProgress | None:
        """Counts pictures and maps as one."""
        return on_progress and (lambda done, _: on_progress(before + done, total))

    def picture(index: int) -> np.ndarray:
        return images.to_square(images.decode(files[index]), image_size, crop)

    def surface(index: int) -> np.ndarray:
        path = getattr(rows[index], map_kind)
        if not path:
            return np.zeros((image_size, image_size, 3), np.uint8)
        return maps.read_map(path, map_kind, image_size, crop)

    if in_records and in_memory:
        load = from_pool(tfrecord_reader.pool(files, image_size, counted_from(0)))
    elif in_records:
        load = tfrecord_reader.loader(files, image_size)
    else:
        load = _loader(picture, len(files), image_size, in_memory, counted_from(0))
    map_loader = None
    if map_kind:
        map_loader = _loader(surface, len(files), image_size, in_memory, counted_from(len(files)))
    return FaceSet(
        name=f"{os.path.basename(manifest.file)}/{split}",
        image_size=image_size,
        expressions=manifest.expressions,
        lightings=manifest.lightings,
        identities=manifest.identities,
        expression=_ids([row.expression for row in rows], manifest.expressions),
        lighting=_ids([row.lighting for row in rows], manifest.lightings),
        identity=_ids([row.identity for row in rows], manifest.identities),
        rating_mean=np.array([row.rating_mean for row in rows], np.float32),
        rating_std=np.array([row.rating_std for row in rows], np.float32),
        load=load,
        map_kind=map_kind,
        maps=map_loader,
    )


def _ids(labels: list[str], names: tuple[str, ...]) -> np.ndarray:
    ids = {name: i for i, name in enumerate(names)}
    return np.array([ids.get(label, attributes.UNKNOWN) for label in labels], np.int32)


def _loader(
    read: Callable[[int], np.ndarray],
    count: int,
    image_size: int,
    in_memory: bool,
    on_progress: OnProgress | None = None,
) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns the ``load`` of a face set whose picture of an index ``read`` returns."""
    if in_memory:
        pool = np.empty((count, image_size, image_size, 3), np.uint8)

        def fill(index: int) -> None:
            pool[index] = read(index)

        for _ in parallel.in_threads(fill, range(count), on_progress):
            pass
        return from_pool(pool)

    def load(index: tf.Tensor) -> tf.Tensor:
        image = tf.numpy_function(lambda i: read(int(i)), [index], tf.uint8, stateful=False)
        image.set_shape((image_size, image_size, 3))
        return image

    return load
