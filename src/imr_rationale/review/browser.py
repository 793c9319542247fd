"""The error browser: one self-contained page of the items where model and annotators differ most.

Everything is rendered here; the script of the page only filters, sorts and moves. The page needs no network, no
storage and no form, so that it works from disk and inside a sandboxed frame.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Literal

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from imr_rationale.labels import DESCRIPTIONS, NONE_STATED, OUTCOME_TASKS, OUTCOMES, POLARITY, REASONS, ROLES
from imr_rationale.learning.bootstrap import Figure
from imr_rationale.learning.evaluation import EvaluatedItem, Evaluation
from imr_rationale.learning.gold import Annotation, GoldSentence, fold_words
from imr_rationale.records import SentencePrediction

__all__ = ["N_SHOWN", "measure_disagreement", "render_error_browser"]

#: items on a page: more than a person reads, and still below a megabyte
N_SHOWN = 200
#: probabilities are kept this far from 0 and 1, so that one sure and wrong score does not outweigh all others
EPSILON = 0.001
#: name on the page -> figure of an evaluation
HEADER_FIGURES = (
    ("Reasons, micro-F1", "reasons.micro_f1"),
    ("Reasons, macro-F1", "reasons.macro_f1"),
    ("Primary reason, accuracy", "primary.accuracy"),
)
#: value of the filter -> its name on the page
KINDS = (
    ("missed", "reason missed"),
    ("extra", "extra reason"),
    ("primary", "primary reason differs"),
    ("none", "no reason agrees"),
    ("role", "role of a sentence differs"),
    ("verdict_flag", "verdict sentence differs"),
    ("verdict", "model's verdict is not the outcome"),
)
#: reason -> colour on light and on dark ground, at least 3:1 against either; red and purple speak for refusing, green
#: and blue for authorising, grey for neither
COLOURS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "insufficient_documentation": ("#5a47a8", "#8f84dd"),
        "no_clinical_indication": ("#a16ccd", "#d5a6fe"),
        "guideline_not_met": ("#853485", "#bc74bb"),
        "not_recommended": ("#c65d98", "#fb9acd"),
        "conservative_care_not_exhausted": ("#9b2a4c", "#d46d84"),
        "prior_therapy_sufficient": ("#d35e54", "#ffa196"),
        "no_functional_improvement": ("#933d01", "#d27748"),
        "exceeds_guideline_quantity": ("#be7403", "#f6ac5b"),
        "duplicative_service": ("#725606", "#b58b15"),
        "safety_risk": ("#938c0e", "#c9c357"),
        "contingent_on_primary_service": ("#5e646c", "#9fa5ae"),
        "guideline_met": ("#64992c", "#9ecf75"),
        "clinical_indication_present": ("#076c4c", "#27ab7c"),
        "conservative_care_failed": ("#049b9c", "#29d7d9"),
        "functional_improvement_documented": ("#066482", "#11a0ce"),
        "patient_specific_exception": ("#4f86e1", "#99bffd"),
    }
)

Judgement = Literal["right", "missed", "extra"]
Source = Literal["gold", "model", "gold + model"]


def render_error_browser(evaluation: Evaluation, *, limit: int = N_SHOWN) -> str:
    """Give a page of HTML with the items where model and annotators differ most.

    Parameters
    ----------
    evaluation : Evaluation
    limit : int
        Items on the page; the others agree more and are left out.

    Returns
    -------
    str
        One document with its styles and its script, without any reference to another one.
    """
    ranked = sorted(evaluation.items, key=_make_rank)
    n_overturned = sum(item.gold.outcome == "Overturned" for item in ranked)
    return _make_template().render(
        name=evaluation.name,
        items=[_view_item(rank, item) for rank, item in enumerate(ranked[:limit], start=1)],
        sizes=evaluation.sizes,
        base_rate=n_overturned / len(ranked) if ranked else math.nan,
        figures=_choose_figures(evaluation),
        n_annotators=max((len(item.gold.annotations) for item in ranked), default=1),
        reasons=[(name, DESCRIPTIONS[name], POLARITY[name], *COLOURS[name]) for name in REASONS],
        roles=ROLES,
        kinds=KINDS,
        outcomes=OUTCOMES,
    )


def measure_disagreement(item: EvaluatedItem) -> float:
    """Give the log loss of the reason scores, summed over reasons, mean over annotators.

    Returns
    -------
    float
        At least 0; infinite for an item without prediction.
    """
    if item.prediction is None or not item.scores:
        return math.inf
    losses = [_sum_log_loss(item.scores, annotation.reasons) for annotation in item.gold.annotations]
    return sum(losses) / len(losses)


def _sum_log_loss(scores: Iterable[float], reasons: frozenset[str]) -> float:
    clipped = [min(max(score, EPSILON), 1 - EPSILON) for score in scores]
    return -sum(math.log(score if name in reasons else 1 - score) for name, score in zip(REASONS, clipped, strict=True))


def _make_rank(item: EvaluatedItem) -> tuple[float, str, int]:
    return -measure_disagreement(item), item.gold.letter, item.gold.item


def _choose_figures(evaluation: Evaluation) -> list[tuple[str, Figure]]:
    found = [(name, evaluation.figures.get(key)) for name, key in HEADER_FIGURES]
    return [(name, figure) for name, figure in found if figure is not None]


# ---------------------------------------------------------------- what the template shows


@dataclass(frozen=True, slots=True)
class _ReasonView:
    """A row of an item's table of reasons; `primary` names who calls the reason primary."""

    name: str
    annotators: str
    probability: float | None
    threshold: float | None
    judgement: Judgement
    primary: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Mark:
    """A reason of a sentence and who says so; `share` is set where only some annotators do."""

    source: Source
    reason: str
    share: str


