"""Splits, features, estimators, figures, the training run and the saved model."""

import json
import pickle
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit, softmax
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from conftest import TINY
from imr_rationale.errors import AnnotationError, ModelError
from imr_rationale.labels import OUTCOME_TASKS, REASONS
from imr_rationale.language.words import find_ends, normalize_text, split_words
from imr_rationale.learning.baselines import BASELINES
from imr_rationale.learning.bootstrap import Figure
from imr_rationale.learning.bundle import MANIFEST, MODEL_FILE, load_bundle, save_bundle
from imr_rationale.learning.corpus import AnnotatedLetter
from imr_rationale.learning.estimators import StackedLogisticRegression, make_linear
from imr_rationale.learning.evaluate import (
    HEADLINES,
    compare_predictions,
    evaluate_ceiling,
    evaluate_predictions,
    measure_splits,
)
from imr_rationale.learning.features import make_features
from imr_rationale.learning.fit import (
    choose_thresholds,
    fit_model,
    fit_outcome_calibration,
    fit_reasons_calibration,
    weigh_to_rate,
)
from imr_rationale.learning.gold import Annotation, GoldItem, GoldSentence, keep_distinct, read_gold
from imr_rationale.learning.model import ROW_TEXTS, Config, RationaleModel
from imr_rationale.learning.ngrams import NgramTable, Vocabulary, list_ngrams
from imr_rationale.learning.second_stage import (
    N_RANK_FEATURES,
    N_ROLE_CONTEXT,
    calibrate_reasons,
    make_log_odds,
    make_rank_features,
    make_role_context,
)
from imr_rationale.learning.splits import group_items, group_writers, make_folds
from imr_rationale.learning.train import TrainingResult, TrainingSet, cross_validate, make_training_set, train_model
from imr_rationale.letters.folding import fold_case
from imr_rationale.records import (
    Evidence,
    ItemText,
    OutcomePrediction,
    Outcomes,
    Prediction,
    ReasonPrediction,
    SentencePrediction,
)

# ---------------------------------------------------------------- splits


def test_group_items_joins_letters_and_near_duplicates() -> None:
    same = "the worker has had twelve visits of therapy and should go on with exercise at home"
    texts = [same, "no red flag was found so imaging of the neck waits", same + " now", "short", "another short"]
    groups = group_items(["a", "b", "c", "d", "b"], texts)
    assert groups[0] == groups[2]
    assert groups[1] == groups[4]
    assert len(set(groups)) == 3


def test_group_writers_joins_groups_over_writers() -> None:
    groups = np.array([0, 0, 1, 2, 3, 3])
    joined = group_writers(groups, ["x", "y", "y", None, "z", None])
    assert joined[0] == joined[1] == joined[2]
    assert joined[4] == joined[5]
    assert len({joined[0], joined[3], joined[4]}) == 3


def test_folds_keep_a_writer_on_one_side(tiny_data: TrainingSet, tiny_result: TrainingResult) -> None:
    for train, test in make_folds(tiny_data.primaries, tiny_data.writers, n_splits=2, random_state=0):
        files = [{tiny_data.files[i] for i in index} for index in (train, test)]
        assert not files[0] & files[1]


def test_make_folds_never_splits_a_group(tiny_data: TrainingSet) -> None:
    seen: list[int] = []
    for train, test in make_folds(tiny_data.primaries, tiny_data.groups, n_splits=3, random_state=0):
        assert not set(tiny_data.groups[train]) & set(tiny_data.groups[test])
        seen += test.tolist()
    assert sorted(seen) == list(range(len(tiny_data)))


# ---------------------------------------------------------------- features


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("On 11/16/16, 60 tablets", "on <date> <num> tablets"),
        ("L4-5: x-ray #30?", "l <num> : x-ray <num> ?"),
        ("", ""),
    ],
)
def test_normalize_text(text: str, expected: str) -> None:
    assert normalize_text(text) == expected


@given(st.text(max_size=200))
def test_split_words_gives_offsets_of_the_normalised_words(text: str) -> None:
    lowered = fold_case(text)
    assert len(lowered) == len(text)
    words = split_words(lowered)
    texts = [word.text for word in words.words]
    assert " ".join(texts) == " ".join(normalize_text(lowered).split())
    spans = zip(words.starts, find_ends(lowered, words), texts, strict=True)
    assert all(word.startswith("<") or lowered[a:b] == word for a, b, word in spans)


