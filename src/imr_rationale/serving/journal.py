"""What a batch run has done so far, in a SQLite file beside its output.

A row is written to the partial output first and to the journal then, so that a run that was killed at any moment goes
on behind the last file of which both know.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from operator import attrgetter
from pathlib import Path
from types import MappingProxyType

from imr_rationale.errors import SourceError

__all__ = ["Entry", "Journal", "Part"]

NO_FILES: Mapping[int, str] = MappingProxyType({})
SCHEMA = """
DROP TABLE IF EXISTS settings;
DROP TABLE IF EXISTS files;
DROP TABLE IF EXISTS entries;
DROP TABLE IF EXISTS warnings;
DROP TABLE IF EXISTS parts;
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT);
CREATE TABLE files (position INTEGER PRIMARY KEY, path TEXT);
CREATE TABLE entries (
    position INTEGER PRIMARY KEY, file INTEGER, source TEXT, kind TEXT, error TEXT, digest TEXT,
    letter TEXT, layout TEXT, outcome TEXT, n_items INTEGER, n_overturned INTEGER, end INTEGER
);
CREATE TABLE warnings (position INTEGER, text TEXT);
CREATE TABLE parts (number INTEGER PRIMARY KEY, name TEXT, n_rows INTEGER, n_letters INTEGER, sha256 TEXT);
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
        Size of the partial output behind its rows, in bytes; of a part, where the output has parts.
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


#: all of an entry
COLUMNS = tuple(field.name for field in fields(Entry))
read_entry = attrgetter(*COLUMNS)
#: read in the order in which they were written, without sorting
WARNINGS = "SELECT position, text, source FROM warnings CROSS JOIN entries USING (position) ORDER BY warnings.rowid"
INSERT = f"INSERT INTO entries (position, {', '.join(COLUMNS)}) VALUES (?, {', '.join('?' * len(COLUMNS))})"  # noqa: S608


@dataclass(frozen=True, slots=True)
class Part:
    """A finished part of an output, and the sha256 of its file."""

    name: str
    n_rows: int
    n_letters: int
    sha256: str


class Journal:
    """The journal of one run.

    Parameters
    ----------
    path : Path or None
        None keeps it in a file without a name, which goes with this process: such a run cannot be resumed.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        with self._explained():
            self.database = sqlite3.connect(path or "", isolation_level=None)

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

    def check_files(self, names: Iterable[str]) -> None:
        """Refuse to go on with other files than the run before had begun.

        Parameters
        ----------
        names : iterable of str
            All files, in order; read as far as the run before had come.
        """
        found = iter(names)
        with self._explained():
            for (known,) in self.database.execute("SELECT path FROM files ORDER BY position"):
                name = next(found, None)
                if name is None:
                    raise SourceError("--resume: fewer files than when the run began; start without --resume")
                if name != known:
                    raise SourceError(f"--resume: found {name} in the place of {known}; start without --resume")

    def add(self, entries: Sequence[tuple[Entry, Sequence[str]]], files: Mapping[int, str] = NO_FILES) -> None:
        """Note what became of letters; all of it or nothing.

        Parameters
        ----------
        entries : sequence of (Entry, warnings)
        files : mapping of int to str
            Index and name of the files that they stand in.
        """
        numbered = list(enumerate(entries, self.count_entries() + 1))
        with self._explained(), self._together():
            self.database.executemany("INSERT OR IGNORE INTO files VALUES (?, ?)", list(files.items()))
            self.database.executemany(INSERT, [(number, *read_entry(entry)) for number, (entry, _) in numbered])
            self.database.executemany(
                "INSERT INTO warnings VALUES (?, ?)",
                [(number, text) for number, (_, warnings) in numbered for text in warnings],
            )

    def add_part(self, part: Part) -> None:
        """Note that a part is whole."""
        with self._explained(), self._together():
            self.database.execute(
                "INSERT INTO parts (name, n_rows, n_letters, sha256) VALUES (?, ?, ?, ?)",
                (part.name, part.n_rows, part.n_letters, part.sha256),
            )

    def list_parts(self) -> list[Part]:
        """Give the parts that are whole, in order."""
        return [Part(*row) for row in self.query("SELECT name, n_rows, n_letters, sha256 FROM parts ORDER BY number")]

    def count_entries(self) -> int:
        """Give how many letters were read or rejected."""
        return int(self.query("SELECT coalesce(max(position), 0) FROM entries")[0][0])

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

    def warnings(self) -> Iterator[tuple[int, str, str]]:
        """Yield number, text and source of each warning, in the order of the letters."""
        with self._explained():
            yield from self.database.execute(WARNINGS)

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
    # in their own order: the command first, on which the others depend
    for name in {**settings, **begun}:
        if begun.get(name) != settings.get(name):
            raise SourceError(
                f"--resume: {name} was {begun.get(name)!r} when the run began and is {settings.get(name)!r} now; "
                "start without --resume"
            )
