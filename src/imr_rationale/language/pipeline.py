"""Text -> spaCy `Doc`: the one place that builds `nlp`."""

import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

import spacy
from spacy.language import Language
from spacy.tokens import Doc

# imported for the factories that they register
from imr_rationale.language import cues, marks, scrub, sentences, words  # noqa: F401
from imr_rationale.language.tables import WORDS_KEPT

__all__ = ["COMPONENTS", "MAX_RUN", "make_docs", "make_nlp", "soften_text"]

COMPONENTS = ("imr_words", "imr_sentences", "imr_marks", "imr_cues", "imr_verdict")
#: spaCy's tokenizer is quadratic in strings without space; the longest word of a real letter has 70 characters
MAX_RUN = 200
#: distinct words in spaCy's vocabulary, which forgets none, before a new one is begun: every hundred thousand items
MAX_LEXEMES = 60_000
LONG_RUN_RE = re.compile(rf"\S{{{MAX_RUN}}}")


@cache
def make_nlp() -> Language:
    """Build the pipeline, once until it is full: a blank English tokenizer and the components of this package."""
    nlp = spacy.blank("en")
    nlp.max_length = 10_000_000
    # by default it remembers 10,000 strings and takes all others apart anew
    tokenizer: Any = nlp.tokenizer
    tokenizer.max_cache_size = WORDS_KEPT
    for name in COMPONENTS:
        nlp.add_pipe(name)
    return nlp


def soften_text(text: str) -> str:
    """Break runs of more than `MAX_RUN` characters without space; offsets stay what they were.

    Examples
    --------
    >>> len(soften_text("a:" * 1000)), " " in soften_text("a:" * 1000)
    (2000, True)
    """
    return LONG_RUN_RE.sub(lambda match: match.group()[:-1] + " ", text)


def make_docs(texts: Iterable[str]) -> Iterator[Doc]:
    """Run `texts` through the pipeline, in order; offsets of each Doc index its text."""
    nlp = make_nlp()
    components = [component for _, component in nlp.pipeline]
    for text in map(soften_text, texts):
        if len(nlp.vocab) > MAX_LEXEMES:
            make_nlp.cache_clear()
            nlp = make_nlp()
            components = [component for _, component in nlp.pipeline]
        doc = nlp.make_doc(text)
        doc.user_data["text"] = text
        # one after the other, as `nlp.pipe` does with more ado
        for component in components:
            doc = component(doc)
        yield doc
