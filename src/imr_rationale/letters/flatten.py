"""Where a text that lost its line breaks had them."""

import re
from collections.abc import Iterator
from functools import cache

from imr_rationale.letters.headings import LAYOUTS, NOT_NECESSARY, Layout, join_patterns

__all__ = ["find_cuts"]

# "… not medically necessary. MRI of the knee: Upheld Claims Administrator guideline:", all on one line
TITLE_RE = re.compile(r": ?(?:Upheld|Overturned) {1,9}(?=[A-Z])", re.IGNORECASE)
# "… as such. 2. A cane is not medically necessary and appropriate. The Claims Administrator based"
NUMBERED_TITLE_RE = re.compile(NOT_NECESSARY + r" ?\.? {1,9}(?=The Claims Administrator )", re.IGNORECASE)
# "… as such. 2) Regarding the request for", "… parties: 1) MAXIMUS Federal Services, Inc. has determined"
NUMBER_RE = re.compile(r"(?<= )\d{1,2} ?[.)] ?(?=\S)")
NAMED_NUMBER_RE = re.compile(r"(?<= )\d{1,2} ?[.)] ?(?=Regarding the request|MAXIMUS Federal)", re.IGNORECASE)
# a full stop before a title: "… not medically necessary. MRI of the knee"
SENTENCE_BREAK_RE = re.compile(r"[.!?][\"”)]? {1,9}(?=[A-Za-z0-9])")
#: a title is looked for in so many characters; the longest seen took 400
TITLE_CHARS = 600


def find_cuts(text: str) -> Iterator[int]:
    """Give the offsets where a text without line breaks had a label or a title; nothing for other texts."""
    for layout in LAYOUTS:
        at_line, inside = _label_patterns(layout)
        if at_line.search(text):
            return
        found = [match.start() for match in inside.finditer(text)]
        if not found:
            continue
        yield from found
        for preamble in layout.preamble.finditer(text):
            yield preamble.end()
    yield from _find_titles(text)


@cache
def _label_patterns(layout: Layout) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Make the patterns of a layout's labels at a line's beginning, and inside a line, where capitals count."""
    labels, sections = join_patterns(layout.item_fields.values()), join_patterns(layout.sections.values())
    at_line = labels if layout.item_fields else sections
    return (
        re.compile(rf"^[ \t*]{{0,20}}(?:{at_line})", re.IGNORECASE | re.MULTILINE),
        re.compile(rf"(?<=[^\n\S])(?:{labels}|{sections})"),
    )


def _find_titles(text: str) -> Iterator[int]:
    for match in TITLE_RE.finditer(text):
        window = text[max(0, match.start() - TITLE_CHARS) : match.start()]
        breaks = [found.end() for found in SENTENCE_BREAK_RE.finditer(window)]
        original = window.find("the original request")
        if original >= 0 and (before := [end for end in breaks if end < original]):
            breaks = before
        if breaks and "\n" not in window[breaks[-1] :]:
            yield match.start() - len(window) + breaks[-1]
    for match in NUMBERED_TITLE_RE.finditer(text):
        low = max(0, match.start() - TITLE_CHARS)
        numbers = [low + found.start() for found in NUMBER_RE.finditer(text[low : match.start()])]
        yield from numbers[-1:]
    for match in NAMED_NUMBER_RE.finditer(text):
        yield match.start()
