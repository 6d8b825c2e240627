"""Validation of a manifest: everything that would stop or spoil a training."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import numpy as np

from legan_tf.data import images, maps, parallel, storage
from legan_tf.data.action_units import ACTION_UNITS
from legan_tf.data.check.known_files import Known, KnownFiles, is_plain
from legan_tf.data.conditions import ATTRIBUTE_COLUMN, ATTRIBUTES
from legan_tf.data.manifest import CLASSES, Manifest, ManifestError, Problem, Row
from legan_tf.data.parallel import OnProgress
from legan_tf.data.splits import SPLITS
from legan_tf.optional import UnavailableError

OnPicture = Callable[[int, bytes, np.ndarray], None]
"""Called with (place of the row, digest of the file, uint8 [H, W, 3])."""

OnMap = Callable[[int, str, np.ndarray], None]
"""Called with (place of the row, kind of map, values as ``maps.decode`` returns them)."""


def check_manifest(
    manifest: Manifest,
    needs: Collection[str] = ("expression", "lighting"),
    on_progress: OnProgress | None = None,
    learns: Collection[str] = (),
    on_picture: OnPicture | None = None,
    on_map: OnMap | None = None,
    known: KnownFiles | None = None,
) -> Manifest:
    """Checks a manifest for everything that would stop or spoil a training.

    Each picture is read and decoded once, on all processors, and so are the maps that the training
    learns from; of others only the presence is checked. Known files are not read.

    Args:
        manifest: The manifest.
        needs: What the training learns from. Of ``expression``, ``lighting``, ``identity`` and
            each of ``attributes`` it needs two classes or more in train; of ``rating`` a mean and
            a standard deviation; of ``action_units`` two pictures of train or more that have
            all; of ``depth`` and ``normal`` maps, without which lines are left
            out. Where it learns a condition, each class of expression and lighting must be in
            train.
        on_progress: Called with (pictures done, pictures in all).
        learns: The labels of which a line needs at least one; the others are left out.
        on_picture: As ``picture_problems`` has it, of the manifest that is returned.
        on_map: Likewise.
        known: Likewise.

    Returns:
        ``learnable`` of the arguments.

    Raises:
        ManifestError: Something is wrong; the report names every line.
        UnavailableError: A picture is on a storage that needs tensorflow-io.
    """
    kinds = [kind for kind in maps.KINDS if kind in needs]
    kept = learnable(manifest, needs, learns)
    problems = list(manifest.problems)
    problems += split_problems(kept)
    problems += need_problems(manifest, needs)
    held_out = held_out_split(manifest)
    if held_out and not kept.split(held_out):
        wanted = " and ".join([*([" or ".join(learns)] if learns else []), *kinds])
        message = (
            f"no line of split {held_out!r} has what this training learns from ({wanted}), so it "
            "cannot be validated; fill the columns, or choose the split in column 'split'."
        )
        problems.append(manifest.problem(message))
    problems += picture_problems(kept, on_progress, on_picture, kinds, on_map, known)
    if problems:
        raise ManifestError(problems)
    return kept


def learnable(manifest: Manifest, needs: Collection[str], learns: Collection[str] = ()) -> Manifest:
    """Returns a manifest without lines that have nothing to learn from; see ``check_manifest``."""
    kept = manifest.with_any(learns)
    for kind in maps.KINDS:
        if kind in needs:
            kept = kept.with_any([kind])
    return kept


def held_out_split(manifest: Manifest) -> str | None:
    """Returns the split that a training is validated on: ``val`` or, without that, ``test``."""
    return next((split for split in ("val", "test") if manifest.split(split)), None)


def split_problems(manifest: Manifest) -> list[Problem]:
    """Returns a problem for each person and file that is in more than one split."""
    problems = []
    for attribute, what, advice in (
        ("identity", "person", "keep all pictures of a person in one split."),
        ("file", "file", "keep it in one split."),
    ):
        first: dict[str, Row] = {}
        reported = set()
        for row in manifest.rows:
            value = getattr(row, attribute)
            if not value or row.split not in SPLITS:
                continue
            other = first.setdefault(value, row)
            if other.split != row.split and (value, row.split) not in reported:
                reported.add((value, row.split))
                name = f" {value!r}" if attribute == "identity" else ""
                message = (
                    f"the {what}{name} is in split {row.split!r} here and in {other.split!r} "
                    f"in line {other.line}; {advice}"
                )
                problems.append(manifest.problem(message, row))
    return problems


def need_problems(manifest: Manifest, needs: Collection[str]) -> list[Problem]:
    """Returns a problem for all that a training lacks; ``needs`` as in ``check_manifest``."""
    if not any(row.split for row in manifest.rows):
        return []  # Too few people to split, which is a problem of the manifest already.
    if not manifest.split("train"):
        return [manifest.problem("no line is in split 'train'; there is nothing to train on.")]
    kinds = [kind for kind in maps.KINDS if kind in needs]
    lacking = [kind for kind in kinds if not any(row.has(kind) for row in manifest.split("train"))]
    return [
        *(_no_maps(manifest, kind) for kind in lacking),
        *_class_problems(manifest, needs, () if lacking else kinds),
        *(_rating_problems(manifest) if "rating" in needs else ()),
        *(_unit_problems(manifest) if ACTION_UNITS in needs else ()),
    ]


def missing_by_model(
    manifest: Manifest, needs: Mapping[str, Collection[str]]
) -> dict[str, list[str]]:
    """Returns by model what the labels lack to train it, given the columns that it needs."""
    if not any(row.split for row in manifest.rows):
        return dict.fromkeys(needs, ["no picture is in a split."])
    return {
        model: [problem.message for problem in need_problems(manifest, columns)]
        for model, columns in needs.items()
    }


def _class_problems(
    manifest: Manifest, needs: Collection[str], kinds: Collection[str]
) -> Iterable[Problem]:
    train = np.array([row.split == "train" and all(map(row.has, kinds)) for row in manifest.rows])
    needed = [name for name in (*CLASSES, ATTRIBUTES) if name in needs]
    for name in needed:
        if not manifest.names(name):
            column = f"{ATTRIBUTE_COLUMN}NAME" if name == ATTRIBUTES else name
            yield _too_few(manifest, column, "no class", _OTHER_MODEL)
    for condition, column, cells, ids in manifest.columns():
        seen = np.unique(ids[train & (ids >= 0)])
        if condition.name in needs and len(seen) < 2:
            classes = f"one class ({cells[seen[0]]})" if len(seen) else "no class"
            advice = _OTHER_MODEL if column == condition.name else _OTHER_ATTRIBUTES
            yield _too_few(manifest, column, classes, advice)
        elif needed and condition.name in CLASSES:
            yield from _unseen(manifest, column, cells, ids, seen, kinds)


_OTHER_MODEL = "train something that does not need it."
_OTHER_ATTRIBUTES = "name others with --attributes."


def _too_few(manifest: Manifest, column: str, classes: str, advice: str) -> Problem:
    return manifest.problem(
        f"column {column!r} has {classes} in split 'train', and this training needs two or more; "
        f"fill the column or {advice}"
    )


def _unseen(
    manifest: Manifest,
    column: str,
    cells: Sequence[str],
    ids: np.ndarray,
    seen: np.ndarray,
    kinds: Collection[str],
) -> Iterable[Problem]:
    """Yields a problem for each class that is not in train: it is one of the network, too."""
    found, first = np.unique(ids, return_index=True)
    for place, label in sorted(zip(first, found)):
        if label < 0 or label in seen:
            continue
        row = manifest.rows[place]
        if row.split == "train":
            message = (
                f"is in no line of split 'train' that names a {' and a '.join(kinds)} map, so it "
                "cannot be learnt; name maps of it, or leave the cell empty."
            )
        else:
            message = (
                f"is in split {row.split!r} but in no line of split 'train', so it cannot be "
                "learnt; put pictures of it in train, or leave the cell empty."
            )
        yield manifest.problem(f"{column} {cells[label]!r} {message}", row)


def _no_maps(manifest: Manifest, kind: str) -> Problem:
    return manifest.problem(
        f"no line of split 'train' names a {kind} map, and this training needs them; fill the "
        f"column {kind!r}."
    )


def _unit_problems(manifest: Manifest) -> Iterable[Problem]:
    train = manifest.split("train")
    vectors = manifest.unit_labels(train) if manifest.units else np.zeros((0, 1))
    whole = int(np.sum(~np.isnan(vectors).any(axis=1)))
    if whole < 2:
        yield manifest.problem(
            f"{whole or 'no'} picture of split 'train' has all action units, and this training "
            "needs two or more; name their CSV with --action_units_file."
        )


def _rating_problems(manifest: Manifest) -> Iterable[Problem]:
    if not any(row.rated for row in manifest.split("train")):
        yield manifest.problem(
            "no line of split 'train' has a rating_mean, and this training needs them; fill the "
            "columns rating_mean and rating_std."
        )
    for row in manifest.rows:
        if row.rated and math.isnan(row.rating_std):
            yield manifest.problem(
                "rating_mean is given without rating_std, and this training needs both; give "
                "both or none.",
                row,
            )


def picture_problems(
    manifest: Manifest,
    on_progress: OnProgress | None = None,
    on_picture: OnPicture | None = None,
    kinds: Collection[str] = maps.KINDS,
    on_map: OnMap | None = None,
    known: KnownFiles | None = None,
) -> list[Problem]:
    """Returns a problem for each file that is missing, damaged or in different splits.

    Args:
        manifest: The manifest.
        on_progress: Called with (pictures done, pictures in all).
        on_picture: Called with each picture that is decoded, by several threads at once.
        kinds: The maps that are decoded, too, and compared with their pictures' shape.
        on_map: Called with each of these maps that is decoded, likewise.
        known: Files that are known to be whole and are not decoded; all that are found whole are
            added. None to decode all.

    Returns:
        The problems, in the order of the lines.

    Raises:
        UnavailableError: A picture is on a storage that needs tensorflow-io.
    """

    def examine(index: int) -> tuple[bytes, list[str]]:
        row, digest = manifest.rows[index], b""
        messages: list[str] = []
        shape: tuple[int, int] | None = None
        found = known.get(row.file) if known else None
        if found:
            digest, shape = bytes.fromhex(found.digest), (found.height, found.width)
        else:
            version = known.version(row.file) if known else None
            try:
                content = storage.read_bytes(row.file)
                digest = hashlib.blake2b(content, digest_size=16).digest()
                picture = images.decode(content, row.file)
                height, width = picture.shape[:2]
                shape = height, width
                if known:
                    whole = Known(digest.hex(), height, width, is_plain(content))
                    known.add(row.file, version, whole)
                if on_picture:
                    on_picture(index, digest, picture)
            except (storage.StorageError, images.ImageError) as error:
                messages.append(f"the picture {error}")
        for kind, path in (("depth", row.depth), ("normal", row.normal)):
            if path and not storage.exists(path):
                messages.append(f"the {kind} map {path}: no such file.")
            elif path and kind in kinds:
                messages += map_problems(index, path, kind, shape)
        return digest, messages

    def map_problems(index: int, path: str, kind: str, shape: tuple[int, int] | None) -> list[str]:
        found = known.get(path, kind) if known else None
        if not found:
            version = known.version(path) if known else None
            try:
                values = maps.decode(path, kind)
            except UnavailableError:
                return []  # Needs tensorflow-io, which whatever reads the map says itself.
            except (storage.StorageError, images.ImageError) as error:
                return [f"the {kind} map {error}"]
            height, width = values.shape[:2]
            found = Known("", height, width)
            if known:
                known.add(path, version, found, kind)
            if on_map:
                on_map(index, kind, values)
        return _shape_problems(path, kind, found, shape)

    problems = []
    first: dict[bytes, Row] = {}
    examined = parallel.in_threads(examine, range(len(manifest.rows)), on_progress)
    for row, (digest, messages) in zip(manifest.rows, examined):
        problems += [manifest.problem(message, row) for message in messages]
        if digest and row.split in SPLITS:
            other = first.setdefault(digest, row)
            if other.split != row.split and other.file != row.file:
                message = (
                    f"is byte for byte the picture of line {other.line} ({other.path}), but in "
                    f"split {row.split!r} instead of {other.split!r}; remove one, or keep both "
                    "in one split."
                )
                problems.append(manifest.problem(message, row))
    return problems


def _shape_problems(
    path: str, kind: str, found: Known, picture: tuple[int, int] | None
) -> list[str]:
    """Returns what is wrong with the shape of a map, whose size may differ from its picture's."""
    height, width = found.height, found.width
    # Each side may be rounded to whole pixels.
    if picture is None or abs(width * picture[0] - height * picture[1]) <= max(picture):
        return []
    return [
        f"the {kind} map {path}: is {width} x {height} pixels and the picture "
        f"{picture[1]} x {picture[0]}, which is another shape; make it of this picture."
    ]
