"""A `Doc` -> what the estimators read: strings of words, one row a sentence, and the texts of the outcome tasks.

A row holds normalised words and, beside them, context marks: cues, who is speaking, where the sentence
stands, and the same of its neighbours. Marks are words of their own ("cue:gain|unproven"), so that plain
scikit-learn vectorizers with a white-space token pattern read both.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

from spacy.tokens import Doc, Span

from imr_rationale.language.cues import (
    CUE_REASONS,
    GUIDELINE_RE,
    PATIENT_RE,
    Scope,
    find_scopes,
    is_guideline_text,
    read_status,
)
from imr_rationale.language.pipeline import make_docs
from imr_rationale.language.scrub import scrub_verdict
from imr_rationale.language.sentences import find_sentence_starts
from imr_rationale.records import ItemText

if TYPE_CHECKING:
    import Stemmer

__all__ = ["ItemFeatures", "SentenceRow", "make_features", "make_rows", "normalize_text", "stem_words"]

DATE_RE = re.compile(r"\b\d{1,2}[/-]\d{1,2}[/-]\d{2,4}\b")
NUMBER_RE = re.compile(r"#?\b\d[\d,.]*(?:-\d[\d,.]*)?%?")
PLAIN_WORD_RE = re.compile(r"[A-Za-z]{3,}")
WORD_RE = re.compile(r"[a-z]+(?:['’-][a-z]+)*|<[a-z]+>|[;:\"?%]")


# "was noted", "had completed", "exhibited": tells of a case; guidelines speak in the present
PAST_RE = re.compile(r"\b(?:was|were|had|did|been|[a-z]{3,}ed)\b", re.IGNORECASE)
PRESENT_RE = re.compile(r"\b(?:is|are|has|have|does|do)\b", re.IGNORECASE)
MODAL_RE = re.compile(r"\b(?:may|should|must|can|might|could|would|shall|will)\b", re.IGNORECASE)
# "(Colorado, 2005)", "(ICD9 729.1)", "9 visits over 8 weeks": what only a guideline prints
CITATION_RE = re.compile(
    r"\([A-Z][A-Za-z-]+(?: et al\.?)?,? \d{4}|ICD-?\d|\bvisits? over \d|\bpages? \d", re.IGNORECASE
)
LIST_RE = re.compile(r"(?:\(?[a-z0-9]{1,2}[).]|[-•*])\s", re.IGNORECASE)
QUOTE_RE = re.compile(r"[\"“”]")
# "in this case", "however": where reviewers turn from the guideline to the patient
TURN_RE = re.compile(
    r"\b(?:in this case|in the case of|here,|however|in addition|additionally|furthermore|also)\b", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class SentenceRow:
    """One sentence as the estimators read it; its texts are words separated by one space.

    Attributes
    ----------
    start_char, end_char : int
        The sentence in the rationale, without outer white space.
    words : str
        Stems of the normalised words.
    statuses : str
        Stems joined with the status of their place: "improv|unproven".
    marks : str
        Cues, who speaks, tense, place.
    neighbours : str
        The marks of the sentences before and after.
    """

    start_char: int
    end_char: int
    words: str
    statuses: str
    marks: str
    neighbours: str


@dataclass(frozen=True, slots=True)
class ItemFeatures:
    """One item as the estimators read it; every text is normalised words separated by one space.

    Attributes
    ----------
    rationale : str
        As given; the rows' offsets index it.
    words : str
        The whole rationale.
    verdict_words : str
        Its verdict spans alone, those that decide by themselves before all others.
    reasoning_words : str
        The rationale without its verdict spans: its stems, and the stems of sentences about the patient joined with
        the status of their place.
    forecast_words : str
        Treatment, summary and claims administrator's guideline: what is known before the decision.
    cue_reasons, reasoning_cue_reasons : tuple of str
        The reasons that the cue rules read, without any learning: in the whole rationale, and outside its verdict.
    """

    rationale: str
    rows: tuple[SentenceRow, ...]
    words: str
    verdict_words: str
    reasoning_words: str
    forecast_words: str
    cue_reasons: tuple[str, ...]
    reasoning_cue_reasons: tuple[str, ...]


def make_features(texts: Iterable[ItemText]) -> Iterator[ItemFeatures]:
    """Run items through the language pipeline and give their features, in order."""
    items = list(texts)
    for item, doc in zip(items, make_docs(item.rationale for item in items), strict=True):
        yield ItemFeatures(
            rationale=item.rationale,
            rows=tuple(make_rows(doc)),
            words=normalize_text(doc.text),
            verdict_words=_make_verdict_words(doc),
            reasoning_words=_make_reasoning_words(scrub_verdict(doc)),
            forecast_words=_make_forecast_words(item),
            cue_reasons=_read_cue_reasons(doc.spans["cues"]),
            reasoning_cue_reasons=_read_cue_reasons(_find_cues_outside_verdict(doc)),
        )


def _make_verdict_words(doc: Doc) -> str:
    """Give the clauses that decide, the last one twice: once marked as the last; without any, those that support."""
    clauses = [span.text for span in doc.spans["verdict"] if span.label_ == "decision"]
    clauses = clauses or [span.text for span in doc.spans["verdict"]]
    last = [f"last:{word}" for word in normalize_text(clauses[-1]).split()] if clauses else []
    return " ".join([normalize_text(" ; ".join(clauses)), *last])


def _make_reasoning_words(text: str) -> str:
    edges = [0, *find_sentence_starts(text), len(text)]
    scopes = find_scopes(text)
    statuses = (
        _tag_statuses(text, start, end, scopes)
        for start, end in pairwise(edges)
        if not is_guideline_text(text[start:end])
    )
    return " ".join([stem_words(normalize_text(text)), *statuses])


def _make_forecast_words(item: ItemText) -> str:
    """Mark where each word stood: the same word means another thing in the treatment and in the summary."""
    parts = {"t": item.treatment, "g": item.claims_administrator_guideline}
    marked = [f"{key}:{word}" for key, text in parts.items() for word in normalize_text(text or "").split()]
    return " ".join([*marked, normalize_text(item.summary or "")])


def _find_cues_outside_verdict(doc: Doc) -> list[Span]:
    inside = {i for span in doc.spans["verdict"] for i in range(span.start, span.end)}
    return [span for span in doc.spans["cues"] if inside.isdisjoint(range(span.start, span.end))]


def _read_cue_reasons(cues: Iterable[Span]) -> tuple[str, ...]:
    """Read reasons by rule alone: cues in sentences that speak of the patient."""
    found = {
        CUE_REASONS.get((concept, status))
        for span in cues
        for concept, _, status in [span.label_.partition("|")]
        if not is_guideline_text(span.sent.text)
    }
    return tuple(sorted(reason for reason in found if reason is not None))


def normalize_text(text: str) -> str:
    """Lower the case and write dates and numbers as <date> and <num>.

    Examples
    --------
    >>> normalize_text("On 11/16/16, #60 tablets were denied.")
    'on <date> <num> tablets were denied'
    """
    lowered = NUMBER_RE.sub("<num>", DATE_RE.sub("<date>", text.lower()))
    return " ".join(WORD_RE.findall(lowered))


@cache
def _stem(word: str) -> str:
    return str(_make_stemmer().stemWord(word))


@cache
def _make_stemmer() -> "Stemmer.Stemmer":
    import Stemmer

    return Stemmer.Stemmer("english")


def stem_words(text: str) -> str:
    """Give the stems of normalised text.

    Examples
    --------
    >>> stem_words("no documentation of functional improvement")
    'no document of function improv'
    """
    return " ".join(map(_stem, text.split()))


def make_rows(doc: Doc) -> list[SentenceRow]:
    """Give one row for each sentence of `doc` that holds more than white space."""
    text = doc.text
    spans = [(sent.start_char, sent.end_char) for sent in doc.sents]
    bounds = [_strip(text, start, end) for start, end in spans if text[start:end].strip()]
    cues = [(span.start_char, span.label_) for span in doc.spans["cues"]]
    verdicts = [(span.start_char, span.end_char) for span in doc.spans["verdict"]]
    own = [_read_marks(text, start, end, cues, verdicts) for start, end in bounds]
    scopes = find_scopes(text)
    return [
        SentenceRow(
            start,
            end,
            stem_words(normalize_text(text[start:end])),
            _tag_statuses(text, start, end, scopes),
            " ".join(_add_context(own, i)),
            " ".join(_mark_neighbours(own, i)),
        )
        for i, (start, end) in enumerate(bounds)
    ]


def _strip(text: str, start: int, end: int) -> tuple[int, int]:
    raw = text[start:end]
    first = start + len(raw) - len(raw.lstrip())
    return first, first + len(raw.strip())


def _tag_statuses(text: str, start: int, end: int, scopes: Sequence[Scope]) -> str:
    near = [scope for scope in scopes if scope.start_char < end and scope.end_char > start]
    return " ".join(
        f"{_stem(match.group().lower())}|{read_status(near, match.start())}"
        for match in PLAIN_WORD_RE.finditer(text, start, end)
    )


def _read_marks(
    text: str, start: int, end: int, cues: Sequence[tuple[int, str]], verdicts: Sequence[tuple[int, int]]
) -> list[str]:
    sentence = text[start:end]
    marks = [name for name, pattern in MARK_RES if pattern.search(sentence)]
    if "says:patient" not in marks:
        marks.append("general:past" if "past" in marks else "general")
    if LIST_RE.match(sentence):
        marks.append("list")
    if sum(text.count(quote, 0, start) for quote in '"“”') % 2:
        marks.append("inside quotation")
    inside = [span for span in verdicts if start <= span[0] < end]
    if inside:
        marks.append("verdict:whole" if inside[0] == (start, end) else "verdict:part")
    return [mark.replace(" ", "_") for mark in marks] + [
        f"cue:{label}" for position, label in cues if start <= position < end
    ]


def _add_context(own: Sequence[Sequence[str]], i: int) -> list[str]:
    """Add where the sentence stands, and what came before or is still to come."""
    before = {mark for earlier in own[:i] for mark in earlier}
    after = {mark for later in own[i + 1 :] for mark in later}
    marks = [*own[i], f"place:{_place(i, len(own))}"]
    marks += [f"before:{mark}" for mark in ("turn", "says:patient", "says:guideline") if mark in before]
    marks += [f"after:{mark}" for mark in ("turn", "says:guideline") if mark in after]
    side = "turned" if "turn" in before or "turn" in own[i] else "not_turned"
    return [*marks, f"{side}:{next((mark for mark in SPEAKERS if mark in own[i]), '')}"]


def _mark_neighbours(own: Sequence[Sequence[str]], i: int) -> list[str]:
    previous = own[i - 1] if i else ["none"]
    following = own[i + 1] if i + 1 < len(own) else ["none"]
    return [*(f"prev:{mark}" for mark in previous), *(f"next:{mark}" for mark in following)]


def _place(i: int, n: int) -> str:
    if i == 0:
        return "first"
    return "last" if i == n - 1 else str(4 * i // n)


#: marks that tell who speaks, the plainest first
SPEAKERS = ("says:patient", "says:guideline", "general:past", "general")
#: mark -> the pattern that sets it
MARK_RES = (
    ("says:guideline", GUIDELINE_RE),
    ("says:patient", PATIENT_RE),
    ("quoted", QUOTE_RE),
    ("past", PAST_RE),
    ("present", PRESENT_RE),
    ("modal", MODAL_RE),
    ("citation", CITATION_RE),
    ("turn", TURN_RE),
)
