"""A `Doc` -> what the estimators read: strings of words, one row a sentence, and the texts of the outcome tasks.

A row holds normalised words and, beside them, context marks: cues, who is speaking, where the sentence
stands, and the same of its neighbours. Marks are words of their own ("cue:gain|unproven"), so that plain
scikit-learn vectorizers with a white-space token pattern read both.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import NamedTuple

from spacy.tokens import Doc

from imr_rationale.labels import POLARITY
from imr_rationale.language.cues import read_cues, read_scopes
from imr_rationale.language.lexicon import find_kinds, replace_kinds
from imr_rationale.language.marks import DECIDES, SUPPORTS, is_guideline_text, read_doc_marks
from imr_rationale.language.pipeline import make_docs
from imr_rationale.language.rules import RULE_REASONS, find_rules
from imr_rationale.language.scopes import STATUSES, find_scopes
from imr_rationale.language.scrub import list_kept, read_verdict, scrub_verdict
from imr_rationale.language.sentences import find_sentence_starts, list_sentences
from imr_rationale.language.tables import Table
from imr_rationale.language.words import (
    Words,
    join_words,
    list_words,
    prefix,
    read_text,
    read_words,
    split_words,
    strip_span,
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
    item : ItemText
        As given; the rows' offsets index its rationale.
    words : tuple of str
        The whole rationale.
    verdict_words : tuple of str
        Its verdict spans alone, those that decide by themselves before all others.
    reasoning_words : tuple of str
        The rationale without its verdict spans: its stems, the stems of sentences about the patient joined with the
        status of their place, and the cue rules that hold with the polarity of their reasons.
    forecast_words : tuple of str
        Treatment, summary and claims administrator's guideline: what is known before the decision.
    rules, reasoning_rules : tuple of str
        Names of the cue rules that hold, in the whole rationale and outside its verdict.
    """

    item: ItemText
    rows: tuple[SentenceRow, ...]
    words: tuple[str, ...]
    verdict_words: tuple[str, ...]
    reasoning_words: tuple[str, ...]
    forecast_words: tuple[str, ...]
    rules: tuple[str, ...]
    reasoning_rules: tuple[str, ...]

    @property
    def rationale(self) -> str:
        """The rationale as given."""
        return self.item.rationale

    @property
    def metadata_words(self) -> tuple[str, ...]:
        """Age by decade, sex, kind of request and the claims administrator's body: what the forecast has to beat."""
        return _make_metadata_words(self.item)


def make_features(texts: Iterable[ItemText]) -> Iterator[ItemFeatures]:
    """Run items through the language pipeline and give their features, in order."""
    items = list(texts)
    for item, doc in zip(items, make_docs(item.rationale for item in items), strict=True):
        reasoning_rules = find_rules(doc, _find_cues_outside_verdict(doc))
        yield ItemFeatures(
            item=item,
            rows=tuple(make_rows(doc, item.treatment)),
            words=tuple([word.text for word in read_words(doc).words]),
            verdict_words=_make_verdict_words(doc),
            reasoning_words=_make_reasoning_words(doc, reasoning_rules),
            forecast_words=_make_forecast_words(item),
            rules=find_rules(doc, read_cues(doc)),
            reasoning_rules=reasoning_rules,
        )


def _make_verdict_words(doc: Doc) -> tuple[str, ...]:
    """Give the clauses that decide, the last one twice: once marked as the last; without any, those that support."""
    spans = [span for span in read_verdict(doc) if span[2] == DECIDES] or read_verdict(doc)
    # verdict spans begin and end beside white space: they hold whole words
    clauses = [[word.text for word in take_words(read_words(doc), start, end).words] for start, end, _ in spans]
    last = [prefix("last", word) for word in clauses[-1]] if clauses else []
    return (*(word for clause in clauses for word in (";", *clause)), *last)[1:]


def _make_reasoning_words(doc: Doc, rules: Sequence[str]) -> tuple[str, ...]:
    text = scrub_verdict(doc)
    lowered = fold_case(text)
    edges = [0, *find_sentence_starts(text), len(text)]
    # no word reaches over the edge of a verdict span
    words = join_words(read_words(doc), list_kept(doc))
    scopes = find_scopes(lowered, words)
    sentences = [
        take_words(words, start, end) for start, end in pairwise(edges) if not is_guideline_text(lowered[start:end])
    ]
    statuses = [tag for part in sentences for tag in _tag_statuses(part, find_kinds(part.words), scopes)]
    marks = (mark for name in rules for mark in (f"rule|{name}", f"polarity|{POLARITY[RULE_REASONS[name]]}"))
    return (*[word.stem for word in words.words], *statuses, *marks)


