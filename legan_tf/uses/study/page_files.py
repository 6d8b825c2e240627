"""Files shown to raters: the page, and the layout and table for Mechanical Turk."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Sequence
from typing import Any

from legan_tf.data import csv_text
from legan_tf.uses.study.design import Question

HIT_COLUMNS = ("study", "rater", "image_url", "questions")
"""The variables of Mechanical Turk's layout, and the columns of its table."""

_TEMPLATES = pathlib.Path(__file__).parent / "page"
_INSTRUCTIONS = (
    "You will see pictures of faces. Some are photographs, others were made or changed by a "
    "computer. You are asked how natural they look.",
    "There is no time limit, but do not think long: the first impression counts. Please look at "
    "every picture anew, whatever you said before.",
    "Taking part is voluntary, and you may stop at any time. Your answers, and the time that each "
    "took, are stored under a number and without your name.",
)


def paragraphs(text: str) -> tuple[str, ...]:
    """Returns the paragraphs of a plain text, separated by empty lines."""
    parts = (" ".join(part.split()) for part in text.replace("\r\n", "\n").split("\n\n"))
    return tuple(part for part in parts if part)


def page_files(
    study: str, lists: Sequence[Sequence[Question]], instructions: Sequence[str]
) -> dict[str, bytes]:
    """Returns the files of the page except the images, by name.

    Args:
        study: Id of the study.
        lists: The questions of each list.
        instructions: Paragraphs before the first question; a general text if empty.
    """
    data = {
        "study": study,
        "instructions": list(instructions or _INSTRUCTIONS),
        "lists": [[list(question.pictures) for question in questions] for questions in lists],
    }
    return {
        "index.html": _render("index.html").encode(),
        "study.js": f"const STUDY = {_script_json(data)};\n".encode(),
    }


def mturk_files(
    study: str,
    lists: Sequence[Sequence[Question]],
    instructions: Sequence[str],
    image_url: str,
) -> dict[str, bytes]:
    """Returns the layout for Mechanical Turk and the table of its variables, by name.

    Args:
        study: Id of the study.
        lists: The questions of each list, which is a row of the table.
        instructions: As for ``page_files``.
        image_url: URL of the folder of the images, without a slash at the end.
    """
    data = {"instructions": list(instructions or _INSTRUCTIONS)}
    layout = _render("mturk.html").replace("/*DATA*/", f"const STUDY = {_script_json(data)};")
    rows = [
        (study, rater, image_url, " ".join(".".join(question.pictures) for question in questions))
        for rater, questions in enumerate(lists, start=1)
    ]
    return {"layout.html": layout.encode(), "hits.csv": csv_text.to_bytes(HIT_COLUMNS, rows)}


def _render(name: str) -> str:
    """A template with the style, elements and program that both pages share."""
    text = (_TEMPLATES / name).read_text(encoding="utf-8")
    for mark, file in (
        ("/*STYLE*/", "study.css"),
        ("<!--ELEMENTS-->", "elements.html"),
        ("/*PROGRAM*/", "study.js"),
    ):
        text = text.replace(mark, (_TEMPLATES / file).read_text(encoding="utf-8").rstrip())
    return text


def _script_json(data: Any) -> str:
    """JSON for a script within HTML: escapes what would end the script or be a layout variable."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&$\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
