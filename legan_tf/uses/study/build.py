"""Builds a study from folders of images: page, files for Mechanical Turk, and ``study.json``."""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import os
import tempfile
from collections.abc import Mapping

import numpy as np

from legan_tf.command_line.cli import bar
from legan_tf.data import images, parallel, storage
from legan_tf.data.drop_report import DropReport
from legan_tf.data.file_tree import scan
from legan_tf.data.output_folder import folder_problem
from legan_tf.data.rendered.damage import DAMAGES
from legan_tf.errors import UserError
from legan_tf.evaluation.comparison_inputs import parse_models
from legan_tf.uses.study.config import StudyOptions
from legan_tf.uses.study.design import (
    ASKED,
    BROKEN,
    CONTROLS,
    REAL,
    REPEAT,
    Control,
    controls_needed,
    draw_lists,
    plan_raters,
)
from legan_tf.uses.study.page_files import mturk_files, page_files, paragraphs
from legan_tf.uses.study.study_file import MTURK, PAGE, PICTURES, STUDY_FILE, Picture, Study

MAX_MODELS = 9
_ID_LENGTH = 12
_FILE_TIME = 946_684_800
"""Modification time of all files of the page: their order would reveal the models."""
CONTROL_DAMAGE = {"warp": 1.0, "blobs": 1.0, "seam": 1.0, "noise": 0.7}
"""Severities of the damage that makes a real image of a control look unnatural."""


def build_study(models: str, output: str, options: StudyOptions) -> str:
    """Builds a study; the folder appears when it is complete.

    Args:
        models: ``NAME=FOLDER,NAME=FOLDER``; images with the same relative path, apart from the
            suffix, are of one source.
        output: Folder to write; must not exist, or be empty.
        options: The options.

    Returns:
        A summary to print.

    Raises:
        UserError: A flag does not fit, or an image cannot be used; the message names it.
        ImageError: A file is not an image.
    """
    options.check()
    folders = _folders(models, options)
    problem = folder_problem(output)
    if os.path.isdir(output) and os.listdir(output):
        problem = f"--output={output}: holds other files already; name a new folder."
    if problem:
        raise UserError(problem)
    instructions = _instructions(options.instructions)
    dropped = DropReport()
    found = {name: _list_sources(folder, "models", dropped) for name, folder in folders.items()}
    sources = _common_sources(found, dropped)
    raters, choices, ratings = plan_raters(options, len(found), len(sources))
    needed = controls_needed(options, choices), controls_needed(options, ratings)
    real = _real_images(options, *needed, dropped) if any(needed) else {}

    edits: dict[str, dict[str, str]] = {name: {} for name in found}
    known: dict[str, Picture] = {}
    for name, files in found.items():
        for source in sources:
            edits[name][source] = _id(options.seed, files[source], "model", name, source)
            known[edits[name][source]] = Picture(name, source, os.path.abspath(files[source]))
    controls = []
    for source, file in real.items():
        names = [
            _id(options.seed, file, "control", str(number), source)
            for number in range(max(2, len(found)))
        ]
        controls.append(Control(names[0], tuple(names[1:])))
        for kind, name in zip([REAL] + [BROKEN] * len(names), names):
            known[name] = Picture(kind, source, os.path.abspath(file), control=True)
    lists = draw_lists(edits, controls, raters, options)
    shown = {picture for questions in lists for q in questions for picture in q.pictures}
    known = {name: picture for name, picture in known.items() if name in shown}
    settings = {"models": folders, **dataclasses.asdict(options)}
    study = Study("", "", settings, tuple(found), known, lists)
    size, resized = _write(study, output, instructions)
    pixels = f"{len(sources)} sources, models {', '.join(found)}, {size} x {size} pixels."
    notes = [f"{resized} pictures had another size and were cut and resized."] if resized else []
    return "\n".join([f"{output}: {pixels}", *_summary(study, output), *notes, *dropped.lines()])


