"""Rows without case numbers and exact dates, rejects without the names of their files.

Months and days are struck out with "x" in place, so that offsets into the text still hold.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from imr_rationale.letters.sources import Document, Reject
from imr_rationale.serving.rows import Row

__all__ = ["coarsen_dates", "deidentify_rows", "hide_reject", "hide_source"]

_ORDINAL = "(?:st|nd|rd|th)?"
#: a number, a month or a year begins and ends here; "_" is no part of it
_START, _END = "(?<![A-Za-z0-9])", "(?![A-Za-z0-9])"
_YEAR = r"(?:19|20)\d\d(?!\d)"
_CLEAR_MONTH = (
    "(?i:Jan(?:uary)?|Feb(?:ruary)?|Apr(?:il)?|June?|July?|Aug(?:ust)?|Sept?(?:ember)?|Oct(?:ober)?|Nov(?:ember)?"
    "|Dec(?:ember)?)"
)
#: "may" and "march" are words too: without a year they count as printed names alone
_NAMED_MONTH = f"(?:{_CLEAR_MONTH}|Mar(?:ch)?|MAR(?:CH)?|May|MAY)"
_MONTH = f"(?:{_CLEAR_MONTH}|(?i:Mar(?:ch)?|May))"
_OF = r"(?:of\s{1,3})?"
#: between the two dates of a range, and between those of a list
_TO = r"\s{0,2}(?:and|to|or|through|thru|&|-|–)\s{0,2}"
_AND = rf"(?:{_TO}|\s{{0,2}},\s{{0,2}}(?:(?:and|or|&)\s{{1,2}})?)"
#: what is measured in tenths or fifths: "4/10 pain", "5/5 strength"
_SCORED = r"(?i:pain|strength|motor|muscle|power|weakness|scale|(?:in |of )?(?:intensity|severity)|vas\b|nrs\b)"
#: month and day without year, "1/12"; no score and no dose
_MONTH_DAY = (
    rf"(?:0?[1-9]|1[0-2])/(?!(?:5|10)\s{{0,2}}{_SCORED}|\d\d?\s{{0,2}}mg\b)"
    r"(?:0?[1-9]|[12]\d|3[01])(?![\dA-Za-z/])"
)
_MONTH_DAYS = f"{_MONTH_DAY}(?:{_AND}{_MONTH_DAY}){{0,9}}"
_DATED = (
    r"on|dated?|dos|doi|since|until|till|as of|seen|(?:mon|tues|wednes|thurs|fri|satur|sun)day,?"
    r"|(?:dates?|visits?|services?|exam(?:ination)?|evaluation|notes?|reports?|letter|request|injury) of(?: service)?"
)
#: in this order; each strikes out the group "day" and leaves the rest
DATE_RES = (
    # "01/12/2016", "1-12-2016", "12.05.2015"
    re.compile(rf"{_START}(?P<day>\d{{1,2}}\s?(?:/\s?\d{{1,2}}\s?/|-\s?\d{{1,2}}\s?-)\s?)(?=\d{{4}}(?!\d))"),
    re.compile(rf"{_START}(?P<day>\d{{1,2}}\.\d{{1,2}}\.)(?={_YEAR})"),
    # "1/12/16", "1-12-16"; not the degrees "80/80/85"
    re.compile(rf"{_START}(?P<day>[0-3]?\d(?:/[0-3]?\d/|-[0-3]?\d-))(?=\d{{2}}(?!\d))"),
    # "01/2016", "1-2016"
    re.compile(rf"{_START}(?P<day>\d{{1,2}}[/-])(?={_YEAR})"),
    # "2016-01-12", "2016/1", "2016.01.12", "20160112"
    re.compile(rf"{_START}(?:19|20)\d\d(?P<day>[/_-]\d{{1,2}}(?:[/_-]\d{{1,2}})?|\.\d{{1,2}}\.\d{{1,2}})(?!\d)"),
    re.compile(rf"{_START}(?:19|20)\d\d(?P<day>(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01]))(?!\d)"),
    # "12 January 2016", "12th of January, 2016", "12-Jan-2016", "12Jan2016"
    re.compile(
        rf"{_START}(?P<day>\d{{1,2}}{_ORDINAL}[-/.]?\s{{0,3}}{_OF}{_MONTH})(?=[-/.,]{{0,2}}\s{{0,3}}{_OF}{_YEAR})"
    ),
    # "12-Jan-16", "12JAN16"
    re.compile(rf"{_START}(?P<day>\d{{1,2}}[-/.]?{_MONTH}[-/.]?)(?=\d\d(?!\d))"),
    # "January 12, 2016", "JANUARY 12 and 15, 2016", "jan-12-2016"
    re.compile(
        rf"{_START}(?P<day>{_MONTH}\.?[-/]?\s{{0,3}}\d{{1,2}}{_ORDINAL}(?:{_AND}\d{{1,2}}{_ORDINAL}{_END}){{0,5}})"
        rf"(?=[-/,]?\s{{0,3}},?\s{{0,3}}{_OF}{_YEAR})"
    ),
    # "January 2016", "January of 2016", "Jan-2016"
    re.compile(rf"{_START}(?P<day>{_MONTH})(?=\.?[-/,]?\s{{0,3}}{_OF}{_YEAR})"),
    # "the 12th of May", "12 January", "12-Jan"
    re.compile(rf"{_START}(?P<day>\d{{1,2}}(?:st|nd|rd|th)?(?:\s{{1,3}}{_OF}|[-/]){_CLEAR_MONTH}){_END}"),
    re.compile(
        rf"{_START}(?P<day>\d{{1,2}}(?:(?:st|nd|rd|th)\s{{1,3}}{_OF}|\s{{1,3}}of\s{{1,3}}){_NAMED_MONTH}){_END}"
    ),
    # "May 5", "Jan. 12", "Jan-12"
    re.compile(rf"{_START}(?P<day>{_NAMED_MONTH}(?:\.?\s{{1,3}}|[-/])\d{{1,2}}{_ORDINAL}){_END}"),
    # "on 1/12", "DOS: 1/12, 2/15 and 3/1"
    re.compile(rf"{_START}(?i:{_DATED})[\s:(]{{1,3}}(?P<day>{_MONTH_DAYS})"),
    # "dated 12.05.15"
    re.compile(rf"{_START}(?i:{_DATED})[\s:(]{{1,3}}(?P<day>\d{{1,2}}\.\d{{1,2}}\.)(?=\d\d(?!\d))"),
    # "1/12 to" before "xx/xx/2016"
    re.compile(rf"{_START}(?P<day>{_MONTH_DAYS})(?={_TO}x{{1,2}}/x{{1,2}}/)"),
    # "to 2/15" behind "xx/xx/2016" or "xx/xx"
    re.compile(rf"x/(?:(?:\d\d)?\d\d|xx?){_TO}(?P<day>{_MONTH_DAYS})"),
)
# "CM15-0106031", "CM15 0106031", "cm150106031"
CASE_RE = re.compile(r"(?<![A-Za-z])CM\s?(?P<day>\d{2}[\s_–-]{0,3}\d{7})(?!\d)", re.IGNORECASE)
# "12th" and "January" of "12th of January"
PART_RE = re.compile(rf"\d+{_ORDINAL}|{_MONTH}")
# "'EI10-2,Upheld'" of an error that quotes what it could not read
QUOTED_RE = re.compile(r"""['"].*['"]""", re.DOTALL)
#: fields that name a letter, and what stands there instead
NAMES = frozenset({"letter", "source"})


