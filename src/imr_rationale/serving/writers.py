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

__all__ = ["WRITERS", "WRITING", "check_output", "check_place", "finish_output", "neutralise", "open_instead"]

#: ending of a file that takes another's place when all of it is written
WRITING = ".writing"

#: spreadsheets take a cell that begins so for a formula (OWASP, "CSV Injection")
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
#: rows of a group of a Parquet file
GROUP_ROWS = 10_000


def check_output(output: Path) -> None:
    """Refuse an output of unknown kind, or where no file can be written.

    Raises
    ------
    SourceError
        The message names the known kinds, or says what is in the way.
    """
    if output.suffix.lower() not in WRITERS:
        raise SourceError(
            f"{output}: unknown kind {output.suffix!r}; known: {', '.join(WRITERS)}, or - for standard output"
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
def open_instead(path: Path) -> Iterator[Path]:
    """Give a new file to write to, which takes the place of `path` when all of it is written."""
    writing = path.with_name(path.name + WRITING)
    # what a killed run left here may be linked to another file
    writing.unlink(missing_ok=True)
    try:
        yield writing
        with writing.open("rb") as file:
            os.fsync(file.fileno())
        writing.replace(path)
    finally:
        writing.unlink(missing_ok=True)


def finish_output(rows: Path, output: Path) -> None:
    """Turn a file of JSON Lines into `output`, which appears under its name only when all of it is written."""
    with open_instead(output) as writing:
        WRITERS[output.suffix.lower()](rows, writing)


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


def _write_jsonl(rows: Path, output: Path) -> None:
    # no link: the next run writes to `rows`
    shutil.copyfile(rows, output)


def _write_csv(rows: Path, output: Path) -> None:
    with output.open("w", encoding="utf-8", newline="") as file:
        writer: csv.DictWriter[str] | None = None
        for row in _read_rows(rows):
            if writer is None:
                writer = csv.DictWriter(file, list(row))
                writer.writeheader()
            writer.writerow({key: neutralise(value) for key, value in row.items()})


def _write_parquet(rows: Path, output: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema(list(_find_types(rows).items()))
    found = _read_rows(rows)
    with pq.ParquetWriter(output, schema) as writer:
        while group := list(islice(found, GROUP_ROWS)):
            writer.write_table(pa.Table.from_pylist(group, schema=schema))


def _find_types(rows: Path) -> dict[str, Any]:
    """Give the type of each column: what its values are in all rows, text where they are all missing."""
    import pyarrow as pa

    known = {bool: pa.bool_(), int: pa.int64(), float: pa.float64()}
    found: dict[str, set[type]] = {}
    for row in _read_rows(rows):
        for name, value in row.items():
            kinds = found.setdefault(name, set())
            if value is not None:
                kinds.add(type(value))
    numbers = {name: pa.float64() if kinds == {int, float} else None for name, kinds in found.items()}
    return {
        name: numbers[name] or (known.get(next(iter(kinds)), pa.string()) if len(kinds) == 1 else pa.string())
        for name, kinds in found.items()
    }


#: output suffix -> function from a file of JSON Lines to the output
WRITERS: Mapping[str, Callable[[Path, Path], None]] = MappingProxyType(
    {".jsonl": _write_jsonl, ".csv": _write_csv, ".parquet": _write_parquet}
)
