"""What is known of each picture, on disk: millions of them must not fill the memory."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from legan_tf.errors import UserError
from legan_tf.uses.scoring.image_files import Found

SUFFIX = ".state.sqlite"
"""Stands in place of ``.csv`` in the name of the file beside the output."""

_TABLES = """
CREATE TABLE IF NOT EXISTS notes (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS pictures (
    path BLOB PRIMARY KEY, size INTEGER, time INTEGER, walk INTEGER, rating REAL, reason TEXT
) WITHOUT ROWID;
"""
# A file that has changed since it was rated is one that was never rated.
_SEE = """
INSERT INTO pictures VALUES (?, ?, ?, ?, NULL, NULL) ON CONFLICT (path) DO UPDATE SET
    rating = CASE WHEN size = excluded.size AND time = excluded.time THEN rating END,
    reason = CASE WHEN size = excluded.size AND time = excluded.time THEN reason END,
    size = excluded.size, time = excluded.time, walk = excluded.walk
"""
_PAGE = 1000


class State:
    """The pictures that the last walk through the folder met, with their ratings.

    Paths are kept as the bytes that they are on disk, which need not be UTF-8. While it is open no
    other process can open it.
    """

    def __init__(self, output: str) -> None:
        """Opens what belongs to an output, or makes it.

        Raises:
            UserError: It is open elsewhere, damaged, or cannot be written.
        """
        self.output = output
        self.file = os.path.splitext(output)[0] + SUFFIX
        with _told(self):
            self._base = sqlite3.connect(self.file, timeout=0, isolation_level="IMMEDIATE")
        try:
            with _told(self):
                self._base.execute("PRAGMA locking_mode = EXCLUSIVE")
                self._base.execute("BEGIN EXCLUSIVE")
                self._base.commit()
                self._base.executescript(_TABLES)
                self._walk = int(self.note("walk") or 0)
        except BaseException:
            self._base.close()
            raise

    @property
    def is_new(self) -> bool:
        """Whether there was no walk yet."""
        return not self._walk

    def close(self) -> None:
        """Keeps all that was added and lets others open it; before any walk, it is removed."""
        with contextlib.suppress(sqlite3.Error):  # Where a full disk has ended it.
            self._base.commit()
        self._base.close()
        if self.is_new:
            os.remove(self.file)

    def note(self, name: str) -> str | None:
        """Returns what was noted under a name, if anything."""
        found = self._base.execute("SELECT value FROM notes WHERE name = ?", (name,)).fetchone()
        return found and found[0]

    def set_note(self, name: str, value: str) -> None:
        """Notes something for later, beyond the end of the program."""
        self._base.execute("REPLACE INTO notes VALUES (?, ?)", (name, value))
        self._base.commit()

    def compare(self, settings: Mapping[str, str], told: Mapping[str, str]) -> None:
        """Notes what the ratings depend on, or compares it with what was noted.

        Args:
            settings: By name.
            told: What to say of those that differ, with ``{}`` for the value of then.

        Raises:
            UserError: Something differs.
        """
        for name, value in settings.items():
            before = self.note(name)
            if before is None:
                self.set_note(name, value)
            elif before != value:
                raise UserError(
                    f"--output={self.output}: was begun with {told[name].format(before)}; repeat "
                    "the flags of then, or name another output."
                )

    def see(self, found: Iterable[Found]) -> None:
        """Takes note of the pictures that a walk meets; the ratings of unchanged ones stay."""
        number = self._walk + 1
        try:
            rows = ((os.fsencode(f.path), f.size, f.time, number) for f in found)
            self._base.executemany(_SEE, rows)
            self.set_note("walk", str(number))
        except BaseException:  # What half of a walk met is not what there is.
            self._base.rollback()
            raise
        self._walk = number

    def counts(self) -> tuple[int, int, int]:
        """Returns how many pictures there are, are rated, and could not be read when tried."""
        columns = "COUNT(*), COUNT(rating), COUNT(reason)"
        return self._base.execute(
            f"SELECT {columns} FROM pictures WHERE walk = ?", (self._walk,)
        ).fetchone()

    def is_listed(self) -> bool:
        """Returns whether nothing has changed since ``set_listed``."""
        number, _, count = (self.note("listed") or "").partition(" ")
        # As many as then, and of those of then none is gone: no other one has come back, either.
        gone = "SELECT EXISTS (SELECT 1 FROM pictures WHERE walk >= ? AND walk < ?)"
        return (
            count == str(self.counts()[0])
            and not self._base.execute(gone, (int(number), self._walk)).fetchone()[0]
        )

    def set_listed(self) -> None:
        """Takes note that the lists of what is known now are written."""
        self.set_note("listed", f"{self._walk} {self.counts()[0]}")

    def unrated(self) -> Iterator[str]:
        """Yields the paths without a rating, sorted; ratings may be added meanwhile."""
        last = b""
        while True:
            page = self._base.execute(
                "SELECT path FROM pictures WHERE walk = ? AND rating IS NULL AND path > ? "
                f"ORDER BY path LIMIT {_PAGE}",
                (self._walk, last),
            ).fetchall()
            yield from (os.fsdecode(path) for (path,) in page)
            if len(page) < _PAGE:
                return
            last = page[-1][0]

    def add(self, outcomes: Iterable[tuple[str, float | None, str | None]]) -> None:
        """Takes note of ratings, or of the reasons why there is none; see ``keep``."""
        changed = self._base.executemany(
            "UPDATE pictures SET rating = :rating, reason = :reason WHERE path = :path "
            "AND (rating IS NOT :rating OR reason IS NOT :reason)",
            [
                {"path": os.fsencode(path), "rating": rating, "reason": reason}
                for path, rating, reason in outcomes
            ],
        )
        if changed.rowcount > 0:
            self._base.execute("DELETE FROM notes WHERE name = 'listed'")

    def keep(self) -> None:
        """Keeps what was added beyond the end of the program."""
        self._base.commit()

    def rated(self) -> Iterator[tuple[str, float]]:
        """Yields the paths and ratings, sorted by path."""
        return self._listed("rating")

    def skipped(self) -> Iterator[tuple[str, str]]:
        """Yields the paths of what could not be read and why, sorted by path."""
        return self._listed("reason")

    def _listed(self, column: str) -> Iterator[tuple]:
        rows = self._base.execute(
            f"SELECT path, {column} FROM pictures WHERE walk = ? AND {column} IS NOT NULL "
            "ORDER BY path",
            (self._walk,),
        )
        return ((os.fsdecode(path), value) for path, value in rows)

    def worst(self, count: int) -> list[tuple[str, float]]:
        """Returns the paths and ratings of the pictures that are rated lowest, the worst first."""
        rows = self._base.execute(
            "SELECT path, rating FROM pictures WHERE walk = ? AND rating IS NOT NULL "
            "ORDER BY rating, path LIMIT ?",
            (self._walk, count),
        )
        return [(os.fsdecode(path), rating) for path, rating in rows]

    def ratings(self) -> np.ndarray:
        """Returns the ratings, float64 [n], in the order of ``rated``."""
        return np.fromiter((rating for _, rating in self.rated()), np.float64)


@contextlib.contextmanager
def opened(output: str) -> Iterator[State]:
    """Opens the state of an output and closes it in the end.

    Raises:
        UserError: See ``State``; or what is known cannot be read, or what is added not kept.
    """
    state = State(output)
    try:
        with _told(state):
            yield state
    finally:
        state.close()


@contextlib.contextmanager
def _told(state: State) -> Iterator[None]:
    """Makes a sentence of what SQLite raises."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            raise UserError(
                f"--output={state.output}: another process is rating into it; wait for it, or name "
                "another output."
            ) from error
        raise UserError(
            f"{state.file}: cannot be read or written ({error}); once it can, the same command "
            "goes on from here."
        ) from error
    except sqlite3.Error as error:
        raise UserError(
            f"{state.file}: is damaged ({error}); remove it and the lists beside it to begin anew, "
            "or name another --output."
        ) from error
