"""Writes the pictures of a manifest, as training sees them, with their labels into TFRecords.

A folder of records holds the shards, ``manifest.csv``, which names every picture as
``FILE.tfrecord#OFFSET``, ``records.json`` with what decides their content, and ``SHA256SUMS``.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import math
import os
import re
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from legan_tf.data import images, maps, storage, tfrecord_reader
from legan_tf.data.action_units import ACTION_UNITS
from legan_tf.data.check.validation import picture_problems, split_problems
from legan_tf.data.conditions import ATTRIBUTE_COLUMN
from legan_tf.data.manifest import Manifest, ManifestError, Row, counts_table, read_manifest, to_csv
from legan_tf.data.parallel import OnProgress, map_in_processes
from legan_tf.data.splits import SPLITS
from legan_tf.errors import UserError

SHARD_BYTES = 150_000_000
"""Approximate size of a shard where their number is not given."""
PNG_SHARE = 0.65
"""Approximate size of the PNG of a face, as a share of its pixels' bytes."""

MANIFEST, PLAN, SUMS = "manifest.csv", "records.json", "SHA256SUMS"
_PARTS = "parts"
_NAMED = 3
_SUM = re.compile(r"([0-9a-f]{64})  ([^/]+)")


@dataclasses.dataclass(frozen=True)
class Shard:
    """One file of records, and the lines of the manifest whose pictures it holds."""

    name: str
    rows: tuple[Row, ...]


def write_records(
    manifest_file: str,
    data_dir: str,
    output: str,
    image_size: int,
    crop: images.Crop | None,
    shards: int,
    seed: int,
    workers: int,
    bar: Callable[[str], OnProgress],
    action_units_file: str = "",
) -> str:
    """Writes the pictures of a manifest into records; resumes an earlier call that was stopped.

    All pictures are checked first, and nothing is written if one cannot be read. The same pictures,
    manifest, options and Pillow give the same files, byte for byte, with any number of workers. A
    folder that is complete is compared with its checksums instead.

    Args:
        manifest_file: The manifest.
        data_dir: Folder that its paths start from; its own if empty.
        output: Folder of the records. Local path or URL.
        image_size: Height and width of the stored pictures, in pixels.
        crop: Part of each picture to cut out, before it is cut to a square.
        shards: Files of each split, at most one for each picture; 0 for as many as take about
            ``SHARD_BYTES`` each.
        seed: Seed of the split where the manifest has none.
        workers: Processes; 0 for one per processor.
        bar: Maps the label of a progress bar to its function of (done, total).
        action_units_file: The action units of the pictures; see ``Manifest.with_action_units``.

    Returns:
        A report: pictures per split and class, files, what was left out.

    Raises:
        UserError: An option does not fit, the folder holds something else, the manifest or a
            picture cannot be read, or checksums differ.
    """
    _check_options(manifest_file, output, image_size, shards, workers)
    manifest = read_manifest(manifest_file, data_dir or None, seed)
    manifest = manifest.with_action_units(action_units_file)
    tfrecord_reader.refuse_crop([row.file for row in manifest.rows], crop)
    plan = {
        "manifest": storage.sha256(manifest_file),
        "seed": seed,
        "image_size": image_size,
        "crop": crop and list(crop),
        "shards": shards,
    }
    if action_units_file:
        plan["action_units"] = storage.sha256(action_units_file)
    begun = _is_begun(output, plan)
    digests: dict[int, bytes] = {}

    def keep_digest(index: int, digest: bytes, _: np.ndarray) -> None:
        digests[index] = digest

    problems = [*manifest.problems, *split_problems(manifest)]
    problems += picture_problems(manifest, bar("checking images"), keep_digest)
    if problems:
        raise ManifestError(problems)
    # Neither is in the manifest where it leaves the split or the folder open.
    lines = [f"{digests[index].hex()} {row.split}\n" for index, row in enumerate(manifest.rows)]
    plan["pictures"] = hashlib.sha256("".join(lines).encode()).hexdigest()
    named = [(getattr(row, kind), kind) for row in manifest.rows for kind in maps.KINDS]
    contents = (maps.read_content(file, kind) for file, kind in named if file)
    sums = [hashlib.sha256(content).hexdigest() for content in contents]
    if sums:
        plan["maps"] = hashlib.sha256("".join(sums).encode()).hexdigest()
    jobs, parts = _shards(manifest, image_size, shards), storage.join(output, _PARTS)
    if not begun:
        storage.write_bytes(storage.join(output, PLAN), _json(plan))
    elif _is_begun(output, plan) and storage.exists(storage.join(output, SUMS)):
        count = verify(output, [job.name for job in jobs], bar("comparing checksums"))
        storage.remove_folder(parts)
        return f"{output}: complete already; all {count} files are as {SUMS} has them."
    missing = [
        job
        for job in jobs
        if not storage.exists(_part(output, job.name))
        or not storage.exists(storage.join(output, job.name))
    ]
    work = functools.partial(_write_shard, output, image_size, crop)
    for _ in map_in_processes(work, missing, workers, bar("writing shards")):
        pass
    return _finish(manifest, jobs, output)


