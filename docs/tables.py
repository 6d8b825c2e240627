"""Writes the tables of systems, metrics and readers into their pages; see make format.

A table follows the line ``<!-- table: NAME -->`` of its page.
"""

from __future__ import annotations

import functools
import pathlib
from collections.abc import Callable

from legan_tf.data.readers import registry as readers
from legan_tf.evaluation.metrics import registry as metrics
from legan_tf.files import write_atomically
from legan_tf.training import systems

DOCS = pathlib.Path(__file__).parent
TABLES: dict[str, dict[str, Callable[[], str]]] = {
    "data.md": {"readers": readers.table},
    "evaluation.md": {
        f"metrics of {kind}": functools.partial(metrics.documentation, kind)
        for kind in metrics.INPUTS
    },
    "extending.md": {"systems": systems.table},
}
"""The function that returns each table, by page and name."""


def with_tables(page: str) -> str:
    """Returns the text of a page with its tables as the registries have them now."""
    text = (DOCS / page).read_text(encoding="utf-8")
    for name, table in TABLES[page].items():
        marker = f"<!-- table: {name} -->\n\n"
        before, found, after = text.partition(marker)
        if not found:
            raise ValueError(f"docs/{page}: there is no line {marker.strip()}")
        rows = after.splitlines(keepends=True)
        rest = next((i for i, row in enumerate(rows) if not row.startswith("|")), len(rows))
        text = before + marker + table().rstrip("\n") + "\n" + "".join(rows[rest:])
    return text


if __name__ == "__main__":
    for page in TABLES:
        write_atomically(str(DOCS / page), with_tables(page).encode())
