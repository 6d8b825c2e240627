"""Your own pictures: a CSV that names them and says what is known about each.

Columns, in any order; all but ``path`` may be absent, and any cell may be empty (unknown):
``path,identity,expression,lighting,depth,normal,rating_mean,rating_std,split``.
"""

from __future__ import annotations

import concurrent.futures
import csv
import dataclasses
import difflib
import hashlib
import io
import math
import os
from collections.abc import Callable, Collection, Iterable, Mapping

import numpy as np
import tensorflow as tf
from sklearn.model_selection import GroupShuffleSplit

from legan_tf.data import attributes, csv_text, images, maps, storage, tfrecord_reader
from legan_tf.data.faceset import FaceSet, from_pool
from legan_tf.errors import UserError
from legan_tf.optional import UnavailableError

COLUMNS = (
    "path",
    "identity",
    "expression",
    "lighting",
    "depth",
    "normal",
    "rating_mean",
    "rating_std",
    "split",
)
FITTED_COLUMNS = ("mesh", "landmarks")
"""Further columns that may be there: what ``scripts/prepare.py depth`` makes maps of."""

SPLITS = ("train", "val", "test")
RATING_RANGE = (1.0, 10.0)
HELD_OUT_SHARE = 0.2
"""Share of the people (half val, half test) held out where the manifest has no splits."""

DEFAULT_POOL_BYTES = 4 << 30
_SHOWN_PROBLEMS = 50
_MAX_THREADS = 16

NEEDS = {
    "legan": ("expression", "lighting"),
    "stargan": ("expression",),
    "classifier": ("expression",),
    "identity": ("identity",),
    "quality": ("rating",),
    "depth": ("expression",),
}
"""What each model learns from besides maps, as ``check_manifest`` names it."""

OnProgress = Callable[[int, int], None]
"""Called with (done, total)."""

OnPicture = Callable[[int, bytes, np.ndarray], None]
"""Called with (place of the row, digest of the file, uint8 [H, W, 3])."""


@dataclasses.dataclass(frozen=True)
class Problem:
    """One thing that is wrong in a manifest.

    Attributes:
        file: The manifest.
        message: What is wrong and what to do.
        line: Where, counted from 1; 0 where it concerns the whole file.
        path: The picture as the line names it; empty where it concerns none.
    """

    file: str
    message: str
    line: int = 0
    path: str = ""

    def __str__(self) -> str:
        """Returns ``file:line: path: message``."""
        place = f"{self.file}:{self.line}" if self.line else self.file
        return ": ".join(part for part in (place, self.path, self.message) if part)