def _folders(models: str, options: StudyOptions) -> dict[str, str]:
    folders = {}
    for name, paths in parse_models(models).items():
        if len(paths) > 1:
            raise UserError(
                f"--models: {name} has {len(paths)} folders; a study asks about one each."
            )
        folders[name] = paths[0]
    if len(folders) > MAX_MODELS:
        raise UserError(
            f"--models: {len(folders)} models are too many for a study; give {MAX_MODELS} at most."
        )
    if len(folders) < 2 and options.questions != "rating":
        raise UserError(
            f"--questions={options.questions}: a choice needs two models or more; give more in "
            "--models, or --questions=rating."
        )
    return folders


def _instructions(file: str) -> tuple[str, ...]:
    if not file:
        return ()
    try:
        text = storage.read_bytes(file).decode("utf-8-sig")
    except storage.StorageError as error:
        raise UserError(f"--instructions={error}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"--instructions={file}: is not UTF-8; save it as plain text.") from error
    found = paragraphs(text)
    if not found:
        raise UserError(
            f"--instructions={file}: is empty; write what raters should read, or leave it out."
        )
    return found


def _list_sources(folder: str, flag: str, dropped: DropReport) -> dict[str, str]:
    """Full paths of the images of a folder, by their source: the relative path without suffix."""
    found: dict[str, str] = {}
    tree = scan(folder, flag, dropped)
    for path in tree.pictures(dropped):
        source = os.path.splitext(path)[0]
        try:
            os.path.abspath(tree.full(path)).encode()
        except UnicodeEncodeError as error:
            raise UserError(
                f"--{flag}: the name {ascii(tree.full(path))} is not UTF-8; rename the file."
            ) from error
        if source in found:
            raise UserError(
                f"--{flag}={folder}: {os.path.basename(found[source])} and {path} differ in their "
                "suffix only; keep one."
            )
        found[source] = tree.full(path)
    if not found:
        raise UserError(f"--{flag}={folder}: there is no picture in it, or below.")
    return found


def _common_sources(found: Mapping[str, Mapping[str, str]], dropped: DropReport) -> list[str]:
    """The sources that all models have images of."""
    everything = sorted({source for files in found.values() for source in files})
    shared = []
    for source in everything:
        lacking = [name for name, files in found.items() if source not in files]
        if lacking:
            dropped.drop("not there of every model", f"{source} (none of {lacking[0]})")
        else:
            shared.append(source)
    if not shared:
        raise UserError(
            "--models: no file name is in the folders of all models; pictures of a source must be "
            f"called alike, as {everything[0]} is not."
        )
    return shared


def _real_images(
    options: StudyOptions, choices: int, ratings: int, dropped: DropReport
) -> dict[str, str]:
    found = _list_sources(options.real, "real", dropped)
    needed = max(choices, ratings)
    if len(found) < needed:
        raise UserError(
            f"--real={options.real}: has {len(found)} pictures where one person is shown {needed}; "
            "add some, or lower --controls."
        )
    rng = np.random.default_rng([7102, options.seed])
    names = sorted(found)
    # More than one rater sees, so that raters see different ones.
    return {
        names[i]: found[names[i]] for i in rng.permutation(len(names))[: 4 * (choices + ratings)]
    }


def _id(seed: int, file: str, *parts: str) -> str:
    """An opaque name that sorts at random and cannot be computed without the file."""
    text = "\0".join((str(seed), *parts, hashlib.sha256(storage.read_bytes(file)).hexdigest()))
    return _opaque("p", text)


def _opaque(letter: str, text: str) -> str:
    """A checksum after a letter: spreadsheets read some hexadecimal names as numbers."""
    return letter + hashlib.sha256(text.encode()).hexdigest()[:_ID_LENGTH]


def _write(study: Study, output: str, instructions: tuple[str, ...]) -> tuple[int, int]:
    """Writes everything to a temporary folder and renames it.

    Returns:
        The size of the images, and how many were resized to it.
    """
    parent = os.path.dirname(os.path.abspath(output))
    url = study.options["image_url"].rstrip("/")
    try:
        os.makedirs(parent, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".study-", dir=parent) as temporary:
            folder = os.path.join(temporary, "study")
            page = os.path.join(folder, PAGE)
            size, resized = _write_pictures(study, os.path.join(page, PICTURES))
            # Depends on the questions and the images, so that other answers are not accepted.
            study = dataclasses.replace(study, id=_opaque("s", repr(study.lists)))
            contents = {folder: {STUDY_FILE: study.to_json()}}
            contents[page] = page_files(study.id, study.lists, instructions)
            if url:
                of_turk = mturk_files(study.id, study.lists, instructions, url)
                contents[os.path.join(folder, MTURK)] = of_turk
            for inside, files in contents.items():
                for name, content in files.items():
                    storage.write_bytes(os.path.join(inside, name), content)
            for inside, _, names in os.walk(page, topdown=False):
                for path in (*(os.path.join(inside, name) for name in names), inside):
                    os.utime(path, (_FILE_TIME, _FILE_TIME))
            os.replace(folder, output)  # Replaces an empty folder, too.
    except OSError as error:
        raise UserError(f"--output={output}: cannot be written ({error.strerror}).") from error
    return size, resized


def _write_pictures(study: Study, folder: str) -> tuple[int, int]:
    """Writes all images as PNGs of one size without metadata.

    Returns:
        The size, and how many images were resized to it.
    """
    first = next(iter(study.pictures.values())).file
    size = study.options["image_size"] or min(images.decode(first).shape[:2])

    def write(item: tuple[str, Picture]) -> bool:
        name, picture = item
        decoded = images.decode(picture.file)
        other = decoded.shape[:2] != (size, size)
        shown = images.to_square(decoded, size) if other else decoded
        if picture.model == BROKEN and picture.control:
            shown = damaged(shown, np.random.default_rng([7103, int(name[1:], 16)]))
        images.save_png(os.path.join(folder, f"{name}.png"), shown)
        return other

    return size, sum(parallel.in_threads(write, list(study.pictures.items()), bar("pictures")))


def damaged(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns an image with the damage of ``CONTROL_DAMAGE``.

    Args:
        picture: uint8 [H, W, 3].
        rng: Generator of the damage.

    Returns:
        uint8 [H, W, 3].
    """
    image = picture.astype(np.float32) / 255
    for kind, severity in CONTROL_DAMAGE.items():
        image = DAMAGES[kind](image, severity, rng)
    return np.round(255 * np.clip(image, 0, 1)).astype(np.uint8)


def _summary(study: Study, output: str) -> list[str]:
    roles = collections.Counter(q.role for questions in study.lists for q in questions)
    lengths = sorted({len(questions) for questions in study.lists})
    page = os.path.join(output, PAGE)
    lines = [
        f"{len(study.lists)} raters, {' to '.join(map(str, lengths[:: len(lengths) - 1 or 1]))} "
        f"questions each; in all {roles[ASKED]} that count, {roles[REPEAT]} repeats, "
        f"{sum(roles[role] for role in CONTROLS)} controls.",
        f"To ask over a network: python scripts/study.py serve --study={output}",
        f"To ask by mail: send {page} as an archive, and to each person another number.",
    ]
    if study.options["image_url"]:
        lines.append(
            f"To ask at Mechanical Turk: {os.path.join(output, MTURK)}, and the pictures of {page} "
            f"at {study.options['image_url']}."
        )
    if not study.options["real"]:
        lines.append("Without --real there are no controls: careless raters are harder to tell.")
    if not study.options["instructions"]:
        lines.append("--instructions=FILE says who asks, why, and what becomes of the answers.")
    return [*lines, f"Keep {os.path.join(output, STUDY_FILE)} to yourself: it is the key."]
