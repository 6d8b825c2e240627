"""Editing, mapping and rating picture files by a server, in batches that are read ahead."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import functools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from legan_tf.command_line.cli import Progress
from legan_tf.data import csv_text, images, storage
from legan_tf.errors import UserError
from legan_tf.serving import picture_files
from legan_tf.serving.client.blocking_client import Client
from legan_tf.serving.client.errors import InvalidRequest, with_rows_named
from legan_tf.serving.picture_files import Report

_BATCH = 64


@dataclasses.dataclass(frozen=True)
class FileJob:
    """A job on picture files.

    Attributes:
        source: A picture file, or a folder of them (its subfolders are not searched).
        output: Where edits go: for one picture a file or a folder, for a folder a folder, where
            ``NAME.png`` is made of each picture.
        expression: Target expression of the edits by name, or nothing.
        lighting: Target lighting of the edits by name, or nothing.
        map_output: Where maps go, likewise, or nothing: maps of the edits, or of the pictures as
            they are where there are no edits.
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

    def check(self) -> None:
        """Raises ``UserError`` if the fields do not fit together."""
        if bool(self.output) != self.edits:
            raise UserError(
                "--output and --expression and/or --lighting belong together: the edits go there."
            )
        if not (self.edits or self.map_output or self.scores):
            raise UserError(
                "Say what to do: --expression and/or --lighting with --output, --depth or --score."
            )
        if self.scores and not self.scores.lower().endswith(".csv"):
            raise UserError(f"{self.scores}: the file for ratings must end in .csv.")
        if self.scores and os.path.isdir(self.scores):
            raise UserError(f"{self.scores}: is a folder; name a file for the ratings.")


def run_file_job(client: Client, job: FileJob) -> Report:
    """Edits, maps and rates picture files.

    A batch is read while the one before is at the server. Each picture is written atomically as
    soon as its batch is done. Ratings are written at the end, also after an error or Ctrl-C. A
    picture that cannot be read is skipped and reported. Results of an earlier job are replaced. A
    folder shows its progress on stderr.

    Args:
        client: Its timeout is for one batch.
        job: The job.

    Raises:
        UserError: An input or output is not usable, or the server did not do it.
    """
    job.check()
    paths = picture_files.list_pictures(job.source)
    edit_jobs = picture_files.jobs(job.source, job.output) if job.edits else []
    map_jobs = (
        picture_files.map_jobs(job.source, job.map_output, edit_jobs) if job.map_output else []
    )
    edits = [target for _, target in edit_jobs]
    maps = [target for _, target in map_jobs]
    rated = edits if job.edits else paths
    mapper = client.mapper or client.editor
    models = [client.editor] if job.edits else [mapper] * bool(job.map_output)
    models += [client.scorer] * bool(job.scores and not job.edits)
    written, mapped, skipped, ratings = [], [], [], []
    try:
        for rows, batch in _read_ahead(client, models, paths, skipped):
            ask = functools.partial(_ask, [paths[row] for row in rows])
            if job.edits:
                targets = job.expression or None, job.lighting or None
                edited = ask(client.edit, batch[client.editor], *targets)
                written += _save(edits, rows, edited)
                batch = dict.fromkeys((mapper, client.scorer), edited)
            if job.map_output:
                mapped += _save(maps, rows, ask(client.depth, batch[mapper]))
            if job.scores:
                scores = ask(client.score, batch[client.scorer])
                places = (rated[row] for row in rows)
                ratings += zip(places, scores.rating.tolist(), scores.natural.tolist())
    except BaseException:
        if ratings:  # Hours of work; without any, the table of an earlier job stays.
            _write_ratings(job.scores, ratings)
        raise
    if job.scores:
        _write_ratings(job.scores, ratings)
    return Report(tuple(written), tuple(skipped), tuple(mapped), tuple(ratings))


def _write_ratings(path: str, ratings: Sequence[tuple[str, float, bool]]) -> None:
    rows = ((picture, f"{rating:.4f}", int(natural)) for picture, rating, natural in ratings)
    storage.write_bytes(path, csv_text.to_bytes(("path", "rating", "natural"), rows))


def _read_ahead(
    client: Client, models: Sequence[str], paths: Sequence[str], skipped: list[str]
) -> Iterator[tuple[list[int], dict[str, np.ndarray]]]:
    """Yields batches: the rows of the pictures that can be read, and these by model.

    Adds a message to ``skipped`` for each that cannot be read.
    """
    progress = Progress(len(paths), "done") if len(paths) > 1 else None
    batches = [range(len(paths))[at : at + _BATCH] for at in range(0, len(paths), _BATCH)]
    reader = concurrent.futures.ThreadPoolExecutor(1)

    def read(rows: Sequence[int]) -> concurrent.futures.Future:
        # Asked here and not by the reader, so that Ctrl-C works while the server is away.
        sizes = {model: client.labels(model).image_size for model in models}
        return reader.submit(_read, sizes, paths, rows)

    try:
        ahead = read(batches[0])
        for rows, following in zip(batches, [*batches[1:], None]):
            usable, batch, errors = ahead.result()
            if following is not None:
                ahead = read(following)
            skipped += errors
            if usable:
                yield usable, batch
            if progress:
                progress.update(rows.stop, skipped=len(skipped))
    finally:
        reader.shutdown(wait=False, cancel_futures=True)


def _read(
    sizes: Mapping[str, int], paths: Sequence[str], rows: Sequence[int]
) -> tuple[list[int], dict[str, np.ndarray], list[str]]:
    """Reads pictures at the sizes of the models, to keep no more of them in memory."""
    usable, read, errors = [], {model: [] for model in sizes}, []
    for row in rows:
        try:
            picture = images.decode(paths[row])
        except UserError as error:
            errors.append(str(error))
            continue
        usable.append(row)
        for model, size in sizes.items():
            read[model].append(images.to_square(picture, size))
    return usable, {model: np.array(squares) for model, squares in read.items()}, errors


def _ask(paths: Sequence[str], method: Callable[..., Any], *arguments: Any) -> Any:
    """Calls the client; an error names the pictures that the server refuses by their paths."""
    try:
        return method(*arguments)
    except InvalidRequest as error:
        raise with_rows_named(error, len(paths), paths.__getitem__) from error


def _save(targets: Sequence[str], rows: Sequence[int], pictures: np.ndarray) -> list[str]:
    saved = [targets[row] for row in rows]
    for target, picture in zip(saved, pictures):
        picture_files.save(target, picture)
    return saved
