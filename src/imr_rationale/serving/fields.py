"""The fields of the rows that each command writes, with their types: the same whatever values a run meets."""

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from types import MappingProxyType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from imr_rationale.records import Dates, Item, Letter, Outcomes, Prediction
from imr_rationale.serving.rows import item_to_dict

__all__ = ["Fields", "item_fields", "prediction_fields"]

#: gives name -> type of its values, str where they are nested and stand as JSON text in a table
Fields = Callable[[], Mapping[str, type]]
PLAIN = frozenset({str, int, float, bool})
#: fields that no record has under this name
NAMED: Mapping[str, type] = MappingProxyType({"letter": str, "source": str, "item": int, "case_outcome": str})


@cache
def item_fields() -> Mapping[str, type]:
    """Give the fields of a row of `imr parse`, in order.

    Examples
    --------
    >>> item_fields()["start_char"]
    <class 'int'>
    """
    letter = Letter("", None, Dates(), None, (), None, None, None, None, (), "")
    row = item_to_dict(letter, Item(1, None, None, None, None, None, 0, 0), "")
    return _find_types(row, (Letter, Item))


@cache
def prediction_fields() -> Mapping[str, type]:
    """Give the fields of a row of `imr predict`, in order."""
    from imr_rationale.serving.predict import prediction_to_dict

    return _find_types(prediction_to_dict(Prediction("", Outcomes(), (), None, ())), (Prediction,))


def _find_types(names: Iterable[str], records: Iterable[type]) -> Mapping[str, type]:
    dates = {f"date_{name}": hint for name, hint in get_type_hints(Dates).items()}
    hints = {name: hint for record in records for name, hint in get_type_hints(record).items()} | dates | dict(NAMED)
    return MappingProxyType({name: _find_type(hints[name]) for name in names})


def _find_type(hint: Any) -> type:
    """Give the type of a value that may be missing; what a table cannot hold is text."""
    if get_origin(hint) in {Union, UnionType}:
        [hint] = {_find_type(part) for part in get_args(hint) if part is not type(None)}
    if get_origin(hint) is Literal:
        hint = type(get_args(hint)[0])
    return hint if hint in PLAIN else str