@pytest.mark.parametrize(
    ("item", "words"),
    [
        pytest.param(
            ItemText("", "Norco 10 mg #60, DOS: 11/11/16", "A 47-year-old male.", "MTUS Opioids; ODG Pain."),
            "age:4 sex:male request:quantity request:retrospective body:mtus body:odg",
            id="all",
        ),
        pytest.param(ItemText(""), "age:unknown sex:None body:other", id="nothing"),
    ],
)
def test_metadata_words(item: ItemText, words: str) -> None:
    assert next(make_features([item])).metadata_words == tuple(words.split())


@pytest.mark.parametrize(
    ("sentence", "mark"),
    [
        ("Therefore, the request is not supported.", "verdict:alone"),
        ("Given the above, the MRI is not medically necessary.", "verdict:alone"),
        ("Without red flags, the MRI is not medically necessary.", "verdict:part"),
    ],
)
def test_a_sentence_that_only_decides_is_marked(sentence: str, mark: str) -> None:
    (item,) = make_features([ItemText(sentence)])
    assert mark in item.rows[0].marks


def test_make_features_rows_index_the_rationale() -> None:
    text = "  There are no red flags.  The scan is not medically necessary. "
    (item,) = make_features([ItemText(text, treatment="Scan", summary="A clerk fell.")])
    assert [text[row.start_char : row.end_char] for row in item.rows] == [
        "There are no red flags.",
        "The scan is not medically necessary.",
    ]
    assert "cue:indication|absent" in item.rows[0].marks
    assert item.rules == ("indication|absent",)
    assert item.metadata_words == ("age:unknown", "sex:None", "body:other")
    assert "necessary" not in item.reasoning_words
    assert " ".join(item.verdict_words) == (
        "the scan is not medically necessary last:the last:scan last:is last:not last:medically last:necessary"
    )
    assert item.forecast_words == ("t:scan", "a", "clerk", "fell")


# ---------------------------------------------------------------- n-grams

WORDS = st.lists(st.lists(st.sampled_from(["a", "b", "c", "d:e", "f|g"]), max_size=9), min_size=1, max_size=12)


def make_reference(texts: Sequence[Sequence[str]], max_n: int) -> TfidfVectorizer:
    vectorizer = TfidfVectorizer(token_pattern=r"\S+", lowercase=False, ngram_range=(1, max_n), sublinear_tf=True)
    return vectorizer.fit([" ".join(text) for text in texts])


@given(WORDS, st.data())
def test_list_ngrams_gives_what_scikit_learn_counts(texts: list[list[str]], data: st.DataObject) -> None:
    groups = np.array([data.draw(st.integers(0, 3)) for _ in texts])
    terms, idf = list_ngrams(texts, groups, 3, 2)
    held: dict[str, set[int]] = {}
    for text, group in zip(texts, groups, strict=True):
        for n in (1, 2, 3):
            for i in range(len(text) - n + 1):
                held.setdefault(" ".join(text[i : i + n]), set()).add(int(group))
    assert terms == sorted(term for term, found in held.items() if len(found) >= 2)
    if any(texts):
        reference = make_reference(texts, 3)
        expected = [reference.idf_[reference.vocabulary_[term]] for term in terms]
        np.testing.assert_allclose(idf, np.array(expected, dtype=np.float32), rtol=1e-6)


@given(WORDS, WORDS)
def test_ngram_table_gives_what_scikit_learn_vectorizers_give(seen: list[list[str]], unseen: list[list[str]]) -> None:
    seen = [*seen, ["a", "b", "c"]]
    vocabularies = []
    for max_n in (1, 2, 3):
        terms, idf = list_ngrams(seen, np.arange(len(seen)), max_n, 1)
        vocabularies.append(Vocabulary.from_terms(terms, idf, max_n))
        assert vocabularies[-1].list_terms() == terms
    texts = [*unseen, ["z"], []]
    expected = sp.hstack([make_reference(seen, n).transform([" ".join(text) for text in texts]) for n in (1, 2, 3)])
    found = NgramTable(vocabularies).transform([texts, texts, texts])
    np.testing.assert_allclose(found.toarray(), expected.toarray(), atol=1e-6)
    assert found.has_sorted_indices