@dataclass(frozen=True, slots=True)
class _SentenceView:
    """A sentence, the text `before` it, and what is said of it."""

    before: str
    text: str
    muted: bool
    marks: tuple[_Mark, ...]
    notes: tuple[str, ...]

    @property
    def evidence(self) -> str | None:
        """The reason that the model is surest of here."""
        return next((mark.reason for mark in self.marks if mark.source != "gold"), None)

    @property
    def gold(self) -> str | None:
        """The reason that most annotators give the sentence."""
        return next((mark.reason for mark in self.marks if mark.source != "model"), None)


@dataclass(frozen=True, slots=True)
class _ItemView:
    """One item of the page; `unplaced` are annotated sentences that the model splits otherwise."""

    rank: int
    source: EvaluatedItem
    treatment: str | None
    disagreement: float
    outcomes: tuple[tuple[str, float, bool], ...]
    reasons: tuple[_ReasonView, ...]
    none_stated: tuple[str, ...]
    sentences: tuple[_SentenceView, ...]
    after: str
    unplaced: tuple[_SentenceView, ...]
    kinds: tuple[str, ...]
    primaries: tuple[str, ...]

    def list_reasons(self, judgement: Judgement) -> list[str]:
        """Give the names of the reasons with this judgement."""
        return [row.name for row in self.reasons if row.judgement == judgement]


def _view_item(rank: int, item: EvaluatedItem) -> _ItemView:
    text, spans = _place_sentences(item)
    reasons = tuple(_view_reasons(item))
    primaries = _find_primaries(item)
    treatments = (item.text and item.text.treatment, item.prediction and item.prediction.treatment)
    return _ItemView(
        rank=rank,
        source=item,
        treatment=next((found for found in treatments if found), None),
        disagreement=measure_disagreement(item),
        outcomes=tuple(_view_outcomes(item)),
        reasons=reasons,
        none_stated=tuple(who for name, who in primaries if name == NONE_STATED),
        sentences=tuple(_view_sentences(item, text, spans)),
        after=text[spans[-1].end_char :] if spans else text,
        unplaced=tuple(_view_unplaced(item, text, spans)),
        kinds=tuple(_find_kinds(item, reasons, text, spans)),
        primaries=tuple({name: None for name, _ in primaries}),
    )


