"""Many files in, one row a disputed item out; a file that cannot be read is named and stops nothing."""

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from datetime import date
from pathlib import Path
from typing import IO, Any

from imr_rationale.errors import ImrError, SourceError
from imr_rationale.learning.model import RationaleModel
from imr_rationale.letters.layout import read_letter
from imr_rationale.records import Item, Letter
from imr_rationale.serving.predict import predict_items, prediction_to_dict

__all__ = ["BatchCounts", "item_to_dict", "parse_file", "predict_file", "run_batch"]

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class BatchCounts:
    """How many files were seen and rows written, and the files that were refused, with the error of each."""

    files: int
    rows: int
    rejects: tuple[tuple[Path, str], ...]


def parse_file(path: Path) -> list[Row]:
    """Give one row for each disputed item of a letter."""
    letter = read_letter(path)
    return [item_to_dict(letter, item, str(path)) for item in letter.items]


def predict_file(path: Path, model: RationaleModel, *, min_certainty: float = 0.0) -> list[Row]:
    """Give one prediction row for each disputed item of a letter."""
    found = predict_items(read_letter(path), source=str(path), model=model, min_certainty=min_certainty)
    return [prediction_to_dict(prediction) for prediction in found]


def item_to_dict(letter: Letter, item: Item, source: str) -> Row:
    """Give the JSON object of one parsed item: its own fields, then its letter's."""
    first = ("treatment", "outcome", "claims_administrator_guideline", "reviewer_guideline", "rationale")
    row: Row = {"letter": letter.case_number or Path(source).stem, "source": source, "item": item.number}
    row |= {name: getattr(item, name) for name in (*first, "start_char", "end_char")}
    row |= {"rationale_start_char": item.rationale_start_char, "rationale_end_char": item.rationale_end_char}
    row["modified"] = asdict(item.modified) if item.modified else None
    row |= {f"date_{name}": _format_date(value) for name, value in asdict(letter.dates).items()}
    for name in (field.name for field in fields(Letter)):
        if name not in {"text", "case_number", "dates", "items", "warnings"}:
            value = getattr(letter, name)
            row[name] = list(value) if isinstance(value, tuple) else value
    row["warnings"] = [*letter.warnings, *item.warnings]
    return row


def _format_date(value: date | None) -> str | None:
    return value.isoformat() if value else None


def run_batch(
    paths: Iterable[Path], read: Callable[[Path], list[Row]], output: Path | None, stream: IO[str]
) -> BatchCounts:
    """Read files one after the other and write their rows.

    Parameters
    ----------
    paths : iterable of Path
        Wrap it to show progress.
    read : callable
        File -> its rows; it may raise any `ImrError`.
    output : Path or None
        .jsonl, .csv or .parquet; None writes JSON Lines to `stream`. Refused files go to
        "<output>.rejects.jsonl", which is absent when there are none.

    Raises
    ------
    SourceError
        The output is of an unknown kind or cannot be written.
    """
    files = rows = 0
    rejects: list[tuple[Path, str]] = []
    try:
        with _open_writer(output, stream) as write:
            for path in paths:
                files += 1
                try:
                    found = read(path)
                except ImrError as error:
                    rejects.append((path, str(error)))
                else:
                    write(found)
                    rows += len(found)
        if output is not None:
            _write_rejects(output, rejects)
    except OSError as error:
        raise SourceError(f"{output or 'standard output'}: {error.strerror or error}") from error
    return BatchCounts(files, rows, tuple(rejects))


def _write_rejects(output: Path, rejects: Sequence[tuple[Path, str]]) -> None:
    path = output.with_name(output.name + ".rejects.jsonl")
    path.unlink(missing_ok=True)
    if rejects:
        rows = ({"path": str(file), "error": error} for file, error in rejects)
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


@contextmanager
def _open_writer(output: Path | None, stream: IO[str]) -> Iterator[Callable[[list[Row]], None]]:
    """Give a function that writes rows; a file appears under its name only when all is written."""
    if output is None:
        yield lambda rows: stream.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        return
    opener = WRITERS.get(output.suffix.lower())
    if opener is None:
        raise SourceError(
            f"{output}: unknown kind {output.suffix!r}; known: {', '.join(WRITERS)}, or - for standard output"
        )
    partial = output.with_name(output.name + ".partial")
    try:
        with opener(partial) as write:
            yield write
        partial.replace(output)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def _write_jsonl(path: Path) -> Iterator[Callable[[list[Row]], None]]:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        yield lambda rows: file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


@contextmanager
def _write_csv(path: Path) -> Iterator[Callable[[list[Row]], None]]:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer: csv.DictWriter[str] | None = None

        def write(rows: list[Row]) -> None:
            nonlocal writer
            for row in rows:
                flat = {key: _flatten(value) for key, value in row.items()}
                if writer is None:
                    writer = csv.DictWriter(file, list(flat))
                    writer.writeheader()
                writer.writerow(flat)

        yield write


def _flatten(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (list, dict)) else value


@contextmanager
def _write_parquet(path: Path) -> Iterator[Callable[[list[Row]], None]]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise SourceError("writing .parquet needs pyarrow: pip install 'imr-rationale[parquet]'") from error
    rows: list[Row] = []
    yield rows.extend
    pq.write_table(pa.Table.from_pylist([{k: _flatten(v) for k, v in row.items()} for row in rows]), path)


#: output suffix -> writer
WRITERS = {".jsonl": _write_jsonl, ".csv": _write_csv, ".parquet": _write_parquet}
