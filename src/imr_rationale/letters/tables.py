"""A table of rationales -> its rows, one after the other."""

import csv
import io
import json
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import IO, Any

from imr_rationale.errors import SourceError
from imr_rationale.letters.clean import decode_bytes, find_encoding
from imr_rationale.letters.limits import MAX_CHARS

__all__ = ["PRESETS", "TABLES", "Columns", "read_batch", "read_rows"]


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
#: rows of a Parquet file in memory at a time
PARQUET_ROWS = 256
#: bytes that tell the encoding of a table
SAMPLE_BYTES = 100_000
#: cells of a row by the names of their columns, or why the row cannot be read
Row = Mapping[str, Any] | SourceError


def read_rows(file: IO[bytes], kind: str, columns: Columns) -> Iterator[dict[str, str | None] | SourceError]:
    """Yield the rows of a table as strings, empty cells as None; only the columns in use are read.

    A row that cannot be read is given as an error, which says why, and costs no other row. Rows without any cell are
    passed over.

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
        yield row if isinstance(row, SourceError) else {name: _to_text(row.get(name)) for name in columns.names()}


def _to_text(value: object) -> str | None:
    # a missing number is no number in many tables: it alone is unlike itself
    if value is None or value != value:
        return None
    if isinstance(value, bytes):
        value = decode_bytes(value)
    # 61234.0 in a spreadsheet is the number 61234
    text = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
    return text if text.strip() else None


def _check_columns(names: Iterable[object], wanted: Iterable[str]) -> None:
    known = [str(name) for name in names if name is not None]
    for name in wanted:
        if name not in known:
            raise SourceError(f"no column {name!r}; known: {', '.join(known)[:300] or 'none'}")


def _open_text(file: IO[bytes]) -> io.TextIOWrapper:
    encoding = find_encoding(file.read(SAMPLE_BYTES), whole=False)
    file.seek(0)
    return io.TextIOWrapper(file, encoding=encoding, errors="replace", newline="")


def _read_lines(text: IO[str]) -> Iterator[str]:
    """Yield lines; of one that is longer than a letter can be only its beginning, one character too long."""
    while line := text.readline(MAX_CHARS + 1):
        end = line
        while len(end) > MAX_CHARS and not end.endswith(("\n", "\r")):
            end = text.readline(MAX_CHARS + 1)
        yield line


def _check_line(line: str) -> None:
    if len(line) > MAX_CHARS:
        raise SourceError(f"a line of more than {MAX_CHARS} characters")


def _read_csv(file: IO[bytes], columns: Columns) -> Iterator[Row]:
    """Read comma, semicolon or tab separated lines."""
    csv.field_size_limit(MAX_CHARS)
    with _open_text(file) as text:
        head = text.readline(MAX_CHARS)
        text.seek(0)
        records = _read_records(_read_lines(text), max(",;\t|", key=head.count))
        names = next(records, [])
        if isinstance(names, SourceError):
            raise names
        _check_columns(names, columns.names())
        for cells in records:
            yield cells if isinstance(cells, SourceError) else _name_cells(names, cells)


def _name_cells(names: Sequence[str], cells: Sequence[str]) -> Row:
    if any(cells[len(names) :]):
        return SourceError(f"{len(cells)} cells under {len(names)} columns: a separator inside a cell without quotes?")
    return dict(zip(names, cells, strict=False))


def _read_records(lines: Iterator[str], delimiter: str) -> Iterator[list[str] | SourceError]:
    """Yield the cells of each record.

    A quote that is never closed would swallow the lines behind it: its record costs one line, the others are read anew.
    """
    again: list[str] = []
    while True:
        taken: list[str] = []
        try:
            cells = next(csv.reader(_take(again, lines, taken), delimiter=delimiter, strict=True), None)
        except (csv.Error, SourceError) as error:
            again += reversed(taken[1:])
            yield SourceError(f"no readable row ({error}): {taken[0][:40].strip()!r}")
            continue
        if cells is None:
            return
        if cells:
            yield cells


def _take(again: list[str], lines: Iterator[str], taken: list[str]) -> Iterator[str]:
    """Yield lines, first those to be read again, the next one last, and note them."""
    n_chars = 0
    while (line := again.pop() if again else next(lines, None)) is not None:
        taken.append(line)
        n_chars += len(line)
        _check_line(line)
        if n_chars > 2 * MAX_CHARS:
            raise SourceError(f"more than {2 * MAX_CHARS} characters")
        yield line


def _read_jsonl(file: IO[bytes], columns: Columns) -> Iterator[Row]:
    """Read one JSON object a line.

    The first one must have the text: a wrong name costs no long run. The others may come later, or be left out by rows.
    """
    missing = set(columns.names())
    first = True
    with _open_text(file) as text:
        for line in _read_lines(text):
            if not line.strip():
                continue
            row = _parse_object(line)
            if not isinstance(row, SourceError):
                if first:
                    _check_columns(row, (columns.text,))
                first = False
                missing.difference_update(row)
            yield row
    if missing and not first:
        raise SourceError(f"no row has a column {', '.join(map(repr, sorted(missing)))}")


def _parse_object(line: str) -> Row:
    try:
        _check_line(line)
        row = json.loads(line)
    except SourceError as error:
        return error
    except (ValueError, RecursionError) as error:
        return SourceError(f"no JSON object ({error}): {line[:40].strip()!r}")
    return row if isinstance(row, dict) else SourceError(f"no JSON object: {line[:40].strip()!r}")


@contextmanager
def _explained(what: str, damage: tuple[type[Exception], ...]) -> Iterator[None]:
    try:
        yield
    except MemoryError:  # Arrow's is one of its errors too
        raise
    except damage as error:
        raise SourceError(f"no readable {what} ({type(error).__name__}: {str(error)[:200]})") from error


def _read_xlsx(file: IO[bytes], columns: Columns) -> Iterator[Row]:
    """Read the first sheet of a workbook; formulas give the value that was saved."""
    from openpyxl import load_workbook
    from openpyxl.utils.exceptions import InvalidFileException

    # a damaged part shows as whatever the code that reads it stumbles over
    stumbles = (LookupError, ValueError, TypeError, AttributeError, ArithmeticError, SyntaxError)
    damage = (InvalidFileException, zipfile.BadZipFile, zlib.error, EOFError, *stumbles)
    with _explained("workbook", damage), closing(load_workbook(file, read_only=True, data_only=True)) as workbook:
        sheet = workbook.worksheets[0]
        # a declared size may be wrong: cells count
        sheet.reset_dimensions()
        rows = (row for row in sheet.iter_rows(values_only=True) if any(cell is not None for cell in row))
        names = [str(cell) if cell is not None else "" for cell in next(rows, ())]
        _check_columns(names, columns.names())
        for row in rows:
            yield dict(zip(names, row, strict=False))


def _read_parquet(file: IO[bytes], columns: Columns) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with _explained("Parquet", (pa.ArrowException, OSError, ValueError, TypeError)), pq.ParquetFile(file) as table:
        _check_columns(table.schema_arrow.names, columns.names())
        for batch in table.iter_batches(batch_size=PARQUET_ROWS, columns=list(columns.names()), use_threads=False):
            yield from _list_rows(batch, columns)


def read_batch(batch: Any, columns: Columns) -> Iterator[dict[str, str | None]]:
    """Yield the rows of an Arrow record batch as `read_rows` does those of a file."""
    for row in _list_rows(batch, columns):
        yield {name: _to_text(cell) for name, cell in row.items()}


def _list_rows(batch: Any, columns: Columns) -> Iterator[dict[str, Any]]:
    cells = {name: _to_list(batch.column(name)) for name in columns.names()}
    yield from (dict(zip(cells, row, strict=True)) for row in zip(*cells.values(), strict=True))


def _to_list(column: Any) -> list[Any]:
    """Give the values of a column, text as bytes: one that is no UTF-8 must not cost the others."""
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = column.cast(pa.large_binary())
    values: list[Any] = column.to_pylist()
    return values


#: kind -> function from a file and columns to rows
TABLES: Mapping[str, Callable[[IO[bytes], Columns], Iterator[Row]]] = MappingProxyType(
    {"csv": _read_csv, "jsonl": _read_jsonl, "xlsx": _read_xlsx, "parquet": _read_parquet}
)
