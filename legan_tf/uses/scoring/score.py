"""Scoring of a folder: a table of the naturalness of each image."""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from legan_tf.command_line import cli
from legan_tf.data import csv_text, storage
from legan_tf.data.drop_report import DropReport, printable
from legan_tf.data.file_tree import scan
from legan_tf.data.resumable import WorkLog, checksum, file_version
from legan_tf.errors import UserError
from legan_tf.evaluation.metrics.ratings import NATURAL
from legan_tf.files import make_writable
from legan_tf.plotting.drawing import as_png
from legan_tf.plotting.sheet import captioned_sheet
from legan_tf.runtime.hardware import float32_arithmetic
from legan_tf.serving.loading import Scorer
from legan_tf.uses.scoring import copies, plots
from legan_tf.uses.scoring.config import ScoringConfig
from legan_tf.uses.scoring.inference import rate_files

_EXAMPLES = 5
_DECILES = np.arange(1, 10) / 10


@dataclasses.dataclass(frozen=True)
class Report:
    """The result of scoring a folder.

    Attributes:
        lines: A summary to print.
        skipped: Number of images that could not be read.
    """

    lines: tuple[str, ...]
    skipped: int


@float32_arithmetic()
def score_folder(scorer: Any, config: ScoringConfig) -> Report:
    """Rates the images of a folder and writes the table, the copies and the sheet.

    An interrupted scoring resumes, with the same files in the end. The ratings are kept in
    ``NAME.state.json`` and ``.jsonl`` beside ``NAME.csv``: new, changed and so far unreadable
    images are rated, removed ones leave the table, all others keep their rating.

    Args:
        scorer: Q, from ``legan_tf.load``.
        config: The options.

    Raises:
        UserError: The options do not fit, the model is not Q, there is no image, a file cannot be
            written or exists and was not written by scoring, or the output belongs to another
            model or folder.
    """
    config.check()
    if not isinstance(scorer, Scorer):
        does = {"editor": "edits pictures", "depth": "maps pictures"}[scorer.kind]
        raise UserError(
            f"--model={scorer.path}: {does} and cannot rate them; give Q, which configs/"
            "quality.flags trains."
        )
    found = DropReport()
    tree = scan(
        config.input, "input", found, cli.bar("looking for pictures"), leave_out=config.keep_dir
    )
    pictures = tree.pictures(found)
    if not pictures:
        raise UserError(f"--input={config.input}: there is no picture in it, or below.")
    stem = os.path.splitext(config.output)[0]
    folder = os.path.dirname(config.output) or "."
    make_writable("output", folder)
    if config.sheet:
        make_writable("sheet", os.path.dirname(config.sheet) or ".")
    if config.keep_dir:
        make_writable("keep_dir", config.keep_dir)
    tables = (config.output, skipped_file(config.output))
    if not os.path.exists(f"{stem}.state.json"):
        for file in filter(os.path.exists, tables):
            raise UserError(
                f"{file}: is there already, and {stem}.state.json, which belongs to it, is not; "
                "name another --output."
            )
    settings = {"model": scorer.sha256, "input": printable(os.path.realpath(config.input))}
    name, descriptions = f"{os.path.basename(stem)}.state", {"model": "another model"}
    log = WorkLog(folder, name, settings, descriptions, config.output)
    rated, skipped, lines = _rate(scorer, config, log, pictures)
    # The table of ratings is written last: it says that all is done.
    _write_table(tables[1], ("path", "reason"), skipped.items())
    rows = ((path, f"{rating:.4f}", int(rating >= NATURAL)) for path, rating in rated.items())
    _write_table(config.output, ("path", "rating", "natural"), rows)
    lines += _summary(rated) if rated else []
    if skipped:
        why = f"{len(skipped):,} of {len(pictures):,} could not be read; reasons in {tables[1]}:"
        examples = itertools.islice(skipped.items(), _EXAMPLES)
        lines += [why, *(f"  {printable(path)}: {reason}" for path, reason in examples)]
        lines += ["  …"] if len(skipped) > _EXAMPLES else []
    if config.keep_dir:
        copied = copies.copy_images(
            rated, config.input, config.keep_dir, config.keep_above, cli.bar("copying")
        )
        lines.append(f"{copied:,} rated {config.keep_above:g} or more: copies in {config.keep_dir}")
    if config.sheet and rated:
        sheet = captioned_sheet(plots.sorted_by_rating(rated, config.input))
        chart = plots.histogram(np.array([*rated.values()]), config.keep_above)
        histogram_file = f"{os.path.splitext(config.sheet)[0]}.histogram.png"
        storage.write_bytes(config.sheet, sheet)
        storage.write_bytes(histogram_file, as_png(chart))
        lines += [config.sheet, histogram_file]
    return Report((*lines, config.output), len(skipped))


def skipped_file(output: str) -> str:
    """Returns the path of the table of unreadable images beside an output."""
    return f"{os.path.splitext(output)[0]}.skipped.csv"


def _rate(
    scorer: Scorer, config: ScoringConfig, log: WorkLog, pictures: Sequence[str]
) -> tuple[dict[str, float], dict[str, str], list[str]]:
    """Rates the images that the log has no rating of.

    Returns:
        By path, all ratings, and why images could not be read; and a line on those rated before.
    """
    versions = {
        path: checksum([path, file_version(os.path.join(config.input, path))]) for path in pictures
    }
    known = {version: rating for _, part in log.done.values() for version, rating in part.items()}
    missing = [path for path in pictures if versions[path] not in known]
    done = len(pictures) - len(missing)
    lines = [f"{done:,} pictures were rated before."] if done else []
    skipped: dict[str, str] = {}
    if missing:
        log.begin()
        progress = cli.Progress(len(pictures), "rating", done)
        batches = rate_files(scorer, config.input, missing, config.batch_size, config.workers)
        for number, (ratings, reasons) in enumerate(batches, start=len(log.done)):
            part = {versions[path]: rating for path, rating in ratings.items()}
            log.add(number, "", part)
            known.update(part)
            skipped.update(reasons)
            done += len(ratings) + len(reasons)
            progress.update(done)
    return {path: known[versions[path]] for path in pictures if path not in skipped}, skipped, lines


def _write_table(path: str, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    shown = ((printable(name), *cells) for name, *cells in rows)
    storage.write_bytes(path, csv_text.to_bytes(header, shown))


def _summary(rated: Mapping[str, float]) -> list[str]:
    ratings = np.array([*rated.values()])
    deciles = " ".join(f"{value:.2f}" for value in np.quantile(ratings, _DECILES))
    worst = sorted(rated, key=lambda path: (rated[path], path))[:_EXAMPLES]
    return [
        f"{len(ratings):,} pictures rated: mean {ratings.mean():.2f}, "
        f"natural ({NATURAL:g} or more) {np.mean(ratings >= NATURAL):.1%}",
        f"deciles: {deciles}",
        "worst:",
        *(f"  {rated[path]:.2f} {printable(path)}" for path in worst),
    ]
