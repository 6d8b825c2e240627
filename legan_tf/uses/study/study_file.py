"""The file ``study.json``: the meaning of the opaque names of a study, and all questions."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from legan_tf.data import storage
from legan_tf.errors import UserError
from legan_tf.uses.study.design import Question

STUDY_FILE = "study.json"
PAGE = "page"
PICTURES = "pictures"
ANSWERS = "answers"
MTURK = "mturk"

_FORMAT = 1


@dataclasses.dataclass(frozen=True)
class Answer:
    """An answer of a rater.

    Attributes:
        rater: The rater.
        list: Index of the rater's list.
        trial: Index of the question in the list.
        value: Id of the image chosen, or a rating.
        ms: Response time in milliseconds.
    """

    rater: str
    list: int
    trial: int
    value: str | int
    ms: float


@dataclasses.dataclass(frozen=True)
class Picture:
    """An image of the page.

    Attributes:
        model: The model that made it; ``real`` or ``broken`` for a control.
        source: Path of the original file in its folder, without the suffix.
        file: The original file; for ``broken``, the real image that was damaged.
        control: Whether it is a control.
    """

    model: str
    source: str
    file: str
    control: bool = False


@dataclasses.dataclass(frozen=True)
class Study:
    """A study.

    Attributes:
        folder: Its folder.
        id: Its opaque name, which every answer contains.
        options: The options that it was built with.
        models: The models, in order.
        pictures: The images by id.
        lists: The questions of each list; rater n gets list (n - 1) modulo their number.
    """

    folder: str
    id: str
    options: Mapping[str, Any]
    models: tuple[str, ...]
    pictures: Mapping[str, Picture]
    lists: Sequence[Sequence[Question]]

    def list_of(self, rater: int) -> int:
        """Returns the index of the list of a rater; raters are counted from 1."""
        return (rater - 1) % len(self.lists)

    def question(self, answer: Answer) -> Question:
        """Returns the question that was answered."""
        return self.lists[answer.list][answer.trial]

    def shown(self, answer: Answer) -> Picture:
        """Returns the first image of the question that was answered."""
        return self.pictures[self.question(answer).pictures[0]]

    def to_json(self) -> bytes:
        """Returns the content of ``study.json``."""
        content = {
            "format": _FORMAT,
            "study": self.id,
            "options": dict(self.options),
            "models": list(self.models),
            "pictures": {name: dataclasses.asdict(p) for name, p in self.pictures.items()},
            "lists": [[dataclasses.asdict(q) for q in questions] for questions in self.lists],
        }
        return json.dumps(content).encode() + b"\n"


def read_study(folder: str) -> Study:
    """Reads ``study.json`` from the folder of a study.

    Raises:
        UserError: There is none, or it is damaged; the message names --study.
    """
    file = os.path.join(folder, STUDY_FILE)
    if not os.path.isfile(file):
        raise UserError(
            f"--study={folder}: holds no {STUDY_FILE}; name what `study.py make` wrote as --output."
        )
    try:
        content = json.loads(storage.read_bytes(file))
        if content["format"] != _FORMAT:
            raise UserError(f"{file}: is of another version of this program; make the study anew.")
        return Study(
            folder,
            content["study"],
            content["options"],
            tuple(content["models"]),
            {name: Picture(**picture) for name, picture in content["pictures"].items()},
            [
                [Question(tuple(q["pictures"]), q["role"]) for q in questions]
                for questions in content["lists"]
            ],
        )
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(
            f"{file}: is damaged ({error!r}); restore it or make the study anew."
        ) from error