class ManifestError(UserError):
    """All the problems of a manifest in one report."""

    def __init__(self, problems: Collection[Problem]) -> None:
        """Makes the report; it shows the first 50 problems and counts the rest."""
        self.problems = tuple(sorted(problems, key=lambda problem: problem.line))
        count = len(self.problems)
        shown = [str(problem) for problem in self.problems[:_SHOWN_PROBLEMS]]
        if count > _SHOWN_PROBLEMS:
            shown.append(f"... and {count - _SHOWN_PROBLEMS} more.")
        noun = "problem" if count == 1 else "problems"
        summary = f"{self.problems[0].file} has {count} {noun} to solve first:"
        super().__init__("\n".join([summary, *shown]))


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of a manifest.

    Attributes:
        line: Where it begins in the file, counted from 1.
        path: The picture as the line names it.
        file: The picture's full path or URL.
        identity: Name of the person; empty where unknown, as all that follow.
        expression: Name of the expression class.
        lighting: Name of the lighting class.
        depth: Full path or URL of the depth map.
        normal: Full path or URL of the normal map.
        rating_mean: Mean rating, 1 to 10; NaN where unknown.
        rating_std: Population standard deviation of the ratings; NaN where unknown.
        split: ``train``, ``val`` or ``test``.
        mesh: Full path or URL of the mesh that was fitted to the picture.
        landmarks: Full path or URL of the file of the picture's 68 landmarks.
    """

    line: int
    path: str
    file: str
    identity: str = ""
    expression: str = ""
    lighting: str = ""
    depth: str = ""
    normal: str = ""
    rating_mean: float = math.nan
    rating_std: float = math.nan
    split: str = ""
    mesh: str = ""
    landmarks: str = ""


@dataclasses.dataclass(frozen=True)
class Manifest:
    """A manifest as read: its lines, and the names that all its splits share.

    Attributes:
        file: Its path or URL.
        rows: Its lines, in order.
        expressions: Expression classes; the order of ``attributes`` first, then alphabetical.
        lightings: Lighting classes, ordered likewise.
        identities: People, alphabetical.
        notes: What was decided on the way and a reader should know, one sentence each.
        problems: What is wrong in the text itself; ``check_manifest`` reports it.
    """

    file: str
    rows: tuple[Row, ...]
    expressions: tuple[str, ...]
    lightings: tuple[str, ...]
    identities: tuple[str, ...]
    notes: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()

    def split(self, name: str) -> tuple[Row, ...]:
        """Returns the lines of one split, in order."""
        return tuple(row for row in self.rows if row.split == name)


def read_manifest(file: str, data_dir: str | None = None, seed: int = 0) -> Manifest:
    """Reads a manifest; looks at no picture yet.

    Lines without a split go where their person already is, else to train. A manifest without any
    split is split 80/10/10 by person (pictures of unknown people one by one), the same way each
    time for the same seed. Either is told in ``notes``.

    Args:
        file: The CSV, UTF-8. Local path or URL.
        data_dir: What relative paths start from; default is the manifest's own folder.
        seed: Decides the split where the manifest has none.

    Returns:
        The manifest; what is wrong in single lines is kept in ``problems``.

    Raises:
        ManifestError: The file is no such CSV at all.
        StorageError: The file cannot be read.
        UnavailableError: It is on a storage that needs tensorflow-io.
    """
    folder = os.path.dirname(file) if data_dir is None else data_dir
    header, lines = _parse(file, storage.read_bytes(file))
    problems: list[Problem] = []
    rows: list[Row] = []
    for line, cells in lines:
        if len(cells) != len(header):
            problems.append(
                Problem(
                    file,
                    f"has {len(cells)} cells where the first line has {len(header)}; quote cells "
                    "that contain a comma.",
                    line,
                    cells[0],
                )
            )
            continue
        named = {name: cell.strip() for name, cell in zip(header, cells)}
        row = _row(file, line, named, folder, problems)
        if row:
            rows.append(row)
    notes: list[str] = []
    rows = _assign_splits(file, rows, seed, notes, problems)
    return Manifest(
        file=file,
        rows=tuple(rows),
        expressions=_class_names(
            (row.expression for row in rows),
            (attributes.MULTIPIE_EXPRESSIONS, attributes.AFFECTNET_EXPRESSIONS),
        ),
        lightings=_class_names((row.lighting for row in rows), (attributes.MULTIPIE_SHOTS,)),
        identities=_class_names((row.identity for row in rows), ()),
        notes=tuple(notes),
        problems=tuple(problems),
    )


def check_manifest(
    manifest: Manifest,
    needs: Collection[str] = ("expression", "lighting"),
    on_progress: OnProgress | None = None,
) -> None:
    """Looks for everything that would stop or spoil a training, before it begins.

    Each picture is read and decoded once, on all processors, and so are the maps that the training
    learns from; of others only the presence is checked.

    Args:
        manifest: What to check.
        needs: What the training learns from: of ``expression``, ``lighting`` and ``identity`` it
            needs two classes or more in train; of ``rating`` a mean and a standard deviation; of
            ``depth`` and ``normal`` a map of each picture of train. Where it learns
            ``expression``, each class of expression and lighting must be in train.
        on_progress: Told how many pictures are done.

    Raises:
        ManifestError: Something is wrong; the report names every line.
        UnavailableError: A picture is on a storage that needs tensorflow-io.
    """
    problems = list(manifest.problems)
    problems += split_problems(manifest)
    problems += need_problems(manifest, needs)
    kinds = [kind for kind in maps.KINDS if kind in needs]
    problems += picture_problems(manifest, on_progress, kinds=kinds)
    if problems:
        raise ManifestError(problems)


def split_problems(manifest: Manifest) -> list[Problem]:
    """Finds people and files in more than one split."""
    problems = []
    for attribute, what, advice in (
        ("identity", "person", "keep all pictures of a person in one split."),
        ("file", "file", "keep it in one split."),
    ):
        first: dict[str, Row] = {}
        told = set()
        for row in manifest.rows:
            value = getattr(row, attribute)
            if not value or row.split not in SPLITS:
                continue
            other = first.setdefault(value, row)
            if other.split != row.split and (value, row.split) not in told:
                told.add((value, row.split))
                name = f" {value!r}" if attribute == "identity" else ""
                problems.append(
                    Problem(
                        manifest.file,
                        f"the {what}{name} is in split {row.split!r} here and in {other.split!r} "
                        f"in line {other.line}; {advice}",
                        row.line,
                        row.path,
                    )
                )
    return problems


def need_problems(manifest: Manifest, needs: Collection[str]) -> list[Problem]:
    """Finds what a training lacks to learn from; ``needs`` as in ``check_manifest``."""
    file, train = manifest.file, manifest.split(SPLITS[0])
    if not any(row.split for row in manifest.rows):
        return []  # Too few people to split, which is told already.
    if not train:
        return [Problem(file, "no line is in split 'train'; there is nothing to train on.")]
    problems = []
    for attribute in ("expression", "lighting", "identity"):
        found = sorted({getattr(row, attribute) for row in train} - {""})
        if attribute in needs and len(found) < 2:
            classes = f"one class ({found[0]})" if found else "no class"
            problems.append(
                Problem(
                    file,
                    f"column {attribute!r} has {classes} in split 'train', and this training needs "
                    "two or more; fill the column or train something that does not need it.",
                )
            )
        elif attribute != "identity" and "expression" in needs:
            # All classes of the manifest become classes of the network, needed or not.
            problems += _unseen_classes(manifest, attribute, found)
    problems += [
        Problem(
            file,
            f"no {kind} map is named, and this training needs one; fill the column {kind!r}, or "
            "leave the line out.",
            row.line,
            row.path,
        )
        for kind in maps.KINDS
        if kind in needs
        for row in train
        if not getattr(row, kind)
    ]
    if "rating" in needs:
        if not any(_rated(row) for row in train):
            problems.append(
                Problem(
                    file,
                    "no line of split 'train' has a rating_mean, and this training needs them; "
                    "fill the columns rating_mean and rating_std.",
                )
            )
        problems += [
            Problem(
                file,
                "rating_mean is given without rating_std, and this training needs both; give "
                "both or none.",
                row.line,
                row.path,
            )
            for row in manifest.rows
            if _rated(row) and math.isnan(row.rating_std)
        ]
    return problems


def picture_problems(
    manifest: Manifest,
    on_progress: OnProgress | None = None,
    on_picture: OnPicture | None = None,
    kinds: Collection[str] = maps.KINDS,
) -> list[Problem]:
    """Finds files that are missing or damaged, and identical ones in different splits.

    Args:
        manifest: What to check.
        on_progress: Told how many pictures are done.
        on_picture: Given each picture that can be decoded, by several threads at once.
        kinds: The maps that are decoded, too, and compared with their pictures' shape.

    Returns:
        The problems, in the order of the lines.

    Raises:
        UnavailableError: A picture is on a storage that needs tensorflow-io.
    """

    def look(index: int) -> tuple[bytes, list[str]]:
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
    for row, (digest, messages) in zip(
        manifest.rows, _in_threads(look, range(len(manifest.rows)), on_progress)
    ):
        problems += [Problem(manifest.file, text, row.line, row.path) for text in messages]
        if digest and row.split in SPLITS:
            other = first.setdefault(digest, row)
            if other.split != row.split and other.file != row.file:
                problems.append(
                    Problem(
                        manifest.file,
                        f"is byte for byte the picture of line {other.line} ({other.path}), but in "
                        f"split {row.split!r} instead of {other.split!r}; remove one, or keep both "
                        "in one split.",
                        row.line,
                        row.path,
                    )
                )
    return problems


def manifest_faces(
    manifest: Manifest,
    split: str,
    image_size: int,
    crop: images.Crop | None = None,
    max_pool_bytes: int = DEFAULT_POOL_BYTES,
    on_progress: OnProgress | None = None,
    map_kind: str = "",
) -> FaceSet:
    """Makes one split of a manifest ready for training.

    Args:
        manifest: As ``read_manifest`` returns it.
        split: ``train``, ``val`` or ``test``.
        image_size: Height and width of the pictures, in pixels.
        crop: What part of each picture to take, before it is cut to a square.
        max_pool_bytes: Up to this size all pictures and maps of the split are decoded now and kept
            in memory; beyond, each is decoded whenever it is needed.
        on_progress: Told how many pictures and maps are decoded.
        map_kind: ``depth`` or ``normal`` to have these maps too, cropped as the pictures are.

    Returns:
        The split; class ids mean the same in all splits of a manifest.

    Raises:
        ManifestError: The manifest's text has problems.
        ImageError: A picture cannot be decoded.
        StorageError: A picture cannot be read.
        UserError: ``crop`` is given for pictures in tfrecord_reader.
    """
    if manifest.problems:
        raise ManifestError(manifest.problems)
    rows = manifest.split(split)
    files = [row.file for row in rows]
    tfrecord_reader.refuse_crop(files, crop)
    in_records = tfrecord_reader.are_records(files)
    sets = 2 if map_kind else 1
    in_memory = sets * len(files) * image_size * image_size * 3 <= max_pool_bytes

    def told(before: int) -> OnProgress | None:
        """Counts pictures and maps as one."""
        if not on_progress:
            return None
        return lambda done, total: on_progress(before + done, sets * total)

    def picture(index: int) -> np.ndarray:
        return images.to_square(images.decode(files[index]), image_size, crop)

    def surface(index: int) -> np.ndarray:
        path = getattr(rows[index], map_kind)
        if not path:
            return np.zeros((image_size, image_size, 3), np.uint8)
        return maps.read_map(path, map_kind, image_size, crop)

    if in_records and in_memory:
        load = from_pool(tfrecord_reader.pool(files, image_size, told(0)))
    elif in_records:
        load = tfrecord_reader.loader(files, image_size)
    else:
        load = _loader(picture, len(files), image_size, in_memory, told(0))
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
        maps=_loader(surface, len(files), image_size, in_memory, told(len(files)))
        if map_kind
        else None,
    )


def _map_problems(path: str, kind: str, picture: np.ndarray | None) -> list[str]:
    """Finds what is wrong with a map of a picture, which may be smaller or larger than that."""
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


def class_counts(manifest: Manifest) -> dict[str, dict[str, dict[str, int]]]:
    """Counts pictures per attribute, class and split.

    Returns:
        ``counts[attribute][class][split]`` for the attributes ``expression``, ``lighting`` and
        ``identity``; unknown labels are the class ``""``, where there are any.
    """
    counts: dict[str, dict[str, dict[str, int]]] = {}
    for attribute, names in (
        ("expression", manifest.expressions),
        ("lighting", manifest.lightings),
        ("identity", manifest.identities),
    ):
        table = {name: dict.fromkeys(SPLITS, 0) for name in (*names, "")}
        for row in manifest.rows:
            if row.split in SPLITS:
                table[getattr(row, attribute)][row.split] += 1
        if not any(table[""].values()):
            del table[""]
        counts[attribute] = table
    return counts


def counts_table(manifest: Manifest) -> str:
    """Returns the counts per split and class as lines of text, with the manifest's notes."""
    counts = class_counts(manifest)
    splits = {split: manifest.split(split) for split in SPLITS}
    lines = [
        ("", "", SPLITS),
        ("pictures", "", [len(rows) for rows in splits.values()]),
        ("rated", "", [sum(_rated(row) for row in rows) for rows in splits.values()]),
        (
            "people",
            "",
            [len({row.identity for row in rows} - {""}) for rows in splits.values()],
        ),
    ]
    for attribute in ("expression", "lighting"):
        for name, per_split in counts[attribute].items():
            lines.append((attribute, name or "(unknown)", per_split.values()))
    width = max(len(name) for _, name, _ in lines)
    table = [
        f"{title:<10} {name:<{width}}" + "".join(f" {value:>7}" for value in values)
        for title, name, values in lines
    ]
    return "\n".join([*table, *manifest.notes])