def test_ngram_table_of_no_rows(tiny_model: RationaleModel) -> None:
    table = tiny_model.rows_table
    assert table.transform([[] for _ in ROW_TEXTS]).shape == (0, table.n_features)


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("scaled", [False, True], ids=["plain", "behind a scaler"])
def test_make_linear_gives_the_log_odds_of_scikit_learn(n_classes: int, scaled: bool) -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(3, 2, (60, 5)), rng.integers(n_classes, size=60)
    fitted = make_pipeline(StandardScaler(), LogisticRegression()) if scaled else LogisticRegression()
    expected = fitted.fit(X, y).decision_function(X)
    np.testing.assert_allclose(np.squeeze(make_linear(fitted)(X)), expected, atol=1e-9)


@pytest.mark.parametrize("classes", [[1, 3], [0, 2, 3]], ids=["two", "three"])
def test_make_linear_gives_classes_never_seen_no_probability(classes: list[int]) -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 5)), rng.choice(classes, size=60)
    fitted = LogisticRegression().fit(X, y)
    proba = softmax(make_linear(fitted, n_classes=5)(X), axis=1)
    expected = np.zeros((60, 5))
    expected[:, classes] = fitted.predict_proba(X)
    np.testing.assert_allclose(proba, expected, atol=1e-12)


def test_predictions_do_not_depend_on_their_company(tiny_model: RationaleModel, tiny_data: TrainingSet) -> None:
    texts = [*tiny_data.texts[:30], ItemText(""), ItemText("  \n"), ItemText("No."), *tiny_data.texts[30:40]]
    assert tiny_model.predict(texts) == [tiny_model.predict([text])[0] for text in texts]
    assert tiny_model.predict([]) == []


# ---------------------------------------------------------------- estimators


def test_stacked_logistic_regression_gives_what_one_vs_rest_gives() -> None:
    rng = np.random.default_rng(0)
    X = sp.csr_matrix(rng.random((80, 6)))
    y = rng.random((80, 3)) < X.toarray()[:, :3]
    stacked = StackedLogisticRegression(C=2.0).fit(X, y)
    reference = OneVsRestClassifier(LogisticRegression(C=2.0, solver="liblinear", random_state=0)).fit(X, y)
    np.testing.assert_allclose(stacked.predict_proba(X), reference.predict_proba(X), atol=1e-3)  # three decimals


def test_stacked_logistic_regression_is_the_same_in_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    # large enough to be mapped from a file, which a worker cannot write to
    X = sp.random(20_000, 40, density=0.5, format="csr", dtype=np.float32, rng=np.random.default_rng(0))
    y = X.toarray()[:, :3] > 0.5
    alone = StackedLogisticRegression().fit(X, y)
    monkeypatch.setattr("imr_rationale.learning.estimators.MANY_VALUES", 0)
    together = StackedLogisticRegression().fit(X, y)
    np.testing.assert_array_equal(alone.coef_, together.coef_)
    np.testing.assert_array_equal(alone.intercept_, together.intercept_)


