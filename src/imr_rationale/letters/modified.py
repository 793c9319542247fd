"""The heading of a modified request -> its three parts."""

import re

from imr_rationale.letters.folding import fold_case
from imr_rationale.records import ModifiedRequest

__all__ = ["ELIGIBLE_RE", "ORIGINAL_RE", "read_modified"]

#: longer headings are no headings
MAX_HEADING_CHARS = 5_000
# "Massage 12 visits was the original request."
ORIGINAL_RE = re.compile(r"^(?P<original>.*?),? (?:was|were|is) the original requests?\b\.?", re.IGNORECASE)
AUTHORIZED_RES = (
    # "Massage 4 visits was authorized by the Claims Administrator."
    re.compile(
        r"original requests?\. ?(?P<authorized>.{1,600}?),? (?:was|were|has been|have been)"
        r" (?:authorized|approved|certified) by the Claims Administrator",
        re.IGNORECASE,
    ),
    # "The Claims Administrator authorized a cane for 2 weeks, leaving the original request IMR eligible."
    re.compile(
        r"The Claims Administrator (?:authorized|approved|certified) (?P<authorized>.{1,600}?)"
        r"(?:,? leaving the (?:original|remaining)|\. (?=The (?:original|remaining)))",
        re.IGNORECASE,
    ),
)
# "The remaining IMR eligible portion of the original request, Massage 8 visits is: Upheld"
DISPUTED_RE = re.compile(r"^.*the original requests?,? (?P<disputed>.+?)(?:,? (?:is|are))?$", re.IGNORECASE)
#: words of which every modified request holds one
WORDS = ("eligible", "original request")
# "The remaining IMR eligible portion", "leaving the original request IMR eligible"
ELIGIBLE_RE = re.compile(r"IMR[- ]eligible|the original request", re.IGNORECASE)


def read_modified(heading: str) -> ModifiedRequest | None:
    """Take a modified request apart; None when the heading is a plain treatment.

    Examples
    --------
    >>> read_modified("Gym pass for 1 year was the original request. The original request, gym pass").disputed
    'gym pass'
    """
    folded = fold_case(heading)
    if len(heading) > MAX_HEADING_CHARS or not any(word in folded for word in WORDS):
        return None
    if not ELIGIBLE_RE.search(heading):
        return None
    authorized = next((match for pattern in AUTHORIZED_RES if (match := pattern.search(heading))), None)
    found = (ORIGINAL_RE.search(heading), authorized, DISPUTED_RE.search(heading))
    parts = [
        _strip(match, name) if match else (None, None)
        for name, match in zip(("original", "authorized", "disputed"), found, strict=True)
    ]
    (original, original_span), (allowed, authorized_span), (disputed, disputed_span) = parts
    return ModifiedRequest(original, allowed, disputed, original_span, authorized_span, disputed_span)


def _strip(match: re.Match[str], name: str) -> tuple[str, tuple[int, int]]:
    part = match[name]
    start = match.start(name) + len(part) - len(part.lstrip())
    return part.strip(), (start, start + len(part.strip()))