def _view_outcomes(item: EvaluatedItem) -> Iterator[tuple[str, float, bool]]:
    """Give the name of each outcome task, its probability of Overturned, and whether its label is the outcome."""
    for task in OUTCOME_TASKS:
        found = getattr(item.prediction.outcome, task) if item.prediction else None
        if found:
            yield task, found.probability, found.label == item.gold.outcome


# ---------------------------------------------------------------- reasons


def _view_reasons(item: EvaluatedItem) -> Iterator[_ReasonView]:
    """Give the reasons that an annotator gave or the model shows, the most probable first."""
    annotations = item.gold.annotations
    given = Counter(reason for annotation in annotations for reason in annotation.reasons)
    shown = {reason.label: reason.probability for reason in item.prediction.reasons} if item.prediction else {}
    scores = dict(zip(REASONS, item.scores, strict=False)) or shown
    thresholds = dict(zip(REASONS, item.thresholds, strict=False))
    primaries = _find_primaries(item)
    for name in sorted(given.keys() | shown.keys(), key=lambda name: (-scores.get(name, 0.0), REASONS.index(name))):
        yield _ReasonView(
            name,
            _name_share(given[name], len(annotations)) or "yes",
            scores.get(name),
            thresholds.get(name),
            _judge(given=given[name] > 0, shown=name in shown),
            tuple(who for primary, who in primaries if primary == name),
        )


def _judge(*, given: bool, shown: bool) -> Judgement:
    if shown:
        return "right" if given else "extra"
    return "missed"


def _name_share(n: int, n_annotators: int) -> str:
    """Give "1 of 2", "no" for none of them, and nothing for all of them."""
    if n == n_annotators:
        return ""
    return f"{n} of {n_annotators}" if n else "no"


def _find_primaries(item: EvaluatedItem) -> list[tuple[str, str]]:
    """Give the primary reasons, `NONE_STATED` among them, each with who says so."""
    named = Counter(annotation.primary for annotation in item.gold.annotations)
    shares = {name: _name_share(n, len(item.gold.annotations)) for name, n in named.items()}
    found = [(name, f"gold {share}".rstrip()) for name, share in shares.items()]
    return [*found, (_get_primary(item), "model")] if item.prediction else found


def _get_primary(item: EvaluatedItem) -> str:
    return (item.prediction.primary_reason if item.prediction else None) or NONE_STATED


# ---------------------------------------------------------------- sentences


def _place_sentences(item: EvaluatedItem) -> tuple[str, tuple[SentencePrediction, ...]]:
    """Give the text to show and its sentences: the model's, or the first annotator's where it has none."""
    text = item.prediction.rationale if item.prediction else item.gold.text
    sentences = item.prediction.sentences if item.prediction else ()
    return text, sentences or tuple(_find_sentences(text, item.gold.annotations[0]))


def _find_sentences(text: str, annotation: Annotation) -> Iterator[SentencePrediction]:
    end_char = 0
    for sentence in annotation.sentences:
        start_char = text.find(sentence.text, end_char)
        if start_char >= 0:
            end_char = start_char + len(sentence.text)
            yield SentencePrediction(start_char, end_char, sentence.role, sentence.verdict)


def _view_sentences(item: EvaluatedItem, text: str, spans: Iterable[SentencePrediction]) -> Iterator[_SentenceView]:
    end_char = 0
    for span in spans:
        gold = _match_gold(item, text[span.start_char : span.end_char])
        yield _SentenceView(
            before=text[end_char : span.start_char],
            text=text[span.start_char : span.end_char],
            muted=span.verdict,
            marks=tuple(_mark_reasons(item, gold, _find_evidence(item, span))),
            notes=tuple(_note_differences(span, gold)),
        )
        end_char = span.end_char


def _match_gold(item: EvaluatedItem, text: str) -> list[GoldSentence]:
    """Give what each annotator says of the sentence with this text; nothing of those who split it otherwise."""
    folded = fold_words(text)
    matched = [[s for s in a.sentences if fold_words(s.text) == folded] for a in item.gold.annotations]
    return [_join_sentences(found) for found in matched if found]


def _join_sentences(found: list[GoldSentence]) -> GoldSentence:
    """Make one of an annotator's sentences that are the same, word for word."""
    reasons = tuple(dict.fromkeys(reason for sentence in found for reason in sentence.reasons))
    return GoldSentence(found[0].text, found[0].role, found[0].verdict, reasons)


