"""The key of a study: what the opaque names stand for, and what everybody is asked."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from legan_tf.data import storage
from legan_tf.errors import UserError
from legan_tf.uses.study.design import Question

KEY_FILE = "study.json"
PAGE = "page"
PICTURES = "pictures"
ANSWERS = "answers"
MTURK = "mturk"

_FORMAT = 1


@dataclasses.dataclass(frozen=True)
class Picture:
    """What a picture of the page is.

    Attributes:
        model: Who made it; ``real`` or ``broken`` of a control.
        source: What it was made of: the file's path in its folder, without the suffix.
        file: Where it comes from; of ``broken``, the real picture that was damaged.
        control: Whether it is one.
    """

    model: str
    source: str
    file: str
    control: bool = False


@dataclasses.dataclass(frozen=True)
class Study:
    """A study as its key tells it.

    Attributes:
        folder: Where it is.
        id: Its opaque name, which every answer carries.
        options: How it was made.
        models: The models, in order.
        pictures: By id.
        lists: The questions of each list; person n gets list (n - 1) modulo their number.
    """

    folder: str
    id: str
    options: Mapping[str, Any]
    models: tuple[str, ...]
    pictures: Mapping[str, Picture]
    lists: Sequence[Sequence[Question]]

    def list_of(self, rater: int) -> int:
        """Returns which list person ``rater``, counted from 1, is asked."""
        return (rater - 1) % len(self.lists)


def to_json(study: Study) -> bytes:
    """Returns the content of ``study.json``."""
    content = {
        "format": _FORMAT,
        "study": study.id,
        "options": dict(study.options),
        "models": list(study.models),
        "pictures": {name: dataclasses.asdict(p) for name, p in study.pictures.items()},
        "lists": [[_as_json(question) for question in questions] for questions in study.lists],
    }
    return json.dumps(content).encode() + b"\n"


def read_study(folder: str) -> Study:
    """Reads the key of a study.

    Raises:
        UserError: There is none, or it is damaged; the message names --study.
    """
    file = os.path.join(folder, KEY_FILE)
    if not os.path.isfile(file):
        raise UserError(
            f"--study={folder}: holds no {KEY_FILE}; name what `study.py make` wrote as --output."
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
            [[_question(q) for q in questions] for questions in content["lists"]],
        )
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(
            f"{file}: is damaged ({error!r}); restore it or make the study anew."
        ) from error


def _as_json(question: Question) -> dict[str, Any]:
    return {name: value for name, value in dataclasses.asdict(question).items() if value != -1}


def _question(value: Mapping[str, Any]) -> Question:
    return Question(**{**value, "pictures": tuple(value["pictures"])})