def to_csv(lines: Iterable[Mapping[str, str | float]]) -> bytes:
    """Returns the text of a manifest, as ``read_manifest`` takes it.

    Args:
        lines: The cells of each line by column; what is absent or NaN is left empty. Numbers get
            as many digits as they need to be read back the same.
    """

    def cell(value: str | float) -> str:
        if isinstance(value, str):
            return value
        return "" if math.isnan(value) else np.format_float_positional(value, trim="-")

    cells = ([cell(line.get(column, "")) for column in COLUMNS] for line in lines)
    return csv_text.to_bytes(COLUMNS, cells)


def _parse(file: str, content: bytes) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Returns the column names and the cells of every line that is not blank."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ManifestError(
            [Problem(file, "is not UTF-8 text; save the table as CSV in UTF-8.", line)]
        ) from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    lines = []
    line = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                lines.append((line, cells))
            line = reader.line_num + 1
    except csv.Error as error:
        raise ManifestError([Problem(file, f"is not valid CSV ({error}).", line)]) from error
    if not lines:
        raise ManifestError([Problem(file, f"is empty; its first line is {','.join(COLUMNS)}.")])
    (header_line, cells), *lines = lines
    header = [cell.strip() for cell in cells]
    _check_header(file, header_line, header)
    if not lines:
        raise ManifestError([Problem(file, "has no lines below the column names.")])
    return header, lines


