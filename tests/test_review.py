"""What a person looks at: tables, pictures, cards, comparisons and the gate, on items small enough to count by hand."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from imr_rationale.errors import AnnotationError, ModelError
from imr_rationale.labels import REASONS, ROLES
from imr_rationale.learning.bootstrap import Figure
from imr_rationale.learning.bundle import read_manifest
from imr_rationale.learning.evaluate import HEADLINES, evaluate_predictions
from imr_rationale.learning.evaluation import EvaluatedItem, Evaluation
from imr_rationale.learning.gold import Annotation, GoldItem, GoldSentence
from imr_rationale.learning.model import RationaleModel
from imr_rationale.learning.speed import measure_speeds
from imr_rationale.learning.train import TrainingResult, TrainingSet
from imr_rationale.records import (
    ItemText,
    OutcomePrediction,
    Outcomes,
    Prediction,
    ReasonPrediction,
    SentencePrediction,
)
from imr_rationale.review.artifacts import PICTURES, TABLES, write_table
from imr_rationale.review.card import format_card, format_summary
from imr_rationale.review.compare import Comparison, compare_evaluations, draw_differences, tabulate_differences
from imr_rationale.review.gate import check_headlines, check_labels, check_leak, check_speed
from imr_rationale.review.items import ITEMS_FILE, SCORES_FILE, read_items, write_items
from imr_rationale.review.noise import list_label_noise
from imr_rationale.review.tables import count_confusions, count_roles, make_headline_table, make_label_table
from imr_rationale.review.trials import draw_trials
from imr_rationale.review.weights import N_STRONGEST, list_weights

TEXT = "There are no red flags. It is not necessary."


def make_item(
    letter: str = "CM99-1",
    *,
    annotated: tuple[str, ...] = (),
    shown: tuple[str, ...] = (),
    roles: str = "FC",
    found_roles: str = "FC",
    second: tuple[str, ...] | None = None,
) -> EvaluatedItem:
    def annotate(reasons: tuple[str, ...]) -> Annotation:
        sentences = (
            GoldSentence("There are no red flags.", roles[0], False, reasons),
            GoldSentence("It is not necessary.", roles[1], True, ()),
        )
        return Annotation(reasons[0] if reasons else "none_stated", sentences)

    annotations = (annotate(annotated),) if second is None else (annotate(annotated), annotate(second))
    task = OutcomePrediction("Upheld", 0.2)
    prediction = Prediction(
        rationale=TEXT,
        outcome=Outcomes("Upheld", task, task, None),
        reasons=tuple(ReasonPrediction(name, 0.9, ()) for name in shown),
        primary_reason=shown[0] if shown else None,
        sentences=(SentencePrediction(0, 23, found_roles[0], False), SentencePrediction(24, 44, found_roles[1], True)),
        certainty=0.5,
    )
    return EvaluatedItem(
        gold=GoldItem(letter, 1, "Upheld", TEXT, annotations),
        text=ItemText(TEXT, "An MRI"),
        prediction=prediction,
        scores=tuple(0.9 if reason in shown else 0.1 for reason in REASONS),
        thresholds=(0.3,) * len(REASONS),
        split="fold 1",
    )


def make_evaluation(*items: EvaluatedItem, name: str = "corpus_cv") -> Evaluation:
    figures = evaluate_predictions([i.prediction for i in items], [i.gold for i in items], n_bootstrap=5)
    return Evaluation(name, items, figures)


# ---------------------------------------------------------------- tables


def test_count_roles_counts_sentences() -> None:
    counts = count_roles(make_evaluation(make_item(), make_item("CM99-2", found_roles="BC")))
    names = list(ROLES.values())
    assert list(counts.index) == list(counts.columns) == names
    assert counts.loc["finding", "finding"] == counts.loc["finding", "background"] == 1
    assert counts.loc["conclusion", "conclusion"] == 2
    assert counts.to_numpy().sum() == 4


@pytest.mark.parametrize(
    ("annotated", "shown", "expected"),
    [
        pytest.param(("safety_risk",), ("safety_risk",), {}, id="right"),
        pytest.param(
            ("safety_risk",), ("guideline_met",), {("safety_risk", "guideline_met"): 1}, id="one for the other"
        ),
        pytest.param(("safety_risk",), (), {("safety_risk", "(none shown instead)"): 1}, id="missed"),
        pytest.param((), ("guideline_met",), {("(none missed)", "guideline_met"): 1}, id="extra"),
        pytest.param(
            ("safety_risk",),
            ("guideline_met", "not_recommended"),
            {("safety_risk", "guideline_met"): 0.5, ("safety_risk", "not_recommended"): 0.5},
            id="shared out",
        ),
        pytest.param(
            ("safety_risk", "not_recommended"),
            ("not_recommended", "guideline_met"),
            {("safety_risk", "guideline_met"): 1},
            id="what is right is not confused",
        ),
    ],
)
def test_count_confusions(
    annotated: tuple[str, ...], shown: tuple[str, ...], expected: dict[tuple[str, str], float]
) -> None:
    counts = count_confusions(make_evaluation(make_item(annotated=annotated, shown=shown)))
    found = {(row, column): value for row, values in counts.T.items() for column, value in values.items() if value}
    assert found == expected


def test_make_label_table_counts_means_over_annotators() -> None:
    evaluation = make_evaluation(make_item(annotated=("safety_risk",), second=(), shown=("safety_risk",)))
    row = make_label_table(evaluation).set_index("reason").loc["safety_risk"]
    assert (row["annotated"], row["shown"], row["threshold"]) == (0.5, 1.0, 0.3)


def test_make_headline_table_sets_baselines_beside_the_model(tiny_result: TrainingResult) -> None:
    table = make_headline_table(tiny_result.evaluations[0]).set_index("figure")
    assert list(table.index) == list(HEADLINES)
    row = table.loc["forecast.auroc"]
    figures = tiny_result.evaluations[0].figures
    assert row["model"] == figures["forecast.auroc"].value
    assert row["metadata"] == figures["forecast.auroc.metadata"].value
    assert np.isnan(table.loc["roles.accuracy", "tfidf"])


def test_write_table_writes_columns_and_data(tmp_path: Path) -> None:
    write_table(pd.DataFrame({"a": [1, 2], "b": [0.5, float("nan")]}), tmp_path / "t.json")
    assert json.loads((tmp_path / "t.json").read_text()) == {"columns": ["a", "b"], "data": [[1, 0.5], [2, None]]}


@pytest.mark.parametrize("annotated", [(), ("safety_risk",)], ids=["no reason anywhere", "one reason everywhere"])
def test_tables_and_pictures_of_a_few_items(annotated: tuple[str, ...]) -> None:
    evaluation = make_evaluation(*(make_item(f"CM99-{i}", annotated=annotated) for i in range(4)))
    for make in TABLES.values():
        assert len(make(evaluation).columns)
    for draw in PICTURES.values():
        assert draw(evaluation).axes


def test_items_come_back_as_they_were_written(tiny_result: TrainingResult, tmp_path: Path) -> None:
    (evaluation,) = tiny_result.evaluations
    missing = replace(evaluation.items[0], prediction=None, text=None, scores=())
    items = (*evaluation.items[:40], missing, make_item(second=("safety_risk",)))
    write_items(Evaluation("corpus_cv", items, {}), tmp_path)
    assert read_items(tmp_path / ITEMS_FILE, "corpus_cv").items == items
    scores = pd.read_parquet(tmp_path / SCORES_FILE)
    assert {"split", "id", "task", "label", "score", "threshold", "annotated"} == set(scores.columns)
    reasons = scores[(scores["task"] == "reasons") & (scores["id"] == f"{items[0].gold.letter}/{items[0].gold.item}")]
    assert tuple(reasons["score"]) == items[0].scores
    assert set(scores[scores["task"] != "reasons"]["label"]) == {"Overturned"}


def test_read_items_refuses_another_file(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_text("no table")
    with pytest.raises(ModelError, match=r"x.parquet: no table of items"):
        read_items(tmp_path / "x.parquet", "x")


def test_label_noise_finds_a_label_turned_round(tiny_result: TrainingResult) -> None:
    items = list(tiny_result.evaluations[0].items)
    sure = max(range(len(items)), key=lambda i: max(items[i].scores))
    reason = REASONS[int(np.argmax(items[sure].scores))]
    annotation = items[sure].gold.annotations[0]
    sentences = tuple(replace(s, reasons=tuple(r for r in s.reasons if r != reason)) for s in annotation.sentences)
    turned = replace(items[sure].gold, annotations=(replace(annotation, sentences=sentences),))
    items[sure] = replace(items[sure], gold=turned)
    table = list_label_noise(Evaluation("corpus_cv", tuple(items), {}))
    key = f"{turned.letter}/{turned.item}"
    row = table[(table["id"] == key) & (table["reason"] == reason)].iloc[0]
    assert (row["annotated"], row["annotator"]) == ("no", 1)
    assert table["quality"].is_monotonic_increasing


def test_list_weights_names_what_a_reason_is_read_from(tiny_model: RationaleModel) -> None:
    table = list_weights(tiny_model)
    assert set(table["reason"]) == set(REASONS)
    assert table["rank"].abs().max() <= N_STRONGEST
    assert (np.sign(table["rank"]) == np.sign(table["log_odds"])).all()
    row = table[(table["reason"] == "no_clinical_indication") & (table["rank"] == 1)].iloc[0]
    coef = tiny_model.regressions["sentence_reasons"].coef[:, REASONS.index("no_clinical_indication")]
    assert row["log_odds"] == pytest.approx(coef.max(), abs=1e-3)


def test_draw_trials_marks_start_and_best() -> None:
    table = pd.DataFrame({"trial": [1, 2], "value": [0.5, 0.6], "low": [0.4, 0.5], "high": [0.6, 0.7], "c": [1.0, 3.0]})
    picture = draw_trials(table, "corpus_cv.reasons.micro_f1", ("c",))
    labels = {text.get_text() for axes in picture.axes if axes.get_legend() for text in axes.get_legend().get_texts()}
    assert labels == {"as it stood", "best"}


def test_format_card_says_what_it_must(tiny_bundle: Path) -> None:
    card = format_card(read_manifest(tiny_bundle), "tiny")
    for text in ("Intended use", "Out of scope", "Learned from", "Limits", "Labor Code 4610"):
        assert text in card
    for reason in REASONS:
        assert f"| {reason} |" in card


def test_format_summary_shows_each_data_set_and_fits_a_tag() -> None:
    metrics = {f"{data}.{name}{end}": 0.5 for data in "abcdef" for name in HEADLINES for end in ("", ".low", ".high")}
    summary = format_summary(metrics, "tiny", "why")
    assert summary.startswith("why\n\n# Model card: tiny")
    assert "| reasons.micro_f1 |" + " 0.500 (0.500–0.500) |" * 6 in summary
    assert len(summary) < 5000


# ---------------------------------------------------------------- comparing


def test_compare_evaluations_counts_by_hand() -> None:
    wanted = ("safety_risk",)
    first = [make_item(f"CM99-{i}", annotated=wanted, shown=wanted) for i in range(4)]
    second = [make_item(f"CM99-{i}", annotated=wanted, shown=wanted if i else ("guideline_met",)) for i in range(4)]
    found = compare_evaluations(make_evaluation(*first), make_evaluation(*second), n_bootstrap=50)
    assert (found.n_items, found.n_letters, found.n_left_out) == (4, 4, 0)
    assert found.differences["reasons.micro_f1"].value == pytest.approx(0.25)
    labels = found.labels.set_index("reason")
    assert tuple(labels.loc["safety_risk", ["annotated", "won", "lost"]]) == (4, 1, 0)
    assert tuple(labels.loc["guideline_met", ["annotated", "won", "lost"]]) == (0, 1, 0)
    (flip,) = found.flips.to_dict("records")
    assert flip["id"] == "CM99-0/1"
    assert flip["gained"] == "safety_risk, guideline_met"
    assert (flip["first_primary"], flip["second_primary"]) == ("safety_risk", "guideline_met")
    table = tabulate_differences(found).set_index("figure")
    assert table.loc["reasons.micro_f1", "difference"] == pytest.approx(0.25)
    assert draw_differences(found, "a", "b").axes


def test_compare_evaluations_leaves_out_what_is_not_the_same() -> None:
    one, other = make_item("CM99-1"), make_item("CM99-2")
    changed = replace(other, gold=replace(other.gold, text="Another text."))
    found = compare_evaluations(make_evaluation(one, other), make_evaluation(one, changed), n_bootstrap=5)
    assert (found.n_items, found.n_left_out) == (1, 2)
    with pytest.raises(AnnotationError, match="no item in common"):
        compare_evaluations(make_evaluation(other), make_evaluation(changed), n_bootstrap=5)


# ---------------------------------------------------------------- the gate


def make_comparison(
    differences: dict[str, tuple[float, float, float]],
    labels: list[tuple[str, float, float, float, float]] = [],  # noqa: B006
) -> Comparison:
    rows = pd.DataFrame(labels, columns=["reason", "annotated", "difference", "low", "high"])
    figures = {name: Figure(*values) for name, values in differences.items()}
    return Comparison("heldout", 10, 5, 0, figures, rows, pd.DataFrame())


@pytest.mark.parametrize(
    ("name", "figure", "passed"),
    [
        pytest.param("reasons.micro_f1", (-0.05, -0.08, -0.02), False, id="worse beyond noise"),
        pytest.param("reasons.micro_f1", (-0.05, -0.12, 0.01), True, id="the letters cannot tell"),
        pytest.param("reasons.micro_f1", (-0.005, -0.008, -0.002), True, id="no more than another seed"),
        pytest.param("reasons.micro_f1", (0.05, 0.02, 0.08), True, id="better"),
        pytest.param("reasons.calibration_error", (-0.05, -0.08, -0.02), True, id="a smaller error is no loss"),
        pytest.param("reasons.calibration_error", (0.05, 0.02, 0.08), False, id="a larger error is one"),
    ],
)
def test_check_headlines(name: str, figure: tuple[float, float, float], passed: bool) -> None:
    (bar,) = check_headlines([make_comparison({name: figure})])
    assert bar.passed is passed
    assert bar.name == "headlines on heldout"
    assert (name in bar.text) is not passed


@pytest.mark.parametrize(
    ("row", "passed"),
    [
        pytest.param(("safety_risk", 30, -0.3, -0.5, -0.1), False, id="collapsed"),
        pytest.param(("safety_risk", 5, -0.3, -0.5, -0.1), True, id="too few items to say"),
        pytest.param(("safety_risk", 30, -0.3, -0.7, 0.1), True, id="the letters cannot tell"),
        pytest.param(("safety_risk", 30, -0.1, -0.12, -0.08), True, id="a little worse"),
    ],
)
def test_check_labels(row: tuple[str, float, float, float, float], passed: bool) -> None:
    (bar,) = check_labels([make_comparison({}, [row])])
    assert bar.passed is passed


@pytest.mark.parametrize(
    ("metrics", "passed", "text"),
    [
        pytest.param({"a.leak.residual_rate": 0, "a.leak.sentinel_auroc": 0.52, "a.leak.sentinel_auroc.low": 0.51}, True, "nothing of the verdict", id="hardly above chance"),
        pytest.param({"a.leak.residual_rate": 0.01, "a.leak.sentinel_auroc": 0.5, "a.leak.sentinel_auroc.low": 0.4}, False, "a: a phrase of decision is left in 1.0%", id="residual"),
        pytest.param({"a.leak.residual_rate": 0, "a.leak.sentinel_auroc": 0.7, "a.leak.sentinel_auroc.low": 0.6}, False, "a: what stays tells", id="sentinel"),
        pytest.param({"a.leak.residual_rate": 0, "a.leak.sentinel_auroc": 0.6, "a.leak.sentinel_auroc.low": 0.4}, True, "nothing of the verdict", id="wide interval"),
        pytest.param({}, False, "no leak check", id="not checked"),
        pytest.param({"a.leak.residual_rate": 0}, False, "no leak check", id="half checked"),
        pytest.param({"a.leak.residual_rate": 0, "b.leak.residual_rate": 0, "b.leak.sentinel_auroc": 0.5, "b.leak.sentinel_auroc.low": 0.4}, True, "is left (b)", id="one of two can be checked"),
    ],
)  # fmt: skip
def test_check_leak(metrics: dict[str, float], passed: bool, text: str) -> None:
    bar = check_leak(metrics)
    assert bar.passed is passed
    assert text in bar.text


def test_check_speed_allows_a_fifth_less() -> None:
    assert check_speed(81, 100).passed
    assert not check_speed(79, 100).passed


def test_measure_speeds_gives_one_figure_a_model(tiny_model: RationaleModel, tiny_data: TrainingSet) -> None:
    speeds = measure_speeds([tiny_model, tiny_model], tiny_data.texts[:5])
    assert len(speeds) == 2
    assert all(speed > 0 for speed in speeds)