def _make_forecast_words(item: ItemText) -> tuple[str, ...]:
    """Mark where each word stood: the same word means another thing in the treatment and in the summary."""
    parts = {"t": item.treatment, "g": item.claims_administrator_guideline}
    marked = (prefix(key, word) for key, text in parts.items() for word in list_words(fold_case(text or "")))
    return (*marked, *list_words(fold_case(item.summary or "")))


def _make_metadata_words(item: ItemText) -> tuple[str, ...]:
    age, sex = read_age_and_sex(item.summary or "")
    treatment = item.treatment or ""
    words = [f"age:{age // 10}" if age is not None else "age:unknown", f"sex:{sex}"]
    words += ["request:quantity"] * ("<num>" in list_words(fold_case(treatment)))
    words += ["request:retrospective"] * bool(RETROSPECTIVE_RE.search(treatment))
    bodies = {match.lower() for match in BODY_RE.findall(item.claims_administrator_guideline or "")}
    return (*words, *(f"body:{body}" for body in sorted(bodies or {"other"})))


def _find_cues_outside_verdict(doc: Doc) -> list[tuple[int, int, str]]:
    verdict = read_verdict(doc)
    starts = [start for start, _, _ in verdict]
    ends = [end for _, end, _ in verdict]
    # as many verdict spans begin before a cue ends as end before it begins
    return [cue for cue in read_cues(doc) if bisect_left(starts, cue[1]) == bisect_right(ends, cue[0])]


def make_rows(doc: Doc, treatment: str | None = None) -> list[SentenceRow]:
    """Give one row for each sentence of `doc` that holds more than white space."""
    text, words, scopes = read_text(doc), read_words(doc), read_scopes(doc)
    stripped = (strip_span(text, start, end) for start, end in list_sentences(doc))
    sentences = [
        (start, end, VOICES[marks])
        for (start, end), marks in zip(stripped, read_doc_marks(doc), strict=True)
        if start < end
    ]
    own = _mark_sentences(doc, sentences)
    requested = tuple(sorted({kind for _, _, kind in find_kinds(split_words(fold_case(treatment or "")).words)}))
    return [
        SentenceRow(
            start,
            end,
            *_make_row_words(take_words(words, start, end), scopes),
            marks + context,
            PREVIOUS[previous] + FOLLOWING[following],
            REQUESTS[requested, tuple([mark for mark in marks if mark.startswith("cue:")])],
        )
        for (start, end, _), marks, context, previous, following in zip(
            sentences,
            own,
            _list_contexts([voice for *_, voice in sentences]),
            (("none",), *own),
            (*own[1:], ("none",)),
            strict=False,
        )
    ]


def _make_row_words(words: Words, scopes: bytes) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Give stems, the same with kinds in their place, and stems and kinds with their status."""
    kinds = find_kinds(words.words)
    stems = [word.stem for word in words.words]
    return tuple(stems), tuple(replace_kinds(stems, kinds)), tuple(_tag_statuses(words, kinds, scopes))


def _tag_statuses(words: Words, kinds: Sequence[tuple[int, int, str]], scopes: bytes) -> list[str]:
    """Join stems and kinds with the status of their place."""
    pieces = zip(words.starts, words.words, strict=True)
    tags = [tags[scopes[start + offset]] for start, word in pieces for offset, tags in word.tags]
    return tags + [f"{kind}|{STATUSES[scopes[words.starts[first]]]}" for first, _, kind in kinds]


class Voice(NamedTuple):
    """What the marks of a sentence's words say of who speaks.

    Attributes
    ----------
    marks : tuple of str
        All but those of verdict clauses, and whether the sentence speaks of no one's case.
    told : tuple of str
        Those that other sentences are told of.
    speaker : str
        The plainest of `SPEAKERS`.
    """

    marks: tuple[str, ...]
    told: tuple[str, ...]
    speaker: str


def _read_voice(marks: Sequence[str]) -> Voice:
    general = () if "says:patient" in marks else ("general:past" if "past" in marks else "general",)
    own = (*(mark for mark in marks if mark not in (DECIDES, SUPPORTS)), *general)
    return Voice(own, tuple(mark for mark in TOLD_AFTER if mark in own), next(mark for mark in SPEAKERS if mark in own))


def _mark_sentences(doc: Doc, sentences: Sequence[tuple[int, int, Voice]]) -> list[tuple[str, ...]]:
    """Add to the marks of a sentence's words: quotation, list, verdict and cues."""
    text = read_text(doc)
    quotes = [match.start() for match in QUOTE_RE.finditer(text)]
    bounds = [(start, end) for start, end, _ in sentences]
    cues, verdicts = (_share_out(spans, bounds) for spans in (read_cues(doc), read_verdict(doc)))
    own = []
    for i, (start, end, voice) in enumerate(sentences):
        marks = voice.marks
        if LIST_RE.match(text, start, end):
            marks += ("list",)
        if bisect_left(quotes, start) % 2:
            marks += ("inside_quotation",)
        if verdicts[i]:
            marks += _read_verdict_marks(text, start, end, verdicts[i])
        own.append(marks + tuple([prefix("cue", label) for _, _, label in cues[i]]))
    return own


