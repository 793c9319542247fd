"""The words of a treatment -> whether it was given already, and when."""

import re
from collections.abc import Iterator
from datetime import date

from imr_rationale.labels import Timing
from imr_rationale.letters.amounts import FLAGS, search_before
from imr_rationale.records import Found

__all__ = ["read_services", "read_timing"]

# "Retrospective request for", "Retro:"
TIMING_RE = re.compile(
    r"\b(?:(?P<retrospective>retro(?:spective(?:ly)?)?)|(?P<prospective>prospective(?:ly)?))\b", FLAGS
)
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
# "01/12/2016", "3-4-16", "2016-03-04", "March 4, 2016"
DATE_RE = re.compile(
    r"(?<![\w/.])(?:(?P<month>[0-9]{1,2})[/.-](?P<day>[0-9]{1,2})[/.-](?P<year>[0-9]{4}|[0-9]{2})"
    r"|(?P<iso_year>[0-9]{4})-(?P<iso_month>[0-9]{2})-(?P<iso_day>[0-9]{2})"
    rf"|(?P<name>{'|'.join(MONTHS)})[a-z]{{0,6}}\.? (?P<name_day>[0-9]{{1,2}}),? (?P<name_year>[0-9]{{4}}))(?![0-9/])",
    FLAGS,
)
# "(DOS: ", "date of service "
SERVICE_RE = re.compile(
    r"(?:\bd\.?o\.?s\b|\bdates? of services?|\bservice dates?|\bdates?(?= ?:)"
    r"|\b(?:performed|rendered|dispensed|done|provided|completed) on)[.:=,s# ]{0,4}(?:of |on )?\Z",
    FLAGS,
)
# "01/12/2016 and 02/09/2016", "1/2/16 - 1/30/16"
LIST_RE = re.compile(r" ?(?:[,;&/–-]|and|to|through|thru)? ?(?:and )?", FLAGS)
# "per 03/04/2016 order", "surgery on 1/2/16", "report dated 1/2/16"
NO_SERVICE_BEFORE_RE = re.compile(
    r"\b(?:per|ordered|order|rx|report|dated|rfa|surgery|doi|injury|since)(?: on| of)?[: ]{0,2}\Z", FLAGS
)
NO_SERVICE_AFTER_RE = re.compile(r" ?(?:order|prescription|report|rfa|request|surgery|note|visit)\b", FLAGS)


def read_services(text: str) -> Iterator[Found[date]]:
    """Yield the dates that are said to be of service, and those of a list that such a date begins."""
    retrospective = any(match["retrospective"] for match in TIMING_RE.finditer(text))
    previous: int | None = None
    for match in DATE_RE.finditer(text):
        day = _make_date(match)
        listed = previous is not None and LIST_RE.fullmatch(text, previous, match.start()) is not None
        if day is None or not (listed or _is_service(text, match, retrospective)):
            continue
        previous = match.end()
        yield Found(day, match.start(), match.end())


def _is_service(text: str, match: re.Match[str], retrospective: bool) -> bool:
    if search_before(SERVICE_RE, text, match.start()):
        return True
    other = search_before(NO_SERVICE_BEFORE_RE, text, match.start()) or NO_SERVICE_AFTER_RE.match(text, match.end())
    return retrospective and other is None


def _make_date(match: re.Match[str]) -> date | None:
    part = match.groupdict()
    month = part["month"] or part["iso_month"] or 1 + MONTHS.index(part["name"].lower())
    day = part["day"] or part["iso_day"] or part["name_day"]
    year = part["year"] or part["iso_year"] or part["name_year"]
    try:
        return date(int(year) + (2000 if len(year) == 2 else 0), int(month), int(day))
    except ValueError:
        return None


def read_timing(text: str, dates: tuple[Found[date], ...]) -> Found[Timing] | None:
    """Read whether the treatment was given already; a date of service says so, too."""
    match = TIMING_RE.search(text)
    if match:
        return Found("retrospective" if match["retrospective"] else "prospective", match.start(), match.end())
    if not dates:
        return None
    cue = search_before(SERVICE_RE, text, dates[0].start_char)
    return Found("retrospective", cue.start() if cue else dates[0].start_char, dates[0].end_char)
