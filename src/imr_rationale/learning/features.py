"""A `Doc` -> what the estimators read: strings of words, one row a sentence, and the texts of the outcome tasks.

A row holds normalised words and, beside them, context marks: cues, who is speaking, where the sentence
stands, and the same of its neighbours. Marks are words of their own ("cue:gain|unproven"), so that plain
scikit-learn vectorizers with a white-space token pattern read both.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from spacy.tokens import Doc, Span

from imr_rationale.language.cues import CUE_REASONS, GUIDELINE_RE, PATIENT_RE, is_guideline_text
from imr_rationale.language.pipeline import make_docs
from imr_rationale.language.scrub import scrub_verdict
from imr_rationale.records import ItemText

__all__ = ["ItemFeatures", "SentenceRow", "make_features", "make_rows", "normalize_text"]

DATE_RE = re.compile(r"\b\d{1,2}[/-]\d{1,2}[/-]\d{2,4}\b")
NUMBER_RE = re.compile(r"#?\b\d[\d,.]*(?:-\d[\d,.]*)?%?")
WORD_RE = re.compile(r"[a-z]+(?:['’-][a-z]+)*|<[a-z]+>|[;:\"?%]")


@dataclass(frozen=True, slots=True)
class SentenceRow:
    """One sentence as the estimators read it.

    Attributes
    ----------
    start_char, end_char : int
        The sentence in the rationale, without outer white space.
    words : str
        Normalised words, separated by one space.
    marks : str
        Context marks, separated by one space.
    """

    start_char: int
    end_char: int
    words: str
    marks: str


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
        Its verdict spans alone.
    reasoning_words : str
        The rationale without its verdict spans.
    forecast_words : str
        Treatment, summary and claims administrator's guideline: what is known before the decision.
    cue_reasons : tuple of str
        The reasons that the cue rules read, without any learning.
    """

    rationale: str
    rows: tuple[SentenceRow, ...]
    words: str
    verdict_words: str
    reasoning_words: str
    forecast_words: str
    cue_reasons: tuple[str, ...]


def make_features(texts: Iterable[ItemText]) -> Iterator[ItemFeatures]:
    """Run items through the language pipeline and give their features, in order."""
    items = list(texts)
    for item, doc in zip(items, make_docs(item.rationale for item in items), strict=True):
        yield ItemFeatures(
            rationale=item.rationale,
            rows=tuple(make_rows(doc)),
            words=normalize_text(doc.text),
            verdict_words=normalize_text(" ; ".join(span.text for span in doc.spans["verdict"])),
            reasoning_words=normalize_text(scrub_verdict(doc)),
            forecast_words=_make_forecast_words(item),
            cue_reasons=_read_cue_reasons(doc),
        )


def _make_forecast_words(item: ItemText) -> str:
    """Mark where each word stood: the same word means another thing in the treatment and in the summary."""
    parts = {"t": item.treatment, "g": item.claims_administrator_guideline}
    marked = [f"{key}:{word}" for key, text in parts.items() for word in normalize_text(text or "").split()]
    return " ".join([*marked, normalize_text(item.summary or "")])


def _read_cue_reasons(doc: Doc) -> tuple[str, ...]:
    """Read reasons by rule alone: cues in sentences that speak of the patient."""
    found = {
        CUE_REASONS.get((concept, status))
        for span in doc.spans["cues"]
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


def make_rows(doc: Doc) -> list[SentenceRow]:
    """Give one row for each sentence of `doc` that holds more than white space."""
    sents = [sent for sent in doc.sents if sent.text.strip()]
    own = [_read_marks(sent) for sent in sents]
    return [_make_row(sents, own, i) for i in range(len(sents))]


def _read_marks(sent: Span) -> list[str]:
    text = sent.text
    marks = []
    if GUIDELINE_RE.search(text):
        marks.append("says:guideline")
    if PATIENT_RE.search(text):
        marks.append("says:patient")
    if '"' in text or "“" in text:
        marks.append("quoted")
    verdicts = [span for span in sent.doc.spans["verdict"] if sent.start <= span.start < sent.end]
    if verdicts:
        marks.append("verdict")
        if len(verdicts) == 1 and verdicts[0].start == sent.start and verdicts[0].end == sent.end:
            marks.append("verdict:whole")
    marks += [f"cue:{span.label_}" for span in sent.doc.spans["cues"] if sent.start <= span.start < sent.end]
    return marks


def _make_row(sents: Sequence[Span], own: Sequence[list[str]], i: int) -> SentenceRow:
    sent = sents[i]
    text = sent.text
    start = sent.start_char + len(text) - len(text.lstrip())
    marks = [
        *own[i],
        *(f"prev:{mark}" for mark in (own[i - 1] if i else ["none"])),
        *(f"next:{mark}" for mark in (own[i + 1] if i + 1 < len(own) else ["none"])),
        f"place:{_place(i, len(own))}",
    ]
    return SentenceRow(start, start + len(text.strip()), normalize_text(text), " ".join(marks))


def _place(i: int, n: int) -> str:
    if i == 0:
        return "first"
    return "last" if i == n - 1 else str(4 * i // n)