def verify(folder: str, shards: Sequence[str], on_progress: OnProgress | None = None) -> int:
    """Compares the files of a folder with its ``SHA256SUMS``.

    Args:
        folder: Local path or URL.
        shards: Names of the files with pictures.
        on_progress: Called with (files done, files in all).

    Returns:
        How many there are.

    Raises:
        UserError: The list is damaged or not of these files, or some of them are missing or differ;
            all are named.
        StorageError: There is no such list, or a file cannot be read.
    """
    sums = storage.join(folder, SUMS)
    text = storage.read_bytes(sums).decode(errors="replace")
    lines = text.splitlines()
    found = [match for match in map(_SUM.fullmatch, lines) if match]
    names = {MANIFEST, PLAN, *shards}
    if len(found) < len(lines) or sorted(line[2] for line in found) != sorted(names):
        raise UserError(
            f"{sums}: is damaged, or not the list of the {len(names)} files that belong here. Copy "
            "the folder again, or delete it and make the records anew."
        )
    wrong = []
    for done, line in enumerate(found, start=1):
        file = storage.join(folder, line[2])
        if not storage.exists(file):
            wrong.append(f"{line[2]} is missing")
        elif storage.sha256(file) != line[1]:
            wrong.append(f"{line[2]} differs")
        if on_progress:
            on_progress(done, len(found))
    if wrong:
        raise UserError(
            f"{sums}: {', '.join(wrong)}. Copy the folder again, or delete it and make the records "
            "anew."
        )
    return len(found)


def _check_options(
    manifest_file: str, output: str, image_size: int, shards: int, workers: int
) -> None:
    if not manifest_file:
        raise UserError("--manifest is missing: name the manifest whose pictures to store.")
    if not output or output.lower().endswith(".csv"):
        raise UserError(f"--output={output}: name the folder to write the records into.")
    if image_size < 1:
        raise UserError(f"--image_size={image_size}: must be 1 or more.")
    if not 0 <= shards < 100_000:
        raise UserError(f"--shards={shards}: must be 0 to 99999.")
    if workers < 0:
        raise UserError(f"--workers={workers}: must be 0 or more.")


def _is_begun(output: str, plan: dict) -> bool:
    """Returns whether the folder has this plan; refuses one that holds anything else."""
    file = storage.join(output, PLAN)
    if not storage.exists(file):
        if not storage.is_free(output):
            raise UserError(f"--output={output}: holds other files already; name a new folder.")
        return False
    begun = _read_json(file)
    other = [name for name in plan if begun.get(name) != plan[name]]
    if other:
        raise UserError(
            f"--output={output}: holds records that differ in {' and '.join(other)}; name another "
            "folder, or delete this one."
        )
    return True


