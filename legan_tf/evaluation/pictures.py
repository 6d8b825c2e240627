"""Pictures that another program made, against real ones."""

from __future__ import annotations

import hashlib
import os
import types
from collections.abc import Callable
from typing import Any

import numpy as np

from legan_tf.cli import counter
from legan_tf.data import images, storage
from legan_tf.errors import UserError
from legan_tf.evaluation.cache import Cache
from legan_tf.evaluation.config import EvaluationConfig
from legan_tf.evaluation.evaluate import data_of, faces_to_edit
from legan_tf.evaluation.figures import figures_of_set
from legan_tf.evaluation.instruments import SHARD, Looker, load_instruments
from legan_tf.evaluation.plan import ATTRIBUTES, draw_plan
from legan_tf.evaluation.report import write_report
from legan_tf.evaluation.sets import Reference
from legan_tf.files import make_writable


class PictureFolder:
    """The pictures of a folder, squares of one size, in the order of their names.

    Attributes:
        image_size: Height and width of each, in pixels.
        sha256: Of the content of all files.
    """

    def __init__(self, folder: str) -> None:
        """Reads every picture once, to tell what is wrong before hours of judging.

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

    def images(self, rows: slice) -> np.ndarray:
        """Returns pictures as uint8 [n,S,S,3]."""
        return np.stack([images.decode(path) for path in self._paths[rows]])


def evaluate_pictures(
    folder: str, output: str, config: EvaluationConfig | None = None
) -> dict[str, Any]:
    """Judges pictures by what needs no knowledge of how they were made, and writes the report.

    Args:
        folder: The pictures, squares of one size: of what the configuration names as data, edited.
        output: Folder of ``report.json`` and ``report.md``.
        config: The real pictures to compare with, and the networks that judge.

    Returns:
        What ``report.json`` holds: FID, KID and ratings, beside those of true pictures.

    Raises:
        UserError: The flags do not fit, ``output`` cannot be written to, or a picture cannot be
            used; the message names it.
        UnavailableError: A network needs tensorflow-gan, which does not work here.
    """
    config = config or EvaluationConfig()
    config.check()
    pictures = PictureFolder(folder)
    make_writable("output", output)
    cache = Cache(config.cache or os.path.join(output, "cache"))
    like = types.SimpleNamespace(image_size=pictures.image_size, expressions=(), lightings=())
    faces = faces_to_edit(like, config)
    # Only Q, and what FID needs, tells of pictures whose edits are not known.
    judges_dir = config.judges or os.path.join(output, "judges")
    tools = load_instruments(config, judges_dir, faces, kinds=["quality"])
    # The real pictures that the edits of an editor are compared with, too.
    targets = {name: np.arange(len(getattr(faces, f"{name}s"))) for name in ATTRIBUTES}
    plan = draw_plan(faces, targets, max(config.edits, len(pictures)), config.seed)
    # FID depends on how many pictures there are: as many true ones as were given.
    truth = plan.truth[plan.truth >= 0][: len(pictures)]
    real = {"truth": truth, "reference": plan.reference}
    count = counter(len(pictures) + sum(map(len, real.values())), "judging")
    looker = Looker(tools, cache, count)
    seen = {"edit": _look(looker, pictures.images, len(pictures))}
    for name, index in real.items():
        if len(index):
            seen[name] = _look(looker, lambda rows, i=index: faces.images(i[rows]), len(index))
    reference = Reference(seen.pop("reference")["features"], looker.cache)
    report = {
        "format": 2,
        "kind": "pictures",
        "model": {
            "name": os.path.basename(os.path.abspath(folder)),
            "path": folder,
            "sha256": pictures.sha256,
        },
        "data": {
            **data_of(faces, plan, config),
            "with_truth": len(real["truth"]),
        },
        "edits": len(pictures),
        "seed": config.seed,
        "networks": tools.descriptions,
        "missing": tools.missing(["quality"]),
        "doubts": tools.doubts,
        "figures": {},
        "intervals": {},
    }
    for name, row in seen.items():
        report["figures"][name], report["intervals"][name] = figures_of_set(
            row, reference, config.seed
        )
    return write_report(output, report)


def _look(
    looker: Looker, pictures: Callable[[slice], np.ndarray], count: int
) -> dict[str, np.ndarray]:
    parts = [looker.look(pictures(slice(i, i + SHARD))) for i in range(0, count, SHARD)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