def test_make_training_set_is_the_same_in_processes(
    some_letters: tuple[AnnotatedLetter, ...], tiny_data: TrainingSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imr_rationale.learning.train.MANY_ITEMS", 1)
    assert make_training_set(some_letters).features == tiny_data.features


def test_fit_model_of_many_sentences_gives_nearly_the_same_roles(
    tiny_data: TrainingSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    learned = tiny_data.features, tiny_data.targets, tiny_data.groups, np.ones(len(tiny_data)), TINY
    few = fit_model(*learned).score(tiny_data.features).roles
    monkeypatch.setattr("imr_rationale.learning.fit.MANY_SENTENCES", 0)
    many = fit_model(*learned).score(tiny_data.features).roles
    assert (few.argmax(axis=1) == many.argmax(axis=1)).mean() > 0.99


def test_stacked_logistic_regression_takes_labels_without_examples() -> None:
    X = sp.csr_matrix(np.eye(4))
    y = np.array([[False, True]] * 4)
    proba = StackedLogisticRegression().fit(X, y).predict_proba(X)
    assert (proba[:, 0] < 1e-6).all()
    assert (proba[:, 1] > 1 - 1e-6).all()


def test_choose_thresholds_mixes_own_and_shared() -> None:
    y = np.zeros((400, 2), dtype=bool)
    y[:200, 0] = True
    y[0, 1] = True
    proba = np.where(y, 0.9, 0.0)
    proba[200:300, 0] = 0.29  # the common label is best cut above 0.29, which decides the shared threshold too
    common, rare = choose_thresholds(y, proba)
    assert 0.29 < common <= 0.32
    assert rare == pytest.approx(common, abs=0.01)  # one positive moves the shared threshold little


def test_decode_gives_evidence_that_indexes_the_rationale(tiny_model: RationaleModel, tiny_data: TrainingSet) -> None:
    found = 0
    for prediction in tiny_model.predict(tiny_data.texts[:40]):
        labels = [reason.label for reason in prediction.reasons]
        assert len(set(labels)) == len(labels)
        assert prediction.primary_reason in labels or (prediction.primary_reason is None and not labels)
        for reason in prediction.reasons:
            assert reason.evidence
            assert 0 <= reason.probability <= 1
            for evidence in reason.evidence:
                assert prediction.rationale[evidence.start_char : evidence.end_char] == evidence.text
                found += 1
    assert found > 40


@given(st.lists(st.text(max_size=120), max_size=3))
def test_predict_takes_any_text(tiny_model: RationaleModel, texts: list[str]) -> None:
    predictions = tiny_model.predict([ItemText(text) for text in texts])
    assert [prediction.rationale for prediction in predictions] == texts
    for prediction in predictions:
        assert prediction.outcome.forecast is None
        for reason in prediction.reasons:
            for evidence in reason.evidence:
                assert prediction.rationale[evidence.start_char : evidence.end_char] == evidence.text


def test_predict_does_not_depend_on_the_batch(tiny_model: RationaleModel, tiny_data: TrainingSet) -> None:
    texts = tiny_data.texts[:6]
    together = tiny_model.predict(texts)
    assert together == [tiny_model.predict([text])[0] for text in texts]


# ---------------------------------------------------------------- figures


def make_gold(letter: str, reasons: tuple[str, ...], *, outcome: str = "Upheld", text: str = "") -> GoldItem:
    sentence = GoldSentence(text or f"Sentence of {letter}.", "F", False, reasons)
    annotation = Annotation(reasons[0] if reasons else "none_stated", (sentence,))
    return GoldItem(letter, 1, outcome, sentence.text, (annotation,))  # type: ignore[arg-type]


def make_prediction(gold: GoldItem, reasons: tuple[str, ...], p: float = 0.1) -> Prediction:
    outcome = OutcomePrediction("Overturned" if p >= 0.5 else "Upheld", p)
    evidence = Evidence(0, len(gold.text), gold.text)
    return Prediction(
        rationale=gold.text,
        outcome=Outcomes(verdict=outcome, reasoning=outcome, forecast=outcome),
        reasons=tuple(ReasonPrediction(reason, 0.9, (evidence,)) for reason in reasons),
        primary_reason=reasons[0] if reasons else None,
        sentences=(SentencePrediction(0, len(gold.text), "F", True),),
    )


def test_evaluate_predictions_counts_by_hand() -> None:
    gold = [
        make_gold("a", ("safety_risk", "not_recommended")),
        make_gold("b", ("guideline_met",), outcome="Overturned"),
        make_gold("c", ()),
    ]
    predictions = [
        make_prediction(gold[0], ("safety_risk",)),
        make_prediction(gold[1], ("guideline_met", "safety_risk"), p=0.9),
        None,
    ]
    figures = evaluate_predictions(predictions, gold)
    assert figures["reasons.micro_f1"].value == pytest.approx(2 * 2 / (2 * 2 + 1 + 1))
    assert figures["reasons.f1.safety_risk"].value == pytest.approx(2 / 3)
    assert figures["primary.accuracy"].value == pytest.approx(1.0)
    assert figures["roles.accuracy"].value == pytest.approx(2 / 3)
    assert figures["verdict_flags.accuracy"].value == 0
    assert figures["evidence.precision"].value == pytest.approx(2 / 3)
    assert figures["evidence.recall"].value == pytest.approx(2 / 3)
    assert figures["verdict.base_rate"].value == pytest.approx(1 / 3)
    assert figures["verdict.auroc"].value == 1
    assert all(figure.low <= figure.high for figure in figures.values() if figure.low == figure.low)


def test_calibration_error_counts_by_hand() -> None:
    gold = [make_gold(name, ("safety_risk",) if name == "a" else ()) for name in "abcd"]
    predictions = [make_prediction(item, ("safety_risk",), p=0.25) for item in gold]  # shown with 0.9, right in 1 of 4
    figures = evaluate_predictions(predictions, gold, n_bootstrap=2)
    assert figures["reasons.calibration_error"].value == pytest.approx(0.9 - 0.25)
    assert figures["verdict.calibration_error"].value == pytest.approx(0.25)


def test_certain_items_are_those_of_highest_certainty() -> None:
    gold = [make_gold(name, ("safety_risk",)) for name in "abcdefghij"]
    predictions = [
        replace(make_prediction(item, ("safety_risk",) if i < 7 else ("guideline_met",)), certainty=1 - i / 10)
        for i, item in enumerate(gold)
    ]
    figures = evaluate_predictions(predictions, gold, n_bootstrap=2)
    assert figures["reasons.micro_f1"].value == pytest.approx(0.7)
    assert figures["reasons.micro_f1_certain"].value == 1
    assert figures["reasons.coverage_at_f1_90"].value == pytest.approx(0.7)


def test_compare_predictions_pairs_the_items() -> None:
    gold = [make_gold(name, ("safety_risk",)) for name in "abcdefgh"]
    right = [make_prediction(item, ("safety_risk",)) for item in gold]
    half = [make_prediction(item, ("safety_risk",) if i % 2 else ()) for i, item in enumerate(gold)]
    figures = compare_predictions(right, half, gold, n_bootstrap=50)
    assert figures["reasons.micro_f1"].value == pytest.approx(1 - 2 / 3)
    assert figures["reasons.micro_f1"].low > 0
    same = compare_predictions(half, half, gold, n_bootstrap=50)
    assert all(
        figure.value == figure.low == figure.high == 0 for figure in same.values() if figure.value == figure.value
    )


def test_certainty_is_the_f1_to_expect(tiny_model: RationaleModel, tiny_data: TrainingSet) -> None:
    for prediction in tiny_model.predict(tiny_data.texts[:10]):
        assert prediction.certainty is not None
        assert 0 <= prediction.certainty <= 1
    assert tiny_model.predict([ItemText("")])[0].certainty is None


def test_evaluate_ceiling_compares_annotators() -> None:
    one = make_gold("a", ("safety_risk",))
    two = replace(one, annotations=(one.annotations[0], make_gold("a", ("guideline_met",)).annotations[0]))
    assert evaluate_ceiling([one]) == {}
    assert evaluate_ceiling([two])["reasons.micro_f1"].value == 0


def test_keep_distinct_drops_repeated_texts() -> None:
    gold = [make_gold("a", (), text="Same text."), make_gold("b", (), text="same  text"), make_gold("c", ())]
    assert keep_distinct(gold) == [0, 2]


@pytest.mark.parametrize(
    ("line", "message"), [("{}", "KeyError"), ("[]", "no annotated item"), ("nonsense", "no annotated item")]
)
def test_read_gold_names_the_line(line: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "gold.jsonl"
    path.write_text("\n" + line + "\n", encoding="utf-8")
    with pytest.raises(AnnotationError, match=f"gold.jsonl:2: .*{message}|gold.jsonl:2: {message}"):
        read_gold(path)


def write_gold(path: Path, **changes: object) -> Path:
    sentence = {"text": "It is so.", "role": "F", "verdict": False, "reasons": ["safety_risk"], **changes}
    annotator = {"primary": "safety_risk", "sentences": [sentence]}
    rows = [
        {"letter": "a", "item": 1, "outcome": "Upheld", "annotators": {"A": annotator, "B": annotator}},
        {"letter": "a", "item": 2, "outcome": "Upheld", "annotators": {"A": annotator}},
    ]
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"reasons": ["bad"]}, "gold.jsonl:1: .*unknown reason 'bad'", id="reason"),
        pytest.param({"role": "X"}, "gold.jsonl:1: .*unknown role 'X'", id="role"),
        pytest.param({}, "as many annotators, found 1 and 2", id="number of annotators"),
    ],
)
def test_read_gold_refuses_what_cannot_be_measured(changes: dict[str, object], message: str, tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match=message):
        read_gold(write_gold(tmp_path / "gold.jsonl", **changes))


