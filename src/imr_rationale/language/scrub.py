"""Verdict spans: the clauses whose words give the outcome away, and the text without them."""

import re
from collections.abc import Collection, Iterator, Sequence

from spacy.language import Language
from spacy.tokens import Doc
from spacy.util import filter_spans

from imr_rationale.language.marks import DECIDES, SUPPORTS, find_marks, is_general, read_doc_marks
from imr_rationale.language.sentences import list_sentences
from imr_rationale.language.words import read_lowered, read_text, strip_span

__all__ = ["find_verdict_clauses", "list_kept", "read_verdict", "scrub_verdict"]

# a clause begins after ", " "; " ": " and before "because", "which would", "to support", …; white space is looked at
# from its beginning only, or a long run of it would be read once for each of its characters
CLAUSE_RE = re.compile(
    r"\s(?:(?<=[,;:]\s)\s*"
    r"|(?<!\s\s)\s*(?=(?:because|since|as|due to|given|without|absent|until|unless|if|but|although|though|while|whereas|therefore|"
    r"thus|hence|so|and therefore|and thus|which|that (?:would|could|might|may|will|warrants?|supports?|justif\w+)|"
    r"who would|in order to|to (?:warrant|support|justify|necessitate|require|indicate|establish|approve|authori[sz]e)|"
    r"warranting|supporting|justifying|necessitating)\b))"
)
# white space other than one space
GAP_RE = re.compile(r"\s(?:\s+|(?<! ))")


def find_verdict_clauses(lowered: str, marks: Collection[str]) -> Iterator[tuple[int, int, str]]:
    """Yield (start, end, label) of the clauses of one sentence that give the outcome away.

    The label is "decision" where the words decide by themselves, else "support". What a guideline says in general
    stays, unless its words decide by themselves.

    Parameters
    ----------
    lowered : str
        The sentence in lower case.
    marks : collection of str
        Its marks; they tell whether there is anything to find.

    Examples
    --------
    >>> text = "without red flags, the mri is not medically necessary."
    >>> [(text[start:end], label) for start, end, label in find_verdict_clauses(text, find_marks(text))]
    [('the mri is not medically necessary.', 'decision')]
    """
    general = is_general(marks)
    if DECIDES not in marks and (general or SUPPORTS not in marks):
        return
    start = 0
    for end, following in [*((m.start(), m.end()) for m in CLAUSE_RE.finditer(lowered)), (len(lowered), len(lowered))]:
        found = find_marks(lowered[start:end])
        if DECIDES in found:
            yield start, end, DECIDES
        elif not general and SUPPORTS in found:
            yield start, end, SUPPORTS
        start = following


@Language.component("imr_verdict")
def set_verdict_spans(doc: Doc) -> Doc:
    """Write the verdict clauses of `doc` to `doc.spans["verdict"]`, and keep what is left without them."""
    text = read_lowered(doc)
    spans = []
    for (begin, stop), marks in zip(list_sentences(doc), read_doc_marks(doc), strict=True):
        for start, end, label in find_verdict_clauses(text[begin:stop], marks):
            span = doc.char_span(begin + start, begin + end, label=label, alignment_mode="expand")
            if span is not None:
                spans.append(span)
    kept = doc.spans["verdict"] = filter_spans(spans)
    found = doc.user_data["verdict"] = [(span.start_char, span.end_char, span.label_) for span in kept]
    doc.user_data["kept"] = _find_kept(read_text(doc), found)
    return doc


def _find_kept(text: str, verdict: Sequence[tuple[int, int, str]]) -> list[tuple[int, int]]:
    gaps = [match.span() for match in GAP_RE.finditer(text)]
    cuts = sorted([*gaps, *((start, end) for start, end, _ in verdict), (len(text), len(text))])
    kept = []
    position = 0
    for start, end in cuts:
        stretch = strip_span(text, position, start)
        if stretch[0] < stretch[1]:
            kept.append(stretch)
        position = max(position, end)
    return kept


def read_verdict(doc: Doc) -> list[tuple[int, int, str]]:
    """Give (start_char, end_char, label) of the verdict spans of a Doc of the pipeline, faster than its spans do."""
    found: list[tuple[int, int, str]] = doc.user_data["verdict"]
    return found


def scrub_verdict(doc: Doc) -> str:
    """Give the text of `doc` without its verdict spans."""
    text = read_text(doc)
    return " ".join([text[start:end] for start, end in list_kept(doc)])


def list_kept(doc: Doc) -> list[tuple[int, int]]:
    """Give (start_char, end_char) of what `scrub_verdict` joins: stretches of words with one space between them."""
    kept: list[tuple[int, int]] = doc.user_data["kept"]
    return kept
