"""Scopes: for each place of a text whether what stands there is affirmed, absent, unproven or has failed.

References
----------
Status by trigger and scope: Chapman et al., "A simple algorithm for identifying negated findings and diseases
in discharge summaries" (NegEx, 2001), and Harkema et al., "ConText" (2009).
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from imr_rationale.language.words import Words

__all__ = ["STATUSES", "TRIGGERS", "Trigger", "find_heads", "find_scopes", "read_status"]

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
# a new clause or sentence ends a trigger's scope: its stop, or the word that it begins with
SCOPE_STOP_RE = re.compile(r"[.!?;:](?:(?<=[;:])|(?=\s|$))", re.ASCII)
SCOPE_TURN_RE = re.compile(r"\b(?:but|however|although|though|while|whereas|which|therefore)\b", re.ASCII)
#: characters that a trigger reaches forward and backward
SCOPE_BEFORE, SCOPE_AFTER = 90, 60


class Trigger(NamedTuple):
    """What gives a status to its surroundings.

    Attributes
    ----------
    status : str
    side : int
        Where it reaches: 1 forward, -1 backward, 0 both ways.
    pattern : re.Pattern
        For text in lower case.
    heads : re.Pattern
        The words that it can begin with: it is looked for at these alone, which takes a fifth of the time.
    """

    status: str
    side: int
    pattern: re.Pattern[str]
    heads: re.Pattern[str]


#: the stronger statuses first
TRIGGERS = (
    Trigger(
        "unproven",
        1,
        UNPROVEN_BEFORE_RE,
        re.compile(
            r"\b(?:no|any|without|lack(?:s|ed|ing)?|absence|insufficient|inadequate|limited|not|fail(?:s|ed)?|unclear|never)\b",
            re.ASCII,
        ),
    ),
    Trigger(
        "unproven",
        -1,
        UNPROVEN_AFTER_RE,
        re.compile(r"\b(?:is|are|was|were|has|have|had|been|be|not)\b", re.ASCII),
    ),
    Trigger(
        "failed",
        0,
        FAILED_RE,
        re.compile(
            r"\b(?:fail(?:ed|ure|ing|s)?|without|refractory|unresponsive|did|no|despite|not|persist\w*)\b", re.ASCII
        ),
    ),
    Trigger(
        "absent",
        1,
        ABSENT_BEFORE_RE,
        re.compile(
            r"\b(?:no|not|without|lack(?:s|ed|ing)?|absence|absent|den(?:y|ies|ied)|negative|free|never|nor|none|neither)\b",
            re.ASCII,
        ),
    ),
    Trigger(
        "absent",
        -1,
        ABSENT_AFTER_RE,
        re.compile(r"\b(?:is|are|was|were|has|have|had|been|not|absent)\b", re.ASCII),
    ),
)


def find_scopes(lowered: str, words: "Words") -> bytes:
    """Find the scopes of all triggers.

    Parameters
    ----------
    lowered : str
        A text in lower case.
    words : Words
        Its words.

    Returns
    -------
    bytes of length len(lowered)
        For each character the index of its status in `STATUSES`, the strongest one's where scopes overlap.

    Examples
    --------
    >>> from imr_rationale.language.words import split_words
    >>> text = "there is no documentation of failed conservative care."
    >>> read_status(find_scopes(text, split_words(text)), text.index("conservative"))
    'unproven'
    >>> text = "he has failed conservative care."
    >>> read_status(find_scopes(text, split_words(text)), text.index("conservative"))
    'failed'
    """
    scopes = bytearray(len(lowered))
    *places, turns = _find_places(words)
    stops = chain(SCOPE_STOP_RE.finditer(lowered), _match_at(SCOPE_TURN_RE, lowered, turns)) if any(places) else ()
    ends = sorted(match.start() for match in stops)
    # the strongest come last, over all others
    for trigger, starts in zip(reversed(TRIGGERS), reversed(places), strict=True):
        status = bytes([STATUSES.index(trigger.status)])
        for match in _match_at(trigger.pattern, lowered, starts):
            start, end = _find_reach(match, trigger.side, ends, len(lowered))
            scopes[start:end] = status * (end - start)
    return bytes(scopes)


def _find_places(words: "Words") -> list[list[int]]:
    """Give for each of `HEADS` the places where its words stand."""
    places: list[list[int]] = [[] for _ in HEADS]
    for start, word in zip(words.starts, words.words, strict=True):
        for i, offset in word.heads:
            places[i].append(start + offset)
    return places


def find_heads(word: str) -> tuple[tuple[int, int], ...]:
    """Give (index in `HEADS`, offset) of what may begin in a word: "non-negative" holds one."""
    return tuple((i, match.start()) for i, heads in enumerate(HEADS) for match in heads.finditer(word))


#: what each trigger, and at last a turn, may begin with
HEADS = (*(trigger.heads for trigger in TRIGGERS), SCOPE_TURN_RE)


def _match_at(pattern: re.Pattern[str], text: str, places: Iterable[int]) -> Iterator[re.Match[str]]:
    """Yield the matches that begin at `places`, each behind the one before."""
    end = 0
    for place in places:
        if place >= end and (match := pattern.match(text, place)):
            end = match.end()
            yield match


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
