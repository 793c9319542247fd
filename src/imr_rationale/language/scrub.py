"""Verdict spans: the clauses whose words give the outcome away, and the text without them."""

import re
from collections.abc import Iterator

from spacy.language import Language
from spacy.tokens import Doc
from spacy.util import filter_spans

from imr_rationale.language.cues import is_guideline_text

__all__ = ["find_verdict_clauses", "scrub_verdict"]

# words that decide wherever they stand: "is not medically necessary", "the denial is upheld"
STRONG_RE = re.compile(
    r"\bmedical(?:ly)?(?: \w+ and| and \w+)? (?:un)?(?:necess\w+|appropriate|reasonable|indicated|warranted|justified|supported)\b"
    r"|\b(?:non[- ]?|de|re)?certif(?:y|ied|ies|ication)\b|\b(?:uphold\w*|upheld|overturn\w*|revers(?:e|ed|al|ing)|affirm(?:ed|s)?)\b"
    r"|\b(?:den(?:y|ied|ial|ials|ies)|disallow\w*|grant(?:ed)?)\b|\bagree with\b|\b(?:un)?necess(?:ary|ity|itate\w*)\b",
    re.IGNORECASE,
)
# words that decide when they speak of the request: "is not supported", "to warrant an MRI"
WEAK_RE = re.compile(
    r"\b(?:un|in)?(?:appropriate(?:ly|ness)?|warrant\w*|justif(?:y|ied|ies|ication)|support(?:s|ed|ing|ive)?|reasonable|"
    r"approv\w+|authori[sz]\w+|indicated|established|recommended|allow(?:ed|able)?|"
    r"considered|deemed|found|determined|approvable|proceed(?:ing)?|premature|endorsed?|"
    r"compelling|convincing|persuasive|acceptable|medical need|need(?:ed)?|should be (?:done|provided|given|allowed)|"
    r"merit\w*|satisfied|criteria (?:are|have been|were) (?:not )?met)\b",
    re.IGNORECASE,
)
# a clause begins after ", " "; " ": " and before "because", "which would", "to support", …; white space is looked at
# from its beginning only, or a long run of it would be read once for each of its characters
CLAUSE_RE = re.compile(
    r"(?<=[,;:])\s+"
    r"|(?<!\s)\s+(?=(?:because|since|as|due to|given|without|absent|until|unless|if|but|although|though|while|whereas|therefore|"
    r"thus|hence|so|and therefore|and thus|which|that (?:would|could|might|may|will|warrants?|supports?|justif\w+)|"
    r"who would|in order to|to (?:warrant|support|justify|necessitate|require|indicate|establish|approve|authori[sz]e)|"
    r"warranting|supporting|justifying|necessitating)\b)",
    re.IGNORECASE,
)


def find_verdict_clauses(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield (start, end, label) of the clauses of one sentence that give the outcome away.

    The label is "decision" where the words decide by themselves, else "support". What a guideline says in general
    stays, unless its words decide by themselves.

    Examples
    --------
    >>> text = "Without red flags, the MRI is not medically necessary."
    >>> [(text[start:end], label) for start, end, label in find_verdict_clauses(text)]
    [('the MRI is not medically necessary.', 'decision')]
    """
    general = is_guideline_text(text)
    start = 0
    for end, following in [*((m.start(), m.end()) for m in CLAUSE_RE.finditer(text)), (len(text), len(text))]:
        if STRONG_RE.search(text, start, end):
            yield start, end, "decision"
        elif not general and WEAK_RE.search(text, start, end):
            yield start, end, "support"
        start = following


@Language.component("imr_verdict")
def set_verdict_spans(doc: Doc) -> Doc:
    """Write the verdict clauses of `doc` to `doc.spans["verdict"]`."""
    spans = []
    for sent in doc.sents:
        for start, end, label in find_verdict_clauses(sent.text):
            span = doc.char_span(sent.start_char + start, sent.start_char + end, label=label, alignment_mode="expand")
            if span is not None:
                spans.append(span)
    doc.spans["verdict"] = filter_spans(spans)
    return doc


def scrub_verdict(doc: Doc) -> str:
    """Give the text of `doc` without its verdict spans."""
    text = doc.text
    parts = []
    position = 0
    for span in doc.spans["verdict"]:
        parts.append(text[position : span.start_char])
        position = span.end_char
    parts.append(text[position:])
    return " ".join(" ".join(parts).split())
