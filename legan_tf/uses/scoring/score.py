"""Scoring of a folder: a table of the naturalness of each image."""

from __future__ import annotations

import csv
import dataclasses
import itertools
import os
import time
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from legan_tf.command_line import cli
from legan_tf.data import storage
from legan_tf.errors import UserError
from legan_tf.evaluation.metrics.ratings import NATURAL
from legan_tf.files import make_writable
from legan_tf.plotting.drawing import as_png
from legan_tf.plotting.sheet import captioned_sheet
from legan_tf.runtime.hardware import float32_arithmetic
from legan_tf.serving.loading import Scorer
from legan_tf.uses.scoring import copies, plots
from legan_tf.uses.scoring.config import ScoringConfig
from legan_tf.uses.scoring.database import RatingDatabase, open_database
from legan_tf.uses.scoring.image_files import ImageFile, find_images
from legan_tf.uses.scoring.inference import rate_files

_COMMIT_EVERY_S = 1.0
_EXAMPLES = 5
_DECILES = np.arange(1, 10) / 10
_SETTINGS = {
    "model": "another model, of sha256 {}",
    "input": "--input={}",
    "format": "another release of legan_tf",
}
_FORMAT = "1"


@dataclasses.dataclass(frozen=True)
class Report:
    """The result of scoring a folder.

    Attributes:
        lines: A summary to print.
        rated: Number of images with a rating.
        skipped: Number of images that could not be read.
    """

    lines: tuple[str, ...]
    rated: int
    skipped: int


