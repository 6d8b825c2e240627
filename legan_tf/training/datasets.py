"""The face sets that a configuration names."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np

from legan_tf.command_line.cli import bar
from legan_tf.command_line.options import parse_crop
from legan_tf.data import attributes, storage, tfrecord_reader
from legan_tf.data.check.known_files import KnownFiles
from legan_tf.data.check.validation import (
    OnMap,
    OnPicture,
    check_manifest,
    held_out_split,
    learnable,
)
from legan_tf.data.faceset import FaceSet
from legan_tf.data.manifest import Manifest, counts_table, read_manifest
from legan_tf.data.manifest_faces import SplitPools, manifest_faces
from legan_tf.data.rendered import rated_faces, rendered_faces
from legan_tf.errors import UserError
from legan_tf.training.options import DataOptions

EXPRESSIONS = {
    "multipie": attributes.MULTIPIE_EXPRESSIONS,
    "affectnet": attributes.AFFECTNET_EXPRESSIONS,
}
HELD_OUT_PEOPLE = 50
"""Rendered people in each of val and test."""


def rendered_classes(expressions: Sequence[str], lightings: Sequence[str]) -> tuple[str, bool]:
    """Returns the options of rendered faces that share most classes with those named.

    Args:
        expressions: Names of expressions.
        lightings: Names of lightings.

    Returns:
        A key of ``EXPRESSIONS``, and whether the two flashless lights are one class.
    """
    shared = {name: len({*known} & {*expressions}) for name, known in EXPRESSIONS.items()}
    return max(shared, key=shared.get), attributes.MULTIPIE_SHOTS[-1] not in lightings


@dataclasses.dataclass(frozen=True)
class Datasets:
    """The face sets of a training.

    Attributes:
        train: The faces to train on.
        val: People that training does not see; none where a manifest holds out nobody.
        table: Counts of both, as text.
    """

    train: FaceSet
    val: FaceSet | None
    table: str


@functools.lru_cache(maxsize=4)
def rendered_split(
    split: str,
    people: int,
    expressions: str,
    merge_flashless: bool,
    size: int,
    seed: int,
    map_kind: str = "",
    on_demand: bool = False,
) -> FaceSet:
    """Rendered faces, kept for the next network that this process trains on them."""
    return rendered_faces(
        split,
        people,
        EXPRESSIONS[expressions],
        attributes.lightings(merge_flashless),
        size,
        seed,
        bar(f"rendering {split} faces"),
        map_kind,
        on_demand,
    )


def held_out_faces(config: DataOptions, split: str = "test", on_demand: bool = False) -> FaceSet:
    """Rendered people of a configuration that no training of it has seen.

    Args:
        config: The configuration.
        split: ``val``, for validation during training, or ``test``.
        on_demand: See ``rendered_faces``.
    """
    return rendered_split(
        split,
        HELD_OUT_PEOPLE,
        config.expressions,
        config.merge_flashless,
        config.image_size,
        config.seed,
        config.map_kind,
        on_demand,
    )


def rendered_datasets(config: DataOptions) -> Datasets:
    """Renders every person under every expression and lighting."""
    train = rendered_split(
        "train",
        config.people,
        config.expressions,
        config.merge_flashless,
        config.loaded_size,
        config.seed,
        config.map_kind,
        on_demand=True,
    )
    val = held_out_faces(config, "val", on_demand=True)
    return _labelled(config, Datasets(train, val, _grid_table(train, val)))


def rated_datasets(config: DataOptions, count: int) -> Datasets:
    """Renders faces with damage, rated by simulated raters.

    Args:
        config: The sizes and the seed.
        count: Pictures to train on.
    """
    train = rated_faces("train", count, config.loaded_size, config.seed, bar("rating faces"))
    held_out = max(count // 8, 2)
    val = rated_faces("val", held_out, config.image_size, config.seed, bar("rating held-out faces"))
    return Datasets(train, val, _ratings_table(train, val))


def _labelled(config: DataOptions, data: Datasets) -> Datasets:
    """The data with the labels that the system learns from."""
    if config.learns_lighting:
        return data
    val = data.val and data.val.only(["expression"])
    return dataclasses.replace(data, train=data.train.only(["expression"]), val=val)


def manifest_datasets(
    config: DataOptions, needs: Sequence[str], learns: Sequence[str] = ()
) -> Datasets:
    """Reads and checks a manifest; where it has no val people, test people are validated on.

    Args:
        config: The manifest and how to read it.
        needs: The columns that the training needs; see ``check_manifest``.
        learns: The labels of which a picture needs at least one; see ``check_manifest``.

    Raises:
        UserError: The manifest cannot be trained on; all its problems are in the message.
    """
    manifest = read_manifest(config.manifest, config.data_dir or None, config.seed)
    if not config.learns_lighting:
        rows = tuple(dataclasses.replace(row, lighting="") for row in manifest.rows)
        manifest = dataclasses.replace(manifest, rows=rows, lightings=())
    looked_at = held_out_split(manifest)
    files, crop = [row.file for row in manifest.rows], parse_crop(config.crop)
    tfrecord_reader.refuse_crop(files, crop)
    maps = [config.map_kind] if config.map_kind else []
    needs = [*needs, *maps]
    sizes = {"train": config.loaded_size, looked_at: config.image_size}
    known = KnownFiles(config.manifest, config.check_again)
    pools, on_picture, on_map = _pools(learnable(manifest, needs, learns), config, sizes)
    try:
        manifest = check_manifest(
            manifest, needs, bar("checking images"), learns, on_picture, on_map, known
        )
    finally:
        if not config.dry_run:
            known.write()
    notes = {
        "val": [],
        "test": ["Split 'val' is empty: training looks at the people of 'test'."],
        None: ["There are no held-out people: nothing is validated, samples show people of train."],
    }[looked_at]
    train, val = (
        manifest_faces(
            manifest,
            split,
            size,
            crop,
            config.memory_bytes,
            bar(f"reading {split} images"),
            config.map_kind,
            pools[split],
            _plain(manifest, split, known, size) if pools[split] is None else None,
        )
        if split
        else None
        for split, size in sizes.items()
    )
    notes += tfrecord_reader.enlarging_note(files, config.loaded_size)
    return _labelled(config, Datasets(train, val, "\n".join([counts_table(manifest), *notes])))


def _pools(
    manifest: Manifest, config: DataOptions, sizes: dict[str | None, int]
) -> tuple[dict[str, SplitPools | None], OnPicture, OnMap]:
    """Pools of the splits that fit into memory, and what fills them while files are checked."""
    crop = parse_crop(config.crop)
    pools, place = {}, {}
    for split, size in sizes.items():
        rows = [index for index, row in enumerate(manifest.rows) if row.split == split]
        memory, kind = config.memory_bytes, config.map_kind
        pools[split] = SplitPools.of(len(rows), size, crop, memory, kind)
        if pools[split]:
            place.update({index: (pools[split], number) for number, index in enumerate(rows)})

    def on_picture(index: int, _: bytes, picture: np.ndarray) -> None:
        if index in place:
            pool, number = place[index]
            pool.put_picture(number, picture)

    def on_map(index: int, kind: str, values: np.ndarray) -> None:
        # A map in a record is what training sees already.
        if index in place and not storage.record_place(getattr(manifest.rows[index], kind)):
            pool, number = place[index]
            pool.put_map(number, kind, values)

    return pools, on_picture, on_map


def _plain(manifest: Manifest, split: str, known: KnownFiles, size: int) -> np.ndarray:
    """Whether each picture of a split is a plain PNG of the size of training, bool [n]."""
    found = [known.get(row.file) for row in manifest.split(split)]
    return np.array([bool(f and f.plain and f.height == f.width == size) for f in found], bool)


def split_of_manifest(
    file: str,
    data_dir: str,
    split: str,
    image_size: int,
    crop: str,
    seed: int,
    map_kind: str = "",
) -> FaceSet:
    """Reads one split of a manifest, to judge with.

    Args:
        file: The manifest.
        data_dir: Folder that its paths start from; its own if empty.
        split: ``train``, ``val`` or ``test``.
        image_size: Height and width of the pictures, in pixels.
        crop: As the flag of training.
        seed: Seed of the split where the manifest has none.
        map_kind: ``depth`` or ``normal`` to have these maps too.

    Raises:
        UserError: The manifest or a picture of the split is wrong, or the split is empty.
    """
    manifest = read_manifest(file, data_dir or None, seed)
    if not manifest.problems and not manifest.split(split):
        raise UserError(f"--split={split}: {file} has no picture in it. Name another split.")
    return manifest_faces(
        manifest,
        split,
        image_size,
        parse_crop(crop),
        on_progress=bar(f"reading {split} images"),
        map_kind=map_kind,
    )


def _grid_table(*sets: FaceSet) -> str:
    return "\n".join(
        f"{faces.name}: {len(faces.identities)} people x {len(faces.expressions)} expressions x "
        f"{len(faces.lightings)} lightings = {len(faces)} images"
        for faces in sets
    )


def _ratings_table(*sets: FaceSet) -> str:
    return "\n".join(
        f"{faces.name}: {len(faces)} rated images, mean rating {np.mean(faces.rating_mean):.2f}, "
        f"mean std {np.mean(faces.rating_std):.2f}"
        for faces in sets
    )
