"""Editing, mapping and rating picture files by a server, in batches that are read ahead."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from legan_tf.command_line.cli import Progress
from legan_tf.data import csv_text, images, storage
from legan_tf.errors import UserError
from legan_tf.serving import picture_files
from legan_tf.serving.client.client import Client
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
        targets: Targets of the edits by condition, if there are to be edits.
        map_output: Where maps go, likewise, or nothing: maps of the edits, or of the pictures as
            they are where there are no edits.
        scores: CSV file for the ratings, of the edits or the pictures likewise, or nothing.
    """

    source: str
    output: str = ""
    targets: Mapping[str, str] = dataclasses.field(default_factory=dict)
    map_output: str = ""
    scores: str = ""

    @property
    def edits(self) -> bool:
        """Whether pictures are to be edited."""
        return bool(self.targets)

    def check(self) -> None:
        """Raises ``UserError`` if the fields do not fit together."""
        if bool(self.output) != self.edits:
            raise UserError(
                "--output and a target, as --expression, belong together: the edits go there."
            )
        if not (self.edits or self.map_output or self.scores):
            raise UserError(
                "Say what to do: a target, as --expression, with --output; --depth; or --score."
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
    mapper, scorer = client.mapper or client.editor, client.scorer or ""
    if job.edits:
        models = [client.editor]
    else:
        models = [mapper] * bool(job.map_output) + [scorer] * bool(job.scores)
    written: list[str] = []
    mapped: list[str] = []
    skipped: list[str] = []
    ratings: list[tuple[str, float, bool]] = []
    try:
        for rows, batch in _read_ahead(client, models, paths, skipped):
            names = [paths[row] for row in rows]
            try:
                if job.edits:
                    edited = client.edit(batch[client.editor], **job.targets)
                    written += _save(edits, rows, edited)
                    batch = {mapper: edited, scorer: edited}
                if job.map_output:
                    mapped += _save(maps, rows, client.depth(batch[mapper]))
                if job.scores:
                    scores = client.score(batch[scorer])
                    places = (rated[row] for row in rows)
                    ratings += zip(
                        places,
                        np.atleast_1d(scores.rating).tolist(),
                        np.atleast_1d(scores.natural).tolist(),
                    )
            except InvalidRequest as error:
                raise with_rows_named(error, len(rows), names.__getitem__) from error
    finally:
        if ratings:  # Hours of work; without any, the table of an earlier job stays.
            table = (
                (picture, f"{rating:.4f}", int(natural)) for picture, rating, natural in ratings
            )
            content = csv_text.to_bytes(("path", "rating", "natural"), table)
            storage.write_bytes(job.scores, content)
    return Report(tuple(written), tuple(skipped), tuple(mapped), tuple(ratings))


def _read_ahead(
    client: Client, models: Sequence[str], paths: Sequence[str], skipped: list[str]
) -> Iterator[tuple[list[int], dict[str, np.ndarray]]]:
    """Yields batches: the rows of the pictures that can be read, and these by model.

    Adds a message to ``skipped`` for each that cannot be read.
    """
    progress = Progress(len(paths), "done") if len(paths) > 1 else None
    batches = [range(len(paths))[at : at + _BATCH] for at in range(0, len(paths), _BATCH)]
    sizes = {model: client.labels(model).image_size for model in models}
    with concurrent.futures.ThreadPoolExecutor(1) as reader:
        ahead = reader.submit(_read, sizes, paths, batches[0])
        for rows, following in zip(batches, [*batches[1:], range(0)]):
            usable, batch, errors = ahead.result()
            ahead = reader.submit(_read, sizes, paths, following)
            skipped += errors
            if usable:
                yield usable, batch
            if progress:
                progress.update(rows.stop, skipped=len(skipped))


def _read(
    sizes: Mapping[str, int], paths: Sequence[str], rows: range
) -> tuple[list[int], dict[str, np.ndarray], list[str]]:
    """Reads pictures at the sizes of the models, to keep no more of them in memory."""
    usable: list[int] = []
    errors: list[str] = []
    read: dict[str, list[np.ndarray]] = {model: [] for model in sizes}
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


def _save(targets: Sequence[str], rows: Sequence[int], pictures: np.ndarray) -> list[str]:
    saved = [targets[row] for row in rows]
    for target, picture in zip(saved, pictures):
        picture_files.save(target, picture)
    return saved
