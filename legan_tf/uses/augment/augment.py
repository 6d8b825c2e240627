"""Augmentation: a manifest of a training set and of edits of its train images."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from legan_tf.command_line.options import parse_crop
from legan_tf.data import images, storage
from legan_tf.data.conditions import ATTRIBUTES
from legan_tf.data.manifest import Manifest, ManifestError, Row, read_manifest
from legan_tf.data.output_folder import canonical_path, folder_problem
from legan_tf.data.parallel import OnProgress
from legan_tf.data.resumable import Outcomes, WorkLog, checksum, file_version, remove_leftovers
from legan_tf.data.tfrecord_reader import refuse_crop
from legan_tf.errors import UserError
from legan_tf.serving.labels import EDITOR, SCORER
from legan_tf.serving.loading import Editor, Scorer
from legan_tf.uses.augment.config import AugmentOptions
from legan_tf.uses.augment.output import (
    IMAGES,
    ORIGINALS,
    is_numbered_path,
    numbered_path,
    shortages,
    write_output,
)
from legan_tf.uses.augment.policies import PLANNERS, Edit, Quota, SyntheticImage

_DECIMALS = 3  # Ratings are rounded before they are compared, so that the written ones agree.
# Descriptions, for error messages, of the settings that are checksums.
_CHECKSUMS = {
    "model": "another model",
    "quality_model": "another --quality_model",
    "pictures": "other pictures",
    "labels": "another list of pictures or labels",
}


@dataclasses.dataclass(frozen=True)
class Source:
    """The training set to augment.

    Attributes:
        manifest: Path of its manifest.
        data_dir: The folder that the manifest's paths are relative to; empty for its own.
        crop: The value of the training flag ``--crop``.
    """

    manifest: str
    data_dir: str = ""
    crop: str = ""


@dataclasses.dataclass(frozen=True)
class Augmented:
    """The result of an augmentation.

    Attributes:
        edits: The synthetic images, in the order of the plan.
        report: A summary to print.
        notes: The sentences of it on shortages and on what was left out.
    """

    edits: tuple[SyntheticImage, ...]
    report: str
    notes: tuple[str, ...]


def augment(
    editor: Editor,
    source: Source,
    output: str,
    options: AugmentOptions,
    scorer: Scorer | None = None,
    *,
    bar: Callable[[str], OnProgress],
) -> Augmented:
    """Edits images of split train and writes a manifest of the edits and the real images.

    An interrupted augmentation resumes, and images that have changed since are edited again. The
    same model, images, options and seed give the same files on one machine, interrupted or not.
    ``output`` gets ``images`` (the edits, PNG), ``manifest.csv`` (the rows of the given manifest
    and the edits, in split train), ``synthetic.csv`` (source, targets and rating of each edit),
    ``sheet.png`` (sources beside edits), and ``augment.json`` and ``augment.jsonl`` (settings and
    progress). With a crop, ``originals`` gets the real images cropped, since a training applies
    one crop to all images.

    Args:
        editor: The model that edits.
        source: The training set.
        output: A local folder, new, or of an interrupted augmentation.
        options: The options.
        scorer: Q, to rate the edits.
        bar: Returns a progress callback for a label.

    Returns:
        The edits, and a report with the counts per class, rejected edits and shortages.

    Raises:
        UserError: Options, manifest, model or folder cannot be used, or there is nothing to do.
        ImageError: An image cannot be decoded.
        StorageError: An image cannot be read, or the folder cannot be written.
    """
    options.check()
    _check(editor, scorer, source, output, options)
    manifest = read_manifest(source.manifest, source.data_dir or None, options.seed)
    if manifest.problems:
        raise ManifestError(manifest.problems)
    crop = parse_crop(source.crop)
    refuse_crop([row.file for row in manifest.rows], crop)
    tries = options.tries if options.quality_above else 1
    quotas, notes = PLANNERS[options.policy](manifest.rows, editor, options.seed, tries)
    log = WorkLog(
        output, "augment", _settings(editor, scorer, source, options, manifest), _CHECKSUMS
    )
    batches = _Batches(editor, scorer, options, manifest.rows, crop, output, log)
    batches.make_edits(quotas, bar("editing"))
    if source.crop:
        batches.crop_originals(bar("cropping"))
    batches.close()
    report = write_output(
        manifest,
        editor.conditions,
        quotas,
        [*manifest.notes, *notes],
        output,
        batches.load_image,
        bool(source.crop),
    )
    edits = tuple(edit for quota in quotas for edit in quota.made)
    return Augmented(edits, report, (*shortages(quotas), *notes))


def _check(editor: Any, scorer: Any, source: Source, output: str, options: AugmentOptions) -> None:
    problem = folder_problem(output)
    if editor.kind != EDITOR:
        problem = f"--model={editor.path}: is no editor, so it cannot make pictures"
    elif scorer is not None and scorer.kind != SCORER:
        problem = f"--quality_model={scorer.path}: is not Q, so it cannot rate pictures"
    elif scorer is None and options.quality_model:
        problem = f"--quality_model={options.quality_model}: load it and give it to rate the edits"
    elif not source.manifest:
        problem = "--manifest: name the CSV file of the training set"
    if problem:
        raise UserError(f"{problem}.")


def _settings(
    editor: Editor,
    scorer: Scorer | None,
    source: Source,
    options: AugmentOptions,
    manifest: Manifest,
) -> dict[str, Any]:
    """Returns all that the output depends on besides the content of the images."""
    return {
        **dataclasses.asdict(options),
        "crop": source.crop,
        "model": editor.sha256,
        "quality_model": scorer.sha256 if scorer else "",
        "pictures": checksum(
            canonical_path(source.data_dir or os.path.dirname(source.manifest) or ".")
        ),
        "labels": checksum(
            [{**vars(row), "file": "", ATTRIBUTES: dict(row.attributes)} for row in manifest.rows]
        ),
    }


@dataclasses.dataclass
class _Batches:
    """The batches of an augmentation; the log gets each when it is finished.

    The content of a batch depends on the outcomes of those before it. After an interruption it is
    therefore found again; if an image has changed meanwhile, the batches from there on differ.
    """

    editor: Editor
    scorer: Scorer | None
    options: AugmentOptions
    rows: Sequence[Row]
    crop: images.Crop | None
    output: str
    log: WorkLog
    count: int = 0
    written: set[str] = dataclasses.field(default_factory=set)
    began: bool = False

    def make_edits(self, quotas: Sequence[Quota], on_progress: OnProgress) -> None:
        """Fills the quotas; in each round every quota tries as many candidates as it lacks."""
        number, done, total = 0, 0, sum(quota.count for quota in quotas)
        on_progress(0, total)
        while True:
            round_edits = []
            for quota in quotas:
                end = quota.tried + quota.count - len(quota.made)
                following = quota.candidates[quota.tried : end]
                round_edits += [(quota, edit) for edit in following]
                quota.tried += len(following)
            if not round_edits:
                break
            for start in range(0, len(round_edits), self.options.batch_size):
                batch = round_edits[start : start + self.options.batch_size]
                outcomes = self._edit([edit for _, edit in batch], number)
                for (quota, edit), outcome in zip(batch, outcomes):
                    if outcome["kept"]:
                        path = f"{IMAGES}/{numbered_path(number)}"
                        made = SyntheticImage(**vars(edit), path=path, rating=outcome["rating"])
                        quota.made.append(made)
                        self.written.add(path)
                        done += 1
                    number += 1
                on_progress(done, total)
        if done < total:
            on_progress(total, total)

    def crop_originals(self, on_progress: OnProgress) -> None:
        """Writes the crop of every image of the manifest."""
        size = self.options.batch_size
        for start in range(0, len(self.rows), size):
            rows = range(start, min(start + size, len(self.rows)))
            names = [f"{ORIGINALS}/{numbered_path(row)}" for row in rows]
            self.written.update(names)

            def write(rows: Sequence[int] = rows, names: Sequence[str] = names) -> Outcomes:
                for row, name in zip(rows, names):
                    self._save(name, self.load_image(row))
                return [{} for _ in names]

            self._run_once(rows, names, {}, write)
            on_progress(rows[-1] + 1, len(self.rows))

    def close(self) -> None:
        """Removes images of earlier runs, with other sources, that are no longer needed."""
        log = self.log
        log.done = {part: done for part, done in log.done.items() if part < self.count}
        log.close()
        for folder in (IMAGES, ORIGINALS):
            base = os.path.join(self.output, folder)
            for inside, _, names in os.walk(base):
                for file in (os.path.join(inside, name) for name in names):
                    path = os.path.relpath(file, base)
                    # Only files named as here: others are not ours.
                    if is_numbered_path(path) and f"{folder}/{path}" not in self.written:
                        os.remove(file)

    def load_image(self, row: int) -> np.ndarray:
        """Returns the image of a row as the input of the editor, uint8 [S, S, 3]."""
        image = images.decode(self.rows[row].file)
        return images.to_square(image, self.editor.image_size, self.crop)

    def _edit(self, edits: Sequence[Edit], number: int) -> Outcomes:
        paths = [f"{IMAGES}/{numbered_path(number + i)}" for i in range(len(edits))]

        def make() -> Outcomes:
            edited = self.editor(
                np.stack([self.load_image(edit.source) for edit in edits]),
                **{
                    one.name: [edit.targets.get(one.name) for edit in edits]
                    for one in self.editor.conditions
                },
            )
            above = self.options.quality_above
            ratings: list[float | None] = [None] * len(edits)
            if self.scorer:
                rated = np.atleast_1d(self.scorer(edited))
                ratings = [round(float(rating), _DECIMALS) for rating in rated]
            outcomes = []
            for path, image, rating in zip(paths, edited, ratings):
                # Ratings may be below 1, so 0 has to be tested for as "no threshold".
                kept = not above or (rating is not None and rating >= above)
                if kept:
                    self._save(path, image)
                outcomes.append({"kept": kept, "rating": rating})
            return outcomes

        targets = [edit.targets for edit in edits]
        return self._run_once([edit.source for edit in edits], paths, targets, make)

    def _run_once(
        self, rows: Sequence[int], names: Sequence[str], targets: Any, run: Callable[[], Outcomes]
    ) -> Outcomes:
        """Returns the outcomes of a batch from the log, or runs it."""
        part, self.count = self.count, self.count + 1
        stamps = [file_version(self.rows[row].file) for row in rows]
        inputs = checksum([list(rows), list(names), targets, stamps])
        before, outcomes = self.log.done.get(part, ("", []))
        if before == inputs and all(
            os.path.exists(os.path.join(self.output, name))
            for name, outcome in zip(names, outcomes)
            if outcome.get("kept", True)
        ):
            return outcomes
        if not self.began:
            self.log.begin()
            remove_leftovers(self.output, ())
            self.began = True
        outcomes = run()
        self.log.add(part, inputs, outcomes)
        return outcomes

    def _save(self, name: str, image: np.ndarray) -> None:
        storage.write_bytes(os.path.join(self.output, name), images.to_png(image))
