"""A letter -> one row, a JSON object, for each of its disputed items."""

from collections.abc import Callable, Sequence
from dataclasses import fields
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from imr_rationale.letters.items import read_details
from imr_rationale.letters.layout import ROW
from imr_rationale.records import Item, Letter

__all__ = ["Row", "RowMaker", "item_to_dict", "list_items", "name_letter"]

Row = dict[str, Any]
#: letters with their sources -> the rows of each; it is pickled for other processes
RowMaker = Callable[[Sequence[tuple[Letter, str]]], list[list[Row]]]
FIRST = ("treatment", "outcome", "claims_administrator_guideline", "reviewer_guideline", "rationale")
OFFSETS = ("start_char", "end_char", "rationale_start_char", "rationale_end_char")
#: what is inside the fields above
STRUCTURE = ("heading", "modified", "request", "claims_administrator_basis", "reviewer_basis")
#: fields of a letter that stand elsewhere in the row or nowhere
ELSEWHERE = frozenset({"text", "case_number", "dates", "items", "warnings"})


def list_items(letters: Sequence[tuple[Letter, str]]) -> list[list[Row]]:
    """Give for each letter, which stands with its source, one row for each of its disputed items, details included."""
    return [[item_to_dict(letter, read_details(item), source) for item in letter.items] for letter, source in letters]


def item_to_dict(letter: Letter, item: Item, source: str) -> Row:
    """Give the JSON object of one parsed item: its own fields, then its letter's."""
    row: Row = {"letter": name_letter(letter, source), "source": source, "item": item.number}
    row |= {name: getattr(item, name) for name in (*FIRST, *OFFSETS)}
    row |= {name: _to_plain(getattr(item, name)) for name in STRUCTURE}
    row |= {f"date_{name}": value for name, value in _to_plain(letter.dates).items()}
    row["case_outcome"] = letter.outcome
    row |= {name: _to_plain(getattr(letter, name)) for name in _letter_fields()}
    row["warnings"] = [*letter.warnings, *item.warnings]
    return row


def name_letter(letter: Letter, source: str | None) -> str | None:
    """Give the case number, else what the source calls the letter."""
    if letter.case_number or source is None:
        return letter.case_number
    return Path(source).name if letter.layout == ROW else Path(source).stem


@cache
def _letter_fields() -> tuple[str, ...]:
    return tuple(field.name for field in fields(Letter) if field.name not in ELSEWHERE)


def _to_plain(value: Any) -> Any:
    """Give what JSON knows: records as objects, dates as text, tuples as lists."""
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, (tuple, list)):
        return [_to_plain(one) for one in value]
    if isinstance(value, date):
        return value.isoformat()
    return {name: _to_plain(getattr(value, name)) for name in value.__dataclass_fields__}
