"""Scopes: for each place of a text whether what stands there is affirmed, absent, unproven or has failed.

References
----------
Status by trigger and scope: Chapman et al., "A simple algorithm for identifying negated findings and diseases
in discharge summaries" (NegEx, 2001), and Harkema et al., "ConText" (2009).
"""

import re
from bisect import bisect_left
from collections.abc import Sequence

from imr_rationale.language.words import lower_text

__all__ = ["STATUSES", "find_scopes", "read_status"]

#: `absent`: known not to be there; `unproven`: not shown; `failed`: tried without success; else `affirmed`
STATUSES = ("affirmed", "absent", "unproven", "failed")

# triggers, each with the status it gives to a concept in its scope
# "There is no documentation of failed conservative care", "does not document", "records fail to show"
UNPROVEN_BEFORE_RE = re.compile(
    r"\b(?:no|any|without|lack(?:s|ed|ing)?(?: of)?|absence of|insufficient|inadequate|limited|not|fail(?:s|ed)? to|unclear|never)\b"
    r"[^.;]{0,40}?\b(?:document\w*|evidence|indicat\w+|mention\w*|show\w*|demonstrat\w+|report\w*|provid\w+|describ\w+|"
    r"specif\w+|not(?:e|ed|ing)|discuss\w*|clear\w*|explain\w*|information|identif\w+)\b",
    re.ASCII,
)
UNPROVEN_AFTER_RE = re.compile(
    r"\b(?:(?:is|are|was|were|has|have|had|been|be) (?:not|never)(?: been)?(?: \w+)? ?"
    r"(?:document\w*|provid\w+|specif\w+|stated|given|noted|identified|demonstrat\w+|shown|submitted|reported|describ\w+|"
    r"discussed|clear|evident|established|addressed|mentioned|listed|included|attached)|"
    r"(?:is|are|was|were) (?:unclear|unspecified|unknown|missing|lacking)|not (?:documented|specified|provided))\b",
    re.ASCII,
)
ABSENT_BEFORE_RE = re.compile(
    r"\b(?:no|not|without|lack(?:s|ed|ing)?(?: of)?|absence of|absent|den(?:y|ies|ied)|negative for|free of|never|nor|none of|neither)\b",
    re.ASCII,
)
ABSENT_AFTER_RE = re.compile(
    r"\b(?:(?:is|are|was|were|has|have|had|been) (?:not|never)(?: been)?|not (?:met|present)|absent|(?:is|are|was|were) negative)\b",
    re.ASCII,
)
FAILED_RE = re.compile(
    r"\b(?:fail(?:ed|ure|ing|s)?(?! to (?:document|provide|show|specify|demonstrate|indicate))|without (?:relief|success|benefit|improvement)|"
    r"refractory|unresponsive|did not (?:help|respond|improve|relieve)|no (?:relief|benefit|improvement) (?:from|with)|"
    r"despite|not responded|persist\w*)\b",
    re.ASCII,
)
# a new clause or sentence ends a trigger's scope
SCOPE_END_RE = re.compile(
    r"[.!?](?=\s|$)|\b(?:but|however|although|though|while|whereas|which|therefore)\b|;|:", re.ASCII
)
#: characters that a trigger reaches forward and backward
SCOPE_BEFORE, SCOPE_AFTER = 90, 60
#: (status, trigger, side it reaches: 1 forward, -1 backward, 0 both), the stronger statuses first
TRIGGERS = (
    ("unproven", UNPROVEN_BEFORE_RE, 1),
    ("unproven", UNPROVEN_AFTER_RE, -1),
    ("failed", FAILED_RE, 0),
    ("absent", ABSENT_BEFORE_RE, 1),
    ("absent", ABSENT_AFTER_RE, -1),
)


def find_scopes(text: str) -> bytes:
    """Find the scopes of all triggers.

    Returns
    -------
    bytes of length len(text)
        For each character the index of its status in `STATUSES`, the strongest one's where scopes overlap.

    Examples
    --------
    >>> text = "There is no documentation of failed conservative care."
    >>> read_status(find_scopes(text), text.index("conservative"))
    'unproven'
    >>> text = "He has failed conservative care."
    >>> read_status(find_scopes(text), text.index("conservative"))
    'failed'
    """
    lowered = lower_text(text)
    ends = [match.start() for match in SCOPE_END_RE.finditer(lowered)]
    scopes = bytearray(len(text))
    for status, pattern, side in reversed(TRIGGERS):
        for match in pattern.finditer(lowered):
            start, end = _find_reach(match, side, ends, len(text))
            scopes[start:end] = bytes([STATUSES.index(status)]) * (end - start)
    return bytes(scopes)


def _find_reach(match: re.Match[str], side: int, ends: Sequence[int], length: int) -> tuple[int, int]:
    """Reach forward (side 1), backward (-1) or both ways (0) from a trigger to the clause's or sentence's end."""
    start, end = match.span()
    if side >= 0:
        stop = ends[i] if (i := bisect_left(ends, end)) < len(ends) else length
        end = min(end + SCOPE_BEFORE, stop)
    if side <= 0:
        stop = ends[i - 1] if (i := bisect_left(ends, start)) > 0 else 0
        start = max(start - SCOPE_AFTER, stop)
    return start, end


def read_status(scopes: bytes, position: int) -> str:
    """Give the status of what stands at `position`, "affirmed" outside every scope."""
    return STATUSES[scopes[position]]
