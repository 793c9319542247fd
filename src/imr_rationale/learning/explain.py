"""Which words carried a reason: the log-odds of a sentence, split exactly over its words and its context.

The models of reasons are linear, so nothing is sampled and nothing approximated: every n-gram's share is its weight
in the sentence times its coefficient, spread evenly over its occurrences and their words.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from imr_rationale.labels import REASONS, check_reasons
from imr_rationale.language.lexicon import find_kinds, replace_kinds
from imr_rationale.language.pipeline import soften_text
from imr_rationale.language.words import find_ends, split_plain, split_words
from imr_rationale.learning.features import SentenceRow, make_features
from imr_rationale.learning.model import ROW_TEXTS, RationaleModel, make_row_words, read_decisions
from imr_rationale.learning.second_stage import FINDING
from imr_rationale.letters.folding import fold_case
from imr_rationale.records import ItemText

__all__ = ["Explanation", "WordShare", "explain_reason"]


@dataclass(frozen=True, slots=True)
class WordShare:
    """What one word adds to the log-odds; `rationale[start_char:end_char]` is the word."""

    start_char: int
    end_char: int
    log_odds: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a sentence shows a reason, or does not.

    Attributes
    ----------
    reason : str
    start_char, end_char : int
        The sentence in the rationale.
    words : tuple of WordShare
        In the order of the text; words without a share are left out.
    context : mapping of str to float
        What cues, place, decision and neighbouring sentences add, by the name of the mark.
    intercept : float
        The log-odds before anything is read.
    log_odds : float
        Their sum, `intercept + sum of words + sum of context`: what the model of reasons says of the sentence.
    finding : float
        Probability that the sentence is a finding; the sentence's score is the product of both probabilities.
    """

    reason: str
    start_char: int
    end_char: int
    words: tuple[WordShare, ...]
    context: Mapping[str, float]
    intercept: float
    log_odds: float
    finding: float


def explain_reason(model: RationaleModel, item: ItemText, reason: str) -> tuple[Explanation, ...]:
    """Explain one reason in every sentence of a rationale.

    Raises
    ------
    LabelError
        The reason is unknown.

    Examples
    --------
    >>> from imr_rationale import load_model
    >>> text = "There is no evidence of red flags. The request is not medically necessary."
    >>> first, _ = explain_reason(load_model(), ItemText(text), "no_clinical_indication")
    >>> shares = {text[word.start_char : word.end_char]: word.log_odds for word in first.words}
    >>> shares["red"] + shares["flags"] > 0
    True
    """
    (name,) = check_reasons([reason])
    (features,) = make_features([item])
    scores = model.score([features])
    decisions = read_decisions([features], scores.outcomes["verdict"]) * len(features.rows)
    regression = model.regressions["sentence_reasons"]
    label = REASONS.index(name)
    intercept = float(regression.intercept[label])
    terms = [(block, term) for block in ROW_TEXTS for term in model.vocabularies[block].list_terms()]
    text = soften_text(item.rationale)
    explained = []
    for i, row in enumerate(features.rows):
        words: dict[tuple[int, int], float] = defaultdict(float)
        context: dict[str, float] = {}
        for column, share in _split(model, row, decisions[i], regression.coef[:, label]):
            block, term = terms[column]
            places = list(_find_places(text, row, block, term))
            for span in places:
                words[span] += share / len(places)
            if not places:
                context[f"{block}: {term}"] = share
        explained.append(
            Explanation(
                reason=name,
                start_char=row.start_char,
                end_char=row.end_char,
                words=tuple(WordShare(*span, value) for span, value in sorted(words.items())),
                context=dict(sorted(context.items(), key=lambda pair: -abs(pair[1]))),
                intercept=intercept,
                log_odds=intercept + sum(words.values()) + sum(context.values()),
                finding=float(scores.roles[i, FINDING]),
            )
        )
    return tuple(explained)


def _split(model: RationaleModel, row: SentenceRow, decision: str, coef: np.ndarray) -> Iterator[tuple[int, float]]:
    """Yield (column, share) of every term of the sentence, in the order of the coefficients."""
    found = model.rows_table.transform(make_row_words([row], [decision]))
    for column, value in zip(found.indices, found.data, strict=True):
        yield int(column), float(value * coef[column])


def _find_places(text: str, row: SentenceRow, block: str, term: str) -> Iterator[tuple[int, int]]:
    """Yield the span of each word of each occurrence of a term; marks stand nowhere."""
    start = row.start_char
    lowered = fold_case(text[start : row.end_char])
    words = split_words(lowered)
    starts, ends = words.starts, find_ends(lowered, words)
    kinds = find_kinds(words.words)
    if block == "statuses":
        spans = [
            (a + i, a + i + len(found))
            for a, word in zip(starts, words.words, strict=True)
            for i, found in split_plain(word.text)
        ]
        spans += [(starts[first], ends[last]) for first, last, _ in kinds]
        found = zip(spans, row.statuses, strict=True)
        yield from ((start + a, start + b) for (a, b), word in found if word == term)
    elif block in {"words", "kinds"}:
        spans = [*zip(starts, ends, strict=True)]
        if block == "kinds":
            spans = replace_kinds(spans, [(first, last, (starts[first], ends[last])) for first, last, _ in kinds])
        stems, wanted = getattr(row, block), tuple(term.split())
        for i in range(len(stems) - len(wanted) + 1):
            if stems[i : i + len(wanted)] == wanted:
                yield from ((start + a, start + b) for a, b in spans[i : i + len(wanted)])
