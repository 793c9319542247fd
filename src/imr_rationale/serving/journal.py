"""What a batch run has done so far, in a SQLite file beside its output.

A row is written to the partial output first and to the journal then, so that a run that was killed at any moment goes
on behind the last file of which both know.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from imr_rationale.errors import SourceError

__all__ = ["Entry", "Journal"]

SCHEMA = """
DROP TABLE IF EXISTS settings;
DROP TABLE IF EXISTS files;
DROP TABLE IF EXISTS entries;
DROP TABLE IF EXISTS warnings;
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT);
CREATE TABLE files (position INTEGER PRIMARY KEY, path TEXT);
CREATE TABLE entries (
    position INTEGER PRIMARY KEY, file INTEGER, source TEXT, kind TEXT, error TEXT, digest TEXT,
    letter TEXT, layout TEXT, outcome TEXT, n_items INTEGER, n_overturned INTEGER, end INTEGER
);
CREATE TABLE warnings (position INTEGER, text TEXT);
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """What became of one letter.

    Attributes
    ----------
    file : int
        Index of the file it stands in.
    error : str or None
        Why it was rejected.
    digest : str or None
        SHA-256 of the text that was read from it.
    letter : str or None
        Its case number; of a letter without names a digest of it.
    end : int
        Size of the partial output behind its rows, in bytes.
    """

    file: int
    source: str
    kind: str
    error: str | None = None
    digest: str | None = None
    letter: str | None = None
    layout: str | None = None
    outcome: str | None = None
    n_items: int = 0
    n_overturned: int = 0
    end: int = 0


class Journal:
    """The journal of one run.

    Parameters
    ----------
    path : Path or None
        None keeps it in memory: such a run cannot be resumed.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        with self._explained():
            self.database = sqlite3.connect(path or ":memory:", isolation_level=None)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            reason = "another run writes the same output" if "locked" in str(error) else str(error)
            raise SourceError(f"{self.path or 'journal'}: {reason}") from error
        except sqlite3.DatabaseError as error:
            raise SourceError(f"{self.path}: {error}; remove it and start without --resume") from error

    @contextmanager
    def _together(self) -> Iterator[None]:
        self.database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.database.execute("ROLLBACK")
            raise
        self.database.execute("COMMIT")

    def _own(self) -> None:
        """Keep every other run out. A killed process loses no entry; a machine without power the last ones."""
        for pragma in ("locking_mode=EXCLUSIVE", "journal_mode=WAL", "synchronous=NORMAL"):
            self.database.execute(f"PRAGMA {pragma}")

    def begin(self, settings: Mapping[str, str], *, resume: bool = False) -> None:
        """Go on with the run that stands here where it is resumed; else start a new one and forget what stood here.

        Parameters
        ----------
        settings : mapping of str to str
            What a resumed run must share with its beginning.
        resume : bool
            A run that was killed before it noted its settings had done nothing: a new one starts.

        Raises
        ------
        SourceError
            The file is no journal, another run writes it, or a setting differs; the message names it.
        """
        with self._explained():
            self._own()
            begun = self._read_settings() if resume else None
            if begun is None:
                self._start(settings)
        if begun is not None:
            _check_settings(begun, settings)

    def _start(self, settings: Mapping[str, str]) -> None:
        with self._together():
            for statement in SCHEMA.split(";"):
                self.database.execute(statement)
            self.database.executemany("INSERT INTO settings VALUES (?, ?)", list(settings.items()))

    def _read_settings(self) -> dict[str, str] | None:
        """Give the settings that a run began with, None where none has begun."""
        if not self.query("SELECT name FROM sqlite_schema WHERE name = 'settings'"):
            return None
        return dict(self.query("SELECT name, value FROM settings"))

    def check_file(self, position: int, path: str) -> None:
        """Note that a file's turn has come; refuse another file than the run before found at its place."""
        with self._explained():
            known = self.database.execute("SELECT path FROM files WHERE position = ?", (position,)).fetchone()
            if known is None:
                self.database.execute("INSERT INTO files VALUES (?, ?)", (position, path))
            elif known[0] != path:
                raise SourceError(f"--resume: found {path} in the place of {known[0]}; start without --resume")

    def check_number(self, n_files: int) -> None:
        """Refuse to go on with fewer files than the run before had begun."""
        if self.query("SELECT count(*) FROM files")[0][0] > n_files:
            raise SourceError("--resume: fewer files than when the run began; start without --resume")

    def add(self, entry: Entry, warnings: Sequence[str]) -> None:
        """Note what became of a letter; all of it or nothing."""
        columns = list(Entry.__dataclass_fields__)
        values = [getattr(entry, name) for name in columns]
        insert = f"INSERT INTO entries ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"  # noqa: S608
        with self._explained(), self._together():
            cursor = self.database.execute(insert, values)
            if warnings:
                self.database.executemany(
                    "INSERT INTO warnings VALUES (?, ?)", [(cursor.lastrowid, text) for text in warnings]
                )

    def count_entries(self) -> int:
        """Give how many letters were read or rejected."""
        return int(self.query("SELECT count(*) FROM entries")[0][0])

    def find_last(self) -> tuple[int, int]:
        """Give the index of the last file, and how many of its letters are done."""
        [(last,)] = self.query("SELECT coalesce(max(file), 0) FROM entries")
        return last, int(self.query("SELECT count(*) FROM entries WHERE file = ?", last)[0][0])

    def end(self) -> int:
        """Give the size of the partial output that the journal knows of, in bytes."""
        rows = self.query("SELECT end FROM entries ORDER BY position DESC LIMIT 1")
        return rows[0][0] if rows else 0

    def rejects(self) -> Iterator[tuple[str, str]]:
        """Yield source and error of each rejected letter."""
        with self._explained():
            yield from self.database.execute("SELECT source, error FROM entries WHERE error NOT NULL ORDER BY position")

    def query(self, statement: str, *values: object) -> list[tuple]:  # type: ignore[type-arg]
        """Give the rows of a query."""
        with self._explained():
            return self.database.execute(statement, values).fetchall()

    def close(self) -> None:
        """Close the file."""
        self.database.close()

    def remove(self) -> None:
        """Close the file and remove it: its run is over."""
        self.close()
        if self.path is not None:
            for suffix in ("-wal", "-shm", ""):
                Path(f"{self.path}{suffix}").unlink(missing_ok=True)


def _check_settings(begun: Mapping[str, str], settings: Mapping[str, str]) -> None:
    """Refuse to go on with other settings than those of the beginning."""
    for name in sorted({*begun, *settings}):
        if begun.get(name) != settings.get(name):
            raise SourceError(
                f"--resume: {name} was {begun.get(name)!r} when the run began and is {settings.get(name)!r} now; "
                "start without --resume"
            )
