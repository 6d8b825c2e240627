"""Evaluation of a folder of pictures that another program made."""

from __future__ import annotations

import hashlib
import os
from typing import Any

import numpy as np

from legan_tf.command_line.cli import counter
from legan_tf.data import images, storage
from legan_tf.data.conditions import UNKNOWN
from legan_tf.errors import UserError
from legan_tf.evaluation.config import EvaluationConfig
from legan_tf.evaluation.edit_plan import draw_plan
from legan_tf.evaluation.evaluate import data_of, faces_to_edit, prepare
from legan_tf.evaluation.evaluator import Evaluator
from legan_tf.evaluation.judge_networks import load_judge_networks
from legan_tf.evaluation.metrics.feature_sets import resampled_units
from legan_tf.evaluation.report import write_report
from legan_tf.runtime.hardware import float32_arithmetic


class PictureFolder:
    """Square pictures of one size in a folder, sorted by name.

    Attributes:
        image_size: Height and width of each, in pixels.
        sha256: Of the content of all files.
    """

    def __init__(self, folder: str) -> None:
        """Reads every picture once, to find errors before hours of evaluation.

        Args:
            folder: Its subfolders are not searched, nor files whose name begins with a dot.

        Raises:
            UserError: There are fewer than two pictures, a file is none, or they are not squares
                of one size; the message names the file.
        """
        try:
            names = sorted(
                entry.name
                for entry in os.scandir(folder)
                if entry.is_file() and not entry.name.startswith(".")
            )
        except OSError as error:
            raise UserError(
                f"--pictures={folder}: cannot be read as a folder ({error.strerror})."
            ) from error
        if len(names) < 2:
            raise UserError(
                f"--pictures={folder}: holds {'one picture' if names else 'no pictures'}; two are "
                "the least that can be compared with others."
            )
        self._paths = [os.path.join(folder, name) for name in names]
        self.image_size = 0
        digest = hashlib.sha256()
        count = counter(len(self._paths), "reading")
        for path in self._paths:
            content = storage.read_bytes(path)
            height, width = images.decode(content, path).shape[:2]
            if width != height:
                raise UserError(
                    f"{path}: is {width} x {height} pixels; pictures must be square here."
                )
            self.image_size = self.image_size or width
            if width != self.image_size:
                raise UserError(
                    f"{path}: is {width} x {width} pixels, but {self._paths[0]} is "
                    f"{self.image_size} x {self.image_size}; the pictures of a set must have one "
                    "size."
                )
            digest.update(hashlib.sha256(content).digest())
            count(1)
        self.sha256 = digest.hexdigest()

    def __len__(self) -> int:
        """Returns the number of pictures."""
        return len(self._paths)

    def images(self, index: np.ndarray) -> np.ndarray:
        """Returns the pictures at ``index`` as uint8 [n,S,S,3]."""
        return np.stack([images.decode(self._paths[i]) for i in index])


@float32_arithmetic()
def evaluate_pictures(
    folder: str, output: str, config: EvaluationConfig | None = None
) -> dict[str, Any]:
    """Evaluates pictures whose requested edits are unknown, and writes the report.

    Args:
        folder: Square pictures of one size: edits of the data that the configuration names.
        output: Folder of ``report.json`` and ``report.md``.
        config: The real pictures to compare with, and the judge networks.

    Returns:
        The content of ``report.json``: FID, KID and ratings, beside those of true pictures.

    Raises:
        UserError: The flags do not fit, ``output`` cannot be written to, or a picture cannot be
            used; the message names it.
        UnavailableError: A network needs tensorflow-gan, which does not work here.
    """
    config, cache = prepare(output, config)
    pictures = PictureFolder(folder)
    faces = faces_to_edit(config, pictures.image_size)
    # Only Q and the network of FID need no knowledge of the edits.
    judges_dir = config.judges or os.path.join(output, "judges")
    networks = load_judge_networks(config, judges_dir, faces, kinds=["quality"])
    # The same real pictures as for the edits of an editor.
    every = {one.name: np.arange(one.size) for one in faces.conditions}
    plan = draw_plan(faces, every, max(config.edits, len(pictures)), config.seed)
    # FID depends on the number of pictures: as many true ones as were given.
    truth = plan.truth[plan.truth >= 0][: len(pictures)]
    real = {"truth": truth, "reference": plan.reference}
    progress = counter(len(pictures) + sum(map(len, real.values())), "judging")
    evaluator = Evaluator(networks, cache, progress)
    found = {"edit": evaluator.predict_all(pictures.images, np.arange(len(pictures)))}
    for name, index in real.items():
        if len(index):
            found[name] = evaluator.predict_all(faces.images, index)
    reference = found.pop("reference")["features"]
    report: dict[str, Any] = {
        "format": 2,
        "kind": "pictures",
        "model": {
            "name": os.path.basename(os.path.abspath(folder)),
            "path": folder,
            "sha256": pictures.sha256,
        },
        "data": {**data_of(faces, plan, config), "with_truth": len(truth)},
        "edits": len(pictures),
        "seed": config.seed,
        "networks": networks.descriptions,
        "missing": networks.missing(["quality"]),
        "doubts": networks.doubts,
        "figures": {},
        "intervals": {},
        "resampled": {},
    }
    people = {"edit": np.full(len(pictures), UNKNOWN), "truth": faces.identity[truth]}
    for name, row in found.items():
        shown = people[name], faces.identity[plan.reference]
        report["figures"][name], report["intervals"][name] = evaluator.metrics_of_row(
            row, {"reference_features": reference}, config.seed, shown
        )
        report["resampled"][name] = resampled_units(shown)
    return write_report(output, report)
