"""Answers to a study: checks, and reading from the server, downloads and Mechanical Turk."""

from __future__ import annotations

import dataclasses
import json
import os
import re
from collections.abc import Iterator
from typing import Any, Optional

from legan_tf.command_line.options import listed
from legan_tf.data import csv_text, storage
from legan_tf.data.file_tree import suffix
from legan_tf.errors import UserError
from legan_tf.uses.study.config import MAX_RATERS
from legan_tf.uses.study.study_file import ANSWERS, Answer, Study

RATINGS = range(1, 11)
PERSON = re.compile(r"[0-9a-f]{12}")
"""A token drawn by the page, since two people may get one rater number."""

_MAX_MS = 7 * 24 * 3600 * 1000
_MAX_TIME = 1 << 53  # Whole numbers beyond it are not exact in a browser.
_HIT_ANSWER = re.compile(r"answer\.q([1-9][0-9]{0,4})")


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
    if not isinstance(trial, int) or not _is_int(trial, 0, len(questions) - 1):
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
    if not places:
        places = os.path.join(study.folder, ANSWERS)
        if not os.path.isdir(places):
            raise UserError(
                f"{places}: is not there; nobody has answered yet, or name --answers elsewhere."
            )
    notes: list[str] = []
    found: list[tuple[str, int, dict[str, Any]]] = []
    for place in listed(places):
        named = not os.path.isdir(place)
        for file in [place] if named else _files(place):
            reader = _READERS.get(suffix(file))
            if reader is None:
                raise UserError(f"--answers={file}: must be .jsonl, .json, .csv or a folder.")
            before = len(found)
            for where, worker, said, record in reader(file):
                problem = _problem(study, worker, said, record)
                if problem:
                    notes.append(f"{where}: left out. {problem}")
                else:
                    rater = said["rater"]
                    name = worker or f"{rater}-{said['person']}"
                    found.append((name, study.list_of(rater), record))
            if len(found) == before and named:
                why = f" {notes[-1]}" if notes else ""
                raise UserError(f"--answers={file}: holds no answer to {study.folder}.{why}")
    if not found:
        raise UserError(f"--answers={places}: holds no answer to {study.folder} yet.")
    # Sorting is stable: of two answers given at one time, the one that was read later counts.
    found.sort(key=lambda answer: answer[2]["at"])
    last = {(rater, number, record["trial"]): record for rater, number, record in found}
    return Collected(
        [Answer(*key, record["answer"], record["ms"]) for key, record in sorted(last.items())],
        list(dict.fromkeys(notes)),
    )


def _problem(study: Study, worker: str | None, said: Any, record: Any) -> str:
    """Returns why an answer is left out; empty if it counts.

    Args:
        study: The study.
        worker: The worker of Mechanical Turk who gave it; None if it comes from the page.
        said: What comes with it: ``study``, ``rater``, and ``person`` or ``status``.
        record: See ``problem_with``.
    """
    if not isinstance(said, dict) or said.get("study") != study.id:
        return "It is damaged, or no answer to this study."
    if said.get("status") == "Rejected":
        return "The assignment was rejected."
    if worker == "":
        return "It names no WorkerId."
    if worker is None and not PERSON.fullmatch(str(said.get("person"))):
        return "The person must be 12 digits and letters from a to f."
    return problem_with(study, said.get("rater"), record)


def _is_int(value: Any, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _files(folder: str) -> Iterator[str]:
    for inside, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            if suffix(name) in _READERS:
                yield os.path.join(inside, name)


_Found = Iterator[tuple[str, Optional[str], Any, Any]]
"""Where an answer is, the worker of Mechanical Turk who gave it, what comes with it, and itself."""


def _json(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _of_server(file: str) -> _Found:
    for line, text in enumerate(storage.read_bytes(file).splitlines(), start=1):
        if text.strip():  # Else the server was killed while writing.
            record = _json(text)
            yield f"{file}:{line}", None, record, record


def _of_download(file: str) -> _Found:
    download = _json(storage.read_bytes(file))
    answers = download.get("answers") if isinstance(download, dict) else [None]
    for record in answers if isinstance(answers, list) else []:
        yield file, None, download, record


def _of_mturk(file: str) -> _Found:
    for line, row in csv_text.read_table(file).lines:
        said = {"study": row.get("input.study"), "rater": _number(row.get("input.rater"))}
        said["status"] = row.get("assignmentstatus")
        for name, cell in row.items():
            match = _HIT_ANSWER.fullmatch(name)
            if match and cell:
                rating, ms = _number(cell), _number(row.get(f"{name}_ms"))
                answer = cell if rating is None else rating
                record = {"trial": int(match[1]) - 1, "answer": answer, "ms": ms, "at": 0}
                yield f"{file}:{line}", row.get("workerid", ""), said, record


def _number(text: str | None) -> int | None:
    """The integer in a cell, which spreadsheets may write as 3.0; None if it is no integer."""
    try:
        value = float(text or "nan")
    except ValueError:
        return None
    return int(value) if value.is_integer() else None


_READERS = {".jsonl": _of_server, ".json": _of_download, ".csv": _of_mturk}
