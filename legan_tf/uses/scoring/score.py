"""From a folder of pictures to a table of how natural each one looks."""

from __future__ import annotations

import csv
import dataclasses
import itertools
import os
import time
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from legan_tf import cli
from legan_tf.data import storage
from legan_tf.drawing import as_png
from legan_tf.errors import UserError
from legan_tf.evaluation.metrics.ratings import NATURAL
from legan_tf.files import make_writable
from legan_tf.serving.loading import Scorer
from legan_tf.sheet import captioned_sheet
from legan_tf.uses.scoring import copies, plots
from legan_tf.uses.scoring.config import ScoringConfig
from legan_tf.uses.scoring.database import State, opened
from legan_tf.uses.scoring.image_files import Found, walk
from legan_tf.uses.scoring.inference import rate_files

_KEEP_EVERY_S = 1.0
_NAMED = 5
_DECILES = np.arange(1, 10) / 10
_TOLD = {
    "model": "another model, of sha256 {}",
    "input": "--input={}",
    "format": "another release of legan_tf",
}
_FORMAT = "1"


@dataclasses.dataclass(frozen=True)
class Report:
    """What became of a folder.

    Attributes:
        lines: What to tell.
        rated: How many pictures are rated.
        skipped: How many could not be read.
    """

    lines: tuple[str, ...]
    rated: int
    skipped: int


def score_folder(scorer: Any, config: ScoringConfig) -> Report:
    """Rates the pictures of a folder and writes the table, and what else is asked for.

    Where it was stopped, it goes on, and the files are the same as without the stop. What is
    known of each picture is kept in ``NAME.state.sqlite`` beside ``NAME.csv``: pictures that are
    new or have changed are rated, those that are gone leave the table, all others are not looked
    at again but for those that could not be read.

    Args:
        scorer: What ``legan_tf.load`` gives for Q.
        config: What to do.

    Raises:
        UserError: The flags do not fit, the model is not Q, there is no picture, a file cannot be
            written or is there already and of no such command, or the output belongs to another
            model or folder.
    """
    config.check()
    if not isinstance(scorer, Scorer):
        does = {"editor": "edits pictures", "depth": "maps pictures"}[scorer.kind]
        raise UserError(
            f"--model={scorer.path}: {does} and cannot rate them; give Q, which configs/"
            "quality.flags trains."
        )
    if next(walk(config.input), None) is None:
        raise UserError(f"--input={config.input}: there is no picture in it, or below.")
    make_writable("output", os.path.dirname(config.output) or ".")
    if config.sheet:
        make_writable("sheet", os.path.dirname(config.sheet) or ".")
    with opened(config.output) as state:
        for file in (config.output, skipped_file(config.output)):
            if state.is_new and os.path.exists(file):
                raise UserError(
                    f"{file}: is there already, and {state.file}, which would tell what it was "
                    "made of, is not; name another --output."
                )
        real = os.path.realpath(config.input)
        state.compare({"format": _FORMAT, "model": scorer.sha256, "input": real}, _TOLD)
        if config.sheet:
            _claim_sheet(state, config.sheet)
        closed = ""
        if config.keep_dir:
            make_writable("keep_dir", config.keep_dir)
            copies.claim(state, config.keep_dir, config.keep_above)
            closed = os.path.realpath(config.keep_dir)
        state.see(_counted(walk(config.input, closed), state.counts()[0]))
        lines = _rate(scorer, config, state)
        lists = (config.output, skipped_file(config.output))
        if state.is_listed() and all(map(os.path.exists, lists)):
            lines = [f"{config.output}: complete and unchanged; there was nothing to rate."]
        else:
            _write_lists(state, config.output)
        return _report(state, config, lines)


def skipped_file(output: str) -> str:
    """Returns the path of the list of what could not be read, beside an output."""
    return f"{os.path.splitext(output)[0]}.skipped.csv"


def histogram_file(sheet: str) -> str:
    """Returns the path of the histogram beside a sheet."""
    return f"{os.path.splitext(sheet)[0]}.histogram.png"


