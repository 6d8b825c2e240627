"""Report of the files that are left out, by reason."""

from __future__ import annotations

import collections

_EXAMPLES = 3


def printable(name: str) -> str:
    """Returns a file's name in one line, with what is no UTF-8 in it written as escapes."""
    return " ".join(name.encode(errors="backslashreplace").decode().split())


class DropReport:
    """Counts of what is left out, by reason, with the first examples, and notes."""

    def __init__(self) -> None:
        """Starts with nothing left out."""
        self._examples: dict[str, list[str]] = {}
        self._counts: collections.Counter[str] = collections.Counter()
        self.notes: list[str] = []

    def drop(self, reason: str, what: str) -> None:
        """Counts a file, or a file and line of a list, that is left out for a reason."""
        self._counts[reason] += 1
        examples = self._examples.setdefault(reason, [])
        if len(examples) < _EXAMPLES:
            examples.append(printable(what))

    def note(self, sentence: str) -> None:
        """Adds a sentence that the report shows."""
        self.notes.append(sentence)

    def counts(self) -> dict[str, int]:
        """Returns how many were left out, by reason."""
        return dict(self._counts)

    def lines(self) -> list[str]:
        """Returns one line for each reason, and the notes."""
        dropped = [
            f"dropped {count}: {reason}; {'e.g. ' * (count > 1)}{', '.join(self._examples[reason])}"
            for reason, count in self._counts.items()
        ]
        return [*dropped, *self.notes]
