"""Many files in, one row a disputed item out; a file that cannot be read is named and stops nothing."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import IO

from imr_rationale.errors import SourceError
from imr_rationale.letters.limits import Limits
from imr_rationale.letters.sandbox import Sandbox
from imr_rationale.letters.sources import Document, Reject, find_files, holds_many
from imr_rationale.letters.tables import Columns
from imr_rationale.serving.chunks import (
    Chunk,
    ChunkReader,
    Result,
    Unread,
    Waiting,
    cut_chunks,
    digest_name,
)
from imr_rationale.serving.fields import Fields, item_fields
from imr_rationale.serving.journal import Journal
from imr_rationale.serving.outputs import FileOutput, Output, StreamOutput, place_beside
from imr_rationale.serving.parts import FolderOutput
from imr_rationale.serving.report import BatchReport, check_report, make_report, place_report, write_report
from imr_rationale.serving.rows import RowMaker
from imr_rationale.serving.workers import read_chunks
from imr_rationale.serving.writers import WRITING

__all__ = ["Batch", "Progress", "run_batch"]

#: told how many files were begun, and how many letters are done
Progress = Callable[[int, int], object]


@dataclass(frozen=True)
class Batch:
    """What a batch run reads and writes.

    Attributes
    ----------
    paths : sequence of Path
        Files and folders.
    make_rows : callable
        Letters with their sources -> the rows of each. More than one worker need one that can be pickled, and workers
        that load a model load it there.
    output : Path or None
        .jsonl, .csv or .parquet; a folder where `part_letters` is given; None writes JSON Lines to `stream`.
    fields : callable
        Gives the fields of a row with their types.
    part_letters : int or None
        Letters of each Parquet file of a folder.
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
    workers : int
        Processes that read; -1 is one for each core. The output is the same to the byte.
    engine : {"local", "dask"}
    master : str or None
        Address of a cluster's scheduler.
    """

    paths: Sequence[Path]
    make_rows: RowMaker
    output: Path | None = None
    stream: IO[str] | None = None
    fields: Fields = item_fields
    part_letters: int | None = None
    report: Path | None = None
    limits: Limits = field(default_factory=Limits)
    columns: Columns | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    deidentify: bool = False
    resume: bool = False
    names: Mapping[Path, str] = field(default_factory=dict)
    workers: int = 1
    engine: str = "local"
    master: str | None = None


def _say_nothing(n_files: int, n_letters: int) -> None:
    pass


def run_batch(batch: Batch, *, progress: Progress = _say_nothing) -> BatchReport:
    """Read letters and write their rows, in the order of the files.

    While it runs, rows stand in "<output>.partial" (JSON Lines) and what was done in "<output>.journal", or inside the
    output's folder. Both stay when the run is cut off, and `Batch.resume` goes on there: the output is the same to the
    byte. Refused letters go to "<output>.rejects.jsonl", which is absent when there are none.

    Parameters
    ----------
    batch : Batch
    progress : callable
        Told how many files were begun and how many letters are done, whenever there are more.

    Raises
    ------
    SourceError
        The output is of an unknown kind, it or the report cannot be written, or a run cannot be resumed.
    """
    try:
        output = _choose_output(batch)
        output.check(resume=batch.resume)
        if batch.report is not None:
            check_report(batch.report)
        _check_inputs(batch, output)
        return _run(batch, output, progress)
    except OSError as error:
        raise SourceError(f"{batch.output or 'standard output'}: {error.strerror or error}") from error


def _choose_output(batch: Batch) -> Output:
    if batch.output is None:
        if batch.stream is None:
            raise SourceError("neither an output nor a stream to write to")
        return StreamOutput(batch.stream)
    if batch.part_letters is not None:
        return FolderOutput(batch.output, batch.fields(), batch.part_letters)
    return FileOutput(batch.output, batch.fields())


def _run(batch: Batch, output: Output, progress: Progress) -> BatchReport:
    with output.open(_list_settings(batch), resume=batch.resume) as journal:
        if batch.resume:
            journal.check_files(_hide(batch, _name(batch, path)) for path in _find_inputs(batch, output))
        _read_letters(batch, output, journal, progress)
        report = make_report(journal, named=not batch.deidentify)
        output.finish()
        if batch.report is not None:
            write_report(report, batch.report)
        output.clean()
        return report


def _list_settings(batch: Batch) -> dict[str, str]:
    """Give all that a resumed run must share with its beginning."""
    limits = {f"limit of {name}": str(value) for name, value in asdict(batch.limits).items()}
    return {**batch.settings, **limits, "columns": str(batch.columns), "deidentify": str(batch.deidentify)}


def _check_inputs(batch: Batch, output: Output) -> None:
    """Refuse to read nothing but what this run would write."""
    found = next(find_files(batch.paths), None)
    if found is not None and next(_find_inputs(batch, output), None) is None:
        raise SourceError(f"{found}: nothing to read but what this run would write")


def _find_inputs(batch: Batch, output: Output) -> Iterator[Path | Reject]:
    """Yield the files to read, without those that this run writes, however they are spelled."""
    report = list(place_report(batch.report)) if batch.report else []
    own = frozenset(map(os.path.realpath, (*report, *(place_beside(path, WRITING) for path in report))))
    find_folder = lru_cache(maxsize=1_000)(os.path.realpath)
    for path in find_files(batch.paths):
        if isinstance(path, Path):
            folder, name = os.path.split(path)
            real = os.path.realpath(path) if path.is_symlink() else os.path.join(find_folder(folder), name)  # noqa: PTH118
            if real in own or output.owns(real):
                continue
        yield path


def _name(batch: Batch, path: Path | Reject) -> str:
    return path.source if isinstance(path, Reject) else batch.names.get(path, str(path))


def _hide(batch: Batch, name: str) -> str:
    """Give what stands for a name in the journal: equal for equal names, without names a digest."""
    return digest_name(name) if batch.deidentify else name


def _read_letters(batch: Batch, output: Output, journal: Journal, progress: Progress) -> None:
    """Read what the journal does not know yet."""
    reader = ChunkReader(batch.make_rows, batch.limits, batch.columns, batch.deidentify)
    with Sandbox(batch.limits, columns=batch.columns) as sandbox:
        letters = _list_letters(batch, _find_inputs(batch, output), sandbox, *journal.find_last())
        chunks = cut_chunks(letters, first=journal.count_entries() + 1)
        with read_chunks(reader, chunks, workers=batch.workers, engine=batch.engine, master=batch.master) as found:
            for chunk, results in found:
                _write(batch, output, journal, chunk, results)
                progress(chunk.letters[-1].file + 1, chunk.first + len(results) - 1)


def _list_letters(
    batch: Batch, files: Iterator[Path | Reject], sandbox: Sandbox, last: int, inside: int
) -> Iterator[Waiting]:
    """Yield the letters behind the first `inside` ones of the file at `last`.

    Files with one letter are left to the workers; archives, tables and standard input are read here, bit by bit.
    """
    for position, path in enumerate(files):
        if position < last:
            continue
        name = _name(batch, path)
        for number, step in enumerate(_open(batch, path, name, sandbox)):
            if position > last or number >= inside:
                yield Waiting(position, name, step)


def _open(batch: Batch, path: Path | Reject, name: str, sandbox: Sandbox) -> Iterator[Unread | Document | Reject]:
    if isinstance(path, Reject):
        return iter([path])
    if path in batch.names or holds_many(path, name=name, columns=batch.columns):
        return sandbox.read(path, name=name)
    # the workers of a cluster have folders of their own
    return iter([Unread(os.path.abspath(path), name)])  # noqa: PTH100  (a tenth of what pathlib takes)


def _write(batch: Batch, output: Output, journal: Journal, chunk: Chunk, results: Sequence[Result]) -> None:
    """Write the rows of letters, then note them; of those that a part has no room for, in the next one."""
    files = {letter.file: _hide(batch, letter.name) for letter in chunk.letters}
    while results:
        some, results = results[: output.room], results[output.room :]
        ends = output.write([result.rows for result in some])
        entries = [(replace(result.entry, end=end), result.warnings) for result, end in zip(some, ends, strict=True)]
        journal.add(entries, files)
        output.turn()