def _check_header(file: str, line: int, header: list[str]) -> None:
    problems = []
    for name in dict.fromkeys(header):
        if name not in (*COLUMNS, *FITTED_COLUMNS):
            close = difflib.get_close_matches(name.lower(), COLUMNS, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"columns are {', '.join(COLUMNS)}."
            problems.append(Problem(file, f"column {name!r} is not known; {hint}", line))
        elif header.count(name) > 1:
            problems.append(Problem(file, f"column {name!r} is there twice; keep one.", line))
    if "path" not in header:
        problems.append(
            Problem(
                file,
                "no column is called 'path'; the first line names the columns, with commas.",
                line,
            )
        )
    if problems:
        raise ManifestError(problems)


def _row(
    file: str, line: int, named: dict[str, str], folder: str, problems: list[Problem]
) -> Row | None:
    path = named["path"]

    def report(message: str) -> None:
        problems.append(Problem(file, message, line, path))

    def number(column: str) -> float:
        cell = named.get(column, "")
        if not cell:
            return math.nan
        try:
            value = float(cell)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            report(f"{column} {cell!r} is not a number; leave it empty if unknown.")
            return math.nan
        return value

    def place(column: str) -> str:
        return storage.join(folder, named[column]) if named.get(column) else ""

    if not path:
        report("the path is empty; name a picture or remove the line.")
        return None
    mean, std = number("rating_mean"), number("rating_std")
    low, high = RATING_RANGE
    if mean < low or mean > high:
        report(f"rating_mean {mean:g} is outside {low:g} to {high:g}; rescale the ratings.")
    if std < 0:
        report(f"rating_std {std:g} is negative; a standard deviation is 0 or more.")
    if named.get("rating_std") and not named.get("rating_mean"):
        report("rating_std is given without rating_mean; give both or none.")
    split = named.get("split", "")
    if split and split not in SPLITS:
        close = {"dev": "val", "eval": "val"}.get(split.lower()) or next(
            (name for name in SPLITS if split.lower().startswith(name)), None
        )
        hint = f"did you mean {close!r}?" if close else f"splits are {', '.join(SPLITS)}."
        report(f"split {split!r} is not known; {hint}")
    return Row(
        line=line,
        path=path,
        file=storage.join(folder, path),
        identity=named.get("identity", ""),
        expression=named.get("expression", ""),
        lighting=named.get("lighting", ""),
        depth=place("depth"),
        normal=place("normal"),
        rating_mean=mean,
        rating_std=std,
        split=split,
        mesh=place("mesh"),
        landmarks=place("landmarks"),
    )


def _assign_splits(
    file: str, rows: list[Row], seed: int, notes: list[str], problems: list[Problem]
) -> list[Row]:
    missing = sum(not row.split for row in rows)
    if not missing:
        return rows
    if missing < len(rows):
        known = {row.identity: row.split for row in rows if row.identity and row.split}
        notes.append(
            f"{missing} of {len(rows)} lines name no split: they go where their person already "
            "is, else to train."
        )
        return [
            row if row.split else dataclasses.replace(row, split=known.get(row.identity, SPLITS[0]))
            for row in rows
        ]
    groups = np.array(
        [f"identity {row.identity}" if row.identity else f"file {row.file}" for row in rows]
    )
    count = len(np.unique(groups))
    if count < len(SPLITS):
        problems.append(
            Problem(
                file,
                f"{count} people are too few to split into {', '.join(SPLITS)}; add a column "
                "'split'.",
            )
        )
        return rows
    held_out = max(2, round(HELD_OUT_SHARE * count))
    index = np.arange(len(rows))
    _, rest = _split_groups(index, groups, held_out, seed)
    _, test = _split_groups(rest, groups[rest], held_out - held_out // 2, seed)
    split = np.full(len(rows), SPLITS[0], dtype=object)
    split[rest] = SPLITS[1]
    split[test] = SPLITS[2]
    notes.append(
        f"No line names a split: {count} people (pictures of unknown people counted one by one) "
        f"were split {count - held_out}/{held_out // 2}/{held_out - held_out // 2} with seed "
        f"{seed}."
    )
    return [dataclasses.replace(row, split=str(name)) for row, name in zip(rows, split)]


def _split_groups(
    index: np.ndarray, groups: np.ndarray, held_out: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    splitter = GroupShuffleSplit(n_splits=1, test_size=held_out, random_state=seed)
    kept, taken = next(splitter.split(index, groups=groups))
    return index[kept], index[taken]


def _class_names(
    found: Iterable[str], vocabularies: tuple[tuple[str, ...], ...]
) -> tuple[str, ...]:
    names = sorted({name for name in found if name})
    # The vocabularies share names in different orders: the one that knows the most decides.
    order = max(vocabularies, key=lambda known: len(set(known) & set(names)), default=())
    return (*(name for name in order if name in names), *(n for n in names if n not in order))


def _rated(row: Row) -> bool:
    return not math.isnan(row.rating_mean)


def _unseen_classes(manifest: Manifest, attribute: str, seen: Collection[str]) -> Iterable[Problem]:
    """Yields a problem for each class that no line of train has, at its first line."""
    told = {"", *seen}
    for row in manifest.rows:
        name = getattr(row, attribute)
        if name not in told:
            told.add(name)
            yield Problem(
                manifest.file,
                f"{attribute} {name!r} is in split {row.split!r} but in no line of split 'train', "
                "so it cannot be learnt; put pictures of it in train, or leave the cell empty.",
                row.line,
                row.path,
            )


def _in_threads(function: Callable, items: Collection, on_progress: OnProgress | None) -> Iterable:
    """Yields ``function(item)`` in order; the decoders release Python's lock."""
    with concurrent.futures.ThreadPoolExecutor(min(_MAX_THREADS, os.cpu_count() or 1)) as threads:
        for done, result in enumerate(threads.map(function, items), start=1):
            if on_progress:
                on_progress(done, len(items))
            yield result


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
    """The ``load`` of a face set whose pictures ``read`` gives by their numbers."""
    if in_memory:
        pool = np.empty((count, image_size, image_size, 3), np.uint8)

        def fill(index: int) -> None:
            pool[index] = read(index)

        for _ in _in_threads(fill, range(count), on_progress):
            pass
        return from_pool(pool)

    def load(index: tf.Tensor) -> tf.Tensor:
        image = tf.numpy_function(lambda i: read(int(i)), [index], tf.uint8, stateful=False)
        image.set_shape((image_size, image_size, 3))
        return image

    return load
