"""What stands behind a label: exact shares of words, the leak check, rule statistics, learning curves."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from conftest import TINY
from imr_rationale import load_model
from imr_rationale.errors import LabelError
from imr_rationale.labels import REASONS
from imr_rationale.language.rules import RULES
from imr_rationale.language.words import stem
from imr_rationale.learning.baselines import measure_rules
from imr_rationale.learning.curve import SHARES, draw_sizes, list_kinds, measure_curve
from imr_rationale.learning.explain import explain_reason
from imr_rationale.learning.features import make_features
from imr_rationale.learning.leak import fit_sentinel, measure_leak
from imr_rationale.learning.measure import GoldSet
from imr_rationale.learning.model import RationaleModel
from imr_rationale.learning.train import TrainingSet, take_items
from imr_rationale.records import ItemText

TEXT = "The patient was seen in May. There is no evidence of red flags. The request is not medically necessary."

# ---------------------------------------------------------------- shares of words


@pytest.mark.parametrize("reason", ["no_clinical_indication", "safety_risk"])
def test_explain_reason_adds_up_to_the_score(tiny_model: RationaleModel, reason: str) -> None:
    item = ItemText(TEXT)
    explained = explain_reason(tiny_model, item, reason)
    scores = tiny_model.score(list(make_features([item])))
    assert [TEXT[e.start_char : e.end_char] for e in explained] == [s + "." for s in TEXT[:-1].split(". ")]
    for explanation, score in zip(explained, scores.reasons[:, REASONS.index(reason)], strict=True):
        total = explanation.intercept + sum(w.log_odds for w in explanation.words) + sum(explanation.context.values())
        assert explanation.log_odds == pytest.approx(total)
        assert float(expit(explanation.log_odds)) * explanation.finding == pytest.approx(score, rel=1e-4)


def test_explain_reason_credits_the_object_of_the_absence() -> None:
    _, absence, _ = explain_reason(load_model(), ItemText(TEXT), "no_clinical_indication")
    shares = {TEXT[word.start_char : word.end_char]: word.log_odds for word in absence.words}
    assert shares["red"] + shares["flags"] > max(0, shares["There"] + shares["is"], shares["evidence"])


@given(st.text(max_size=150))
def test_explain_reason_spans_lie_inside_their_sentences(tiny_model: RationaleModel, text: str) -> None:
    for explanation in explain_reason(tiny_model, ItemText(text), "not_recommended"):
        for word in explanation.words:
            assert explanation.start_char <= word.start_char < word.end_char <= explanation.end_char


def test_explain_reason_refuses_unknown_reasons(tiny_model: RationaleModel) -> None:
    with pytest.raises(LabelError, match="bad_luck"):
        explain_reason(tiny_model, ItemText(TEXT), "bad_luck")


# ---------------------------------------------------------------- the leak check


def measure(data: TrainingSet, planted: bool) -> dict[str, float]:
    """Check the reasoning texts as they are, or with their verdict clauses put back."""
    features = [
        replace(item, reasoning_words=(*item.reasoning_words, *stems(item.verdict_words))) if planted else item
        for item in data.features
    ]
    sentinel = fit_sentinel(data.features, data.overturned)
    letters = [gold.letter for gold in data.gold]
    found = measure_leak(sentinel, features, data.overturned, letters, n_bootstrap=20)
    return {name: figure.value for name, figure in found.items()}


def stems(words: Iterable[str]) -> list[str]:
    return [stem(word) for word in words if not word.startswith("last:")]


def test_leak_check_finds_nothing_in_scrubbed_texts(tiny_data: TrainingSet) -> None:
    figures = measure(tiny_data, planted=False)
    assert figures["leak.residual_rate"] == 0
    assert abs(figures["leak.sentinel_auroc"] - 0.5) < 0.1
    assert figures["leak.removed_auroc"] > 0.95
    assert figures["leak.planted_auroc"] > 0.9


def test_leak_check_catches_verdicts_that_stay(tiny_data: TrainingSet) -> None:
    figures = measure(tiny_data, planted=True)
    assert figures["leak.residual_rate"] > 0.5
    assert figures["leak.sentinel_auroc"] > 0.9


# ---------------------------------------------------------------- rule statistics


def test_measure_rules_counts_items(tiny_data: TrainingSet) -> None:
    figures = measure_rules(tiny_data.features, tiny_data.targets)
    assert [figure.rule for figure in figures] == list(RULES)
    by_name = {figure.rule.name: figure for figure in figures}
    holds = [i for i, item in enumerate(tiny_data.features) if "indication|absent" in item.rules]
    right = [i for i in holds if "no_clinical_indication" in tiny_data.targets[i].reasons]
    found = by_name["indication|absent"]
    assert found.n_items == len(holds) > 0
    assert found.precision == pytest.approx(len(right) / len(holds))
    assert found.low < found.precision < found.high


# ---------------------------------------------------------------- learning curves


def test_draw_sizes_are_nested_and_keep_groups_whole(tiny_data: TrainingSet) -> None:
    sizes = list(draw_sizes(tiny_data, random_state=0))
    assert len(sizes) == len(SHARES)
    assert len(sizes[-1]) == len(tiny_data)
    for smaller, larger in zip(sizes, sizes[1:], strict=False):
        assert set(smaller) < set(larger)
        assert not set(tiny_data.groups[smaller]) & set(np.delete(tiny_data.groups, smaller))


def test_measure_curve_gives_a_point_a_share_and_a_kind(tiny_data: TrainingSet) -> None:
    gold_set = GoldSet("heldout", tiny_data.gold[:12], tiny_data.texts[:12])
    some = take_items(
        tiny_data, np.flatnonzero([file.startswith(("prose", "frames", "formulaic")) for file in tiny_data.files])
    )
    points = list(measure_curve(some, [gold_set], TINY))
    kinds = list_kinds(some)
    assert kinds == ("formulaic", "frames", "prose")
    assert [point.name for point in points] == ["size"] * len(SHARES) + [f"without {kind}" for kind in kinds]
    assert all(0 <= point.figures["heldout.reasons.micro_f1"].value <= 1 for point in points)
    assert points[len(SHARES) - 1].n_items == len(some)
