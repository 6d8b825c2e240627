"""Answers: checked against the design, and read from wherever they were kept."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

from legan_tf.data import storage
from legan_tf.errors import UserError
from legan_tf.uses.study.config import MOST_RATERS
from legan_tf.uses.study.study_file import ANSWERS, Study

RATINGS = range(1, 11)
PERSON = re.compile(r"[0-9a-f]{12}")
"""What the page calls a person by itself, as two may be given one number."""

_LONGEST_MS = 7 * 24 * 3600 * 1000
_LATEST = 1 << 53  # Whole numbers beyond it are not exact in a browser.
_HIT_ANSWER = re.compile(r"Answer\.q([1-9][0-9]{0,4})")


@dataclasses.dataclass(frozen=True)
class Answer:
    """One answer of one person.

    Attributes:
        rater: Whose.
        list: Which list they were asked.
        trial: Place of the question there, from 0.
        value: The id of the picture chosen, or a rating.
        ms: How long it took, in milliseconds.
    """

    rater: str
    list: int
    trial: int
    value: str | int
    ms: float


@dataclasses.dataclass
class Collected:
    """What was found.

    Attributes:
        answers: The last one of each person to each question.
        notes: What was left out on the way, one sentence each.
    """

    answers: list[Answer]
    notes: list[str]


def problem_with(study: Study, rater: Any, record: Any) -> str:
    """Returns what is wrong with an answer; nothing if it can be kept.

    Args:
        study: The study that it should be of.
        rater: The person's number.
        record: Anything that JSON can hold; should have ``trial``, ``answer``, ``ms`` and ``at``.
    """
    if not _whole(rater, 1, MOST_RATERS):
        return f"The rater must be a number from 1 to {MOST_RATERS}."
    if not isinstance(record, dict):
        return "An answer must be an object."
    questions = study.lists[study.list_of(rater)]
    trial, answer = record.get("trial"), record.get("answer")
    if not _whole(trial, 0, len(questions) - 1):
        return f"The trial must be a number from 0 to {len(questions) - 1}."
    question = questions[trial]
    if question.is_choice and answer not in question.pictures:
        return f"The answer to question {trial + 1} must be one of its pictures."
    if not question.is_choice and not _whole(answer, RATINGS[0], RATINGS[-1]):
        return f"The answer to question {trial + 1} must be a number from 1 to 10."
    if not _whole(record.get("ms"), 0, _LONGEST_MS):
        return "The time that an answer took must be in whole milliseconds."
    if not _whole(record.get("at"), 0, _LATEST):
        return "The time of an answer must be in whole milliseconds."
    return ""


def read_answers(study: Study, places: str) -> Collected:
    """Reads the answers to a study.

    Of several answers of a person to one question the one given last counts, as people may go back;
    what is there twice, sent and downloaded, is the same.

    Args:
        study: The study.
        places: Files and folders, with commas between them: what the server wrote (``.jsonl``),
            what the page let download (``.json``), results of Mechanical Turk (``.csv``). Other
            files in folders are left out. If empty, what the server of this study wrote.

    Raises:
        UserError: A place is missing, a file that is named holds no answers of this study, or
            nothing was found at all. The message names it.
    """
    notes: list[str] = []
    if not places:
        places = os.path.join(study.folder, ANSWERS)
        if not os.path.isdir(places):
            raise UserError(
                f"{places}: is not there; nobody has answered yet, or name --answers elsewhere."
            )
    found: list[tuple[str, int, dict[str, Any]]] = []
    for place in filter(None, (part.strip() for part in places.split(","))):
        named = not os.path.isdir(place)
        for file in [place] if named else _files(place):
            reader = _READERS.get(os.path.splitext(file)[1].lower())
            if reader is None:
                raise UserError(f"--answers={file}: must be .jsonl, .json, .csv or a folder.")
            before = len(found)
            found += reader(study, file, storage.read_bytes(file), notes)
            if len(found) == before and named:
                why = f" {notes[-1]}" if notes else ""
                raise UserError(f"--answers={file}: holds no answer to {study.folder}.{why}")
    if not found:
        raise UserError(f"--answers={places}: holds no answer to {study.folder} yet.")
    last: dict[tuple[str, int, int], dict[str, Any]] = {}
    for rater, number, record in found:
        key = (rater, number, record["trial"])
        if key not in last or record["at"] >= last[key]["at"]:
            last[key] = record
    return Collected(
        [
            Answer(rater, number, trial, record["answer"], record["ms"])
            for (rater, number, trial), record in sorted(last.items(), key=lambda item: item[0])
        ],
        notes,
    )


def _whole(value: Any, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _files(folder: str) -> Iterator[str]:
    for inside, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            if os.path.splitext(name)[1].lower() in _READERS:
                yield os.path.join(inside, name)


_Found = Iterator[tuple[str, int, dict[str, Any]]]


def _of_person(study: Study, content: Any, record: Any, place: str, notes: list[str]) -> _Found:
    """Yields an answer with whose it is, or notes what is wrong with it."""
    rater, person = content.get("rater"), content.get("person")
    problem = problem_with(study, rater, record)
    if not isinstance(person, str) or not PERSON.fullmatch(person):
        problem = problem or "The person must be 12 digits and letters from a to f."
    if problem:
        notes.append(f"{place}: left out. {problem}")
    else:
        yield f"{rater}-{person}", study.list_of(rater), record


def _is_of(study: Study, content: Any, place: str, notes: list[str]) -> bool:
    if isinstance(content, dict) and content.get("study") == study.id:
        return True
    notes.append(f"{place}: left out. It is no answer to this study.")
    return False


def _of_server(study: Study, file: str, content: bytes, notes: list[str]) -> _Found:
    for line, text in enumerate(content.splitlines(), start=1):
        place = f"{file}:{line}"
        try:
            record = json.loads(text)
        except (ValueError, RecursionError):
            if text.strip():  # The server was killed while it wrote.
                notes.append(f"{place}: left out. The line is damaged.")
            continue
        if _is_of(study, record, place, notes):
            yield from _of_person(study, record, record, place, notes)


def _of_download(study: Study, file: str, content: bytes, notes: list[str]) -> _Found:
    try:
        said = json.loads(content)
    except (ValueError, RecursionError):
        notes.append(f"{file}: left out. The file is damaged.")
        return
    if _is_of(study, said, file, notes):
        answers = said.get("answers")
        for record in answers if isinstance(answers, list) else []:
            yield from _of_person(study, said, record, file, notes)


def _of_mturk(study: Study, file: str, content: bytes, notes: list[str]) -> _Found:
    try:
        rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    except (csv.Error, UnicodeDecodeError) as error:
        notes.append(f"{file}: left out. It is no CSV in UTF-8 ({error}).")
        return
    for line, row in enumerate(rows, start=2):
        place = f"{file}: line {line}"
        worker, number = row.get("WorkerId"), _number(row.get("Input.rater"))
        if not _is_of(study, {"study": row.get("Input.study")}, place, notes):
            continue
        if not worker or not isinstance(number, int):
            notes.append(f"{place}: left out. It names no WorkerId, or no number in Input.rater.")
        elif row.get("AssignmentStatus") == "Rejected":
            notes.append(f"{place}: left out. The assignment was rejected.")
        else:
            yield from _of_row(study, worker, number, row, place, notes)


def _of_row(
    study: Study, worker: str, number: int, row: Mapping[str, str], place: str, notes: list[str]
) -> _Found:
    for name, cell in row.items():
        match = _HIT_ANSWER.fullmatch(name or "")
        if not match or not cell:
            continue
        record = {
            "trial": int(match[1]) - 1,
            "answer": cell,
            "ms": _number(row.get(f"{name}_ms")),
            "at": 0,
        }
        questions = study.lists[study.list_of(number)] if number > 0 else []
        if record["trial"] < len(questions) and not questions[record["trial"]].is_choice:
            record["answer"] = _number(cell)
        problem = problem_with(study, number, record)
        if problem:
            notes.append(f"{place}: left out. {problem}")
        else:
            yield worker, study.list_of(number), record


def _number(text: str | None) -> int | None:
    """A whole number as tables have it, which may write 3 as 3.0."""
    try:
        value = float(text or "nan")
    except ValueError:
        return None
    return int(value) if math.isfinite(value) and value == int(value) else None


_READERS = {".jsonl": _of_server, ".json": _of_download, ".csv": _of_mturk}