def _claim_sheet(state: State, sheet: str) -> None:
    """Takes note of what is written, so that it may be written again."""
    names = {file: f"sheet {os.path.realpath(file)}" for file in (sheet, histogram_file(sheet))}
    for file, name in names.items():
        if state.note(name) is None and os.path.exists(file):
            raise UserError(
                f"{file}: is there already and was not made of --output={state.output}; name "
                "another --sheet."
            )
    for name in names.values():
        state.set_note(name, "")


def _counted(found: Iterable[Found], before: int) -> Iterator[Found]:
    """Shows how many there are; how many there were before stands for the total."""
    total, count = max(1, before), 0
    progress = cli.Progress(total, "looking for pictures")
    for one in found:
        yield one
        count += 1
        # There may be more than before.
        progress.update(min(count, total - 1), pictures=count)
    progress.update(total, pictures=count)


def _rate(scorer: Scorer, config: ScoringConfig, state: State) -> list[str]:
    """Rates what has no rating yet; returns what to tell of the others."""
    total, done, _ = state.counts()
    lines = [f"{done:,} pictures were rated before."] if done else []
    progress = cli.Progress(total, "rating", done)
    kept_at = time.monotonic()
    batches = rate_files(scorer, config.input, state.unrated(), config.batch_size, config.workers)
    for outcomes in batches:
        state.add(outcomes)
        done += len(outcomes)
        # Each time, the disk is waited for.
        if time.monotonic() - kept_at > _KEEP_EVERY_S:
            state.keep()
            kept_at = time.monotonic()
        progress.update(done)
    state.keep()
    return lines


def _write_lists(state: State, output: str) -> None:
    """Writes what was skipped, and then the ratings: where they are, all is done."""
    skipped = ((plots.printable(path), reason) for path, reason in state.skipped())
    _write_table(skipped_file(output), ("path", "reason"), skipped)
    rated = (
        (plots.printable(path), f"{rating:.4f}", int(rating >= NATURAL))
        for path, rating in state.rated()
    )
    _write_table(output, ("path", "rating", "natural"), rated)
    state.set_listed()


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


def _report(state: State, config: ScoringConfig, lines: list[str]) -> Report:
    """Makes what is asked for besides the lists, and says what there is."""
    total, rated, skipped = state.counts()
    if rated:
        lines += _summary(state)
    if skipped:
        why = skipped_file(config.output)
        lines.append(f"{skipped:,} of {total:,} could not be read; {why} tells why:")
        lines += [
            f"  {plots.printable(path)}: {reason}"
            for path, reason in itertools.islice(state.skipped(), _NAMED)
        ]
        lines += ["  …"] if skipped > _NAMED else []
    if config.keep_dir:
        copied = copies.copy(
            state, config.input, config.keep_dir, config.keep_above, cli.bar("copying")
        )
        lines.append(f"{copied:,} rated {config.keep_above:g} or more: copies in {config.keep_dir}")
    if config.sheet and rated:
        storage.write_bytes(config.sheet, captioned_sheet(plots.ranks(state, config.input)))
        drawn = histogram_file(config.sheet)
        histogram = plots.histogram(state.ratings(), config.keep_above)
        storage.write_bytes(drawn, as_png(histogram))
        lines += [config.sheet, drawn]
    return Report((*lines, config.output), rated, skipped)


def _summary(state: State) -> list[str]:
    ratings = state.ratings()
    share = np.mean(ratings >= NATURAL)
    deciles = " ".join(f"{value:.2f}" for value in np.quantile(ratings, _DECILES))
    lines = [
        f"{len(ratings):,} pictures rated: mean {ratings.mean():.2f}, "
        f"natural ({NATURAL:g} or more) {share:.1%}",
        f"deciles: {deciles}",
        "worst:",
    ]
    lines += [f"  {rating:.2f} {plots.printable(path)}" for path, rating in state.worst(_NAMED)]
    return lines
