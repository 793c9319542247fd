"""A table of rationales -> its rows, one after the other."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import IO, Any

from imr_rationale.errors import SourceError
from imr_rationale.letters.clean import decode_bytes
from imr_rationale.letters.limits import MAX_CHARS

__all__ = ["PRESETS", "TABLES", "Columns", "read_rows"]


@dataclass(frozen=True, slots=True)
class Columns:
    """Which column of a table holds what.

    Attributes
    ----------
    text : str
        The rationale.
    id : str or None
        Names the row; its number when left out.
    outcome : str or None
        Words that begin with "Upheld" or "Overturned".
    treatment : str or None
    """

    text: str
    id: str | None = None
    outcome: str | None = None
    treatment: str | None = None

    def names(self) -> tuple[str, ...]:
        """Give the names of the columns in use."""
        return tuple(name for name in (self.text, self.id, self.outcome, self.treatment) if name)


#: name -> columns of a published table
PRESETS: Mapping[str, Columns] = MappingProxyType(
    {
        # California's Department of Managed Health Care, Independent Medical Review (IMR) Determinations, Trend
        "dmhc": Columns(text="Findings", id="ReferenceID", outcome="Determination", treatment="TreatmentCategory"),
    }
)
Row = Mapping[str, Any]


def read_rows(file: IO[bytes], kind: str, columns: Columns) -> Iterator[dict[str, str | None]]:
    """Yield the rows of a table as strings, empty cells as None; only the columns in use are read.

    Parameters
    ----------
    file : binary file
        Seekable.
    kind : str
        One of `TABLES`.
    columns : Columns

    Raises
    ------
    SourceError
        A column is missing, or the table is damaged; rows before the damage have been given.
    """
    for row in TABLES[kind](file, columns):
        yield {name: _to_text(row.get(name)) for name in columns.names()}


def _to_text(value: object) -> str | None:
    if value is None:
        return None
    # 61234.0 in a spreadsheet is the number 61234
    text = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
    return text if text.strip() else None


def _check_columns(names: Iterable[object], columns: Columns) -> None:
    known = [str(name) for name in names if name is not None]
    for name in columns.names():
        if name not in known:
            raise SourceError(f"no column {name!r}; known: {', '.join(known)[:300]}")


def _read_csv(file: IO[bytes], columns: Columns) -> Iterator[Row]:
    """Read comma, semicolon or tab separated lines."""
    csv.field_size_limit(MAX_CHARS)
    with io.TextIOWrapper(file, encoding=_find_encoding(file), errors="replace", newline="") as text:
        head = text.readline(MAX_CHARS)
        delimiter = max(",;\t|", key=head.count)
        text.seek(0)
        reader = csv.DictReader(text, delimiter=delimiter)
        try:
            _check_columns(reader.fieldnames or (), columns)
            yield from reader
        except csv.Error as error:
            raise SourceError(f"line {reader.line_num}: {error}") from error


def _find_encoding(file: IO[bytes]) -> str:
    sample = file.read(100_000)
    file.seek(0)
    if sample.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    # a character cut at the sample's end is no sign of another encoding
    try:
        sample[: max(sample.rfind(b"\n"), 0) or len(sample)].decode("utf-8")
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8-sig"


def _read_jsonl(file: IO[bytes], columns: Columns) -> Iterator[Row]:
    """Read one JSON object a line."""
    for number, line in enumerate(iter(lambda: file.readline(MAX_CHARS), b""), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(decode_bytes(line)[0])
        except (ValueError, RecursionError) as error:
            raise SourceError(f"line {number}: no JSON object") from error
        if not isinstance(row, dict):
            raise SourceError(f"line {number}: no JSON object")
        _check_columns(row, columns)
        yield row


def _read_xlsx(file: IO[bytes], columns: Columns) -> Iterator[Row]:
    """Read the first sheet of a workbook; formulas give the value that was saved."""
    from openpyxl import load_workbook
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        workbook = load_workbook(file, read_only=True, data_only=True)
        rows = workbook.worksheets[0].iter_rows(values_only=True)
        names = [str(cell) if cell is not None else "" for cell in next(rows, ())]
        _check_columns(names, columns)
        for row in rows:
            yield dict(zip(names, row, strict=False))
    except (InvalidFileException, KeyError, IndexError, ValueError, TypeError, AttributeError, SyntaxError) as error:
        raise SourceError(f"no readable workbook ({type(error).__name__})") from error


def _read_parquet(file: IO[bytes], columns: Columns) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(file)
        _check_columns(table.schema_arrow.names, columns)
        for batch in table.iter_batches(batch_size=256, columns=list(columns.names()), use_threads=False):
            yield from batch.to_pylist()
    except (pa.ArrowException, OSError, MemoryError) as error:
        raise SourceError(f"no readable Parquet ({str(error).splitlines()[0]})") from error


#: kind -> function from a file and columns to rows
TABLES: Mapping[str, Callable[[IO[bytes], Columns], Iterator[Row]]] = MappingProxyType(
    {"csv": _read_csv, "jsonl": _read_jsonl, "xlsx": _read_xlsx, "parquet": _read_parquet}
)
