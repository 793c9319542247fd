"""Letters cut into chunks, and what is done with a chunk: the same in this process, in a worker and on a cluster.

A chunk and its results are plain records, so that processes and machines can hand them on. How letters are cut does not
depend on how many workers there are.
"""

import atexit
import gc
import json
import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from imr_rationale.errors import ImrError, ModelError
from imr_rationale.letters.documents import read_documents
from imr_rationale.letters.limits import Limits
from imr_rationale.letters.sandbox import Sandbox
from imr_rationale.letters.sources import Document, Reject
from imr_rationale.letters.tables import Columns
from imr_rationale.records import Letter
from imr_rationale.serving.deidentify import coarsen_dates, deidentify_rows, hide_reject, hide_source
from imr_rationale.serving.journal import Entry
from imr_rationale.serving.rows import Row, RowMaker

if TYPE_CHECKING:
    from imr_rationale.learning.model import RationaleModel

__all__ = [
    "Chunk",
    "ChunkReader",
    "PredictRows",
    "Result",
    "Unread",
    "Waiting",
    "close_sandbox",
    "cut_chunks",
    "digest_name",
]

#: predicting many letters at once is several times cheaper than one by one; more of them gain nothing
CHUNK_LETTERS = 64
#: of the documents that one chunk carries; letters have 10,000 on average
CHUNK_CHARS = 4_000_000


@dataclass(frozen=True, slots=True)
class Unread:
    """A file that holds one letter; it is read where its chunk is."""

    path: str
    name: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """A letter whose turn has come.

    Attributes
    ----------
    file : int
        Index of the file it stands in.
    name : str
        What the file is called.
    """

    file: int
    name: str
    step: Unread | Document | Reject


