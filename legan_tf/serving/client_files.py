"""Has a server edit, map and rate picture files, in batches that are read ahead."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import functools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from legan_tf.cli import Progress
from legan_tf.data import csv_text, storage
from legan_tf.data import images as pictures
from legan_tf.errors import UserError
from legan_tf.serving import files
from legan_tf.serving.client import Client
from legan_tf.serving.client_errors import InvalidRequest, with_rows_named
from legan_tf.serving.files import Report

_BATCH = 64


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What to do with pictures.

    Attributes:
        source: A picture file, or a folder of them (its subfolders are not searched).
        output: Where edits go: for one picture a file or a folder, for a folder a folder, where
            ``NAME.png`` is made of each picture.
        expression: Target expression of the edits by name, or nothing.
        lighting: Target lighting of the edits by name, or nothing.
        map_output: Where maps go, likewise, or nothing: maps of the edits, or of the pictures as
            they are where no edits are wanted.
        scores: CSV file for the ratings, of the edits or the pictures likewise, or nothing.
    """

    source: str
    output: str = ""
    expression: str = ""
    lighting: str = ""
    map_output: str = ""
    scores: str = ""

    @property
    def edits(self) -> bool:
        """Whether pictures are to be edited."""
        return bool(self.expression or self.lighting)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of the pictures.

    Attributes:
        report: Of the edits and the maps.
        ratings: Path of each picture that was rated, its rating, and whether it counts as natural.
    """

    report: Report
    ratings: tuple[tuple[str, float, bool], ...]

    def lines(self, wanted: Wanted) -> list[str]:
        """Returns what to tell."""
        told = self.report.lines(wanted.output, wanted.map_output)
        if self.ratings:
            _, ratings, natural = zip(*self.ratings)
            told.append(
                f"{len(ratings)} ratings in {wanted.scores}: {np.mean(ratings):.2f} on average, "
                f"{np.mean(natural):.0%} judged natural"
            )
        return told


def use_server(client: Client, wanted: Wanted) -> Outcome:
    """Has pictures edited, mapped and rated.

    A batch is read while the one before is at the server. Each picture is written whole or not at
    all, as soon as its batch is done; the ratings are written in the end, also if that is an error
    or Ctrl-C. A picture that cannot be read is skipped and reported. Results of an earlier job are
    replaced. A folder shows its progress on stderr.

    Args:
        client: Its timeout is for one batch.
        wanted: What to do.

    Raises:
        UserError: An input or output is not usable, or the server did not do it.
    """
    if bool(wanted.output) != wanted.edits:
        raise UserError(
            "--output and --expression and/or --lighting belong together: the edits go there."
        )
    if not (wanted.edits or wanted.map_output or wanted.scores):
        raise UserError(
            "Say what to do: --expression and/or --lighting with --output, --depth or --score."
        )
    paths = files.pictures_of(wanted.source)
    edit_jobs = files.jobs(wanted.source, wanted.output) if wanted.edits else []
    map_jobs = (
        files.map_jobs(wanted.source, wanted.map_output, edit_jobs) if wanted.map_output else []
    )
    _check_scores(wanted)
    edits = [target for _, target in edit_jobs]
    maps = [target for _, target in map_jobs]
    written, mapped, skipped, ratings = [], [], [], []
    try:
        for rows, batch in _read_ahead(client, wanted, paths, skipped):
            ask = functools.partial(_ask, [paths[row] for row in rows])
            if wanted.edits:
                targets = wanted.expression or None, wanted.lighting or None
                made = ask(client.edit, batch[client.editor], *targets)
                written += _save(edits, rows, made)
                batch = dict.fromkeys((client.mapper or client.editor, client.scorer), made)
            if wanted.map_output:
                made = ask(client.depth, batch[client.mapper or client.editor])
                mapped += _save(maps, rows, made)
            if wanted.scores:
                scores = ask(client.score, batch[client.scorer])
                judged = edits if wanted.edits else paths
                places = (judged[row] for row in rows)
                ratings += zip(places, scores.rating.tolist(), scores.natural.tolist())
    except BaseException:
        if ratings:  # What took hours; nothing is no reason to replace what an earlier job rated.
            _write_ratings(wanted.scores, ratings)
        raise
    if wanted.scores:
        _write_ratings(wanted.scores, ratings)
    report = Report(tuple(written), tuple(skipped), tuple(mapped))
    return Outcome(report, tuple(ratings))


def _check_scores(wanted: Wanted) -> None:
    if not wanted.scores:
        return
    if not wanted.scores.lower().endswith(".csv"):
        raise UserError(f"{wanted.scores}: the file for ratings must end in .csv.")
    if os.path.isdir(wanted.scores):
        raise UserError(f"{wanted.scores}: is a folder; name a file for the ratings.")


def _write_ratings(path: str, ratings: Sequence[tuple[str, float, bool]]) -> None:
    lines = ((picture, f"{rating:.4f}", int(natural)) for picture, rating, natural in ratings)
    storage.write_bytes(path, csv_text.to_bytes(("path", "rating", "natural"), lines))


def _read_ahead(
    client: Client, wanted: Wanted, paths: Sequence[str], skipped: list[str]
) -> Iterator[tuple[list[int], dict[str, np.ndarray]]]:
    """Yields batches: the places of the pictures that can be read, and these by model.

    Adds to ``skipped`` what cannot be read.
    """
    if wanted.edits:
        models = [client.editor]
    else:
        asked = (wanted.map_output, client.mapper or client.editor), (wanted.scores, client.scorer)
        models = [model for wanted_of_it, model in asked if wanted_of_it]
    progress = Progress(len(paths), "done") if len(paths) > 1 else None
    batches = [range(len(paths))[at : at + _BATCH] for at in range(0, len(paths), _BATCH)]
    reader = concurrent.futures.ThreadPoolExecutor(1)

    def read(rows: Sequence[int]) -> concurrent.futures.Future:
        # Asked here and not by the reader, so that Ctrl-C ends it while the server is away.
        sizes = {model: client.labels(model).image_size for model in models}
        return reader.submit(_read, sizes, paths, rows)

    try:
        ahead = read(batches[0])
        for rows, following in zip(batches, [*batches[1:], None]):
            usable, batch, complaints = ahead.result()
            if following is not None:
                ahead = read(following)
            skipped += complaints
            if usable:
                yield usable, batch
            if progress:
                progress.update(rows.stop, skipped=len(skipped))
    finally:
        reader.shutdown(wait=False, cancel_futures=True)


def _read(
    sizes: Mapping[str, int], paths: Sequence[str], rows: Sequence[int]
) -> tuple[list[int], dict[str, np.ndarray], list[str]]:
    """Reads pictures at the sizes that models take, so that no more of them is kept in memory."""
    usable, read, complaints = [], {model: [] for model in sizes}, []
    for row in rows:
        try:
            picture = pictures.decode(paths[row])
        except UserError as error:
            complaints.append(str(error))
            continue
        usable.append(row)
        for model, size in sizes.items():
            read[model].append(pictures.to_square(picture, size))
    return usable, {model: np.array(squares) for model, squares in read.items()}, complaints


def _ask(paths: Sequence[str], method: Callable[..., Any], *given: Any) -> Any:
    """Calls the client, and names the pictures that the server refuses."""
    try:
        return method(*given)
    except InvalidRequest as error:
        raise with_rows_named(error, len(paths), paths.__getitem__) from error


def _save(targets: Sequence[str], rows: Sequence[int], made: np.ndarray) -> list[str]:
    saved = [targets[row] for row in rows]
    for target, picture in zip(saved, made):
        files.save(target, picture)
    return saved
