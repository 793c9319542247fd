"""The frozen records that every room shares.

Offsets are characters, lower bound inclusive, upper exclusive.
"""

from dataclasses import dataclass
from datetime import date

from imr_rationale.labels import Outcome

__all__ = [
    "Dates",
    "Evidence",
    "Item",
    "ItemText",
    "Letter",
    "ModifiedRequest",
    "OutcomePrediction",
    "Outcomes",
    "Prediction",
    "ReasonPrediction",
    "SentencePrediction",
]


@dataclass(frozen=True, slots=True)
class Dates:
    """The five dates of a letter's header; None where one is not printed or not readable."""

    assigned: date | None = None
    injury: date | None = None
    decision: date | None = None
    ur_denial: date | None = None
    application_received: date | None = None


@dataclass(frozen=True, slots=True)
class ModifiedRequest:
    """The three parts of a request that the claims administrator authorised in part."""

    original: str | None
    authorized: str | None
    disputed: str | None


@dataclass(frozen=True, slots=True)
class Item:
    """One disputed treatment of a letter.

    Attributes
    ----------
    number : int
        Counts from 1 in the letter's order.
    treatment : str or None
        What was asked for and is in dispute.
    outcome : {"Upheld", "Overturned"} or None
        The heading's word, never read from the rationale.
    rationale : str or None
        The reviewer's text; lines joined by one space, paragraphs by a blank line.
    start_char, end_char : int
        The whole item, heading to end of rationale, in the letter's text.
    rationale_start_char, rationale_end_char : int or None
        The rationale as printed in the letter's text.
    modified : ModifiedRequest or None
        Set when the claims administrator authorised part of the original request.
    """

    number: int
    treatment: str | None
    outcome: Outcome | None
    claims_administrator_guideline: str | None
    reviewer_guideline: str | None
    rationale: str | None
    start_char: int
    end_char: int
    rationale_start_char: int | None = None
    rationale_end_char: int | None = None
    modified: ModifiedRequest | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Letter:
    """One decision letter; a field that could not be read is None and named in `warnings`."""

    text: str
    case_number: str | None
    dates: Dates
    priority: str | None
    licensure: tuple[str, ...]
    specialty: str | None
    summary: str | None
    age: int | None
    sex: str | None
    items: tuple[Item, ...]
    layout: str
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ItemText:
    """What the model reads of one disputed treatment; only the rationale must be there."""

    rationale: str
    treatment: str | None = None
    summary: str | None = None
    claims_administrator_guideline: str | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """A sentence that shows a reason; `rationale[start_char:end_char] == text`."""

    start_char: int
    end_char: int
    text: str


@dataclass(frozen=True, slots=True)
class ReasonPrediction:
    """A reason the model found, its probability in [0, 1] and the sentences that show it."""

    label: str
    probability: float
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True, slots=True)
class OutcomePrediction:
    """An outcome and the probability of Overturned, in [0, 1]."""

    label: Outcome
    probability: float


@dataclass(frozen=True, slots=True)
class Outcomes:
    """The heading's word and the three outcome tasks, None where their text is missing."""

    heading: Outcome | None = None
    verdict: OutcomePrediction | None = None
    reasoning: OutcomePrediction | None = None
    forecast: OutcomePrediction | None = None


@dataclass(frozen=True, slots=True)
class SentencePrediction:
    """One sentence of a rationale: offsets, role code, and whether it gives the verdict away."""

    start_char: int
    end_char: int
    role: str
    verdict: bool


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the model reads in one rationale.

    Attributes
    ----------
    outcome : Outcomes
        Three tasks that are never mixed.
    reasons : tuple of ReasonPrediction
        Sorted by falling probability; empty when no ground is stated.
    primary_reason : str or None
        One of `reasons`; None when there is none.
    sentences : tuple of SentencePrediction
        Every sentence of the rationale in order.
    certainty : float or None
        The F1 to expect of `reasons`, in [0, 1]: leave the least certain items to a reader. None without a rationale.
    """

    rationale: str
    outcome: Outcomes
    reasons: tuple[ReasonPrediction, ...]
    primary_reason: str | None
    sentences: tuple[SentencePrediction, ...]
    certainty: float | None = None
    letter: str | None = None
    source: str | None = None
    item: int | None = None
    treatment: str | None = None
    warnings: tuple[str, ...] = ()
