"""Plain tables as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any


def to_bytes(header: Sequence[str], rows: Iterable[Iterable[Any]]) -> bytes:
    """Returns a table in UTF-8, the same on every system; NaN, the unknown, is left empty."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    # NaN is the one value that differs from itself.
    writer.writerows([cell if cell == cell else "" for cell in row] for row in rows)
    return text.getvalue().encode()
