"""Many files in, one row a disputed item out; a file that cannot be read is named and stops nothing."""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field, replace
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
from imr_rationale.serving.deidentify import coarsen_dates, deidentify_rows, hide_source
from imr_rationale.serving.journal import Entry, Journal
from imr_rationale.serving.report import BatchReport, check_report, make_report, place_report, write_report
from imr_rationale.serving.rows import Row
from imr_rationale.serving.writers import WRITING, check_output, finish_output, open_instead

__all__ = ["Batch", "run_batch"]


@dataclass(frozen=True)
class Batch:
    """What a batch run reads and writes.

    Attributes
    ----------
    paths : sequence of Path
        Files and folders.
    make_rows : callable
        Letters with their sources -> the rows of each.
    output : Path or None
        .jsonl, .csv or .parquet; None writes JSON Lines to `stream`.
    report : Path or None
        What was read is told there too, as a page and as JSON.
    settings : mapping of str to str
        What a run that is resumed must share with its beginning besides limits and columns, such as the model.
    deidentify : bool
        Number the letters, and leave case numbers, sources and exact dates out of rows, rejects and report.
    resume : bool
        Go on where a run with the same output was cut off.
    names : mapping of Path to str
        What sources call a file, where not by its path.
    """

    paths: Sequence[Path]
    make_rows: Callable[[Sequence[tuple[Letter, str]]], list[list[Row]]]
    output: Path | None = None
    stream: IO[str] | None = None
    report: Path | None = None
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
        The output is of an unknown kind, it or the report cannot be written, or a run cannot be resumed.
    """
    if batch.output is not None:
        check_output(batch.output)
    if batch.report is not None:
        check_report(batch.report)
    try:
        return _run(batch, progress)
    except OSError as error:
        raise SourceError(f"{batch.output or 'standard output'}: {error.strerror or error}") from error


def _run(batch: Batch, progress: Callable[[Sequence[Path | Reject]], Iterable[Path | Reject]]) -> BatchReport:
    files = _find_inputs(batch)
    with _open_run(batch) as (journal, file):
        journal.check_number(len(files))
        _Run(batch, journal, file).read_files(progress(files))
        file.flush()
        return _finish(batch, journal)


def _find_inputs(batch: Batch) -> list[Path | Reject]:
    """Give the files to read, without those that this run writes, however they are spelled."""
    own = _list_own(batch)
    found = list(find_files(batch.paths))
    files = [path for path in found if isinstance(path, Reject) or os.path.realpath(path) not in own]
    if found and not files:
        raise SourceError(f"{found[0]}: nothing to read but what this run would write")
    return files


class _Run:
    """One run under way."""

    def __init__(self, batch: Batch, journal: Journal, file: IO[str]) -> None:
        self.batch = batch
        self.journal = journal
        self.file = file
        self.n_entries = journal.count_entries()

    def read_files(self, files: Iterable[Path | Reject]) -> None:
        """Read what the journal does not know yet."""
        last, inside = self.journal.find_last()
        with Sandbox(self.batch.limits, columns=self.batch.columns) as sandbox:
            for position, path in enumerate(files):
                name = path.source if isinstance(path, Reject) else self.batch.names.get(path, str(path))
                self.journal.check_file(position, self._hide(name))
                if position < last:
                    continue
                found = iter([path]) if isinstance(path, Reject) else sandbox.read(path, name=name)
                for number, step in enumerate(found):
                    if position > last or number >= inside:
                        self.add(position, step)

    def add(self, position: int, step: Document | Reject) -> None:
        """Write the rows of a letter, then note it."""
        self.n_entries += 1
        if self.batch.deidentify:
            step = hide_source(step, self.n_entries)
        if isinstance(step, Reject):
            self._note(Entry(position, step.source, step.kind, step.error))
            return
        try:
            letter = parse_document(step)
            [rows] = self.batch.make_rows([(letter, step.source)])
        except ImrError as error:
            self._note(Entry(position, step.source, step.kind, str(error)))
            return
        self._write(deidentify_rows(rows, self.n_entries) if self.batch.deidentify else rows)
        warnings = dict.fromkeys(warning for row in rows for warning in row["warnings"])
        entry = _describe(position, step, letter)
        self._note(replace(entry, letter=entry.letter and self._hide(entry.letter)), warnings or letter.warnings)

    def _hide(self, name: str) -> str:
        """Give what stands for a name in the journal: equal for equal names, without names a digest."""
        return _digest(name) if self.batch.deidentify else name

    def _write(self, rows: Iterable[Row]) -> None:
        self.file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        self.file.flush()

    def _note(self, entry: Entry, warnings: Iterable[str] = ()) -> None:
        end = 0 if self.batch.output is None else self.file.tell()
        texts = map(coarsen_dates, warnings) if self.batch.deidentify else warnings
        self.journal.add(replace(entry, end=end), list(texts))


def _digest(text: str) -> str:
    return sha256(text.encode(errors="replace")).hexdigest()


def _describe(position: int, document: Document, letter: Letter) -> Entry:
    return Entry(
        position,
        document.source,
        document.kind,
        digest=_digest(document.text),
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
            journal.begin(_list_settings(batch))
            yield journal, batch.stream
        return
    with closing(Journal(_beside(batch.output, ".journal"))) as journal:
        journal.begin(_list_settings(batch), resume=batch.resume)
        with _open_partial(_beside(batch.output, ".partial"), journal.end()) as file:
            yield journal, file


def _list_settings(batch: Batch) -> dict[str, str]:
    """Give all that a resumed run must share with its beginning."""
    limits = {f"limit of {name}": str(value) for name, value in asdict(batch.limits).items()}
    return {**batch.settings, **limits, "columns": str(batch.columns), "deidentify": str(batch.deidentify)}


@contextmanager
def _open_partial(partial: Path, end: int) -> Iterator[IO[str]]:
    """Open the rows so far, which end at `end`; where there are none, in a new file."""
    if not end:
        partial.unlink(missing_ok=True)
    with partial.open("a", encoding="utf-8", newline="\n") as file:
        if file.tell() < end:
            raise SourceError(f"--resume: {partial} is shorter than its journal says; start without --resume")
        file.truncate(end)
        yield file


def _finish(batch: Batch, journal: Journal) -> BatchReport:
    """Write output, rejects and report; a run that is killed meanwhile finishes when it is resumed."""
    report = make_report(journal, named=not batch.deidentify)
    if batch.output is not None:
        finish_output(_beside(batch.output, ".partial"), batch.output)
        _write_rejects(_beside(batch.output, ".rejects.jsonl"), journal)
    if batch.report is not None:
        write_report(report, batch.report)
    journal.remove()
    if batch.output is not None:
        _beside(batch.output, ".partial").unlink(missing_ok=True)
    return report


def _write_rejects(path: Path, journal: Journal) -> None:
    """Write a line for each rejected letter; without any there is no file."""
    rows = [{"path": source, "error": error} for source, error in journal.rejects()]
    if not rows:
        path.unlink(missing_ok=True)
        return
    with open_instead(path) as writing:
        writing.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def _list_own(batch: Batch) -> frozenset[str]:
    """Give the files that a run writes itself, which may stand in the folder that it reads."""
    finished = list(place_report(batch.report)) if batch.report else []
    working = []
    if batch.output is not None:
        finished += [batch.output, _beside(batch.output, ".rejects.jsonl")]
        working = [_beside(batch.output, suffix) for suffix in (".partial", ".journal", ".journal-wal", ".journal-shm")]
    return frozenset(map(os.path.realpath, (*finished, *working, *(_beside(path, WRITING) for path in finished))))


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)