# ---------------------------------------------------------------- the training run


def test_train_model_measures_model_and_baselines(tiny_result: TrainingResult, tiny_data: TrainingSet) -> None:
    (evaluation,) = tiny_result.evaluations
    figures = evaluation.figures
    assert evaluation.name == "corpus_cv"
    assert evaluation.sizes["n_items"] == len(keep_distinct(tiny_data.gold))
    assert {item.split for item in evaluation.items} == {"fold 1", "fold 2"}
    assert set(HEADLINES) <= set(figures)
    for baseline in BASELINES:
        assert f"forecast.auroc.{baseline}" in figures
        assert (f"reasons.micro_f1.{baseline}" in figures) is (baseline != "metadata")
        assert f"roles.accuracy.{baseline}" not in figures
    figure = figures["reasons.micro_f1"]
    assert figure.low < figure.value < figure.high
    assert figure.value > figures["reasons.micro_f1.majority"].value


def test_evaluated_items_show_what_reaches_its_threshold(tiny_result: TrainingResult) -> None:
    for item in tiny_result.evaluations[0].items[:50]:
        assert item.prediction is not None
        shown = [r for r, score, least in zip(REASONS, item.scores, item.thresholds, strict=True) if score >= least]
        assert sorted(shown) == sorted(reason.label for reason in item.prediction.reasons)