@float32_arithmetic()
def score_folder(scorer: Any, config: ScoringConfig) -> Report:
    """Rates the images of a folder and writes the table, the copies and the sheet.

    An interrupted scoring resumes, with the same files in the end. The ratings are kept in
    ``NAME.state.sqlite`` beside ``NAME.csv``: new, changed and so far unreadable images are rated,
    removed ones leave the table, all others keep their rating.

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
    if next(find_images(config.input), None) is None:
        raise UserError(f"--input={config.input}: there is no picture in it, or below.")
    make_writable("output", os.path.dirname(config.output) or ".")
    if config.sheet:
        make_writable("sheet", os.path.dirname(config.sheet) or ".")
    tables = (config.output, skipped_file(config.output))
    with open_database(config.output) as database:
        for file in filter(os.path.exists, tables if database.is_new else ()):
            raise UserError(
                f"{file}: is there already, and {database.file}, which holds its ratings, is not; "
                "name another --output."
            )
        source = os.path.realpath(config.input)
        settings = {"format": _FORMAT, "model": scorer.sha256, "input": source}
        database.check_settings(settings, _SETTINGS)
        if config.sheet:
            _claim_sheet(database, config.sheet)
        excluded = ""
        if config.keep_dir:
            make_writable("keep_dir", config.keep_dir)
            copies.claim_folder(database, config.keep_dir, config.keep_above)
            excluded = os.path.realpath(config.keep_dir)
        found = find_images(config.input, excluded)
        database.update_files(_with_progress(found, database.counts()[0]))
        lines = _rate(scorer, config, database)
        if database.tables_current() and all(map(os.path.exists, tables)):
            lines = [f"{config.output}: complete and unchanged; there was nothing to rate."]
        else:
            _write_tables(database, config.output)
        return _report(database, config, lines)


def skipped_file(output: str) -> str:
    """Returns the path of the table of unreadable images beside an output."""
    return f"{os.path.splitext(output)[0]}.skipped.csv"


def histogram_file(sheet: str) -> str:
    """Returns the path of the histogram beside a sheet."""
    return f"{os.path.splitext(sheet)[0]}.histogram.png"


def _claim_sheet(database: RatingDatabase, sheet: str) -> None:
    """Records the files of the sheet, so that only these are overwritten later."""
    names = {file: f"sheet {os.path.realpath(file)}" for file in (sheet, histogram_file(sheet))}
    for file, name in names.items():
        if database.setting(name) is None and os.path.exists(file):
            raise UserError(
                f"{file}: is there already and does not belong to --output={database.output}; "
                "name another --sheet."
            )
    for name in names.values():
        database.set_setting(name, "")


def _with_progress(files: Iterable[ImageFile], before: int) -> Iterator[ImageFile]:
    """Shows the number of files found; the number of the search before serves as the total."""
    total, count = max(1, before), 0
    progress = cli.Progress(total, "looking for pictures")
    for file in files:
        yield file
        count += 1
        # There may be more than before.
        progress.update(min(count, total - 1), pictures=count)
    progress.update(total, pictures=count)


def _rate(scorer: Scorer, config: ScoringConfig, database: RatingDatabase) -> list[str]:
    """Rates the images without a rating; returns a line on those rated before."""
    total, done, _ = database.counts()
    lines = [f"{done:,} pictures were rated before."] if done else []
    progress = cli.Progress(total, "rating", done)
    committed_at = time.monotonic()
    unrated = database.unrated()
    for outcomes in rate_files(scorer, config.input, unrated, config.batch_size, config.workers):
        database.add(outcomes)
        done += len(outcomes)
        # A commit waits for the disk.
        if time.monotonic() - committed_at > _COMMIT_EVERY_S:
            database.commit()
            committed_at = time.monotonic()
        progress.update(done)
    database.commit()
    return lines


def _write_tables(database: RatingDatabase, output: str) -> None:
    """Writes the unreadable images first: the table of ratings says that all is done."""
    skipped = ((plots.printable(path), reason) for path, reason in database.skipped())
    _write_table(skipped_file(output), ("path", "reason"), skipped)
    rated = (
        (plots.printable(path), f"{rating:.4f}", int(rating >= NATURAL))
        for path, rating in database.rated()
    )
    _write_table(output, ("path", "rating", "natural"), rated)
    database.mark_tables_current()


def _write_table(path: str, header: tuple[str, ...], rows: Iterable[tuple]) -> None:
    try:
        with storage.atomic_path(path) as aside:
            with open(aside, "w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerow(header)
                writer.writerows(rows)
    except OSError as error:
        raise UserError(
            f"{path}: cannot be written ({error.strerror}); the same command goes on from here."
        ) from error


def _report(database: RatingDatabase, config: ScoringConfig, lines: list[str]) -> Report:
    """Writes the copies and the sheet, and returns the summary."""
    total, rated, skipped = database.counts()
    if rated:
        lines += _summary(database)
    if skipped:
        why = skipped_file(config.output)
        lines.append(f"{skipped:,} of {total:,} could not be read; reasons in {why}:")
        lines += [
            f"  {plots.printable(path)}: {reason}"
            for path, reason in itertools.islice(database.skipped(), _EXAMPLES)
        ]
        lines += ["  …"] if skipped > _EXAMPLES else []
    if config.keep_dir:
        copied = copies.copy_images(
            database, config.input, config.keep_dir, config.keep_above, cli.bar("copying")
        )
        lines.append(f"{copied:,} rated {config.keep_above:g} or more: copies in {config.keep_dir}")
    if config.sheet and rated:
        rows = plots.sorted_by_rating(database, config.input)
        histogram = plots.histogram(database.ratings(), config.keep_above)
        storage.write_bytes(config.sheet, captioned_sheet(rows))
        storage.write_bytes(histogram_file(config.sheet), as_png(histogram))
        lines += [config.sheet, histogram_file(config.sheet)]
    return Report((*lines, config.output), rated, skipped)


def _summary(database: RatingDatabase) -> list[str]:
    ratings = database.ratings()
    deciles = " ".join(f"{value:.2f}" for value in np.quantile(ratings, _DECILES))
    worst = database.worst(_EXAMPLES)
    return [
        f"{len(ratings):,} pictures rated: mean {ratings.mean():.2f}, "
        f"natural ({NATURAL:g} or more) {np.mean(ratings >= NATURAL):.1%}",
        f"deciles: {deciles}",
        "worst:",
        *(f"  {rating:.2f} {plots.printable(path)}" for path, rating in worst),
    ]
