"""Rows as JSON Lines -> the file that was asked for."""

import csv
import errno
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any

from imr_rationale.errors import SourceError

__all__ = [
    "WRITERS",
    "WRITING",
    "check_output",
    "check_place",
    "finish_output",
    "neutralise",
    "open_instead",
    "write_parquet",
]

#: ending of a file that takes another's place when all of it is written
WRITING = ".writing"

#: spreadsheets take a cell that begins so for a formula (OWASP, "CSV Injection")
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
#: rows of a group of a Parquet file
GROUP_ROWS = 10_000


#: from a file of JSON Lines, with the fields of its rows, to the output
Writer = Callable[[Path, Path, Mapping[str, type]], object]


def check_output(output: Path) -> None:
    """Refuse an output of unknown kind, or where no file can be written.

    Raises
    ------
    SourceError
        The message names the known kinds, or says what is in the way.
    """
    if output.suffix.lower() not in WRITERS:
        raise SourceError(
            f"{output}: unknown kind {output.suffix!r}; known: {', '.join(WRITERS)}, {output}/ for a folder of "
            "Parquet parts, or - for standard output"
        )
    check_place(output)


def check_place(path: Path) -> None:
    """Refuse a path where no file can be written, before the work whose outcome would go there.

    Raises
    ------
    SourceError
        It is a folder, or its folder is missing or closed.
    """
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror or error}") from error


@contextmanager
def open_instead(path: Path, *, through: Path | None = None) -> Iterator[Path]:
    """Give a new file to write to, which takes the place of `path` when all of it is written.

    Parameters
    ----------
    path : Path
    through : Path, optional
        The file meanwhile, in the same folder; beside `path`, with an ending, when left out.
    """
    writing = through or path.with_name(path.name + WRITING)
    # what a killed run left here may be linked to another file
    writing.unlink(missing_ok=True)
    try:
        yield writing
        with writing.open("rb") as file:
            os.fsync(file.fileno())
        writing.replace(path)
    finally:
        writing.unlink(missing_ok=True)


def finish_output(rows: Path, output: Path, fields: Mapping[str, type]) -> None:
    """Turn a file of JSON Lines into `output`, which appears under its name only when all of it is written.

    Parameters
    ----------
    rows, output : Path
    fields : mapping of str to type
        Every name in a row, with the type of its column.
    """
    with open_instead(output) as writing:
        WRITERS[output.suffix.lower()](rows, writing, fields)


def neutralise(value: Any) -> Any:
    """Give a cell that no spreadsheet takes for a formula.

    Examples
    --------
    >>> neutralise("=cmd()")
    "'=cmd()"
    """
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA_STARTS) else value


def _read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Yield rows with nested values as JSON text."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield {key: _flatten(value) for key, value in json.loads(line).items()}


def _flatten(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (list, dict)) else value


def _write_jsonl(rows: Path, output: Path, fields: Mapping[str, type]) -> None:
    # no link: the next run writes to `rows`
    shutil.copyfile(rows, output)


def _write_csv(rows: Path, output: Path, fields: Mapping[str, type]) -> None:
    with output.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(fields))
        writer.writeheader()
        for row in _read_rows(rows):
            writer.writerow({key: neutralise(value) for key, value in row.items()})


def write_parquet(rows: Path, output: Path, fields: Mapping[str, type]) -> int:
    """Write a file of JSON Lines as Parquet, nested values as JSON text; gives the number of rows.

    Types come from the fields, so that files of one command can be read together whichever values are missing.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
    schema = pa.schema([(name, types[kind]) for name, kind in fields.items()])
    found, n_rows = _read_rows(rows), 0
    with pq.ParquetWriter(output, schema) as writer:
        while group := list(islice(found, GROUP_ROWS)):
            writer.write_table(pa.Table.from_pylist(group, schema=schema))
            n_rows += len(group)
    return n_rows


#: output suffix -> function that writes it
WRITERS: Mapping[str, Writer] = MappingProxyType(
    {".jsonl": _write_jsonl, ".csv": _write_csv, ".parquet": write_parquet}
)
