"""The face sets that a configuration names."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import math
from collections.abc import Sequence

import numpy as np

from legan_tf.command_line.cli import bar
from legan_tf.command_line.options import parse_crop
from legan_tf.data import attributes, storage, tfrecord_reader
from legan_tf.data.action_units import ACTION_UNITS
from legan_tf.data.check.known_files import KnownFiles
from legan_tf.data.check.validation import (
    OnMap,
    OnPicture,
    check_manifest,
    held_out_split,
    learnable,
)
from legan_tf.data.conditions import ATTRIBUTES, Condition
from legan_tf.data.faceset import FaceSet
from legan_tf.data.manifest import CLASSES, Manifest, counts_table, read_manifest
from legan_tf.data.manifest_faces import SplitPools, manifest_faces
from legan_tf.data.rendered import rated_faces, rendered_faces
from legan_tf.data.rendered.lights import read_lights
from legan_tf.data.rendered.photograph_layers import photograph_layers
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
    most = max(shared, key=lambda name: shared[name])
    return most, attributes.MULTIPIE_SHOTS[-1] not in lightings


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


@dataclasses.dataclass(frozen=True)
class Needs:
    """What a training needs of its data.

    Attributes:
        conditions: Names of the conditions to keep, in this order, of those that the data has; it
            must have those among ``columns``. None for all, of rendered faces expression and
            lighting.
        attributes: Of binary attributes those to keep, in this order; all if there are none.
        columns: What a manifest must have; see ``check_manifest``.
        any_of: The labels of which a picture of a manifest needs at least one; others are left
            out. All stay if there are none.
        map_kind: ``depth`` or ``normal`` to have these maps too.
        loaded_size: Height and width of the pictures to train on, in pixels; 0 for those of the
            others.
        action_units_file: File of the action units of a manifest's pictures; none if empty.
    """

    conditions: tuple[str, ...] | None
    attributes: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    any_of: tuple[str, ...] = ()
    map_kind: str = ""
    loaded_size: int = 0
    action_units_file: str = ""

    def kept(self, known: Sequence[Condition], source: str) -> tuple[str, ...]:
        """Returns the names of the conditions to keep of those that the data has.

        Raises:
            UserError: It lacks a condition or an attribute; the message begins with ``source``.
        """
        names = {one.name: one.names for one in known}
        kept = tuple(names) if self.conditions is None else self.conditions
        for name in kept:
            if name not in names and (name in self.columns or name not in (*CLASSES, ATTRIBUTES)):
                raise UserError(
                    f"--conditions={','.join(kept)}: {source} has no labels of {name!r}; it has "
                    f"{', '.join(names) or 'none'}."
                )
        attributes = names.get(ATTRIBUTES, ())
        for name in self.attributes:
            if name not in attributes:
                close = difflib.get_close_matches(name, attributes, n=1)
                hint = f"did you mean {close[0]!r}?" if close else ""
                raise UserError(
                    f"--attributes={','.join(self.attributes)}: {source} has no {name!r}; "
                    + (hint or f"it has {', '.join(attributes) or 'none'}.")
                )
        found = tuple(name for name in kept if name in names)
        if self.conditions and not found:
            raise UserError(
                f"--conditions={','.join(kept)}: {source} has none of these labels; it has "
                f"{', '.join(names) or 'none'}."
            )
        return found


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
    with_attributes: bool = False,
    snapshots: bool = False,
    own_lights: str = "",
    layers: str = "",
) -> FaceSet:
    """Rendered faces, kept for the next network that this process trains on them."""
    own = read_lights(own_lights) if own_lights else None
    return rendered_faces(
        split,
        people,
        EXPRESSIONS[expressions],
        tuple(own or attributes.lightings(merge_flashless)),
        size,
        seed,
        bar(f"rendering {split} faces"),
        map_kind,
        on_demand,
        with_attributes,
        snapshots,
        own,
        photograph_layers(layers, split) if layers else None,
    )


def held_out_faces(
    data: DataOptions,
    seed: int,
    needs: Needs = Needs(None),
    split: str = "test",
    on_demand: bool = False,
) -> FaceSet:
    """Rendered people that no training with these options has seen.

    Args:
        data: The options.
        seed: Seed of the training.
        needs: Their conditions and maps.
        split: ``val``, for validation during training, or ``test``.
        on_demand: See ``rendered_faces``.

    Raises:
        UserError: Rendered faces lack a condition or an attribute.
    """
    return _rendered(split, HELD_OUT_PEOPLE, data.image_size, data, needs, seed, on_demand)


def _rendered(
    split: str,
    people: int,
    size: int,
    data: DataOptions,
    needs: Needs,
    seed: int,
    on_demand: bool,
) -> FaceSet:
    faces = rendered_split(
        split,
        people,
        data.expressions,
        data.merge_flashless,
        size,
        seed,
        needs.map_kind,
        on_demand,
        bool(needs.attributes) or needs.conditions is not None and ATTRIBUTES in needs.conditions,
        data.snapshots,
        data.lights,
        data.layers,
    )
    if needs.conditions is not None and ACTION_UNITS in needs.conditions:
        faces = faces.with_action_units()
    return faces.only(needs.kept(faces.conditions, "rendered data"), needs.attributes)


def rendered_datasets(data: DataOptions, needs: Needs, seed: int) -> Datasets:
    """Renders every person under every expression and lighting.

    Raises:
        UserError: Rendered faces lack a condition or an attribute.
    """
    size = needs.loaded_size or data.image_size
    train = _rendered("train", data.people, size, data, needs, seed, on_demand=True)
    val = held_out_faces(data, seed, needs, "val", on_demand=True)
    return Datasets(train, val, _grid_table(train, val))


def rated_datasets(data: DataOptions, count: int, seed: int, loaded_size: int = 0) -> Datasets:
    """Renders faces with damage, rated by simulated raters.

    Args:
        data: The options.
        count: Pictures to train on.
        seed: Different seeds give different people, damage and raters.
        loaded_size: As ``Needs`` has it.
    """
    size = loaded_size or data.image_size
    train = rated_faces("train", count, size, seed, on_demand=True)
    held_out = max(count // 8, 2)
    val = rated_faces("val", held_out, data.image_size, seed, on_demand=True)
    return Datasets(train, val, _ratings_table(train, val))


def manifest_datasets(data: DataOptions, needs: Needs, seed: int, dry_run: bool) -> Datasets:
    """Reads and checks a manifest; where it has no val people, test people are validated on.

    Args:
        data: The manifest and how to read it.
        needs: What the training needs of it.
        seed: Seed of the split where the manifest has none.
        dry_run: Whether to write nothing.

    Raises:
        UserError: The manifest cannot be trained on; all its problems are in the message.
    """
    manifest = read_manifest(data.manifest, data.data_dir or None, seed)
    manifest = manifest.with_action_units(needs.action_units_file)
    with_units = needs.conditions is not None and ACTION_UNITS in needs.conditions
    if with_units and manifest.units is None:
        raise UserError(
            f"--action_units_file is missing: {data.manifest} has no action units; name the CSV "
            "that OpenFace, py-feat or LibreFace made of its pictures."
        )
    known = (*manifest.conditions, manifest.units) if manifest.units else manifest.conditions
    kept = needs.kept(known, data.manifest)
    manifest = manifest.only([name for name in kept if name != ACTION_UNITS], needs.attributes)
    looked_at = held_out_split(manifest)
    files, crop = [row.file for row in manifest.rows], parse_crop(data.crop)
    tfrecord_reader.refuse_crop(files, crop)
    columns = [*needs.columns, *([needs.map_kind] if needs.map_kind else [])]
    loaded_size = needs.loaded_size or data.image_size
    sizes = {"train": loaded_size, looked_at: data.image_size}
    known_files = KnownFiles(data.manifest, data.check_again)
    pools, on_picture, on_map = _pools(
        learnable(manifest, columns, needs.any_of), data, needs.map_kind, sizes
    )
    try:
        manifest = check_manifest(
            manifest, columns, bar("checking images"), needs.any_of, on_picture, on_map, known_files
        )
    finally:
        if not dry_run:
            known_files.write()
    notes = {
        "val": [],
        "test": ["Split 'val' is empty: training looks at the people of 'test'."],
        None: ["There are no held-out people: nothing is validated, samples show people of train."],
    }[looked_at]

    def faces(split: str) -> FaceSet:
        read = manifest_faces(
            manifest,
            split,
            sizes[split],
            crop,
            data.memory_bytes,
            bar(f"reading {split} images"),
            needs.map_kind,
            pools[split],
            _plain(manifest, split, known_files, sizes[split]) if pools[split] is None else None,
        )
        return read.with_action_units() if with_units else read

    train, val = faces("train"), faces(looked_at) if looked_at else None
    notes += tfrecord_reader.enlarging_note(files, loaded_size)
    return Datasets(train, val, "\n".join([counts_table(manifest), *notes]))


def _pools(
    manifest: Manifest, data: DataOptions, map_kind: str, sizes: dict[str | None, int]
) -> tuple[dict[str | None, SplitPools | None], OnPicture, OnMap]:
    """Pools of the splits that fit into memory, and what fills them while files are checked."""
    crop = parse_crop(data.crop)
    pools: dict[str | None, SplitPools | None] = {}
    place: dict[int, tuple[SplitPools, int]] = {}
    for split, size in sizes.items():
        rows = [index for index, row in enumerate(manifest.rows) if row.split == split]
        pool = SplitPools.of(len(rows), size, crop, data.memory_bytes, map_kind)
        pools[split] = pool
        if pool:
            place.update({index: (pool, number) for number, index in enumerate(rows)})

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
    action_units_file: str = "",
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
        action_units_file: The action units of its pictures; none if empty.

    Raises:
        UserError: The manifest or a picture of the split is wrong, or the split is empty.
    """
    manifest = read_manifest(file, data_dir or None, seed).with_action_units(action_units_file)
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
    def line(faces: FaceSet) -> str:
        counts = {"people": len(faces.identities)}
        counts.update({f"{name}s": len(names) for name, names in faces.classes().items()})
        others = len(faces) // math.prod(counts.values())
        if others > 1:
            counts["pictures of each"] = others
        product = " x ".join(f"{count} {what}" for what, count in counts.items())
        attributes = faces.names(ATTRIBUTES)
        told = f", with {', '.join(attributes)}" if attributes else ""
        return f"{faces.name}: {product} = {len(faces)} images{told}"

    return "\n".join(map(line, sets))


def _ratings_table(*sets: FaceSet) -> str:
    return "\n".join(
        f"{faces.name}: {len(faces)} rated images, mean rating {np.mean(faces.rating_mean):.2f}, "
        f"mean std {np.mean(faces.rating_std):.2f}"
        for faces in sets
    )
