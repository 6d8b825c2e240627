"""What a reader leaves out, and why."""

from __future__ import annotations

import dataclasses

_EXAMPLES = 3


def printable(name: str) -> str:
    """Returns a file's name in one line, with what is no UTF-8 in it written as escapes."""
    return " ".join(name.encode(errors="backslashreplace").decode().split())


@dataclasses.dataclass
class _Dropped:
    count: int
    examples: list[str]


class Ledger:
    """Counts by reason, with the first examples, and remarks for the reader of the report."""

    def __init__(self) -> None:
        """Begins with nothing left out."""
        self._dropped: dict[str, _Dropped] = {}
        self.notes: list[str] = []

    def drop(self, reason: str, what: str) -> None:
        """Counts one more thing that was left out.

        Args:
            reason: Why; the same words for all that have the same reason.
            what: Its path, or file and line of the list that names it.
        """
        entry = self._dropped.setdefault(reason, _Dropped(0, []))
        entry.count += 1
        if len(entry.examples) < _EXAMPLES:
            entry.examples.append(printable(what))

    def note(self, sentence: str) -> None:
        """Remembers a sentence that the report should show."""
        self.notes.append(sentence)

    def counts(self) -> dict[str, int]:
        """Returns how many were left out, by reason."""
        return {reason: entry.count for reason, entry in self._dropped.items()}

    def lines(self) -> list[str]:
        """Returns one line for each reason, and the notes."""
        dropped = [
            f"dropped {entry.count}: {reason}; e.g. {', '.join(entry.examples)}"
            if entry.count > 1
            else f"dropped 1: {reason}; {entry.examples[0]}"
            for reason, entry in self._dropped.items()
        ]
        return [*dropped, *self.notes]
