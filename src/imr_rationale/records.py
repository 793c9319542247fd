"""The frozen records that every room shares.

Offsets are characters, lower bound inclusive, upper exclusive.
"""

from dataclasses import dataclass
from datetime import date
from typing import Generic, TypeVar

from imr_rationale.labels import CaseOutcome, Category, GuidelineBody, Outcome, Side, Timing

__all__ = [
    "Basis",
    "Citation",
    "Dates",
    "Dose",
    "Duration",
    "Evidence",
    "Found",
    "Frequency",
    "Item",
    "ItemText",
    "Letter",
    "ModifiedRequest",
    "OutcomePrediction",
    "Outcomes",
    "Prediction",
    "Quantity",
    "ReasonPrediction",
    "Request",
    "SentencePrediction",
]


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Found(Generic[T]):
    """A value read from a text, and the characters of that text that say it."""

    value: T
    start_char: int
    end_char: int


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
    """The three parts of a request that the claims administrator authorised in part.

    Each span gives the characters of its part in the item's `heading`: `heading[span[0]:span[1]] == part`.
    """

    original: str | None
    authorized: str | None
    disputed: str | None
    original_span: tuple[int, int] | None = None
    authorized_span: tuple[int, int] | None = None
    disputed_span: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Citation:
    """One guideline that a guideline line names; `line[start_char:end_char] == text`.

    Attributes
    ----------
    body : {"MTUS", "ACOEM", "ODG", "other"}
        MTUS where the line says that it is, or is part of, the MTUS, as chapters of ACOEM are; else who publishes it.
    title : str or None
        Guideline or chapter, as printed: "Chronic Pain Treatment Guidelines", "Low Back Complaints".
    section : str or None
        Topic inside it, as printed: "work conditioning, work hardening".
    year : int or None
        Of the edition.
    pages : str or None
        As printed, without the word: "58-60 of 127".
    regulation : str or None
        As printed: "8 C.C.R. 9792.20 - 9792.26".
    """

    body: GuidelineBody
    title: str | None
    section: str | None
    year: int | None
    pages: str | None
    regulation: str | None
    start_char: int
    end_char: int
    text: str


@dataclass(frozen=True, slots=True)
class Basis:
    """What a guideline line says a decision was based on; offsets index the line.

    Attributes
    ----------
    citations : tuple of Citation
        In the line's order.
    outside_mtus : Found of str or None
        The words that say the decision was not based on the MTUS.
    none_cited : Found of str or None
        The words that say no guideline or evidence was cited.
    """

    citations: tuple[Citation, ...] = ()
    outside_mtus: Found[str] | None = None
    none_cited: Found[str] | None = None


@dataclass(frozen=True, slots=True)
class Quantity:
    """How many: 60 tablets, 12 visits; the unit is None in "#60"."""

    number: float
    unit: str | None


@dataclass(frozen=True, slots=True)
class Frequency:
    """How often: `low` to `high` times per day, week, month or year; equal where one number is printed."""

    low: float
    high: float
    per: str


@dataclass(frozen=True, slots=True)
class Duration:
    """For how long: `low` to `high` days, weeks, months or years; equal where one number is printed."""

    low: float
    high: float
    unit: str


@dataclass(frozen=True, slots=True)
class Dose:
    """How strong: (10, 325) mg in "10/325mg"."""

    amounts: tuple[float, ...]
    unit: str


@dataclass(frozen=True, slots=True)
class Request:
    """What a treatment's words ask for; offsets index the treatment, None or empty where it is not printed.

    Attributes
    ----------
    category : Found of str or None
        One of `labels.CATEGORIES`, the request categories of the Division of Workers' Compensation.
    regions : tuple of Found of str
        Body regions, lower case: "lumbar spine", "knee".
    side : Found of {"left", "right", "bilateral"} or None
    timing : Found of {"prospective", "retrospective"} or None
        Printed, or retrospective by a date of service.
    dates_of_service : tuple of Found of date
    """

    category: Found[Category] | None = None
    quantity: Found[Quantity] | None = None
    frequency: Found[Frequency] | None = None
    duration: Found[Duration] | None = None
    dose: Found[Dose] | None = None
    regions: tuple[Found[str], ...] = ()
    side: Found[Side] | None = None
    timing: Found[Timing] | None = None
    dates_of_service: tuple[Found[date], ...] = ()


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
    heading : str or None
        The item's whole heading without its outcome, lines joined by one space.
    modified : ModifiedRequest or None
        Set when the claims administrator authorised part of the original request.
    request : Request
        What the treatment's words ask for.
    claims_administrator_basis, reviewer_basis : Basis
        What the two guideline lines name.
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
    heading: str | None = None
    modified: ModifiedRequest | None = None
    request: Request = Request()
    claims_administrator_basis: Basis = Basis()
    reviewer_basis: Basis = Basis()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Letter:
    """One decision letter; a field that could not be read is None and named in `warnings`.

    Attributes
    ----------
    layout : str
        Which of the known layouts the letter has, "unknown" when its headings fit none.
    """

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

    @property
    def outcome(self) -> CaseOutcome | None:
        """The case outcome in the DWC's words; None when an item's outcome could not be read."""
        found = {item.outcome for item in self.items}
        if found >= {"Upheld", "Overturned"}:
            return "Partially Overturn"
        if found == {"Upheld"}:
            return "Uphold"
        return "Overturn" if found == {"Overturned"} else None


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