def coarsen_dates(text: str) -> str:
    """Strike months, days and case numbers out; the text keeps its length, years stay.

    Month and day without a year are struck out where words or a date beside them say that they are a date.

    Examples
    --------
    >>> coarsen_dates("seen on 01/12/2016 and on March 3, 2016")
    'seen on xx/xx/2016 and on xxxxx x, 2016'
    >>> coarsen_dates("On 1/12 pain was 4/10.")
    'On x/xx pain was 4/10.'
    """
    for pattern in (*DATE_RES, CASE_RE):
        text = pattern.sub(_strike, text)
    return text


def _strike(match: re.Match[str]) -> str:
    start, end = match.start("day") - match.start(), match.end("day") - match.start()
    whole = match.group()
    return whole[:start] + PART_RE.sub(lambda part: "x" * len(part.group()), whole[start:end]) + whole[end:]


def deidentify_rows(rows: list[Row], number: int) -> list[Row]:
    """Give the rows of one letter without its case number, its source and exact dates.

    Parameters
    ----------
    rows : list of dict
    number : int
        Stands for the letter, so that its items stay together.
    """
    return [{"letter": _name_letter(number), "source": None, **_coarsen(row)} for row in rows]


def hide_source(step: Document | Reject, number: int) -> Document | Reject:
    """Give a letter, or why it was rejected, under its number.

    Examples
    --------
    >>> hide_source(Reject("Doe.csv:2", "row", "Doe.csv:2: no readable row (a quote): 'CM15-0106031,Doe'"), 7).error
    'letter 7: no readable row (a quote): …'
    """
    return hide_reject(step, number) if isinstance(step, Reject) else replace(step, source=_name_letter(number))


def hide_reject(reject: Reject, number: int) -> Reject:
    """Give why a letter was rejected, under its number."""
    name, reason = _name_letter(number), reject.error
    # errors print white space as one blank
    for source in (reject.source, " ".join(reject.source.split())):
        reason = reason.replace(f"{source}: ", "")
    return replace(reject, source=name, error=f"{name}: {coarsen_dates(QUOTED_RE.sub('…', reason))}")


def _name_letter(number: int) -> str:
    return f"letter {number}"


def _coarsen(value: Any) -> Any:
    if isinstance(value, str):
        return coarsen_dates(value)
    if isinstance(value, Mapping):
        return {key: _coarsen(one) for key, one in value.items() if key not in NAMES}
    return [_coarsen(one) for one in value] if isinstance(value, (list, tuple)) else value