def _share_out(
    spans: Iterable[tuple[int, int, str]], bounds: Sequence[tuple[int, int]]
) -> list[list[tuple[int, int, str]]]:
    """Give for each sentence the spans that begin in it."""
    starts = [start for start, _ in bounds]
    shared: list[list[tuple[int, int, str]]] = [[] for _ in bounds]
    for span in spans:
        i = bisect_right(starts, span[0]) - 1
        if i >= 0 and span[0] < bounds[i][1]:
            shared[i].append(span)
    return shared


def _read_verdict_marks(text: str, start: int, end: int, inside: Sequence[tuple[int, int, str]]) -> tuple[str, ...]:
    """Tell a sentence that only decides ("Therefore, the request is not supported.") from one with a ground."""
    edges = [start, *(edge for span in inside for edge in span[:2]), end]
    rest = " ".join(text[a:b] for a, b in zip(edges[::2], edges[1::2], strict=True))
    share = "part" if OPENING_RE.sub("", rest).strip(" ,;.") else "alone"
    return tuple([prefix("verdict", mark) for mark in (share, *sorted({label for _, _, label in inside}))])


def _list_contexts(voices: Sequence[Voice]) -> Iterator[tuple[str, ...]]:
    """Yield where each sentence stands, and what came before or is still to come."""
    n = len(voices)
    first = {mark: i for i in reversed(range(n)) for mark in voices[i].told}
    last = {mark: i for i, voice in enumerate(voices) for mark in voice.told}
    for i, voice in enumerate(voices):
        yield _name_context(
            _place(i, n),
            tuple([mark for mark in TOLD_AFTER if first.get(mark, i) < i]),
            tuple([mark for mark in TOLD_BEFORE if last.get(mark, i) > i]),
            "turned" if first.get("turn", n) <= i else "not_turned",
            voice.speaker,
        )


@cache
def _name_context(place: str, before: Sequence[str], after: Sequence[str], side: str, speaker: str) -> tuple[str, ...]:
    return (
        f"place:{place}",
        *(f"before:{mark}" for mark in before),
        *(f"after:{mark}" for mark in after),
        f"{side}:{speaker}",
    )


def _mark_requests(kinds_and_cues: tuple[Sequence[str], Sequence[str]]) -> tuple[str, ...]:
    kinds, cues = kinds_and_cues
    return (
        *(prefix("request", kind) for kind in kinds),
        *(prefix("request", f"{kind}&{cue}") for kind in kinds for cue in cues),
    )


def _place(i: int, n: int) -> str:
    if i == 0:
        return "first"
    return "last" if i == n - 1 else str(4 * i // n)


#: marks that tell who speaks, the plainest first
SPEAKERS = ("says:patient", "says:guideline", "general:past", "general")
#: marks that the sentences after theirs, and those before theirs, are told of
TOLD_AFTER = ("turn", "says:patient", "says:guideline")
TOLD_BEFORE = ("turn", "says:guideline")
#: marks -> what becomes of them
VOICES = Table(_read_voice)
PREVIOUS: Table[tuple[str, ...], tuple[str, ...]] = Table(lambda marks: tuple(prefix("prev", mark) for mark in marks))
FOLLOWING: Table[tuple[str, ...], tuple[str, ...]] = Table(lambda marks: tuple(prefix("next", mark) for mark in marks))
REQUESTS = Table(_mark_requests)
