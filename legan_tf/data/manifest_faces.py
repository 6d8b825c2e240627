"""Face sets of manifests: the pictures and labels of a split, ready for training."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from legan_tf.data import images, maps, parallel, tfrecord_reader
from legan_tf.data.faceset import FaceSet, from_pool
from legan_tf.data.manifest import Manifest, ManifestError
from legan_tf.data.parallel import OnProgress

DEFAULT_POOL_BYTES = 4 << 30


class Pool:
    """The pictures or maps of a split in memory, as far as they have been decoded.

    Attributes:
        pictures: uint8 [n, S, S, 3].
        filled: bool [n].
    """

    def __init__(self, count: int, image_size: int) -> None:
        """Takes room for ``count`` pictures of a height and width."""
        self.pictures = np.empty((count, image_size, image_size, 3), np.uint8)
        self.filled = np.zeros(count, bool)

    def put(self, index: int, picture: np.ndarray) -> None:
        """Keeps one; may be called by several threads."""
        self.pictures[index] = picture
        self.filled[index] = True


@dataclasses.dataclass(frozen=True)
class SplitPools:
    """The pools of a split, to be filled by whoever decodes its files first.

    Attributes:
        pictures: Of the pictures.
        maps: Of the maps; None where there are none.
        crop: Part of each picture to cut out.
    """

    pictures: Pool
    maps: Pool | None
    crop: images.Crop | None

    @classmethod
    def of(
        cls,
        count: int,
        image_size: int,
        crop: images.Crop | None,
        max_bytes: int,
        map_kind: str = "",
    ) -> SplitPools | None:
        """Returns empty pools for so many pictures; None where they would be too large."""
        if count * (2 if map_kind else 1) * image_size * image_size * 3 > max_bytes:
            return None
        return cls(Pool(count, image_size), Pool(count, image_size) if map_kind else None, crop)

    @property
    def image_size(self) -> int:
        """Height and width of the pictures."""
        return self.pictures.pictures.shape[1]

    def put_picture(self, index: int, picture: np.ndarray) -> None:
        """Keeps a decoded picture, uint8 [H, W, 3]."""
        self.pictures.put(index, images.to_square(picture, self.image_size, self.crop))

    def put_map(self, index: int, kind: str, values: np.ndarray) -> None:
        """Keeps a map, as ``maps.decode`` returns it."""
        if self.maps is not None:
            self.maps.put(index, maps.to_map(values, kind, self.image_size, self.crop))


def manifest_faces(
    manifest: Manifest,
    split: str,
    image_size: int,
    crop: images.Crop | None = None,
    max_pool_bytes: int = DEFAULT_POOL_BYTES,
    on_progress: OnProgress | None = None,
    map_kind: str = "",
    pools: SplitPools | None = None,
    plain: np.ndarray | None = None,
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
        pools: Pools of this split, of the same size, crop and maps, which may hold what is decoded
            already; default is empty ones where they fit.
        plain: bool [n], the pictures that ``tf.io.decode_png`` decodes to what training sees:
            plain PNG of the asked size; they are decoded without Python where they are not kept.

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
    total = len(files) * (2 if map_kind else 1)
    pools = pools or SplitPools.of(len(files), image_size, crop, max_pool_bytes, map_kind)

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

    def loader(
        paths: list[str],
        read: Callable[[int], np.ndarray],
        pool: Pool | None,
        on_progress: OnProgress | None,
        kind: str = "",
    ) -> Callable[[tf.Tensor], tf.Tensor]:
        if tfrecord_reader.are_records(paths):
            if pool is None:
                return tfrecord_reader.loader(paths, image_size, kind)
            if not pool.filled.all():
                return from_pool(tfrecord_reader.pool(paths, image_size, on_progress, kind))
        elif pool is None and plain is not None and plain.any() and not kind and not crop:
            return _file_loader(paths, read, plain, image_size)
        return _loader(read, image_size, pool, on_progress)

    load = loader(files, picture, pools.pictures if pools else None, counted_from(0))
    map_loader = None
    if map_kind:
        paths = [getattr(row, map_kind) for row in rows]
        pool = pools.maps if pools else None
        map_loader = loader(paths, surface, pool, counted_from(len(files)), map_kind)
    return FaceSet(
        name=f"{os.path.basename(manifest.file)}/{split}",
        image_size=image_size,
        conditions=manifest.conditions,
        labels={one.name: manifest.labels(one, rows) for one in manifest.conditions},
        identities=manifest.identities,
        identity=manifest.labels(manifest.people, rows),
        rating_mean=np.array([row.rating_mean for row in rows], np.float32),
        rating_std=np.array([row.rating_std for row in rows], np.float32),
        load=load,
        map_kind=map_kind,
        maps=map_loader,
        measured_units=(manifest.units, manifest.unit_labels(rows)) if manifest.units else None,
    )


def _file_loader(
    files: list[str], read: Callable[[int], np.ndarray], plain: np.ndarray, image_size: int
) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns the ``load`` of a face set whose plain pictures are decoded without Python."""
    by_python = _loader(read, image_size, None)
    with tf.device("/CPU:0"):
        names, known = tf.constant(files), tf.constant(plain)

    def load(index: tf.Tensor) -> tf.Tensor:
        if not tf.inside_function():
            return by_python(index)  # Its errors name the file.

        def in_graph() -> tf.Tensor:
            return tf.io.decode_png(tf.io.read_file(names[index]), channels=3)

        with tf.device("/CPU:0"):
            if plain.all():
                image = in_graph()
            else:
                image = tf.cond(known[index], in_graph, lambda: by_python(index))
        return tf.ensure_shape(image, (image_size, image_size, 3))

    return load


def _loader(
    read: Callable[[int], np.ndarray],
    image_size: int,
    pool: Pool | None,
    on_progress: OnProgress | None = None,
) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns the ``load`` of a face set whose picture of an index ``read`` returns."""
    if pool is not None:
        missing = np.flatnonzero(~pool.filled).tolist()
        for _ in parallel.in_threads(lambda i: pool.put(i, read(i)), missing, on_progress):
            pass
        return from_pool(pool.pictures)

    def load(index: tf.Tensor) -> tf.Tensor:
        image = tf.numpy_function(lambda i: read(int(i)), [index], tf.uint8, stateful=False)
        image.set_shape((image_size, image_size, 3))
        return image

    return load
