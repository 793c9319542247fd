"""Where a batch run writes its rows, and what it keeps there while it runs: a stream, or a file.

Rows are written before the journal notes them, so a run that was killed finds rows that no entry knows of, and never
the other way round.
"""

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import IO, Protocol

from imr_rationale.errors import SourceError
from imr_rationale.serving.journal import Journal
from imr_rationale.serving.writers import WRITING, check_output, finish_output, open_instead

__all__ = ["FileOutput", "Output", "PartialRows", "StreamOutput", "place_beside", "write_rejects"]


class Output(Protocol):
    """What a run writes to."""

    @property
    def room(self) -> int:
        """How many letters may be written at once."""

    def check(self, *, resume: bool) -> None:
        """Refuse, before the work, what could not be written after it."""

    def owns(self, path: str) -> bool:
        """Tell whether this run writes a file, which may stand in the folder that it reads."""

    def open(self, settings: Mapping[str, str], *, resume: bool) -> AbstractContextManager[Journal]:
        """Open the journal and the rows, both as the run before left them where it is resumed."""

    def write(self, texts: Sequence[str]) -> list[int]:
        """Write the rows of letters; gives where each letter's rows end, in bytes."""

    def turn(self) -> None:
        """Go on to the next part where one is full; every letter that was written is in the journal."""

    def finish(self) -> None:
        """Give the rows and rejects their names: all letters are read."""

    def clean(self) -> None:
        """Remove what was kept for resuming: the run is over."""


class StreamOutput:
    """Rows as JSON Lines on standard output; such a run cannot be resumed."""

    room = sys.maxsize

    def __init__(self, stream: IO[str]) -> None:
        self.stream = stream

    def check(self, *, resume: bool) -> None:
        """Every stream will do."""

    def owns(self, path: str) -> bool:
        """Tell whether this run writes a file: none."""
        return False

    @contextmanager
    def open(self, settings: Mapping[str, str], *, resume: bool) -> Iterator[Journal]:
        """Open a journal that goes with this process."""
        with closing(Journal(None)) as journal:
            journal.begin(settings)
            yield journal

    def write(self, texts: Sequence[str]) -> list[int]:
        """Write the rows of letters at once, so that who reads them need not wait."""
        self.stream.writelines(texts)
        self.stream.flush()
        return [0] * len(texts)

    def turn(self) -> None:
        """There are no parts."""

    def finish(self) -> None:
        """Everything is written."""

    def clean(self) -> None:
        """Nothing was kept."""


class FileOutput:
    """A file .jsonl, .csv or .parquet.

    While the run lasts, rows stand in "<output>.partial" and what was done in "<output>.journal". The output appears
    under its name when it is whole.
    """

    room = sys.maxsize

    def __init__(self, output: Path, fields: Mapping[str, type]) -> None:
        self.output = output
        self.fields = fields
        self.partial = place_beside(output, ".partial")
        self.rejects = place_beside(output, ".rejects.jsonl")
        kept = [place_beside(output, suffix) for suffix in (".journal", ".journal-wal", ".journal-shm")]
        finished = [output, self.rejects]
        written = (*finished, *kept, self.partial, *(place_beside(path, WRITING) for path in finished))
        self._own = frozenset(map(os.path.realpath, written))

    def check(self, *, resume: bool) -> None:
        """Refuse an output of unknown kind, or where no file can be written."""
        check_output(self.output)

    def owns(self, path: str) -> bool:
        """Tell whether this run writes a file."""
        return path in self._own

    @contextmanager
    def open(self, settings: Mapping[str, str], *, resume: bool) -> Iterator[Journal]:
        """Open the journal and the rows so far."""
        with closing(Journal(place_beside(self.output, ".journal"))) as journal:
            journal.begin(settings, resume=resume)
            with closing(PartialRows(self.partial, journal.end())) as self.rows:
                self.journal = journal
                yield journal

    def write(self, texts: Sequence[str]) -> list[int]:
        """Write the rows of letters."""
        return self.rows.write(texts)

    def turn(self) -> None:
        """There are no parts."""

    def finish(self) -> None:
        """Give rows and rejects their names; a run that is killed meanwhile finishes when it is resumed."""
        finish_output(self.partial, self.output, self.fields)
        write_rejects(self.rejects, self.journal)

    def clean(self) -> None:
        """Remove journal and rows."""
        self.journal.remove()
        self.partial.unlink(missing_ok=True)


class PartialRows:
    """Rows so far, as JSON Lines.

    Parameters
    ----------
    path : Path
    end : int
        What stands behind so many bytes was written by a run that was cut off before it noted it.

    Raises
    ------
    SourceError
        There are fewer.
    """

    def __init__(self, path: Path, end: int) -> None:
        if not end:
            # it may be linked to another file
            path.unlink(missing_ok=True)
        self.end = end
        self.file = path.open("ab")
        if self.file.tell() < end:
            self.file.close()
            raise SourceError(f"--resume: {path} is shorter than its journal says; start without --resume")
        self.file.truncate(end)

    def write(self, texts: Sequence[str]) -> list[int]:
        """Write the rows of letters; gives where each letter's end."""
        ends = []
        encoded = [text.encode() for text in texts]
        for rows in encoded:
            self.end += len(rows)
            ends.append(self.end)
        self.file.write(b"".join(encoded))
        self.file.flush()
        return ends

    def close(self) -> None:
        """Close the file."""
        self.file.close()


def write_rejects(path: Path, journal: Journal) -> None:
    """Write a line for each rejected letter; without any there is no file."""
    with open_instead(path) as writing, writing.open("w", encoding="utf-8") as file:
        for source, error in journal.rejects():
            file.write(json.dumps({"path": source, "error": error}, ensure_ascii=False) + "\n")
        n_bytes = file.tell()
    if not n_bytes:
        path.unlink()


def place_beside(path: Path, suffix: str) -> Path:
    """Give the path of a file beside another."""
    return path.with_name(path.name + suffix)