def _shards(manifest: Manifest, image_size: int, shards: int) -> list[Shard]:
    """Distributes the lines of each split, in order, over shards of equal size."""
    jobs = []
    for split in SPLITS:
        rows = manifest.split(split)
        size = len(rows) * image_size * image_size * 3 * PNG_SHARE
        count = min(len(rows), shards or math.ceil(size / SHARD_BYTES))
        for number in range(count):
            part = rows[number * len(rows) // count : (number + 1) * len(rows) // count]
            jobs.append(Shard(f"{split}-{number:05d}-of-{count:05d}.tfrecord", part))
    return jobs


def _write_shard(output: str, image_size: int, crop: images.Crop | None, shard: Shard) -> None:
    """Writes one shard, then its checksums and the offsets of its records."""
    path, offsets, pictures, end = storage.join(output, shard.name), [], [], 0
    with storage.atomic_path(path, storage.join(output, _PARTS)) as temporary:
        with storage.tensorflow_files(path), tf.io.TFRecordWriter(temporary) as writer:
            for row in shard.rows:
                picture = images.to_square(images.decode(row.file), image_size, crop)
                png = images.to_png(picture)
                record = _record(row, png, _maps(row, image_size, crop), image_size)
                writer.write(record)
                pictures.append(hashlib.sha256(png).hexdigest())
                offsets.append(end)
                end += tfrecord_reader.FRAME_BYTES + len(record)
        digest = storage.sha256(temporary)
    done = {"sha256": digest, "bytes": end, "offsets": offsets, "pictures": pictures}
    storage.write_bytes(_part(output, shard.name), _json(done))


def _maps(row: Row, image_size: int, crop: images.Crop | None) -> dict[str, bytes]:
    """Returns the maps of a line, cropped and resized as its picture, by the name of a feature."""
    found = {}
    for kind in maps.KINDS:
        if getattr(row, kind):
            image = maps.read_map(getattr(row, kind), kind, image_size, crop)
            found[maps.FEATURES[kind]] = images.to_png(image[..., 0] if kind == "depth" else image)
    return found


def _record(row: Row, png: bytes, encoded: dict[str, bytes], image_size: int) -> bytes:
    """Returns a line, its picture and its maps as a serialized ``tf.train.Example``."""

    def text(value: str | bytes) -> tf.train.Feature:
        content = value.encode() if isinstance(value, str) else value
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[content]))

    def number(value: float) -> tf.train.Feature:
        return tf.train.Feature(float_list=tf.train.FloatList(value=[value]))

    def vector(values: np.ndarray) -> tf.train.Feature:
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))

    def whole(value: int) -> tf.train.Feature:
        return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))

    features = {
        tfrecord_reader.PICTURE: text(png),
        tfrecord_reader.HEIGHT: whole(image_size),
        tfrecord_reader.WIDTH: whole(image_size),
        "image/format": text("png"),
        "image/filename": text(row.path),
        "identity": text(row.identity),
        "expression": text(row.expression),
        "lighting": text(row.lighting),
        "rating_mean": number(row.rating_mean),
        "rating_std": number(row.rating_std),
        "split": text(row.split),
        **{f"{ATTRIBUTE_COLUMN}{name}": whole(label) for name, label in row.attributes.items()},
        **({} if row.action_units is None else {ACTION_UNITS: vector(row.action_units)}),
        **{name: text(content) for name, content in encoded.items()},
    }
    example = tf.train.Example(features=tf.train.Features(feature=features))
    return example.SerializeToString(deterministic=True)


def _finish(manifest: Manifest, jobs: list[Shard], output: str) -> str:
    """Writes manifest and checksums from those of the shards, and returns the report."""
    lines, same, sums, size = [], [], {}, 0
    first: dict[str, Row] = {}
    parts = storage.join(output, _PARTS)
    for job in jobs:
        done = _read_json(_part(output, job.name))
        for row, offset, digest in zip(job.rows, done["offsets"], done["pictures"]):
            place = f"{job.name}#{offset}"
            kept = {kind: place for kind in maps.KINDS if getattr(row, kind)}
            lines.append({**vars(row), "path": place, **kept})
            other = first.setdefault(digest, row)
            if other.split != row.split:
                same.append(f"{other.path} ({other.split}) and {row.path} ({row.split})")
        sums[job.name] = done["sha256"]
        size += done["bytes"]
    table = to_csv(lines, manifest.units.names if manifest.units else ())
    storage.write_bytes(storage.join(output, MANIFEST), table, parts)
    sums[MANIFEST] = hashlib.sha256(table).hexdigest()
    sums[PLAN] = storage.sha256(storage.join(output, PLAN))
    text = "".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items()))
    storage.write_bytes(storage.join(output, SUMS), text.encode(), parts)
    storage.remove_folder(parts)
    report = [counts_table(manifest)]
    named = {kind: sum(bool(getattr(row, kind)) for row in manifest.rows) for kind in maps.KINDS}
    if any(named.values()):
        counts = " and ".join(f"{count} {kind} maps" for kind, count in named.items() if count)
        report.append(f"{counts} are in the records of their pictures.")
    if same:
        report.append(
            f"{len(same)} pictures are the same as one of another split, now that they are cropped "
            f"and resized; training refuses them: {', '.join(same[:_NAMED])}"
            f"{', …' if len(same) > _NAMED else ''}. Take one of each out of the manifest."
        )
    report.append(
        f"{output}: {len(lines)} pictures in {len(jobs)} files, {size / 1e6:.1f} MB; train with "
        f"--manifest={storage.join(output, MANIFEST)}"
    )
    return "\n".join(report)


def _part(output: str, name: str) -> str:
    return storage.join(output, os.path.join(_PARTS, f"{name}.json"))


def _read_json(file: str) -> dict:
    try:
        value = json.loads(storage.read_bytes(file))
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise UserError(
            f"{file}: is damaged. Copy the folder again, or delete it and make the records anew."
        )
    return value


def _json(value: dict) -> bytes:
    return (json.dumps(value, indent=1) + "\n").encode()
