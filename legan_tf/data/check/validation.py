"""Validation of a manifest: everything that would stop or spoil a training."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Collection, Iterable, Mapping

import numpy as np

from legan_tf.data import images, maps, parallel, storage
from legan_tf.data.manifest import Manifest, ManifestError, Problem, Row
from legan_tf.data.parallel import OnProgress
from legan_tf.data.splits import SPLITS
from legan_tf.optional import UnavailableError

OnPicture = Callable[[int, bytes, np.ndarray], None]
"""Called with (place of the row, digest of the file, uint8 [H, W, 3])."""


def check_manifest(
    manifest: Manifest,
    needs: Collection[str] = ("expression", "lighting"),
    on_progress: OnProgress | None = None,
    learns: Collection[str] = (),
) -> Manifest:
    """Checks a manifest for everything that would stop or spoil a training.

    Each picture is read and decoded once, on all processors, and so are the maps that the training
    learns from; of others only the presence is checked.

    Args:
        manifest: The manifest.
        needs: The columns that the training learns from. Of ``expression``, ``lighting`` and
            ``identity`` it needs two classes or more in train; of ``rating`` a mean and a standard
            deviation; of ``depth`` and ``normal`` maps, without which lines are left out. Where it
            learns ``expression``, each class of expression and lighting must be in train.
        on_progress: Called with (pictures done, pictures in all).
        learns: The labels of which a line needs at least one; the others are left out.

    Returns:
        The manifest without the lines that are left out.

    Raises:
        ManifestError: Something is wrong; the report names every line.
        UnavailableError: A picture is on a storage that needs tensorflow-io.
    """
    kinds = [kind for kind in maps.KINDS if kind in needs]
    kept = manifest.with_any(learns)
    for kind in kinds:
        kept = kept.with_any([kind])
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
    problems += picture_problems(kept, on_progress, kinds=kinds)
    if problems:
        raise ManifestError(problems)
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
    train = [row for row in manifest.split("train") if all(map(row.has, kinds))]
    for attribute in ("expression", "lighting", "identity"):
        found = sorted({getattr(row, attribute) for row in train} - {""})
        if attribute in needs and len(found) < 2:
            classes = f"one class ({found[0]})" if found else "no class"
            yield manifest.problem(
                f"column {attribute!r} has {classes} in split 'train', and this training needs "
                "two or more; fill the column or train something that does not need it."
            )
        elif attribute != "identity" and "expression" in needs:
            # All classes of the manifest become classes of the network, needed or not.
            seen = {"", *found}
            for row in manifest.rows:
                name = getattr(row, attribute)
                if name in seen:
                    continue
                seen.add(name)
                if row.split == "train":
                    message = (
                        f"{attribute} {name!r} is in no line of split 'train' that names a "
                        f"{' and a '.join(kinds)} map, so it cannot be learnt; name maps of it, or "
                        "leave the cell empty."
                    )
                    yield manifest.problem(message, row)
                else:
                    yield manifest.problem(
                        f"{attribute} {name!r} is in split {row.split!r} but in no line of split "
                        "'train', so it cannot be learnt; put pictures of it in train, or leave "
                        "the cell empty.",
                        row,
                    )


def _no_maps(manifest: Manifest, kind: str) -> Problem:
    return manifest.problem(
        f"no line of split 'train' names a {kind} map, and this training needs them; fill the "
        f"column {kind!r}."
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
) -> list[Problem]:
    """Returns a problem for each file that is missing, damaged or in different splits.

    Args:
        manifest: The manifest.
        on_progress: Called with (pictures done, pictures in all).
        on_picture: Called with each picture that can be decoded, by several threads at once.
        kinds: The maps that are decoded, too, and compared with their pictures' shape.

    Returns:
        The problems, in the order of the lines.

    Raises:
        UnavailableError: A picture is on a storage that needs tensorflow-io.
    """

    def examine(index: int) -> tuple[bytes, list[str]]:
        row, digest, messages, picture = manifest.rows[index], b"", [], None
        try:
            content = storage.read_bytes(row.file)
            digest = hashlib.blake2b(content, digest_size=16).digest()
            picture = images.decode(content, row.file)
            if on_picture:
                on_picture(index, digest, picture)
        except (storage.StorageError, images.ImageError) as error:
            messages.append(f"the picture {error}")
        for kind, path in (("depth", row.depth), ("normal", row.normal)):
            if path and not storage.exists(path):
                messages.append(f"the {kind} map {path}: no such file.")
            elif path and kind in kinds:
                messages += _map_problems(path, kind, picture)
        return digest, messages

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


def _map_problems(path: str, kind: str, picture: np.ndarray | None) -> list[str]:
    """Returns what is wrong with a map, whose size may differ from its picture's."""
    try:
        height, width = maps.decode(path, kind).shape[:2]
    except UnavailableError:
        return []  # Needs tensorflow-io, which whatever reads the map says itself.
    except (storage.StorageError, images.ImageError) as error:
        return [f"the {kind} map {error}"]
    if picture is None:
        return []
    # Each side may be rounded to whole pixels.
    if abs(width * picture.shape[0] - height * picture.shape[1]) <= max(picture.shape):
        return []
    return [
        f"the {kind} map {path}: is {width} x {height} pixels and the picture "
        f"{picture.shape[1]} x {picture.shape[0]}, which is another shape; make it of this picture."
    ]
