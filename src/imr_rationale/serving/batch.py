"""Many files in, one row a disputed item out; a file that cannot be read is named and stops nothing."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import IO

from imr_rationale.errors import ImrError, SourceError
from imr_rationale.letters.layout import parse_document
from imr_rationale.letters.limits import Limits
from imr_rationale.letters.sandbox import Sandbox
from imr_rationale.letters.sources import Document, Reject, find_files
from imr_rationale.letters.tables import Columns
from imr_rationale.records import Letter
from imr_rationale.serving.deidentify import deidentify_rows
from imr_rationale.serving.journal import Entry, Journal
from imr_rationale.serving.report import BatchReport, make_report
from imr_rationale.serving.rows import Row
from imr_rationale.serving.writers import check_output, finish_output

__all__ = ["Batch", "run_batch"]


@dataclass(frozen=True)
class Batch:
    """What a batch run reads and writes.

    Attributes
    ----------
    paths : sequence of Path
        Files and folders.
    make_rows : callable
        A letter and its source -> rows.
    output : Path or None
        .jsonl, .csv or .parquet; None writes JSON Lines to `stream`.
    settings : mapping of str to str
        What a run that is resumed must share with its beginning, such as the model.
    deidentify : bool
        Number the letters, and leave case numbers, sources and exact dates out.
    resume : bool
        Go on where a run with the same output was cut off.
    names : mapping of Path to str
        What sources call a file, where not by its path.
    """

    paths: Sequence[Path]
    make_rows: Callable[[Letter, str], list[Row]]
    output: Path | None = None
    stream: IO[str] | None = None
    limits: Limits = field(default_factory=Limits)
    columns: Columns | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    deidentify: bool = False
    resume: bool = False
    names: Mapping[Path, str] = field(default_factory=dict)


def run_batch(
    batch: Batch, *, progress: Callable[[Sequence[Path | Reject]], Iterable[Path | Reject]] = iter
) -> BatchReport:
    """Read files one after the other and write their rows.

    While it runs, rows stand in "<output>.partial" (JSON Lines) and what was done in "<output>.journal". Both stay
    when the run is cut off, and `Batch.resume` goes on there: the output is the same to the byte. Refused letters go to
    "<output>.rejects.jsonl", which is absent when there are none.

    Parameters
    ----------
    batch : Batch
    progress : callable
        The files -> the same files, one after the other.

    Raises
    ------
    SourceError
        The output is of an unknown kind or cannot be written, or a run cannot be resumed.
    """
    if batch.output is not None:
        check_output(batch.output)
    try:
        return _run(batch, progress)
    except OSError as error:
        raise SourceError(f"{batch.output or 'standard output'}: {error.strerror or error}") from error


def _run(batch: Batch, progress: Callable[[Sequence[Path | Reject]], Iterable[Path | Reject]]) -> BatchReport:
    with _open_run(batch) as (journal, file):
        own = _list_own(batch.output)
        files = [path for path in find_files(batch.paths) if path not in own]
        journal.check_number(len(files))
        _Run(batch, journal, file).read_files(progress(files))
        report = make_report(journal)
        if batch.output is not None:
            file.flush()
            _finish(batch.output, journal)
    return report


class _Run:
    """One run under way."""

    def __init__(self, batch: Batch, journal: Journal, file: IO[str]) -> None:
        self.batch = batch
        self.journal = journal
        self.file = file
        self.n_read = journal.count_read()

    def read_files(self, files: Iterable[Path | Reject]) -> None:
        """Read what the journal does not know yet."""
        last, inside = self.journal.find_last()
        with Sandbox(self.batch.limits, columns=self.batch.columns) as sandbox:
            for position, path in enumerate(files):
                name = path.source if isinstance(path, Reject) else self.batch.names.get(path, str(path))
                self.journal.check_file(position, name)
                if position < last:
                    continue
                found = iter([path]) if isinstance(path, Reject) else sandbox.read(path, name=name)
                for number, step in enumerate(found):
                    if position > last or number >= inside:
                        self.add(position, step)

    def add(self, position: int, step: Document | Reject) -> None:
        """Write the rows of a letter, then note it."""
        if isinstance(step, Reject):
            self._note(Entry(position, step.source, step.kind, step.error))
            return
        try:
            letter = parse_document(step)
            rows = self.batch.make_rows(letter, step.source)
        except ImrError as error:
            self._note(Entry(position, step.source, step.kind, str(error)))
            return
        self.n_read += 1
        self._write(deidentify_rows(rows, self.n_read) if self.batch.deidentify else rows)
        warnings = dict.fromkeys(warning for row in rows for warning in row["warnings"])
        self._note(_describe(position, step, letter), warnings or letter.warnings)

    def _write(self, rows: Iterable[Row]) -> None:
        self.file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        self.file.flush()

    def _note(self, entry: Entry, warnings: Iterable[str] = ()) -> None:
        end = 0 if self.batch.output is None else self.file.tell()
        self.journal.add(replace(entry, end=end), list(warnings))


def _describe(position: int, document: Document, letter: Letter) -> Entry:
    return Entry(
        position,
        document.source,
        document.kind,
        digest=sha256(document.text.encode(errors="replace")).hexdigest(),
        letter=letter.case_number,
        layout=letter.layout,
        outcome=letter.outcome,
        n_items=len(letter.items),
        n_overturned=sum(item.outcome == "Overturned" for item in letter.items),
    )


@contextmanager
def _open_run(batch: Batch) -> Iterator[tuple[Journal, IO[str]]]:
    """Open journal and partial output, both as the run before left them where it is resumed."""
    if batch.output is None:
        if batch.stream is None:
            raise SourceError("neither an output nor a stream to write to")
        with closing(Journal(None)) as journal:
            journal.begin(batch.settings)
            yield journal, batch.stream
        return
    path = _beside(batch.output, ".journal")
    resumed = batch.resume and path.exists()
    with (
        _beside(batch.output, ".partial").open("a", encoding="utf-8", newline="\n") as file,
        closing(Journal(path)) as journal,
    ):
        if resumed:
            journal.check_settings(batch.settings)
        else:
            journal.begin(batch.settings)
        end = journal.end()
        if file.tell() < end:
            raise SourceError(f"--resume: {file.name} is shorter than its journal says; start without --resume")
        file.truncate(end)
        yield journal, file


def _finish(output: Path, journal: Journal) -> None:
    """Write the output and what was rejected; a run that is killed meanwhile finishes when it is resumed."""
    partial = _beside(output, ".partial")
    finish_output(partial, output)
    rejects = _beside(output, ".rejects.jsonl")
    rejects.unlink(missing_ok=True)
    rows = [{"path": source, "error": error} for source, error in journal.rejects()]
    if rows:
        rejects.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    journal.remove()
    partial.unlink(missing_ok=True)


def _list_own(output: Path | None) -> frozenset[Path]:
    """Give the files that a run writes itself, which may stand in the folder that it reads."""
    if output is None:
        return frozenset()
    suffixes = ("", ".partial", ".journal", ".journal-wal", ".journal-shm", ".rejects.jsonl")
    return frozenset(_beside(output, suffix) for suffix in suffixes)


def _beside(output: Path | None, suffix: str) -> Path:
    assert output is not None  # noqa: S101
    return output.with_name(output.name + suffix)
