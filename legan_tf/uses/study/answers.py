"""Answers to a study: checks, and reading from the server, downloads and Mechanical Turk."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import os
import re
from collections.abc import Iterator
from typing import Any

from legan_tf.data import storage
from legan_tf.errors import UserError
from legan_tf.uses.study.config import MAX_RATERS
from legan_tf.uses.study.study_file import ANSWERS, Answer, Study

RATINGS = range(1, 11)
PERSON = re.compile(r"[0-9a-f]{12}")
"""A token drawn by the page, since two people may get one rater number."""

_MAX_MS = 7 * 24 * 3600 * 1000
_MAX_TIME = 1 << 53  # Whole numbers beyond it are not exact in a browser.
_HIT_ANSWER = re.compile(r"Answer\.q([1-9][0-9]{0,4})")


@dataclasses.dataclass
class Collected:
    """All answers to a study.

    Attributes:
        answers: The last answer of each rater to each question.
        notes: A sentence on each answer or file that was left out.
    """

    answers: list[Answer]
    notes: list[str]


def problem_with(study: Study, rater: Any, record: Any) -> str:
    """Returns the reason why an answer is invalid; empty if it is valid.

    Args:
        study: The study.
        rater: Number of the rater.
        record: A value from JSON; should have ``trial``, ``answer``, ``ms`` and ``at``.
    """
    if not _is_int(rater, 1, MAX_RATERS):
        return f"The rater must be a number from 1 to {MAX_RATERS}."
    if not isinstance(record, dict):
        return "An answer must be an object."
    questions = study.lists[study.list_of(rater)]
    trial, answer = record.get("trial"), record.get("answer")
    if not _is_int(trial, 0, len(questions) - 1):
        return f"The trial must be a number from 0 to {len(questions) - 1}."
    question = questions[trial]
    if question.is_choice and answer not in question.pictures:
        return f"The answer to question {trial + 1} must be one of its pictures."
    if not question.is_choice and not _is_int(answer, RATINGS[0], RATINGS[-1]):
        return f"The answer to question {trial + 1} must be a number from 1 to 10."
    if not _is_int(record.get("ms"), 0, _MAX_MS):
        return "The time that an answer took must be in whole milliseconds."
    if not _is_int(record.get("at"), 0, _MAX_TIME):
        return "The time of an answer must be in whole milliseconds."
    return ""


def read_answers(study: Study, places: str) -> Collected:
    """Reads the answers to a study.

    The last answer of a rater to a question counts, since raters may go back.

    Args:
        study: The study.
        places: Files and folders, separated by commas: answers stored by the server (``.jsonl``),
            downloaded from the page (``.json``), or of Mechanical Turk (``.csv``); other files in
            folders are ignored. If empty, the answers stored by the server of this study.

    Raises:
        UserError: A place is missing, a named file has no answers to this study, or there are no
            answers at all. The message names it.
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
    # Sorting is stable: of two answers given at one time, the one that was read later counts.
    found.sort(key=lambda answer: answer[2]["at"])
    last = {(rater, number, record["trial"]): record for rater, number, record in found}
    return Collected(
        [
            Answer(rater, number, trial, record["answer"], record["ms"])
            for (rater, number, trial), record in sorted(last.items(), key=lambda item: item[0])
        ],
        notes,
    )


def _is_int(value: Any, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _files(folder: str) -> Iterator[str]:
    for inside, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            if os.path.splitext(name)[1].lower() in _READERS:
                yield os.path.join(inside, name)


_Found = Iterator[tuple[str, int, dict[str, Any]]]


def _of_person(study: Study, content: Any, record: Any, place: str, notes: list[str]) -> _Found:
    """Yields rater, list and answer, or notes why the answer is invalid."""
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
            if text.strip():  # Else the server was killed while writing.
                notes.append(f"{place}: left out. The line is damaged.")
            continue
        if _is_of(study, record, place, notes):
            yield from _of_person(study, record, record, place, notes)


def _of_download(study: Study, file: str, content: bytes, notes: list[str]) -> _Found:
    try:
        download = json.loads(content)
    except (ValueError, RecursionError):
        notes.append(f"{file}: left out. The file is damaged.")
        return
    if _is_of(study, download, file, notes):
        answers = download.get("answers")
        for record in answers if isinstance(answers, list) else []:
            yield from _of_person(study, download, record, file, notes)


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
            for name, cell in row.items():
                match = _HIT_ANSWER.fullmatch(name or "")
                if match and cell:
                    rating, ms = _number(cell), _number(row.get(f"{name}_ms"))
                    answer = cell if rating is None else rating
                    record = {"trial": int(match[1]) - 1, "answer": answer, "ms": ms, "at": 0}
                    problem = problem_with(study, number, record)
                    if problem:
                        notes.append(f"{place}: left out. {problem}")
                    else:
                        yield worker, study.list_of(number), record


def _number(text: str | None) -> int | None:
    """The integer in a cell, which spreadsheets may write as 3.0; None if it is no integer."""
    try:
        value = float(text or "nan")
    except ValueError:
        return None
    return int(value) if value.is_integer() else None


_READERS = {".jsonl": _of_server, ".json": _of_download, ".csv": _of_mturk}