def test_train_model_is_reproducible(tiny_data: TrainingSet, tiny_result: TrainingResult) -> None:
    again = train_model(tiny_data, TINY)
    assert again.evaluations[0].items == tiny_result.evaluations[0].items
    assert again.model.thresholds == tiny_result.model.thresholds
    same = {name: (f.value, f.low, f.high) for name, f in again.evaluations[0].figures.items()}
    figures = tiny_result.evaluations[0].figures
    np.testing.assert_equal(same, {name: (f.value, f.low, f.high) for name, f in figures.items()})


def test_cross_validate_gives_the_figures_of_a_training_run(
    tiny_data: TrainingSet, tiny_result: TrainingResult
) -> None:
    (found,) = cross_validate(tiny_data, TINY)
    assert found.items == tiny_result.evaluations[0].items
    assert found.figures["reasons.micro_f1"] == tiny_result.evaluations[0].figures["reasons.micro_f1"]


def test_measure_splits_gives_the_headlines_of_each_fold(tiny_result: TrainingResult) -> None:
    (evaluation,) = tiny_result.evaluations
    splits = measure_splits(evaluation)
    assert list(splits) == ["fold 1", "fold 2"]
    values = [found["reasons.micro_f1"] for found in splits.values()]
    assert min(values) <= evaluation.figures["reasons.micro_f1"].value <= max(values)


@pytest.mark.parametrize("n_files", [1, 3])
def test_train_model_learns_from_few_files(corpus: tuple[AnnotatedLetter, ...], n_files: int) -> None:
    files = sorted({letter.file for letter in corpus})[:n_files]
    letters = [letter for letter in corpus if letter.file in files][:40]
    result = train_model(make_training_set(letters), Config(n_splits=2, n_bootstrap=2))
    assert len(result.evaluations[0].items) > 20


def test_train_model_refuses_too_few_letters(tiny_data: TrainingSet) -> None:
    with pytest.raises(AnnotationError, match="too few for 500 folds"):
        train_model(tiny_data, Config(n_splits=500))


def test_base_rate_moves_outcome_probabilities(tiny_data: TrainingSet, tiny_model: RationaleModel) -> None:
    features = tiny_data.features[:20]
    scores = tiny_model.score(features)
    low, high = (tiny_model.decode(features, scores, base_rate=rate) for rate in (0.05, 0.6))
    for task in OUTCOME_TASKS:
        pairs = [
            (getattr(a.outcome, task).probability, getattr(b.outcome, task).probability)
            for a, b in zip(low, high, strict=True)
        ]
        assert all(a <= b for a, b in pairs)
        assert any(a < b for a, b in pairs)