@dataclass(frozen=True, slots=True)
class Chunk:
    """Letters that are read together; `first` is the number of the first one in the whole run, from 1."""

    first: int
    letters: tuple[Waiting, ...]

    def split(self) -> "list[Chunk]":
        """Give a chunk for each letter."""
        return [Chunk(number, (letter,)) for number, letter in enumerate(self.letters, self.first)]


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one letter: its entry in the journal, its warnings, and its rows as JSON Lines."""

    entry: Entry
    warnings: tuple[str, ...] = ()
    rows: str = ""


def cut_chunks(letters: Iterable[Waiting], *, first: int = 1) -> Iterator[Chunk]:
    """Cut letters into chunks of `CHUNK_LETTERS`, fewer where they are long."""
    waiting: list[Waiting] = []
    n_chars = 0
    for letter in letters:
        waiting.append(letter)
        n_chars += len(letter.step.text) if isinstance(letter.step, Document) else 0
        if len(waiting) == CHUNK_LETTERS or n_chars >= CHUNK_CHARS:
            yield Chunk(first, tuple(waiting))
            first += len(waiting)
            waiting, n_chars = [], 0
    if waiting:
        yield Chunk(first, tuple(waiting))


@dataclass(frozen=True)
class PredictRows:
    """Gives the rows of `imr predict`; each process loads the model for itself, once.

    Parameters
    ----------
    model : str, optional
        A model folder or an address; the bundled champion when left out.
    tracking_uri : str, optional
    sha256 : str, optional
        What the model must be: an address may lead to another one a moment later.
    min_certainty : float
    """

    model: str | None = None
    tracking_uri: str | None = None
    sha256: str | None = None
    min_certainty: float = 0.0

    @classmethod
    def load(
        cls, model: str | None = None, *, tracking_uri: str | None = None, min_certainty: float = 0.0
    ) -> "PredictRows":
        """Load a model here, so that it is known to be one, and name it as other processes can find it.

        Raises
        ------
        ModelError
            There is no such model, or it is damaged.
        TrackingError
            The tracking store does not know it.
        """
        from imr_rationale.serving.predict import load_model

        if model is not None and model.startswith(("models:/", "runs:/")):
            from imr_rationale.tracking.store import resolve_store

            tracking_uri = resolve_store(tracking_uri)
        fitted = load_model(model, tracking_uri=tracking_uri)
        if model is not None and Path(model).is_dir():
            # workers have folders of their own
            model = str(Path(model).absolute())
        return cls(model, tracking_uri, fitted.manifest["sha256"], min_certainty)

    def __call__(self, letters: Sequence[tuple[Letter, str]]) -> list[list[Row]]:
        """Give the rows of each letter.

        Raises
        ------
        ModelError
            The model is missing, damaged, or another one than at the beginning.
        """
        from imr_rationale.serving.predict import predict_letters

        fitted = _load_once(self.model, self.tracking_uri)
        if self.sha256 is not None and fitted.manifest["sha256"] != self.sha256:
            raise ModelError(f"{self.model or 'the bundled model'}: another model than when the run began")
        return predict_letters(letters, model=fitted, min_certainty=self.min_certainty)


@lru_cache(maxsize=1)
def _load_once(model: str | None, tracking_uri: str | None) -> "RationaleModel":
    """Load a model for a process that reads letters: what lives as long as that need not be swept for garbage."""
    from imr_rationale.serving.predict import load_model

    fitted = load_model(model, tracking_uri=tracking_uri)
    gc.collect()
    gc.freeze()
    return fitted


@dataclass(frozen=True)
class ChunkReader:
    """Reads, parses and describes the letters of a chunk; a letter that fails costs itself.

    Parameters
    ----------
    make_rows : callable
        Letters with their sources -> the rows of each; it can be pickled.
    limits : Limits
    columns : Columns, optional
    deidentify : bool
        Letters have their numbers for names, and no exact dates.
    """

    make_rows: RowMaker
    limits: Limits = field(default_factory=Limits)
    columns: Columns | None = None
    deidentify: bool = False

    def __call__(self, chunk: Chunk) -> list[Result]:
        """Give a result for each letter of a chunk, in order."""
        self.expect(chunk)
        return self.read(chunk)

    def expect(self, chunk: Chunk) -> None:
        """Have the files of a chunk read ahead; it is the next one to read, behind those that are expected already."""
        files = [
            (Path(step.path), step.name)
            for step in (letter.step for letter in chunk.letters)
            if isinstance(step, Unread)
        ]
        if files:
            _find_sandbox(self.limits, self.columns).expect(files)

    def read(self, chunk: Chunk) -> list[Result]:
        """Give a result for each letter of a chunk that is expected, in order."""
        steps = [self._name(self._read(letter.step), n) for n, letter in enumerate(chunk.letters, chunk.first)]
        found = iter(read_documents([step for step in steps if isinstance(step, Document)], self.make_rows))
        return [
            _note_reject(letter.file, step)
            if isinstance(step, Reject)
            else self._describe(letter.file, number, step, next(found))
            for number, (letter, step) in enumerate(zip(chunk.letters, steps, strict=True), chunk.first)
        ]

    def reject(self, chunk: Chunk, error: str) -> Result:
        """Give the result of a chunk's only letter, which cannot be read."""
        [letter] = chunk.letters
        step = letter.step
        source, kind = (step.name, "file") if isinstance(step, Unread) else (step.source, step.kind)
        reject = Reject(source, kind, f"{source}: {error}")
        return _note_reject(letter.file, hide_reject(reject, chunk.first) if self.deidentify else reject)

    def _read(self, step: Unread | Document | Reject) -> Document | Reject:
        if not isinstance(step, Unread):
            return step
        found = list(islice(_find_sandbox(self.limits, self.columns).read(Path(step.path), name=step.name), 2))
        if len(found) == 1:
            return found[0]
        return Reject(step.name, "file", f"{step.name}: it changed while it was read")

    def _name(self, step: Document | Reject, number: int) -> Document | Reject:
        return hide_source(step, number) if self.deidentify else step

    def _describe(
        self, file: int, number: int, document: Document, found: tuple[Letter, list[Row]] | ImrError
    ) -> Result:
        if isinstance(found, ImrError):
            return _note_reject(file, Reject(document.source, document.kind, str(found)))
        letter, rows = found
        entry = _note_letter(file, document, letter)
        warnings = tuple(dict.fromkeys(warning for row in rows for warning in row["warnings"]) or letter.warnings)
        if self.deidentify:
            rows, warnings = deidentify_rows(rows, number), tuple(map(coarsen_dates, warnings))
            entry = replace(entry, letter=entry.letter and digest_name(entry.letter))
        return Result(entry, warnings, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def _note_reject(file: int, reject: Reject) -> Result:
    return Result(Entry(file, reject.source, reject.kind, reject.error))


def _note_letter(file: int, document: Document, letter: Letter) -> Entry:
    return Entry(
        file,
        document.source,
        document.kind,
        digest=digest_name(document.text),
        letter=letter.case_number,
        layout=letter.layout,
        outcome=letter.outcome,
        n_items=len(letter.items),
        n_overturned=sum(item.outcome == "Overturned" for item in letter.items),
    )


def digest_name(text: str) -> str:
    """Give what stands for a text: equal for equal ones."""
    return sha256(text.encode(errors="replace")).hexdigest()


class _Sandboxes(threading.local):
    """The sandbox of each thread: a worker of dask may have more than one."""

    kept: "tuple[_Key, Sandbox] | None" = None


#: process, and what its sandbox was made with
_Key = tuple[int, Limits, Columns | None]
_SANDBOXES = _Sandboxes()


def _find_sandbox(limits: Limits, columns: Columns | None) -> Sandbox:
    """Give this thread's sandbox, whose child serves one file after the other until the process ends."""
    key = (os.getpid(), limits, columns)
    if _SANDBOXES.kept is None or _SANDBOXES.kept[0] != key:
        close_sandbox()
        _SANDBOXES.kept = key, Sandbox(limits, columns=columns)
        atexit.register(_SANDBOXES.kept[1].close)
    return _SANDBOXES.kept[1]


def close_sandbox() -> None:
    """Stop the child that this thread of this process reads with."""
    kept, _SANDBOXES.kept = _SANDBOXES.kept, None
    # that of a process that this one was forked from is not ours
    if kept is not None and kept[0][0] == os.getpid():
        atexit.unregister(kept[1].close)
        kept[1].close()
