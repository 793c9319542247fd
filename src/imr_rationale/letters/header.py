"""What stands around the items: case number, dates, credentials, age and sex."""

import re
from collections.abc import Mapping, Sequence
from datetime import date

from imr_rationale.letters.lines import Line, join_lines

__all__ = ["read_age_and_sex", "read_case_number", "read_date", "read_labels", "read_specialty", "split_states"]

# "CM15-0106031"
CASE_NUMBER_RE = re.compile(r"\bCM\d{2}-\d{7}\b", re.IGNORECASE)
# "05/14/2012", "5-6-14"
DATE_RE = re.compile(r"\b(\d{1,2})[/-](\d{1,2})[/-](\d{4}|\d{2})\b")
# "48 year old male", "39-year-old female", "52-y/o man"; a redacted "a year old female" has no age
AGE_SEX_RE = re.compile(
    r"(?:\b(?P<age>\d{1,3})[ -]{0,2})?\b(?:years?[ -]{0,2}old|y/o|yo)\b[ -]{0,2}(?P<rest>[^.]{0,60})",
    re.IGNORECASE,
)
# "female", "man"
SEX_RE = re.compile(r"\b(?:(?P<female>female|woman|lady)|(?P<male>male|man|gentleman))\b", re.IGNORECASE)
# "California and Nevada"
STATE_END_RE = re.compile(r",|\band\b")
# "Anesthesiology, has a subspecialty in Pain Medicine"
SUBSPECIALTY_RE = re.compile(r",? (?:and )?has a (?:sub-?specialty|certificate) in ", re.IGNORECASE)
#: characters at the beginning of a summary that present the patient
OPENING_CHARS = 120
#: a value that no other label ends is no longer than this
VALUE_CHARS = 400


def read_labels(lines: Sequence[Line], labels: Mapping[str, re.Pattern[str]]) -> dict[str, str]:
    """Read "label: value" pairs from lines whose labels and values may stand on lines of their own.

    Parameters
    ----------
    lines : sequence of Line
    labels : mapping of str to pattern
        Field -> its label, whose value runs to the next label; or words with the value in a group "value".
    """
    text = join_lines(lines)
    hits = sorted(
        (match.start(), match.end(), field, match.groupdict().get("value"))
        for field, pattern in labels.items()
        if (match := pattern.search(text)) is not None
    )
    ends = [*(start for start, *_ in hits[1:]), len(text)]
    values = {
        field: (text[end : min(stop, end + VALUE_CHARS)] if value is None else value).strip()
        for (_, end, field, value), stop in zip(hits, ends, strict=False)
    }
    return {field: value for field, value in values.items() if value}


def read_case_number(value: str | None, text: str) -> str | None:
    """Read a case number from its field, else the first one in a letter: its page headers print it, too."""
    match = CASE_NUMBER_RE.search(value or "") or CASE_NUMBER_RE.search(text)
    return match.group().upper() if match else None


def read_date(text: str) -> date | None:
    """Read the first date of a text; None without one, or when there is no such day.

    Examples
    --------
    >>> read_date("05/14/12")
    datetime.date(2012, 5, 14)
    """
    match = DATE_RE.search(text)
    # digits of other scripts are no date
    if match is None or not match.group().isascii():
        return None
    month, day, year = match.groups()
    try:
        return date(int(year) + (0 if len(year) == 4 else _find_century(int(year))), int(month), int(day))
    except ValueError:
        return None


def _find_century(year: int) -> int:
    """Give the century of a year of two digits, as POSIX has it: 69 to 99 are of the last one."""
    return 2000 if year < 69 else 1900


def split_states(text: str | None) -> tuple[str, ...]:
    """Split "California, Texas and Nevada"."""
    return tuple(state for part in STATE_END_RE.split(text or "") if (state := part.strip(" .;")))


def read_specialty(text: str | None) -> str | None:
    """Give a specialty with its subspecialty behind a comma."""
    return SUBSPECIALTY_RE.sub(", ", text) if text else None


def read_age_and_sex(summary: str) -> tuple[int | None, str | None]:
    """Read the age, and the sex beside it or, without an age, in the opening words."""
    match = AGE_SEX_RE.search(summary)
    sex = SEX_RE.search(match["rest"] if match else summary[:OPENING_CHARS])
    return (
        int(match["age"]) if match and match["age"] else None,
        None if sex is None else "female" if sex["female"] else "male",
    )
