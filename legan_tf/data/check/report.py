"""Report on the data set of a manifest: problems, anomalies, tables and plots."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from legan_tf.data import csv_text, images, storage, tfrecord_reader
from legan_tf.data.check import plots, validation
from legan_tf.data.check.anomalies import across_splits, anomalies
from legan_tf.data.check.near_duplicates import Pair, near_duplicates
from legan_tf.data.check.statistics import ImageStatistics
from legan_tf.data.manifest import Manifest, ManifestError, Row, counts_table, read_manifest
from legan_tf.data.parallel import OnProgress
from legan_tf.errors import UserError, first_line
from legan_tf.plotting.drawing import as_png

REPORT_FILE = "check.md"
_BEGUN = b"# Check of a manifest\n\nIt was begun and has not come to its end.\n"
_SHOWN_SIDE = 128
_REASONS = 2


class CheckResult(NamedTuple):
    """The result of a check.

    Attributes:
        text: The report in words, without the problems.
        error: The problems that stop a training; None if it can start.
    """

    text: str
    error: ManifestError | None


def check_dataset(
    file: str,
    data_dir: str | None,
    output: str,
    model: str,
    crop: images.Crop | None,
    image_size: int,
    seed: int,
    bar: Callable[[str], OnProgress],
    needs: Mapping[str, Mapping[str, Sequence[str]]],
    action_units_file: str = "",
) -> CheckResult:
    """Validates a manifest, searches for anomalies, and writes a report.

    Every picture is decoded once, and those that are shown a second time. The same files and
    arguments give the same report, byte for byte.

    Args:
        file: The manifest.
        data_dir: Folder that relative paths start from; default is the manifest's own.
        output: Folder for the report and its pictures, new or of an earlier check; nothing is
            written if empty.
        model: The model to be trained; if empty, every one that the labels suffice for.
        crop: As in training.
        image_size: Height and width in training, in pixels.
        seed: Seed of the split where the manifest has none, and of the choice of pictures shown.
        bar: Maps the label of a progress bar to its function of (done, total).
        needs: The columns that each model learns from, by its name and the flags given with it,
            empty for those without any.
        action_units_file: The action units of the pictures; see ``Manifest.with_action_units``.

    Returns:
        The report, and the error that training would give.

    Raises:
        ManifestError: The file is no manifest at all.
        StorageError: It cannot be read.
        UserError: ``file`` is empty, ``image_size`` or ``seed`` cannot be used, ``crop`` is given
            for pictures in records, or ``output`` cannot be written or holds other files.
    """
    problem = ""
    if not file:
        problem = "--manifest is missing: name the CSV to check"
    elif model and model not in needs:
        problem = f"--model={model}: choose from {', '.join(needs)}"
    elif image_size < 1:
        problem = f"--image_size={image_size}: must be 1 or more"
    elif seed < 0:
        problem = f"--seed={seed}: must be 0 or more"
    # A folder of anything but an earlier check, or a file.
    elif output and not storage.exists(storage.join(output, REPORT_FILE)):
        if not storage.is_free(output):
            problem = (
                f"--output={output}: is a file or holds other files already; name a new folder"
            )
    if problem:
        raise UserError(f"{problem}.")
    manifest = read_manifest(file, data_dir, seed).with_action_units(action_units_file)
    tfrecord_reader.refuse_crop([row.file for row in manifest.rows], crop)
    if output:
        _begin(output, manifest)
    stats = ImageStatistics(len(manifest.rows), crop)
    columns = {
        f"{name} {given}".rstrip(): of
        for name, by_flags in needs.items()
        if model in ("", name)
        for given, of in by_flags.items()
    }
    missing = validation.missing_by_model(manifest, columns)
    wanted = () if [] in missing.values() else (model,) if model else tuple(columns)
    # In the order of check_manifest, so that the report is the one of training.
    problems = [*manifest.problems, *validation.split_problems(manifest)]
    lacking = (validation.need_problems(manifest, columns[name]) for name in wanted)
    problems += dict.fromkeys(itertools.chain.from_iterable(lacking))
    problems += validation.picture_problems(manifest, bar("looking at images"), stats.add)
    error = ManifestError(problems) if problems else None
    splits = [row.split for row in manifest.rows]
    pairs = near_duplicates(stats.thumbnail, stats.digest, splits, bar("comparing images"))
    found = anomalies(manifest, stats, pairs, image_size)
    counts = counts_table(manifest)
    models = [_model_line(name, lacks) for name, lacks in missing.items()]
    lines = [counts, "", *models]
    if found:
        lines += ["", *(f"- {sentence}" for sentence in found)]
    if output:
        pictures = _pictures(manifest, stats, pairs, crop, image_size, seed, bar("drawing"))
        listed = [str(problem) for problem in error.problems] if error else []
        contents = {
            **pictures,
            "near_duplicates.csv": _pairs_table(manifest, pairs),
            "pictures.csv": _statistics_table(manifest, stats),
            REPORT_FILE: _markdown(counts, models, listed, found, tuple(pictures)),
        }
        for name, content in contents.items():
            storage.write_bytes(storage.join(output, name), content)
        lines += ["", f"{storage.join(output, REPORT_FILE)}: all of it, with pictures"]
    return CheckResult("\n".join(lines), error)


def _begin(output: str, manifest: Manifest) -> None:
    """Makes the folder, so that one that cannot be used is refused before the work."""
    files = [path for row in manifest.rows for path in (row.file, row.depth, row.normal) if path]
    first = {os.path.dirname(path): path for path in [*reversed(files), manifest.file]}
    for folder, path in first.items():
        if os.path.realpath(folder) == os.path.realpath(output):
            raise UserError(
                f"--output={output}: holds {path}, which is to be checked; name a new folder."
            )
    report = storage.join(output, REPORT_FILE)
    try:
        content = storage.read_bytes(report) if storage.exists(report) else _BEGUN
        storage.write_bytes(report, content)
    except storage.StorageError as error:
        raise UserError(
            f"--output={output}: cannot be written ({first_line(error)}); name another folder."
        ) from error


def _model_line(model: str, lacking: Sequence[str]) -> str:
    if not lacking:
        return f"{model}: the labels suffice"
    reasons = list(dict.fromkeys(reason.split("; ")[0].rstrip(".") for reason in lacking))
    more = f"; and {len(reasons) - _REASONS} more" if len(reasons) > _REASONS else ""
    return f"{model}: no, {'; '.join(reasons[:_REASONS])}{more}"


def _pictures(
    manifest: Manifest,
    stats: ImageStatistics,
    pairs: Sequence[Pair],
    crop: images.Crop | None,
    image_size: int,
    seed: int,
    on_progress: OnProgress,
) -> dict[str, bytes]:
    """Draws all pictures, by the names of their files."""

    def show(row: Row) -> np.ndarray | None:
        try:
            return images.to_square(images.decode(row.file), _SHOWN_SIDE, crop)
        except (storage.StorageError, images.ImageError):
            return None

    drawings: dict[str, Callable[[], bytes]] = {
        "contact_sheet.png": lambda: plots.contact_sheet(manifest, stats.seen, show, seed),
        "class_balance.png": lambda: as_png(plots.balance_figure(manifest)),
        "combinations.png": lambda: as_png(plots.combinations_figure(manifest)),
        "near_duplicates.png": lambda: plots.pairs_sheet(manifest, pairs, show),
        "brightness.png": lambda: as_png(plots.brightness_figure(manifest, stats)),
        "sizes.png": lambda: as_png(plots.sizes_figure(manifest, stats, image_size)),
    }
    drawn = {}
    for name, draw in drawings.items():
        drawn[name] = draw()
        on_progress(len(drawn), len(drawings))
    return drawn


def _pairs_table(manifest: Manifest, pairs: Sequence[Pair]) -> bytes:
    """Lists the pairs, those across splits first."""
    leaks = set(across_splits(pairs, manifest))
    lines = []
    for pair in sorted(pairs, key=lambda pair: pair not in leaks):
        one, other = (manifest.rows[place] for place in (pair.first, pair.second))
        cells = [int(pair in leaks), pair.kind, f"{pair.difference:.3f}"]
        lines.append([*cells, one.split, one.path, other.split, other.path])
    names = "across_splits,kind,difference,split,path,other_split,other_path"
    return csv_text.to_bytes(names.split(","), lines)


def _statistics_table(manifest: Manifest, stats: ImageStatistics) -> bytes:
    """Lists the pictures that can be decoded, with what was measured."""
    lines = []
    for place in np.flatnonzero(stats.seen):
        row = manifest.rows[place]
        measures = (stats.side, stats.brightness, stats.contrast)
        cells = [row.path, row.split, stats.width[place], stats.height[place]]
        lines.append([*cells, *(f"{values[place]:.1f}" for values in measures)])
    names = "path,split,width,height,side,brightness,contrast"
    return csv_text.to_bytes(names.split(","), lines)


def _markdown(
    counts: str,
    models: Sequence[str],
    problems: Sequence[str],
    found: Sequence[str],
    pictures: Sequence[str],
) -> bytes:
    def listed(lines: Sequence[str]) -> list[str]:
        return [f"- {' '.join(line.split())}" for line in lines] or ["None."]

    lines = ["# Check of a manifest", "", "```", counts, "```", "", *listed(models)]
    lines += ["", "## Problems", "", *listed(problems)]
    lines += ["", "## To look at", "", *listed(found)]
    for name in pictures:
        title = name.split(".")[0].replace("_", " ")
        lines += ["", f"## {title.capitalize()}", "", f"![{title}]({name})"]
    return "\n".join([*lines, ""]).encode()
