"""What `imr parse` and `imr predict` wrote -> its rows again, one after the other."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from imr_rationale.errors import ImrError, SourceError
from imr_rationale.labels import OUTCOMES, Outcome, check_reasons
from imr_rationale.letters.sources import Reject, print_name
from imr_rationale.letters.tables import TABLES, Columns
from imr_rationale.serving.writers import FORMULA_STARTS, WRITERS

__all__ = ["ParsedItem", "PredictedItem", "find_row_files", "read_parsed", "read_predicted"]

T = TypeVar("T")
#: ending of the files of what could not be read, which hold no items
REJECTS = ".rejects.jsonl"


@dataclass(frozen=True, slots=True)
class ParsedItem:
    """One row of `imr parse`, as far as it is read again.

    Attributes
    ----------
    outcome : {"Upheld", "Overturned"} or None
    rationale : str or None
    """

    letter: str
    source: str
    item: int
    outcome: Outcome | None
    rationale: str | None


@dataclass(frozen=True, slots=True)
class PredictedItem:
    """One row of `imr predict`, as far as it is read again."""

    source: str
    item: int
    reasons: tuple[str, ...]
    primary_reason: str | None


@dataclass(frozen=True, slots=True)
class _Fields(Columns):
    """Columns of a table by their names in our rows."""

    more: tuple[str, ...] = ()

    def names(self) -> tuple[str, ...]:
        return (self.text, *self.more)


PARSED = _Fields("rationale", more=("letter", "source", "item", "outcome"))
PREDICTED = _Fields("reasons", more=("letter", "source", "item", "primary_reason"))


def find_row_files(paths: Iterable[Path]) -> list[Path]:
    """List files, and those of folders (such as the parts of one output), in the order of their names.

    Raises
    ------
    SourceError
        A file is missing or of an unknown kind, or a folder holds none.
    """
    return [file for path in paths for file in (_list_folder(path) if path.is_dir() else [_check_file(path)])]


def _list_folder(folder: Path) -> list[Path]:
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in WRITERS and _is_output(path))
    if not files:
        raise SourceError(f"{folder}: no file of items ({', '.join(WRITERS)})")
    return files


def _is_output(path: Path) -> bool:
    # names that begin like this are how engines mark what is no part of an output
    return path.is_file() and not path.name.startswith((".", "_")) and not path.name.endswith(REJECTS)


def _check_file(path: Path) -> Path:
    if path.suffix.lower() not in WRITERS:
        raise SourceError(f"{path}: unknown kind {path.suffix!r}; known: {', '.join(WRITERS)}, or a folder of them")
    if not path.exists():
        raise SourceError(f"{path}: No such file")
    return path


def read_parsed(files: Sequence[Path]) -> Iterator[ParsedItem | Reject]:
    """Yield the items of `imr parse`; a row, or the rest of a file, that cannot be read costs itself and says why."""
    for file in files:
        yield from _read_file(file, PARSED, _make_parsed)


def read_predicted(files: Sequence[Path]) -> Iterator[PredictedItem | Reject]:
    """Yield the items of `imr predict`, as `read_parsed` does."""
    for file in files:
        yield from _read_file(file, PREDICTED, _make_predicted)


def _read_file(path: Path, fields: _Fields, make: Callable[[Mapping[str, Any]], T]) -> Iterator[T | Reject]:
    kind, name = path.suffix.lower().removeprefix("."), print_name(str(path))
    try:
        with path.open("rb") as file:
            for number, row in enumerate(TABLES[kind](file, fields), start=1):
                try:
                    if isinstance(row, SourceError):
                        raise row
                    yield make(_plain(row, kind))
                except ImrError as error:
                    yield Reject(f"{name}: row {number}", "row", str(error))
    except ImrError as error:
        yield Reject(name, kind, str(error))
    except OSError as error:
        yield Reject(name, kind, error.strerror or str(error))


def _plain(row: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Give the cells as they were before they were written."""
    cells = {key: value.decode(errors="replace") if isinstance(value, bytes) else value for key, value in row.items()}
    if kind != "csv":
        return cells
    return {key: value[1:] if value.startswith(_MARKED) else value or None for key, value in cells.items()}


#: how cells begin that would be formulas in a spreadsheet
_MARKED = tuple(f"'{start}" for start in FORMULA_STARTS)


def _make_parsed(row: Mapping[str, Any]) -> ParsedItem:
    letter, source, item = _read_place(row)
    outcome = row.get("outcome")
    if isinstance(outcome, dict):
        raise SourceError("an item of imr predict; ITEMS are what imr parse writes")
    found = next((known for known in OUTCOMES if known == outcome), None)
    if outcome is not None and found is None:
        raise SourceError(f"unknown outcome {str(outcome)[:40]!r}; known: {', '.join(OUTCOMES)}")
    return ParsedItem(letter, source, item, found, _take_text(row, "rationale"))


def _make_predicted(row: Mapping[str, Any]) -> PredictedItem:
    _, source, item = _read_place(row)
    reasons = row.get("reasons")
    if isinstance(reasons, str):
        reasons = _parse(reasons)
    if not isinstance(reasons, list) or not all(isinstance(reason, dict) for reason in reasons):
        raise SourceError(f"reasons {str(reasons)[:40]!r} are no list of objects")
    primary = _take_text(row, "primary_reason")
    labels = check_reasons(str(reason.get("label")) for reason in reasons)
    return PredictedItem(source, item, labels, primary and check_reasons([primary])[0])


def _read_place(row: Mapping[str, Any]) -> tuple[str, str, int]:
    """Give letter, source and item; one of the two names stands for the other where it is left out."""
    letter, source, item = _take_text(row, "letter"), _take_text(row, "source"), row.get("item")
    name = source or letter
    if name is None:
        raise SourceError("neither a letter nor a source")
    if isinstance(item, bool) or not str(item).isdecimal():
        raise SourceError(f"item {str(item)[:40]!r} is no number")
    return letter or name, name, int(str(item))


def _take_text(row: Mapping[str, Any], name: str) -> str | None:
    value = row.get(name)
    if value is None or isinstance(value, str):
        return value
    raise SourceError(f"{name} {str(value)[:40]!r} is no text")


def _parse(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SourceError(f"reasons are no JSON ({error}): {text[:40]!r}") from error
