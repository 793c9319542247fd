"""A `Doc` -> what the estimators read: strings of words, one row a sentence, and the texts of the outcome tasks.

A row holds normalised words and, beside them, context marks: cues, who is speaking, where the sentence
stands, and the same of its neighbours. Marks are words of their own ("cue:gain|unproven"), so that plain
scikit-learn vectorizers with a white-space token pattern read both.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import pairwise
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeVar

from spacy.tokens import Doc, Span

from imr_rationale.labels import POLARITY
from imr_rationale.language.cues import (
    GUIDELINE_RE,
    PATIENT_RE,
    find_scopes,
    is_guideline_text,
    read_status,
)
from imr_rationale.language.lexicon import WORDS_KEPT, replace_kinds
from imr_rationale.language.pipeline import make_docs
from imr_rationale.language.rules import RULE_REASONS, find_rules
from imr_rationale.language.scrub import scrub_verdict
from imr_rationale.language.sentences import find_sentence_starts
from imr_rationale.letters.header import read_age_and_sex
from imr_rationale.records import ItemText

if TYPE_CHECKING:
    import Stemmer

__all__ = [
    "PLAIN_WORD_RE",
    "ItemFeatures",
    "SentenceRow",
    "find_kinds",
    "find_words",
    "make_features",
    "make_rows",
    "normalize_text",
    "stem_words",
]

#: a tuple whose first value is its offset in the rationale
Place = TypeVar("Place", bound=tuple[Any, ...])

# "11/16/16", "#60", "2-3", "80%", "self-directed", "patient's"
WORD_RE = re.compile(
    r"(?P<date>\b\d{1,2}[/-]\d{1,2}[/-]\d{2,4}\b)|(?P<num>#?\b\d[\d,.]*(?:-\d[\d,.]*)?%?)"
    r"|[a-z]+(?:['’-][a-z]+)*|[;:\"?%]",
    re.IGNORECASE | re.ASCII,
)
# "DOS: 11/11/16", "Retrospective request for ..."
RETROSPECTIVE_RE = re.compile(r"\b(?:retro\w*|dos)\b", re.IGNORECASE)
# "MTUS Chronic Pain", "ODG Low Back Chapter"
BODY_RE = re.compile(r"\b(?:mtus|acoem|odg)\b", re.IGNORECASE)
PLAIN_WORD_RE = re.compile(r"[A-Za-z]{3,}")


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
# "Therefore,", "Given the above,", "Due to this fact,": they lead to a decision and give no ground
OPENING_RE = re.compile(
    r"\b(?:therefore|thus|hence|consequently|accordingly|so|as such|as a result|for (?:this|these) reasons?|"
    r"(?:given|based on|in light of|considering|due to|because of) "
    r"(?:the above|this|these|this fact|these facts|the foregoing|all of the above)"
    r"(?: (?:information|reasons?|findings))?|at (?:present|this time)|and)\b",
    re.IGNORECASE,
)
# "is not indicated", "would be appropriate": said of the request they decide
DECIDES_RE = re.compile(
    r"\b(?:is|are|was|were|be|been|deemed|considered)(?: \w+){0,2} "
    r"(?:indicated|appropriate|supported|warranted|reasonable|necessary|justified|established|certified)\b",
    re.IGNORECASE,
)
# "to warrant the request", "that would support an MRI"
SUPPORTS_RE = re.compile(r"\b(?:to|would|that) (?:support|warrant|justify)\b", re.IGNORECASE)
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
    kinds : str
        The same with drugs, studies, therapies, body parts … written as their kind.
    statuses : str
        Stems joined with the status of their place: "improv|unproven".
    marks : str
        Cues, who speaks, tense, place.
    neighbours : str
        The marks of the sentences before and after.
    requests : str
        The kinds of thing that were asked for, alone and joined with the sentence's cues; empty where the treatment is
        not known.
    """

    start_char: int
    end_char: int
    words: str
    kinds: str
    statuses: str
    marks: str
    neighbours: str
    requests: str


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
        The rationale without its verdict spans: its stems, the stems of sentences about the patient joined with the
        status of their place, and the cue rules that hold with the polarity of their reasons.
    forecast_words : str
        Treatment, summary and claims administrator's guideline: what is known before the decision.
    metadata_words : str
        Age by decade, sex, kind of request and the body of that guideline: what the forecast has to beat.
    rules, reasoning_rules : tuple of str
        Names of the cue rules that hold, in the whole rationale and outside its verdict.
    """

    rationale: str
    rows: tuple[SentenceRow, ...]
    words: str
    verdict_words: str
    reasoning_words: str
    forecast_words: str
    metadata_words: str
    rules: tuple[str, ...]
    reasoning_rules: tuple[str, ...]


def make_features(texts: Iterable[ItemText]) -> Iterator[ItemFeatures]:
    """Run items through the language pipeline and give their features, in order."""
    items = list(texts)
    for item, doc in zip(items, make_docs(item.rationale for item in items), strict=True):
        reasoning_rules = find_rules(_find_cues_outside_verdict(doc))
        yield ItemFeatures(
            rationale=item.rationale,
            rows=tuple(make_rows(doc, item.treatment)),
            words=normalize_text(doc.text),
            verdict_words=_make_verdict_words(doc),
            reasoning_words=_make_reasoning_words(scrub_verdict(doc), reasoning_rules),
            forecast_words=_make_forecast_words(item),
            metadata_words=_make_metadata_words(item),
            rules=find_rules(doc.spans["cues"]),
            reasoning_rules=reasoning_rules,
        )


def _make_verdict_words(doc: Doc) -> str:
    """Give the clauses that decide, the last one twice: once marked as the last; without any, those that support."""
    clauses = [span.text for span in doc.spans["verdict"] if span.label_ == "decision"]
    clauses = clauses or [span.text for span in doc.spans["verdict"]]
    last = [f"last:{word}" for word in normalize_text(clauses[-1]).split()] if clauses else []
    return " ".join([normalize_text(" ; ".join(clauses)), *last])


def _make_reasoning_words(text: str, rules: Sequence[str]) -> str:
    edges = [0, *find_sentence_starts(text), len(text)]
    scopes = find_scopes(text)
    statuses = (
        _tag_statuses(text, start, end, scopes)
        for start, end in pairwise(edges)
        if not is_guideline_text(text[start:end])
    )
    marks = [mark for name in rules for mark in (f"rule|{name}", f"polarity|{POLARITY[RULE_REASONS[name]]}")]
    return " ".join([stem_words(normalize_text(text)), *statuses, *marks])


def _make_forecast_words(item: ItemText) -> str:
    """Mark where each word stood: the same word means another thing in the treatment and in the summary."""
    parts = {"t": item.treatment, "g": item.claims_administrator_guideline}
    marked = [f"{key}:{word}" for key, text in parts.items() for word in normalize_text(text or "").split()]
    return " ".join([*marked, normalize_text(item.summary or "")])


def _make_metadata_words(item: ItemText) -> str:
    age, sex = read_age_and_sex(item.summary or "")
    treatment = item.treatment or ""
    words = [f"age:{age // 10}" if age is not None else "age:unknown", f"sex:{sex}"]
    words += ["request:quantity"] * any(word == "<num>" for _, _, word in find_words(treatment))
    words += ["request:retrospective"] * bool(RETROSPECTIVE_RE.search(treatment))
    bodies = {match.lower() for match in BODY_RE.findall(item.claims_administrator_guideline or "")}
    return " ".join([*words, *(f"body:{body}" for body in sorted(bodies or {"other"}))])


def _find_cues_outside_verdict(doc: Doc) -> list[Span]:
    inside = {i for span in doc.spans["verdict"] for i in range(span.start, span.end)}
    return [span for span in doc.spans["cues"] if inside.isdisjoint(range(span.start, span.end))]


def normalize_text(text: str) -> str:
    """Lower the case and write dates and numbers as <date> and <num>.

    Examples
    --------
    >>> normalize_text("On 11/16/16, #60 tablets were denied.")
    'on <date> <num> tablets were denied'
    """
    return " ".join(word for _, _, word in find_words(text))


def find_words(text: str, start: int = 0, end: int | None = None) -> Iterator[tuple[int, int, str]]:
    """Yield (start, end, normalised word) of each word of `text[start:end]`; offsets index `text`."""
    for match in WORD_RE.finditer(text, start, len(text) if end is None else end):
        yield match.start(), match.end(), f"<{match.lastgroup}>" if match.lastgroup else match.group().lower()


@lru_cache(maxsize=WORDS_KEPT)
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


def make_rows(doc: Doc, treatment: str | None = None) -> list[SentenceRow]:
    """Give one row for each sentence of `doc` that holds more than white space."""
    text = doc.text
    spans = [(sent.start_char, sent.end_char) for sent in doc.sents]
    bounds = [_strip(text, start, end) for start, end in spans if text[start:end].strip()]
    cues = [(span.start_char, span.label_) for span in doc.spans["cues"]]
    verdicts = [(span.start_char, span.end_char, span.label_) for span in doc.spans["verdict"]]
    quotes = [match.start() for match in QUOTE_RE.finditer(text)]
    own = [
        _read_marks(
            text[start:end],
            _take_between(cues, start, end),
            list(_read_verdict_marks(text, start, end, _take_between(verdicts, start, end))),
            inside_quotation=bisect_left(quotes, start) % 2 == 1,
        )
        for start, end in bounds
    ]
    first = {mark: i for i in reversed(range(len(own))) for mark in own[i]}
    last = {mark: i for i, marks in enumerate(own) for mark in marks}
    scopes = find_scopes(text)
    requested = sorted({word for _, _, word in find_kinds(treatment or "") if word.startswith("<")})
    return [
        SentenceRow(
            start,
            end,
            stem_words(normalize_text(text[start:end])),
            stem_words(" ".join(word for _, _, word in find_kinds(text, start, end))),
            _tag_statuses(text, start, end, scopes),
            " ".join(_add_context(own, i, first, last)),
            " ".join(_mark_neighbours(own, i)),
            " ".join(_mark_requests(requested, own[i])),
        )
        for i, (start, end) in enumerate(bounds)
    ]


def _take_between(places: Sequence[Place], start: int, end: int) -> Sequence[Place]:
    """Give those of `places`, which stand in the order of the text, that begin in `text[start:end]`."""
    begin = itemgetter(0)
    return places[bisect_left(places, start, key=begin) : bisect_left(places, end, key=begin)]


def _strip(text: str, start: int, end: int) -> tuple[int, int]:
    raw = text[start:end]
    first = start + len(raw) - len(raw.lstrip())
    return first, first + len(raw.strip())


def find_kinds(text: str, start: int = 0, end: int | None = None) -> Iterator[tuple[int, int, str]]:
    """Yield (start, end, word) as `find_words` does, words and phrases of a known kind as the kind: "<drug>"."""
    spans = list(find_words(text, start, end))
    for first, last, word in replace_kinds([word for _, _, word in spans]):
        yield spans[first][0], spans[last][1], word


def _tag_statuses(text: str, start: int, end: int, scopes: bytes) -> str:
    words = (
        f"{_stem(match.group().lower())}|{read_status(scopes, match.start())}"
        for match in PLAIN_WORD_RE.finditer(text, start, end)
    )
    kinds = (
        f"{word}|{read_status(scopes, position)}"
        for position, _, word in find_kinds(text, start, end)
        if word.startswith("<")
    )
    return " ".join([*words, *kinds])


def _read_marks(
    sentence: str, cues: Sequence[tuple[int, str]], verdict_marks: Sequence[str], *, inside_quotation: bool
) -> list[str]:
    marks = [name for name, pattern in MARK_RES if pattern.search(sentence)]
    if "says:patient" not in marks:
        marks.append("general:past" if "past" in marks else "general")
    if LIST_RE.match(sentence):
        marks.append("list")
    if inside_quotation:
        marks.append("inside quotation")
    marks += verdict_marks
    return [mark.replace(" ", "_") for mark in marks] + [f"cue:{label}" for _, label in cues]


def _read_verdict_marks(text: str, start: int, end: int, inside: Sequence[tuple[int, int, str]]) -> Iterator[str]:
    """Tell a sentence that only decides ("Therefore, the request is not supported.") from one with a ground."""
    if not inside:
        return
    edges = [start, *(edge for span in inside for edge in span[:2]), end]
    rest = " ".join(text[a:b] for a, b in zip(edges[::2], edges[1::2], strict=True))
    yield "verdict:part" if OPENING_RE.sub("", rest).strip(" ,;.") else "verdict:alone"
    yield from sorted({f"verdict:{label}" for _, _, label in inside})


def _add_context(own: Sequence[Sequence[str]], i: int, first: Mapping[str, int], last: Mapping[str, int]) -> list[str]:
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
    return [*marks, f"{side}:{next((mark for mark in SPEAKERS if mark in own[i]), '')}"]


def _mark_neighbours(own: Sequence[Sequence[str]], i: int) -> list[str]:
    previous = own[i - 1] if i else ["none"]
    following = own[i + 1] if i + 1 < len(own) else ["none"]
    return [*(f"prev:{mark}" for mark in previous), *(f"next:{mark}" for mark in following)]


def _mark_requests(requested: Sequence[str], own: Sequence[str]) -> list[str]:
    cues = [mark for mark in own if mark.startswith("cue:")]
    return [f"request:{kind}" for kind in requested] + [f"request:{kind}&{cue}" for kind in requested for cue in cues]


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
    ("decides", DECIDES_RE),
    ("supports", SUPPORTS_RE),
)