def _find_evidence(item: EvaluatedItem, span: SentencePrediction) -> list[str]:
    """Give the reasons whose evidence lies in the sentence, the most probable first."""
    return [
        reason.label
        for reason in (item.prediction.reasons if item.prediction else ())
        if any(found.start_char < span.end_char and span.start_char < found.end_char for found in reason.evidence)
    ]


def _mark_reasons(item: EvaluatedItem, gold: Iterable[GoldSentence], evidence: list[str]) -> Iterator[_Mark]:
    """Give the marks of a sentence: the model's reasons first, then those that annotators alone give."""
    given = Counter(reason for sentence in gold for reason in sentence.reasons)
    n_annotators = len(item.gold.annotations)
    for name in evidence:
        if name in given:
            yield _Mark("gold + model", name, _name_share(given[name], n_annotators))
        else:
            yield _Mark("model", name, "")
    for name, n in given.most_common():
        if name not in evidence:
            yield _Mark("gold", name, _name_share(n, n_annotators))


def _note_differences(span: SentencePrediction, gold: list[GoldSentence]) -> Iterator[str]:
    if _role_differs(span, gold):
        yield f"role: gold {'/'.join(dict.fromkeys(s.role for s in gold))}, model {span.role}"
    if _verdict_differs(span, gold):
        yield f"verdict sentence: gold {'no' if span.verdict else 'yes'}, model {'yes' if span.verdict else 'no'}"


def _role_differs(span: SentencePrediction, gold: list[GoldSentence]) -> bool:
    return bool(gold) and all(sentence.role != span.role for sentence in gold)


def _verdict_differs(span: SentencePrediction, gold: list[GoldSentence]) -> bool:
    return bool(gold) and all(sentence.verdict != span.verdict for sentence in gold)


def _view_unplaced(item: EvaluatedItem, text: str, spans: Iterable[SentencePrediction]) -> Iterator[_SentenceView]:
    """Give the annotated sentences with a reason that are no sentence of the text shown."""
    shown = {fold_words(text[span.start_char : span.end_char]) for span in spans}
    sentences = [sentence for annotation in item.gold.annotations for sentence in annotation.sentences]
    for text_alone in dict.fromkeys(sentence.text for sentence in sentences if sentence.reasons):
        if fold_words(text_alone) not in shown:
            marks = tuple(_mark_reasons(item, _match_gold(item, text_alone), []))
            yield _SentenceView("", text_alone, muted=False, marks=marks, notes=())


# ---------------------------------------------------------------- kinds of difference


def _find_kinds(
    item: EvaluatedItem, reasons: Iterable[_ReasonView], text: str, spans: Iterable[SentencePrediction]
) -> Iterator[str]:
    """Give the `KINDS` of difference of an item; a missing prediction counts as empty."""
    judgements = {row.judgement for row in reasons}
    yield from (kind for kind in ("missed", "extra") if kind in judgements)
    if all(_get_primary(item) != annotation.primary for annotation in item.gold.annotations):
        yield "primary"
    if judgements and "right" not in judgements:
        yield "none"
    pairs = [(span, _match_gold(item, text[span.start_char : span.end_char])) for span in spans]
    if any(_role_differs(span, gold) for span, gold in pairs):
        yield "role"
    if any(_verdict_differs(span, gold) for span, gold in pairs):
        yield "verdict_flag"
    if any(task == "verdict" and not right for task, _, right in _view_outcomes(item)):
        yield "verdict"


@cache
def _make_template() -> Template:
    environment = Environment(
        loader=PackageLoader("imr_rationale.review", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(words=_spell_words, number=_format_number, percent=_format_percent)
    return environment.get_template("error_browser.html.jinja")


def _spell_words(name: str) -> str:
    return name.replace("_", " ")


def _format_number(value: float | None) -> str:
    return "–" if value is None or not math.isfinite(value) else f"{value:.2f}"


def _format_percent(value: float) -> str:
    return f"{value:.0%}" if math.isfinite(value) else "–"
