"""SQLite database of the ratings of a folder, from which an interrupted scoring resumes.

A database, unlike ``data.resumable``, since millions of images must not fill the memory.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from legan_tf.errors import UserError
from legan_tf.uses.scoring.image_files import ImageFile

SUFFIX = ".state.sqlite"
"""Replaces ``.csv`` in the name of the output."""

_TABLES = """
CREATE TABLE IF NOT EXISTS notes (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS pictures (
    path BLOB PRIMARY KEY, size INTEGER, time INTEGER, walk INTEGER, rating REAL, reason TEXT
) WITHOUT ROWID;
"""
# A file that has changed since it was rated loses its rating.
_UPSERT = """
INSERT INTO pictures VALUES (?, ?, ?, ?, NULL, NULL) ON CONFLICT (path) DO UPDATE SET
    rating = CASE WHEN size = excluded.size AND time = excluded.time THEN rating END,
    reason = CASE WHEN size = excluded.size AND time = excluded.time THEN reason END,
    size = excluded.size, time = excluded.time, walk = excluded.walk
"""
_PAGE = 1000


class RatingDatabase:
    """The image files found by the last search of the folder, with their ratings.

    Paths are stored as the bytes that they are on disk, which need not be UTF-8. While a database
    is open, no other process can open it.
    """

    def __init__(self, output: str, file: str, connection: sqlite3.Connection) -> None:
        """Creates the tables if they are missing; ``open_database`` calls it."""
        self.output = output
        self.file = file
        self._connection = connection
        connection.executescript(_TABLES)
        self._search = int(self.setting("walk") or 0)

    @property
    def is_new(self) -> bool:
        """Whether no search was recorded yet."""
        return not self._search

    def setting(self, name: str) -> str | None:
        """Returns a stored setting; None if there is none of that name."""
        query = "SELECT value FROM notes WHERE name = ?"
        found = self._connection.execute(query, (name,)).fetchone()
        return found and found[0]

    def set_setting(self, name: str, value: str) -> None:
        """Stores a setting and commits."""
        self._connection.execute("REPLACE INTO notes VALUES (?, ?)", (name, value))
        self._connection.commit()

    def check_settings(self, settings: Mapping[str, str], descriptions: Mapping[str, str]) -> None:
        """Stores the settings that ratings depend on, or compares them with the stored ones.

        Args:
            settings: Values by name.
            descriptions: Descriptions of a stored value for the error message, by name, with
                ``{}`` for the value.

        Raises:
            UserError: A setting differs.
        """
        for name, value in settings.items():
            before = self.setting(name)
            if before is None:
                self.set_setting(name, value)
            elif before != value:
                raise UserError(
                    f"--output={self.output}: was begun with {descriptions[name].format(before)}; "
                    "repeat the flags of then, or name another output."
                )

    def update_files(self, files: Iterable[ImageFile]) -> None:
        """Records the result of a search; unchanged files keep their ratings."""
        number = self._search + 1
        try:
            rows = ((os.fsencode(f.path), f.size, f.time, number) for f in files)
            self._connection.executemany(_UPSERT, rows)
            self.set_setting("walk", str(number))
        except BaseException:  # An incomplete search does not count.
            self._connection.rollback()
            raise
        self._search = number

    def counts(self) -> tuple[int, int, int]:
        """Returns the numbers of files, of rated files and of unreadable files."""
        columns = "COUNT(*), COUNT(rating), COUNT(reason)"
        return self._connection.execute(
            f"SELECT {columns} FROM pictures WHERE walk = ?", (self._search,)
        ).fetchone()

    def tables_current(self) -> bool:
        """Returns whether nothing has changed since ``mark_tables_current``."""
        number, _, count = (self.setting("listed") or "").partition(" ")
        # The same number of files, and none of those is gone: so no file was added either.
        gone = "SELECT EXISTS (SELECT 1 FROM pictures WHERE walk >= ? AND walk < ?)"
        return (
            count == str(self.counts()[0])
            and not self._connection.execute(gone, (int(number), self._search)).fetchone()[0]
        )

    def mark_tables_current(self) -> None:
        """Records that the tables of ratings and unreadable files are written."""
        self.set_setting("listed", f"{self._search} {self.counts()[0]}")

    def unrated(self) -> Iterator[str]:
        """Yields the paths without a rating, sorted; ratings may be added meanwhile."""
        last = b""
        while True:
            page = self._connection.execute(
                "SELECT path FROM pictures WHERE walk = ? AND rating IS NULL AND path > ? "
                f"ORDER BY path LIMIT {_PAGE}",
                (self._search, last),
            ).fetchall()
            yield from (os.fsdecode(path) for (path,) in page)
            if len(page) < _PAGE:
                return
            last = page[-1][0]

    def add(self, outcomes: Iterable[tuple[str, float | None, str | None]]) -> None:
        """Adds ratings, or the reasons why there is none, without a commit."""
        changed = self._connection.executemany(
            "UPDATE pictures SET rating = :rating, reason = :reason WHERE path = :path "
            "AND (rating IS NOT :rating OR reason IS NOT :reason)",
            [
                {"path": os.fsencode(path), "rating": rating, "reason": reason}
                for path, rating, reason in outcomes
            ],
        )
        if changed.rowcount > 0:
            self._connection.execute("DELETE FROM notes WHERE name = 'listed'")

    def commit(self) -> None:
        """Makes what was added permanent."""
        self._connection.commit()

    def rated(self) -> Iterator[tuple[str, float]]:
        """Yields paths and ratings, sorted by path."""
        return self._sorted("rating")

    def skipped(self) -> Iterator[tuple[str, str]]:
        """Yields the paths of unreadable files with the reasons, sorted by path."""
        return self._sorted("reason")

    def _sorted(self, column: str, order: str = "path") -> Iterator[tuple]:
        rows = self._connection.execute(
            f"SELECT path, {column} FROM pictures WHERE walk = ? AND {column} IS NOT NULL "
            f"ORDER BY {order}",
            (self._search,),
        )
        return ((os.fsdecode(path), value) for path, value in rows)

    def worst(self, count: int) -> list[tuple[str, float]]:
        """Returns the paths and ratings of the ``count`` lowest ratings, the lowest first."""
        return list(self._sorted("rating", f"rating, path LIMIT {count}"))

    def ratings(self) -> np.ndarray:
        """Returns the ratings, float64 [n], in the order of ``rated``."""
        return np.fromiter((rating for _, rating in self.rated()), np.float64)


@contextlib.contextmanager
def open_database(output: str) -> Iterator[RatingDatabase]:
    """Opens the database of an output; commits and closes it at the end.

    Without a recorded search, its file is removed.

    Args:
        output: Path of the table of ratings, ending in ``.csv``.

    Raises:
        UserError: It is open elsewhere, damaged, or cannot be read or written.
    """
    file, database = os.path.splitext(output)[0] + SUFFIX, None
    try:
        connection = sqlite3.connect(file, timeout=0, isolation_level="IMMEDIATE")
        try:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("BEGIN EXCLUSIVE")
            connection.commit()
            database = RatingDatabase(output, file, connection)
            yield database
        finally:
            with contextlib.suppress(sqlite3.Error):  # The disk may be full.
                connection.commit()
            connection.close()
            if database and database.is_new:
                os.remove(file)
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            raise UserError(
                f"--output={output}: another process is rating into it; wait for it, or name "
                "another output."
            ) from error
        raise UserError(
            f"{file}: cannot be read or written ({error}); once it can, the same command goes on "
            "from here."
        ) from error
    except sqlite3.Error as error:
        raise UserError(
            f"{file}: is damaged ({error}); remove it and the lists beside it to begin anew, or "
            "name another --output."
        ) from error
