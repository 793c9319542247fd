"""Rows without case numbers and exact dates.

Months and days are struck out with "x" in place, so that offsets into the text still hold.
"""

import re
from collections.abc import Mapping
from typing import Any

from imr_rationale.serving.rows import Row

__all__ = ["coarsen_dates", "deidentify_rows"]

_ORDINAL = "(?:st|nd|rd|th)?"
_MONTH = (
    r"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?|Oct(?:ober)?"
    r"|Nov(?:ember)?|Dec(?:ember)?)\b\.?"
)
DATE_RES = (
    # "01/12/2016", "1-12-16", "2016-01-12", "01/2016", "1/12"
    re.compile(r"\b(?P<day>\d{1,2}[/-](?:\d{1,2}[/-])?)(?=\d{4}\b)"),
    re.compile(r"\b(?P<day>\d{1,2}/\d{1,2}/)(?=\d{2}\b)"),
    re.compile(r"\b(?P<day>\d{1,2}-\d{1,2}-)(?=\d{2}\b)"),
    re.compile(r"(?<=\b(?:19|20)\d\d)(?P<day>[/-]\d{1,2}(?:[/-]\d{1,2})?)\b"),
    # "January 12, 2016", "Jan. 12", "12 January 2016", "January of 2016"
    re.compile(
        rf"\b(?P<day>(?:\d{{1,2}}{_ORDINAL} (?:of )?)?{_MONTH}(?: \d{{1,2}}{_ORDINAL}\b)?)"
        r"(?=,? (?:of )?(?:19|20)\d\d\b)"
    ),
    re.compile(rf"\b(?P<day>{_MONTH} \d{{1,2}}{_ORDINAL})\b"),
)
# "CM15-0106031"
CASE_RE = re.compile(r"\bCM(?P<day>\d{2}-\d{7})\b", re.IGNORECASE)
LETTER_OR_DIGIT_RE = re.compile(r"[A-Za-z0-9]")
#: fields that name a letter, and what stands there instead
NAMES = frozenset({"letter", "source"})


def coarsen_dates(text: str) -> str:
    """Strike months, days and case numbers out; the text keeps its length, years stay.

    Examples
    --------
    >>> coarsen_dates("seen on 01/12/2016 and on March 3, 2016")
    'seen on xx/xx/2016 and on xxxxx x, 2016'
    """
    for pattern in (*DATE_RES, CASE_RE):
        text = pattern.sub(_strike, text)
    return text


def _strike(match: re.Match[str]) -> str:
    start, end = match.start("day") - match.start(), match.end("day") - match.start()
    whole = match.group()
    return whole[:start] + LETTER_OR_DIGIT_RE.sub("x", whole[start:end]) + whole[end:]


def deidentify_rows(rows: list[Row], number: int) -> list[Row]:
    """Give the rows of one letter without its case number, its source and exact dates.

    Parameters
    ----------
    rows : list of dict
    number : int
        Stands for the letter, so that its items stay together.
    """
    return [{"letter": f"letter {number}", "source": None, **_coarsen(row)} for row in rows]


def _coarsen(value: Any) -> Any:
    if isinstance(value, str):
        return coarsen_dates(value)
    if isinstance(value, Mapping):
        return {key: _coarsen(one) for key, one in value.items() if key not in NAMES}
    return [_coarsen(one) for one in value] if isinstance(value, (list, tuple)) else value
