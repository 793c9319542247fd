"""A `Doc` -> what the estimators read: strings of words, one row a sentence, and the texts of the outcome tasks.

A row holds normalised words and, beside them, context marks: cues, who is speaking, where the sentence
stands, and the same of its neighbours. Marks are words of their own ("cue:gain|unproven"), so that plain
scikit-learn vectorizers with a white-space token pattern read both.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

from spacy.tokens import Doc, Span

from imr_rationale.labels import POLARITY
from imr_rationale.language.cues import read_scopes
from imr_rationale.language.lexicon import WORDS_KEPT, find_kinds, replace_kinds
from imr_rationale.language.marks import DECIDES, SUPPORTS, is_guideline_text, read_doc_marks
from imr_rationale.language.pipeline import make_docs
from imr_rationale.language.rules import RULE_REASONS, find_rules
from imr_rationale.language.scopes import STATUSES, find_scopes
from imr_rationale.language.scrub import scrub_verdict
from imr_rationale.language.sentences import find_sentence_starts, list_sentences
from imr_rationale.language.words import (
    Words,
    prefix,
    read_text,
    read_words,
    split_plain,
    split_words,
    stem,
    take_words,
)
from imr_rationale.letters.folding import fold_case
from imr_rationale.letters.header import read_age_and_sex
from imr_rationale.records import ItemText

__all__ = ["ItemFeatures", "SentenceRow", "make_features", "make_rows"]

# "DOS: 11/11/16", "Retrospective request for ..."
RETROSPECTIVE_RE = re.compile(r"\b(?:retro\w*|dos)\b", re.IGNORECASE)
# "MTUS Chronic Pain", "ODG Low Back Chapter"
BODY_RE = re.compile(r"\b(?:mtus|acoem|odg)\b", re.IGNORECASE)
LIST_RE = re.compile(r"(?:\(?[a-z0-9]{1,2}[).]|[-•*])\s", re.IGNORECASE)
QUOTE_RE = re.compile(r"[\"“”]")
# "Therefore,", "Given the above,", "Due to this fact,": they lead to a decision and give no ground
OPENING_RE = re.compile(
    r"\b(?:therefore|thus|hence|consequently|accordingly|so|as such|as a result|for (?:this|these) reasons?|"
    r"(?:given|based on|in light of|considering|due to|because of) "
    r"(?:the above|this|these|this fact|these facts|the foregoing|all of the above)"
    r"(?: (?:information|reasons?|findings))?|at (?:present|this time)|and)\b",
    re.IGNORECASE,
)


class SentenceRow(NamedTuple):
    """One sentence as the estimators read it, in words.

    Attributes
    ----------
    start_char, end_char : int
        The sentence in the rationale, without outer white space.
    words : tuple of str
        Stems of the normalised words.
    kinds : tuple of str
        The same with drugs, studies, therapies, body parts … written as their kind.
    statuses : tuple of str
        Stems joined with the status of their place: "improv|unproven".
    marks : tuple of str
        Cues, who speaks, tense, place.
    neighbours : tuple of str
        The marks of the sentences before and after.
    requests : tuple of str
        The kinds of thing that were asked for, alone and joined with the sentence's cues; empty where the treatment is
        not known.
    """

    start_char: int
    end_char: int
    words: tuple[str, ...]
    kinds: tuple[str, ...]
    statuses: tuple[str, ...]
    marks: tuple[str, ...]
    neighbours: tuple[str, ...]
    requests: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ItemFeatures:
    """One item as the estimators read it, in normalised words.

    Attributes
    ----------
    rationale : str
        As given; the rows' offsets index it.
    words : tuple of str
        The whole rationale.
    verdict_words : tuple of str
        Its verdict spans alone, those that decide by themselves before all others.
    reasoning_words : tuple of str
        The rationale without its verdict spans: its stems, the stems of sentences about the patient joined with the
        status of their place, and the cue rules that hold with the polarity of their reasons.
    forecast_words : tuple of str
        Treatment, summary and claims administrator's guideline: what is known before the decision.
    metadata_words : tuple of str
        Age by decade, sex, kind of request and the body of that guideline: what the forecast has to beat.
    rules, reasoning_rules : tuple of str
        Names of the cue rules that hold, in the whole rationale and outside its verdict.
    """

    rationale: str
    rows: tuple[SentenceRow, ...]
    words: tuple[str, ...]
    verdict_words: tuple[str, ...]
    reasoning_words: tuple[str, ...]
    forecast_words: tuple[str, ...]
    metadata_words: tuple[str, ...]
    rules: tuple[str, ...]
    reasoning_rules: tuple[str, ...]


def make_features(texts: Iterable[ItemText]) -> Iterator[ItemFeatures]:
    """Run items through the language pipeline and give their features, in order."""
    items = list(texts)
    for item, doc in zip(items, make_docs(item.rationale for item in items), strict=True):
        reasoning_rules = find_rules(_find_cues_outside_verdict(doc))
        words = read_words(doc)
        yield ItemFeatures(
            rationale=item.rationale,
            rows=tuple(make_rows(doc, item.treatment)),
            words=tuple(words.words),
            verdict_words=_make_verdict_words(doc),
            reasoning_words=_make_reasoning_words(scrub_verdict(doc), reasoning_rules),
            forecast_words=_make_forecast_words(item),
            metadata_words=_make_metadata_words(item),
            rules=find_rules(doc.spans["cues"]),
            reasoning_rules=reasoning_rules,
        )


def _make_verdict_words(doc: Doc) -> tuple[str, ...]:
    """Give the clauses that decide, the last one twice: once marked as the last; without any, those that support."""
    text = read_text(doc)
    spans = [span for span in doc.spans["verdict"] if span.label_ == DECIDES] or doc.spans["verdict"]
    clauses = [split_words(fold_case(text[span.start_char : span.end_char])).words for span in spans]
    last = [prefix("last", word) for word in clauses[-1]] if clauses else []
    return (*(word for clause in clauses for word in (";", *clause)), *last)[1:]


def _make_reasoning_words(text: str, rules: Sequence[str]) -> tuple[str, ...]:
    lowered = fold_case(text)
    edges = [0, *find_sentence_starts(text), len(text)]
    words = split_words(lowered)
    scopes = find_scopes(lowered, words)
    sentences = [
        take_words(words, start, end) for start, end in pairwise(edges) if not is_guideline_text(lowered[start:end])
    ]
    statuses = (tag for part in sentences for tag in _tag_statuses(part, find_kinds(part.words), scopes))
    marks = (mark for name in rules for mark in (f"rule|{name}", f"polarity|{POLARITY[RULE_REASONS[name]]}"))
    return (*map(stem, words.words), *statuses, *marks)


def _make_forecast_words(item: ItemText) -> tuple[str, ...]:
    """Mark where each word stood: the same word means another thing in the treatment and in the summary."""
    parts = {"t": item.treatment, "g": item.claims_administrator_guideline}
    marked = (prefix(key, word) for key, text in parts.items() for word in split_words(fold_case(text or "")).words)
    return (*marked, *split_words(fold_case(item.summary or "")).words)


def _make_metadata_words(item: ItemText) -> tuple[str, ...]:
    age, sex = read_age_and_sex(item.summary or "")
    treatment = item.treatment or ""
    words = [f"age:{age // 10}" if age is not None else "age:unknown", f"sex:{sex}"]
    words += ["request:quantity"] * ("<num>" in split_words(fold_case(treatment)).words)
    words += ["request:retrospective"] * bool(RETROSPECTIVE_RE.search(treatment))
    bodies = {match.lower() for match in BODY_RE.findall(item.claims_administrator_guideline or "")}
    return (*words, *(f"body:{body}" for body in sorted(bodies or {"other"})))


def _find_cues_outside_verdict(doc: Doc) -> list[Span]:
    inside = {i for span in doc.spans["verdict"] for i in range(span.start, span.end)}
    return [span for span in doc.spans["cues"] if inside.isdisjoint(range(span.start, span.end))]


def make_rows(doc: Doc, treatment: str | None = None) -> list[SentenceRow]:
    """Give one row for each sentence of `doc` that holds more than white space."""
    text, words, scopes = read_text(doc), read_words(doc), read_scopes(doc)
    stripped = [_strip(text, start, end) for start, end in list_sentences(doc)]
    own = _mark_sentences(doc, [(*span, marks) for span, marks in zip(stripped, read_doc_marks(doc), strict=True)])
    bounds = [(start, end) for start, end in stripped if start < end]
    first = {mark: i for i in reversed(range(len(own))) for mark in own[i]}
    last = {mark: i for i, marks in enumerate(own) for mark in marks}
    requested = sorted({kind for _, _, kind in find_kinds(split_words(fold_case(treatment or "")).words)})
    return [
        _make_row(
            start,
            end,
            take_words(words, start, end),
            scopes,
            _add_context(own, i, first, last),
            _mark_neighbours(own, i),
            _mark_requests(requested, own[i]),
        )
        for i, (start, end) in enumerate(bounds)
    ]


def _make_row(start: int, end: int, words: Words, scopes: bytes, *context: tuple[str, ...]) -> SentenceRow:
    kinds = find_kinds(words.words)
    stems = list(map(stem, words.words))
    return SentenceRow(
        start,
        end,
        tuple(stems),
        tuple(replace_kinds(stems, kinds)),
        tuple(_tag_statuses(words, kinds, scopes)),
        *context,
    )


def _strip(text: str, start: int, end: int) -> tuple[int, int]:
    raw = text[start:end]
    stripped = raw.strip()
    if len(stripped) == len(raw):
        return start, end
    first = start + len(raw) - len(raw.lstrip())
    return first, first + len(stripped)


def _tag_statuses(words: Words, kinds: Sequence[tuple[int, int, str]], scopes: bytes) -> list[str]:
    """Join stems and kinds with the status of their place."""
    pieces = zip(words.starts, map(_list_tags, words.words), strict=True)
    tags = [tags[scopes[start + offset]] for start, found in pieces for offset, tags in found]
    return tags + [f"{kind}|{STATUSES[scopes[words.starts[first]]]}" for first, _, kind in kinds]


@lru_cache(maxsize=WORDS_KEPT)
def _list_tags(word: str) -> tuple[tuple[int, tuple[str, ...]], ...]:
    """Give (offset, stem joined with each of `STATUSES`) of what is plain in a word."""
    return tuple(
        (offset, tuple(f"{stem(letters)}|{status}" for status in STATUSES)) for offset, letters in split_plain(word)
    )


def _mark_sentences(doc: Doc, sentences: Iterable[tuple[int, int, Sequence[str]]]) -> list[list[str]]:
    """Add to the marks of a sentence's words: quotation, list, verdict and cues; blank sentences are left out."""
    text = read_text(doc)
    quotes = [match.start() for match in QUOTE_RE.finditer(text)]
    cues = _Places([(span.start_char, span.label_) for span in doc.spans["cues"]])
    verdicts = _Places([(span.start_char, span.end_char, span.label_) for span in doc.spans["verdict"]])
    return [
        [
            *[mark for mark in marks if mark not in (DECIDES, SUPPORTS)],
            *_mark_speech(marks),
            *["list"] * bool(LIST_RE.match(text, start, end)),
            *["inside_quotation"] * (bisect_left(quotes, start) % 2),
            *_read_verdict_marks(text, start, end, verdicts.take(start, end)),
            *[prefix("cue", label) for _, label in cues.take(start, end)],
        ]
        for start, end, marks in sentences
        if start < end
    ]


