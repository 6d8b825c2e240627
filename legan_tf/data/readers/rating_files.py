"""Files of naturalness ratings of pictures: CSV, text or JSON in several forms."""

from __future__ import annotations

import json
import math
import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from legan_tf.data import csv_text, storage
from legan_tf.data.file_tree import suffix
from legan_tf.data.manifest import RATING_RANGE
from legan_tf.errors import UserError

SUFFIXES = (".csv", ".tsv", ".txt", ".json")

RATERS = 3
"""Number of raters of each picture in a file of single ratings, as in LEGAN's study."""

_NAME = ("name", "image", "image_name", "filename", "file_name", "file", "path", "image_path")
_MEAN = ("mean", "m", "mu", "average", "rating_mean", "mean_rating", "mean_score", "score")
_STD = (
    *("std", "s", "sd", "sigma", "stdev", "stddev", "std_dev", "standard_deviation"),
    *("rating_std", "std_rating", "std_score"),
)
_SOURCE = ("source", "method", "dataset")
_RATINGS = "ratings"
_RATING = re.compile(r"(?:rating|rater|score|annotator|worker|r)[ _-]?[1-9a-c]")


class Label(NamedTuple):
    """The rating of one picture.

    Attributes:
        line: Its number, or that of the record, counted from 1.
        name: The picture, as the file calls it.
        mean: Mean rating.
        std: Population standard deviation of the ratings.
        source: How the picture was made, if the file says so.
    """

    line: int
    name: str
    mean: float
    std: float
    source: str


def read_labels(file: str) -> tuple[list[Label], list[int]]:
    """Reads the lines that name a picture with mean and deviation, or with three ratings.

    Args:
        file: CSV or text, with or without names of columns (without, the picture stands first), or
            JSON: a list of records, or pictures with their values, also one level deeper by source.

    Returns:
        The labels, and the numbers of the lines without one.

    Raises:
        UserError: The file cannot be read, or is not the text, CSV or JSON that it is called.
    """
    labels, others = [], []
    for line, record in _records(file):
        named = record if isinstance(record, Mapping) else _in_order(record)
        label = _label(line, named)
        if label:
            labels.append(label)
        else:
            others.append(line)
    return labels, others


def _records(file: str) -> Iterable[tuple[int, Mapping[str, Any] | Sequence[Any]]]:
    """Yields each line: a mapping where columns are named, else its cells."""
    if suffix(file) == ".json":
        try:
            content = json.loads(storage.read_bytes(file))
        except ValueError as error:
            raise UserError(f"{file}: is not valid JSON ({error}).") from error
        yield from enumerate(_json_records(content), start=1)
        return
    lines = csv_text.read_lines(file)
    head = [cell.lower() for cell in lines[0][1]] if lines else []
    if not (set(head) & {*_MEAN, *_STD} or _rating_columns(head)):
        yield from lines
        return
    for line, cells in lines[1:]:
        named = dict(zip(head, cells)) if len(cells) == len(head) else {}
        yield line, {"name": cells[0], **named}


def _json_records(content: Any, source: str = "") -> Iterable[Mapping[str, Any] | Sequence[Any]]:
    if isinstance(content, list):
        for item in content:
            if isinstance(item, Mapping):
                yield {_SOURCE[0]: source, **_lowered(item)}
            elif isinstance(item, list):
                yield item
    elif isinstance(content, Mapping):
        for name, value in content.items():
            if isinstance(value, Mapping) and set(_lowered(value)) & {*_MEAN, _RATINGS}:
                yield {_SOURCE[0]: source, "name": name, **_lowered(value)}
            elif isinstance(value, list) and not any(isinstance(v, (dict, list)) for v in value):
                yield {_SOURCE[0]: source, **_in_order([name, *value])}
            else:
                yield from _json_records(value, name)


def _lowered(record: Mapping[str, Any]) -> dict[str, Any]:
    return {key.lower(): value for key, value in record.items()}


def _in_order(cells: Sequence[Any]) -> dict[str, Any]:
    """Names the cells of a line: picture, then numbers, and anywhere among them the source."""
    words = [cell for cell in cells[1:] if math.isnan(_number(cell))]
    numbers = [cell for cell in cells[1:] if not math.isnan(_number(cell))]
    record = {"name": cells[0] if cells else ""}
    if len(words) == 1:
        record[_SOURCE[0]] = words[0]
    if len(words) <= 1 and len(numbers) == RATERS:
        record[_RATINGS] = numbers
    elif len(words) <= 1 and len(numbers) == 2:
        record[_MEAN[0]], record[_STD[0]] = numbers
    return record


def _rating_columns(columns: Iterable[str]) -> list[str]:
    found = [name for name in columns if _RATING.fullmatch(name)]
    return found if len(found) == RATERS else []


def _label(line: int, record: Mapping[str, Any]) -> Label | None:
    def first(columns: Sequence[str]) -> Any:
        return next((record[name] for name in columns if name in record), "")

    name, mean, std = str(first(_NAME)), _number(first(_MEAN)), _number(first(_STD))
    given = record.get(_RATINGS) or [record[name] for name in _rating_columns(record)]
    ratings = [_number(value) for value in given] if isinstance(given, list) else []
    low, high = map(int, RATING_RANGE)
    if math.isnan(mean) and len(ratings) == RATERS:
        if all(rating in range(low, high + 1) for rating in ratings):
            mean, std = statistics.fmean(ratings), statistics.pstdev(ratings)
    if not name or math.isnan(mean) or math.isnan(std):
        return None
    return Label(line, name, mean, std, str(first(_SOURCE)))


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan
