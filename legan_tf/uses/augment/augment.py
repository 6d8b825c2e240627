"""From a manifest and an editor to a manifest with edits of its train pictures beside the real."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from legan_tf.data import images, storage
from legan_tf.data.journal import (
    Journal,
    Outcomes,
    digest,
    folder_problem,
    real,
    remove_leftovers,
    stamp,
)
from legan_tf.data.manifest import Manifest, ManifestError, OnProgress, Row, read_manifest
from legan_tf.data.tfrecord_reader import refuse_crop
from legan_tf.errors import UserError
from legan_tf.options import parse_crop
from legan_tf.serving.labels import EDITOR, SCORER
from legan_tf.serving.loading import Editor, Scorer
from legan_tf.uses.augment.config import AugmentOptions
from legan_tf.uses.augment.output import (
    IMAGES,
    ORIGINALS,
    Made,
    conclude,
    is_numbered,
    lacking,
    numbered,
)
from legan_tf.uses.augment.policies import PLANS, Edit, Want

_DECIMALS = 3  # Of ratings, so that those written down are those that were compared.
# Settings that are told in words, since their values are checksums.
_OTHER = {
    "model": "another model",
    "quality_model": "another --quality_model",
    "pictures": "other pictures",
    "labels": "another list of pictures or labels",
}


@dataclasses.dataclass(frozen=True)
class Source:
    """The training set to augment.

    Attributes:
        manifest: Its manifest.
        data_dir: What the manifest's paths start from; empty for its own folder.
        crop: As the flag of training.
    """

    manifest: str
    data_dir: str = ""
    crop: str = ""


@dataclasses.dataclass(frozen=True)
class Augmented:
    """What an augmentation has made.

    Attributes:
        edits: The synthetic pictures, in the order in which they were wanted.
        report: It in words.
        notes: The sentences of it on what could not be filled, and what was left out.
    """

    edits: tuple[Made, ...]
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
    """Edits pictures of train and writes a manifest of them and the real ones.

    Where it was stopped, it goes on; what changed since then is done again. The same model,
    pictures, options and seed give the same files on one machine, stopped or not. Into ``output``
    come ``images``, the edits as PNG; ``manifest.csv``, the rows of the given manifest with paths
    that lead from there, and the edits in split train; ``synthetic.csv``, what each edit was made
    of, asked for and rated; ``sheet.png``, sources beside edits; and ``augment.json`` and
    ``augment.jsonl``, what was asked for and what is done. Where a crop is asked for, the real
    pictures are written cropped too, into ``originals``, as one training knows one crop only.

    Args:
        editor: Makes the edits.
        source: The training set.
        output: A folder on this machine, new, or one that this was stopped in.
        options: What to do.
        scorer: Q, if the edits are to be rated.
        bar: Given what is counted, returns what shows how far it is.

    Returns:
        The edits, and a report: counts per class before and after, what was rejected and what
        could not be filled.

    Raises:
        UserError: Options, manifest, model or folder cannot be used, or nothing is to be done.
        ImageError: A picture cannot be decoded.
        StorageError: A picture cannot be read, or the folder not be written.
    """
    options.check()
    _check(editor, scorer, source, output, options)
    manifest = read_manifest(source.manifest, source.data_dir or None, options.seed)
    if manifest.problems:
        raise ManifestError(manifest.problems)
    refuse_crop([row.file for row in manifest.rows], parse_crop(source.crop))
    tries = options.tries if options.quality_above else 1
    wants, notes = PLANS[options.policy](manifest.rows, editor, options.seed, tries)
    base = source.data_dir or os.path.dirname(source.manifest) or "."
    settings = _settings(editor, scorer, source, options, manifest, base)
    work = _Work(
        editor,
        scorer,
        options,
        manifest.rows,
        parse_crop(source.crop),
        output,
        Journal(output, "augment", settings, _OTHER),
    )
    made, rejected = work.fill(wants, bar("editing"))
    if source.crop:
        work.crop_originals(bar("cropping"))
    work.close()
    told = [*manifest.notes, *notes]
    report = conclude(manifest, wants, made, rejected, told, output, work.picture, source.crop)
    edits = tuple(edit for of_want in made for edit in of_want)
    return Augmented(edits, report, (*lacking(wants, made), *notes))


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
    base: str,
) -> dict[str, Any]:
    """Returns what the files of the output depend on, besides the files of the pictures."""
    return {
        **dataclasses.asdict(options),
        "crop": source.crop,
        "model": editor.sha256,
        "quality_model": scorer.sha256 if scorer else "",
        "pictures": digest(real(base)),
        "labels": digest(
            [dataclasses.astuple(dataclasses.replace(row, file="")) for row in manifest.rows]
        ),
    }


class _Work:
    """The work of an augmentation, batch by batch, each written down when it is done.

    What a batch holds follows from what became of those before it. So it is found again after a
    stop, and where a picture has changed meanwhile, the batches from there on are others.
    """

    def __init__(
        self,
        editor: Editor,
        scorer: Scorer | None,
        options: AugmentOptions,
        rows: Sequence[Row],
        crop: images.Crop | None,
        output: str,
        journal: Journal,
    ) -> None:
        self._editor = editor
        self._scorer = scorer
        self._options = options
        self._rows = rows
        self._crop = crop
        self._output = output
        self._journal = journal
        self._batches = 0
        self._written: set[str] = set()
        self._began = False

    def fill(
        self, wants: Sequence[Want], on_progress: OnProgress
    ) -> tuple[list[list[Made]], list[int]]:
        """Makes what is wanted; returns it, and how many edits were rejected, for each want.

        In each round every want tries as many candidates as it still lacks.
        """
        made: list[list[Made]] = [[] for _ in wants]
        tried = [0] * len(wants)
        number, total, settled = 0, sum(want.count for want in wants), 0
        on_progress(0, total)
        while True:
            asked = []
            for place, want in enumerate(wants):
                missing = want.count - len(made[place])
                following = want.candidates[tried[place] : tried[place] + missing]
                asked += [(place, edit) for edit in following]
                tried[place] += len(following)
            if not asked:
                break
            for start in range(0, len(asked), self._options.batch_size):
                batch = asked[start : start + self._options.batch_size]
                edits = [edit for _, edit in batch]
                for (place, edit), outcome in zip(batch, self._edited(edits, number)):
                    if outcome["kept"]:
                        path = f"{IMAGES}/{numbered(number)}"
                        made[place].append(Made(path, edit, outcome["rating"]))
                        self._written.add(path)
                        settled += 1
                    number += 1
                on_progress(settled, total)
        if settled < total:
            on_progress(total, total)
        return made, [count - len(kept) for count, kept in zip(tried, made)]

    def crop_originals(self, on_progress: OnProgress) -> None:
        """Writes every picture of the manifest as training would see it."""
        size = self._options.batch_size
        for start in range(0, len(self._rows), size):
            places = range(start, min(start + size, len(self._rows)))
            names = [f"{ORIGINALS}/{numbered(place)}" for place in places]
            self._written.update(names)

            def write(places: Sequence[int] = places, names: Sequence[str] = names) -> Outcomes:
                for place, name in zip(places, names):
                    self._save(name, self.picture(place))
                return [{} for _ in names]

            self._once(places, names, {}, write)
            on_progress(places[-1] + 1, len(self._rows))

    def close(self) -> None:
        """Leaves no picture of what was asked for before pictures changed."""
        journal = self._journal
        journal.done = {part: done for part, done in journal.done.items() if part < self._batches}
        journal.close()
        for folder in (IMAGES, ORIGINALS):
            base = os.path.join(self._output, folder)
            for inside, _, names in os.walk(base):
                for name in names:
                    file = os.path.join(inside, name)
                    path = os.path.relpath(file, base)
                    # What others have put there stays.
                    if is_numbered(path) and f"{folder}/{path}" not in self._written:
                        os.remove(file)

    def picture(self, place: int) -> np.ndarray:
        """Returns the picture of a row as the editor gets it, uint8 [S,S,3]."""
        picture = images.decode(self._rows[place].file)
        return images.to_square(picture, self._editor.image_size, self._crop)

    def _edited(self, edits: Sequence[Edit], number: int) -> Outcomes:
        names = [f"{IMAGES}/{numbered(number + i)}" for i in range(len(edits))]

        def make() -> Outcomes:
            made = self._editor(
                np.stack([self.picture(edit.source) for edit in edits]),
                expression=[edit.expression for edit in edits],
                lighting=[edit.lighting for edit in edits],
            )
            ratings: list[float | None] = [None] * len(edits)
            if self._scorer:
                ratings = [round(float(rating), _DECIMALS) for rating in self._scorer(made)]
            outcomes = []
            for name, picture, rating in zip(names, made, ratings):
                # Q is not bounded to its scale: 0 is no threshold.
                kept = not self._options.quality_above or rating >= self._options.quality_above
                if kept:
                    self._save(name, picture)
                outcomes.append({"kept": kept, "rating": rating})
            return outcomes

        asked = [(edit.expression, edit.lighting) for edit in edits]
        return self._once([edit.source for edit in edits], names, asked, make)

    def _once(
        self, places: Sequence[int], names: Sequence[str], asked: Any, make: Callable[[], Outcomes]
    ) -> Outcomes:
        """Returns what became of a batch, and does it unless that was done of the same files."""
        part, self._batches = self._batches, self._batches + 1
        stamps = [stamp(self._rows[place].file) for place in places]
        inputs = digest([list(places), list(names), asked, stamps])
        before, outcomes = self._journal.done.get(part, ("", []))
        if before == inputs and all(
            os.path.exists(os.path.join(self._output, name))
            for name, outcome in zip(names, outcomes)
            if outcome.get("kept", True)
        ):
            return outcomes
        if not self._began:
            self._journal.begin()
            remove_leftovers(self._output, ())
            self._began = True
        outcomes = make()
        self._journal.add(part, inputs, outcomes)
        return outcomes

    def _save(self, name: str, picture: np.ndarray) -> None:
        storage.write_bytes(os.path.join(self._output, name), images.to_png(picture))