@pytest.mark.parametrize("rate", [0.11, 0.5])
def test_outcome_calibration_meets_the_base_rate(rate: float) -> None:
    rng = np.random.default_rng(0)
    y = rng.random(4000) < 0.3
    scores = np.clip(0.2 + 0.25 * y + rng.normal(0, 0.1, len(y)), 0.01, 0.99)
    weights = weigh_to_rate(y, rate)
    calibration = fit_outcome_calibration(scores, y, weights)
    proba = expit(calibration(make_log_odds(scores)[:, None]))[:, 0]
    assert np.average(proba, weights=weights) == pytest.approx(rate, abs=0.01)


def test_reasons_calibration_gives_the_share_that_holds() -> None:
    rng = np.random.default_rng(0)
    held = rng.random((3000, len(REASONS))) * 0.9 + 0.05
    y = rng.random(held.shape) < held
    scores = expit(0.5 * logit(held) - 1)  # too low and too flat
    calibration = fit_reasons_calibration(scores, y, np.ones(len(y)), Config())
    proba = calibrate_reasons(calibration, scores)
    assert np.abs(proba - held).mean() < 0.02


def test_vocabulary_leaves_out_what_one_letter_alone_says(
    tiny_data: TrainingSet, some_letters: tuple[AnnotatedLetter, ...]
) -> None:
    letters = [*some_letters[:-1]]
    last = some_letters[-1]
    item = last.items[0]
    odd = "Zyzzyva quokka was seen twice. Zyzzyva quokka was seen twice."
    sentence = replace(item.sentences[0], text=odd, start_char=0, end_char=len(odd))
    letters.append(replace(last, items=(replace(item, rationale=odd, sentences=(sentence,)),)))
    data = make_training_set(letters)
    model = fit_model(data.features, data.targets, data.groups, np.ones(len(data)), TINY)
    assert not [name for name in model.vocabularies["words"].words if "zyzzyva" in name or "quokka" in name]
    assert "improv" in model.vocabularies["words"].words


def test_make_role_context_stays_inside_the_item() -> None:
    proba = np.eye(5)[[0, 3, 2, 1, 3, 2]] * 0.9 + 0.02
    items = np.array([0, 0, 0, 0, 1, 1])
    whole = make_role_context(proba, items)
    assert whole.shape == (len(proba), N_ROLE_CONTEXT)
    np.testing.assert_allclose(whole[4:], make_role_context(proba[4:], items[4:]))
    np.testing.assert_allclose(whole[:4], make_role_context(proba[:4], items[:4]))


def test_roles_missing_from_the_training_set_get_no_probability(tiny_data: TrainingSet) -> None:
    targets = [
        replace(t, sentences=tuple(s and replace(s, role="G" if s.role == "P" else s.role) for s in t.sentences))
        for t in tiny_data.targets
    ]
    model = fit_model(tiny_data.features, targets, tiny_data.groups, np.ones(len(tiny_data)), TINY)
    roles = model.score(tiny_data.features[:20]).roles
    assert roles.shape[1] == 5
    assert not roles[:, 4].any()
    np.testing.assert_allclose(roles.sum(axis=1), 1)


def test_make_rank_features_prefers_reasons_that_speak_for_the_outcome() -> None:
    reasons = np.zeros((2, len(REASONS)))
    reasons[0, REASONS.index("safety_risk")] = reasons[1, REASONS.index("guideline_met")] = 0.9
    sentences = (reasons, np.full((2, 5), 0.2), np.zeros(2), reasons.max(axis=0))
    refused, granted = (make_rank_features(*sentences, overturned) for overturned in (0.1, 0.9))
    assert refused.shape == (len(REASONS), N_RANK_FEATURES)
    speaks = 4  # the fifth column
    assert refused[REASONS.index("safety_risk"), speaks] == granted[REASONS.index("guideline_met"), speaks] == 1
    assert refused[REASONS.index("guideline_met"), speaks] == granted[REASONS.index("safety_risk"), speaks] == 0


# ---------------------------------------------------------------- the saved model


def test_save_and_load_keep_predictions(tiny_model: RationaleModel, tiny_bundle: Path, tiny_data: TrainingSet) -> None:
    loaded = load_bundle(tiny_bundle)
    assert loaded.predict(tiny_data.texts[:25]) == tiny_model.predict(tiny_data.texts[:25])
    assert loaded.manifest["reasons"] == list(REASONS)


