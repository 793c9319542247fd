"""The notice of 2013: numbered decisions that stand before the items, joined with them by their printed numbers."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from imr_rationale.labels import Outcome
from imr_rationale.letters.headings import Layout
from imr_rationale.letters.item_headings import Heading
from imr_rationale.letters.items import make_item, warn_missing
from imr_rationale.letters.lines import Line, join_lines
from imr_rationale.records import Item

__all__ = ["Decision", "join_decisions", "read_decisions"]

# "1) MAXIMUS Federal Services"
NUMBER_RE = re.compile(r"\d{1,2} ?[.)] ?(?=\S)")
# "functional", "28"
WORD_RE = re.compile(r"(?!(?:the|and|for)\b)[a-z]{3,}|\d+")
#: a decision wraps over no more lines than this
DECISION_LINES = 15
#: decision and item speak of the same treatment when they share this part of their words
SHARED_WORDS = 0.5


@dataclass(frozen=True, slots=True)
class Decision:
    """A numbered decision as printed before the items."""

    number: int
    treatment: str
    outcome: Outcome
    start_char: int
    end_char: int


def read_decisions(lines: Sequence[Line], layout: Layout) -> Iterator[Decision]:
    """Yield the decisions in the order of `lines`; the notice prints each of them twice."""
    pattern = layout.decision
    for i, line in enumerate(lines):
        if pattern is None or not NUMBER_RE.match(line.text):
            continue
        for last in range(i, min(i + DECISION_LINES, len(lines))):
            if match := pattern.match(join_lines(lines[i : last + 1])):
                outcome: Outcome = "Upheld" if match["decision"] else "Overturned"
                span = line.start_char, lines[last].end_char
                yield Decision(int(match["number"]), match["treatment"].strip(), outcome, *span)
                break


def join_decisions(items: Sequence[tuple[Item, int | None]], decisions: Sequence[Decision]) -> tuple[Item, ...]:
    """Give each item its decision; a decision without an item becomes an item without a rationale.

    Parameters
    ----------
    items : sequence of (Item, int or None)
        With the number printed in its heading.
    decisions : sequence of Decision

    Returns
    -------
    tuple of Item
        In the order of the printed numbers.
    """
    by_number: dict[int, list[Decision]] = {}
    for decision in decisions:
        by_number.setdefault(decision.number, []).append(decision)
    joined = []
    for item, printed in items:
        number = printed or item.number
        joined.append((number, _join_decision(item, by_number.pop(number, []))))
    for number, found in by_number.items():
        first = found[0]
        heading = Heading(number, first.treatment, None)
        bare = make_item(number, heading, {}, None, (first.start_char, first.end_char))
        joined.append((number, _join_decision(bare, found)))
    joined.sort(key=lambda pair: pair[0])
    return tuple(_number(item, number) for number, (_, item) in enumerate(joined, start=1))


def _join_decision(item: Item, decisions: Sequence[Decision]) -> Item:
    outcomes = {decision.outcome for decision in decisions}
    other = next((decision for decision in decisions if not _share_words(decision.treatment, item.treatment)), None)
    agreed = len(outcomes) == 1 and other is None
    decided = replace(item, outcome=decisions[0].outcome if agreed else None)
    warnings = list(warn_missing(decided))
    if len(outcomes) > 1:
        warnings.append(f"item {item.number}: is decided twice and differently")
    if other is not None:
        warnings.append(f"item {item.number}: the decision of this number is on {other.treatment[:80]!r}")
    return replace(decided, warnings=tuple(warnings))


def _share_words(one: str, other: str | None) -> bool:
    first, second = (set(WORD_RE.findall((text or "").lower())) for text in (one, other))
    return len(first & second) >= SHARED_WORDS * min(len(first), len(second))


def _number(item: Item, number: int) -> Item:
    """Renumber an item, in its warnings, too."""
    old, new = f"item {item.number}: ", f"item {number}: "
    return replace(item, number=number, warnings=tuple(text.replace(old, new, 1) for text in item.warnings))