def _mark_speech(marks: Sequence[str]) -> list[str]:
    if "says:patient" in marks:
        return []
    return ["general:past" if "past" in marks else "general"]


class _Places:
    """Tuples whose first value is their offset in the rationale, in its order."""

    def __init__(self, places: Sequence[tuple[Any, ...]]) -> None:
        self.places = places
        self.starts = [place[0] for place in places]

    def take(self, start: int, end: int) -> Sequence[tuple[Any, ...]]:
        """Give those that begin in `text[start:end]`."""
        return self.places[bisect_left(self.starts, start) : bisect_left(self.starts, end)]


def _read_verdict_marks(text: str, start: int, end: int, inside: Sequence[tuple[int, int, str]]) -> Iterator[str]:
    """Tell a sentence that only decides ("Therefore, the request is not supported.") from one with a ground."""
    if not inside:
        return
    edges = [start, *(edge for span in inside for edge in span[:2]), end]
    rest = " ".join(text[a:b] for a, b in zip(edges[::2], edges[1::2], strict=True))
    yield "verdict:part" if OPENING_RE.sub("", rest).strip(" ,;.") else "verdict:alone"
    yield from sorted({f"verdict:{label}" for _, _, label in inside})


def _add_context(
    own: Sequence[Sequence[str]], i: int, first: Mapping[str, int], last: Mapping[str, int]
) -> tuple[str, ...]:
    """Add where the sentence stands, and what came before or is still to come.

    Parameters
    ----------
    first, last : mapping of str to int
        Mark -> the first and the last sentence that bears it.
    """
    marks = [*own[i], f"place:{_place(i, len(own))}"]
    marks += [f"before:{mark}" for mark in ("turn", "says:patient", "says:guideline") if first.get(mark, i) < i]
    marks += [f"after:{mark}" for mark in ("turn", "says:guideline") if last.get(mark, i) > i]
    side = "turned" if first.get("turn", len(own)) <= i else "not_turned"
    return (*marks, f"{side}:{next((mark for mark in SPEAKERS if mark in own[i]), '')}")


def _mark_neighbours(own: Sequence[Sequence[str]], i: int) -> tuple[str, ...]:
    previous = own[i - 1] if i else ["none"]
    following = own[i + 1] if i + 1 < len(own) else ["none"]
    return (*[prefix("prev", mark) for mark in previous], *[prefix("next", mark) for mark in following])


def _mark_requests(requested: Sequence[str], own: Sequence[str]) -> tuple[str, ...]:
    cues = [mark for mark in own if mark.startswith("cue:")]
    return (
        *[prefix("request", kind) for kind in requested],
        *[prefix("request", f"{kind}&{cue}") for kind in requested for cue in cues],
    )


def _place(i: int, n: int) -> str:
    if i == 0:
        return "first"
    return "last" if i == n - 1 else str(4 * i // n)


#: marks that tell who speaks, the plainest first
SPEAKERS = ("says:patient", "says:guideline", "general:past", "general")