def copy_bundle(source: Path, target: Path) -> Path:
    target.mkdir()
    for name in (MODEL_FILE, MANIFEST):
        (target / name).write_bytes((source / name).read_bytes())
    return target


def reseal(folder: Path) -> None:
    """Let the manifest agree with a replaced model file, so that only the allow-list stands in the way."""
    import hashlib

    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["sha256"] = hashlib.sha256((folder / MODEL_FILE).read_bytes()).hexdigest()
    (folder / MANIFEST).write_text(json.dumps(manifest))


def test_load_bundle_refuses_a_changed_byte(tiny_bundle: Path, tmp_path: Path) -> None:
    folder = copy_bundle(tiny_bundle, tmp_path / "copy")
    data = bytearray((folder / MODEL_FILE).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / MODEL_FILE).write_bytes(data)
    with pytest.raises(ModelError, match="sha256"):
        load_bundle(folder)


def test_load_bundle_refuses_a_pickle(tiny_bundle: Path, tmp_path: Path) -> None:
    folder = copy_bundle(tiny_bundle, tmp_path / "copy")
    (folder / MODEL_FILE).write_bytes(pickle.dumps({"words": 1}))
    reseal(folder)
    with pytest.raises(ModelError, match="no model file"):
        load_bundle(folder)


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        pytest.param("words.idf", np.array([{}], dtype=object), "Object arrays cannot be loaded", id="pickle"),
        pytest.param("words.words", np.array([255], dtype=np.uint8), "UnicodeDecodeError", id="text"),
        pytest.param("kinds.ngrams", np.array([[1, 2, 10**6]], dtype=np.int32), "numbers of other words", id="words"),
        pytest.param("primary.coef", np.zeros((3, 1)), r"primary.coef.npy: float64 of shape \(3, 1\)", id="shape"),
        pytest.param("verdict.intercept", np.zeros(1, dtype=np.int8), "int8 of shape", id="type"),
        pytest.param("extra", np.zeros(1), "holds more than a model: extra.npy", id="unknown array"),
        pytest.param("primary.intercept", None, "no primary.intercept.npy", id="missing array"),
    ],
)
def test_load_bundle_refuses_what_no_model_holds(
    name: str, array: npt.NDArray[Any] | None, message: str, tiny_bundle: Path, tmp_path: Path
) -> None:
    folder = copy_bundle(tiny_bundle, tmp_path / "copy")
    with np.load(folder / MODEL_FILE, allow_pickle=False) as found:
        arrays = {**found}
    arrays.pop(name, None)
    np.savez(folder / MODEL_FILE, **arrays, **({} if array is None else {name: array}))
    reseal(folder)
    with pytest.raises(ModelError, match=f"no model file .*{message}"):
        load_bundle(folder)


def test_load_bundle_refuses_what_would_fill_the_memory(tiny_bundle: Path, tmp_path: Path) -> None:
    folder = copy_bundle(tiny_bundle, tmp_path / "copy")
    with (
        zipfile.ZipFile(folder / MODEL_FILE, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("words.words.npy", "w") as member,
    ):
        for _ in range(11):
            member.write(bytes(100_000_000))
    reseal(folder)
    with pytest.raises(ModelError, match="more than 1,000,000,000 bytes"):
        load_bundle(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"format": 99}, "not a manifest of format", id="format"),
        pytest.param({"reasons": ["other"]}, "labels are not those", id="labels"),
        pytest.param({"config": {"unknown": 1}}, "unknown", id="config"),
        pytest.param({"thresholds": {}}, "KeyError", id="thresholds"),
    ],
)
def test_load_bundle_refuses_a_wrong_manifest(
    change: dict[str, object], message: str, tiny_bundle: Path, tmp_path: Path
) -> None:
    folder = copy_bundle(tiny_bundle, tmp_path / "copy")
    manifest = {**json.loads((folder / MANIFEST).read_text()), **change}
    (folder / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(ModelError, match=message):
        load_bundle(folder)


def test_load_bundle_refuses_missing_files(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="No such file"):
        load_bundle(tmp_path)


def test_save_bundle_refuses_an_unwritable_place(tiny_model: RationaleModel, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match="file"):
        save_bundle(tiny_model, tmp_path / "file" / "model", data={}, figures={"a.b": Figure(1, 1, 1)})
