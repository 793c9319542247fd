"""Texts, letters and folders in; predictions in the agreed form out."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from conftest import HELDOUT, ROOT
from imr_rationale import load_model, predict, predict_letter
from imr_rationale.errors import AnnotationError, ModelError, TrackingError
from imr_rationale.labels import OUTCOME_TASKS, REASONS
from imr_rationale.learning.corpus import AnnotatedLetter
from imr_rationale.learning.measure import compare_models, measure_model, open_gold
from imr_rationale.learning.model import RationaleModel
from imr_rationale.learning.render import render_pdf_text
from imr_rationale.learning.train import TrainingSet
from imr_rationale.letters.layout import read_letter
from imr_rationale.serving.predict import predict_letters
from imr_rationale.serving.rows import list_items

REFUSED = "There are no red flags. Therefore, the request is not medically necessary."
GRANTED = "The drawer test is positive. As such, the brace is medically necessary."


def test_predict_gives_one_for_a_string_and_a_list_for_a_list() -> None:
    one = predict(REFUSED)
    many = predict([REFUSED, GRANTED])
    assert many[0] == one
    assert [p.outcome.verdict.label for p in many if p.outcome.verdict] == ["Upheld", "Overturned"]
    assert one.outcome.forecast is None


def test_champion_reads_the_example_letter() -> None:
    (found,) = predict_letter(ROOT / "data" / "letters" / "CM99-9000001.md")
    assert found.primary_reason == "prior_therapy_sufficient"
    sentences = [found.rationale[s.start_char : s.end_char] for s in found.sentences]
    evidence = [e.text for reason in found.reasons if reason.label == found.primary_reason for e in reason.evidence]
    assert evidence == [sentences[-2]]


def test_predict_letter_takes_a_path_or_a_text(letter_file: Path, tiny_model: RationaleModel) -> None:
    from_path = predict_letter(letter_file, model=tiny_model)
    from_text = predict_letter(letter_file.read_text(encoding="utf-8"), model=tiny_model)
    assert [p.reasons for p in from_path] == [p.reasons for p in from_text]
    assert from_path[0].source == str(letter_file)
    assert from_text[0].source is None


def test_predict_letter_warns_when_heading_and_rationale_disagree(make_letter_text: Callable[..., str]) -> None:
    text = make_letter_text(heading="MRI of the left wrist: Overturned")
    (found,) = predict_letter(text)
    assert found.outcome.heading == "Overturned"
    assert any("heading says Overturned, the rationale reads Upheld" in warning for warning in found.warnings)


def test_predict_letter_keeps_an_item_without_rationale(
    make_letter_text: Callable[..., str], tiny_model: RationaleModel
) -> None:
    (found,) = predict_letter(make_letter_text(rationale=""), model=tiny_model)
    assert found.reasons == ()
    assert found.outcome.verdict is None
    assert "item 1: rationale not read" in found.warnings


def test_uncertain_reasons_are_warned_of(letter_file: Path, tiny_model: RationaleModel) -> None:
    certain = predict_letters([(read_letter(letter_file), str(letter_file))], model=tiny_model)[0]
    warned = predict_letters([(read_letter(letter_file), str(letter_file))], model=tiny_model, min_certainty=1)[0]
    assert not any("uncertain reasons" in warning for row in certain for warning in row["warnings"])
    for row in warned:
        assert f"item {row['item']}: uncertain reasons (certainty {row['certainty']:.2f})" in row["warnings"]


def test_prediction_to_dict_has_the_agreed_form(letter_file: Path, tiny_model: RationaleModel) -> None:
    rationales = [row["rationale"] for row in list_items([(read_letter(letter_file), str(letter_file))])[0]]
    for row, rationale in zip(
        predict_letters([(read_letter(letter_file), str(letter_file))], model=tiny_model)[0], rationales, strict=True
    ):
        assert list(row) == [
            "letter",
            "source",
            "item",
            "treatment",
            "outcome",
            "reasons",
            "primary_reason",
            "certainty",
            "warnings",
        ]
        assert list(row["outcome"]) == ["heading", *OUTCOME_TASKS]
        for reason in row["reasons"]:
            assert reason["label"] in REASONS
            for e in reason["evidence"]:
                assert rationale[e["start_char"] : e["end_char"]] == e["text"]
        assert json.loads(json.dumps(row)) == row


def test_predict_is_the_same_from_many_threads(tiny_model: RationaleModel, letter_file: Path) -> None:
    expected = predict_letters([(read_letter(letter_file), str(letter_file))], model=tiny_model)[0]
    with ThreadPoolExecutor(8) as pool:
        found = list(
            pool.map(
                lambda _: predict_letters([(read_letter(letter_file), str(letter_file))], model=tiny_model)[0],
                range(24),
            )
        )
    assert all(rows == expected for rows in found)


def test_load_model_loads_once(tiny_bundle: Path) -> None:
    assert load_model(tiny_bundle) is load_model(str(tiny_bundle))


def test_load_model_names_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such model folder"):
        load_model(tmp_path / "nothing")
    with pytest.raises(TrackingError, match="no such store"):
        load_model("models:/imr-rationale@champion", tracking_uri=f"sqlite:///{tmp_path / 'store.db'}")


# ---------------------------------------------------------------- measuring on annotated letters


@pytest.fixture
def folder(tmp_path: Path, some_letters: tuple[AnnotatedLetter, ...]) -> Path:
    place = tmp_path / "letters"
    place.mkdir()
    for letter in some_letters[:3]:
        (place / f"{letter.id}.txt").write_text(render_pdf_text(letter), encoding="utf-8")
    return place


@pytest.fixture
def gold_file(tmp_path: Path, some_letters: tuple[AnnotatedLetter, ...], folder: Path) -> Path:
    path = tmp_path / "gold.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for letter in some_letters[:4]:  # the fourth is not in the folder
            for item in letter.items:
                sentences = [
                    {"text": s.text, "role": s.role, "verdict": s.verdict, "reasons": s.reasons} for s in item.sentences
                ]
                annotators = {name: {"primary": item.primary, "sentences": sentences} for name in "AB"}
                row = {"letter": letter.id, "item": item.number, "outcome": item.outcome, "annotators": annotators}
                file.write(json.dumps(row) + "\n")
    return path


def test_measure_model_measures_and_names_missing_letters(
    gold_file: Path,
    folder: Path,
    tiny_model: RationaleModel,
    tiny_data: TrainingSet,
    some_letters: tuple[AnnotatedLetter, ...],
) -> None:
    gold_set = open_gold(gold_file, folder)
    assert gold_set.sizes["n_letters"] == 4
    assert f"{some_letters[3].id}: no such letter in {folder}" in gold_set.problems
    found = measure_model(tiny_model, gold_set, tiny_data, n_bootstrap=20)
    figures = found.figures
    assert (found.name, found.sizes) == ("real", gold_set.sizes)
    assert figures["reasons.micro_f1.ceiling"].value == 1
    for name in ("", ".majority", ".rules", ".tfidf"):
        assert 0 <= figures[f"reasons.micro_f1{name}"].value <= 1
    assert figures["roles.accuracy"].value > 0.5
    assert figures["leak.residual_rate"].value == 0
    assert "forecast.auroc.metadata" in figures


def test_open_gold_reads_a_folder_of_annotated_files(tiny_model: RationaleModel) -> None:
    gold_set = open_gold(HELDOUT, None)
    assert (gold_set.name, gold_set.problems) == ("heldout", ())
    assert all(text is not None for text in gold_set.texts)
    same = compare_models(tiny_model, tiny_model, gold_set)
    assert same["reasons.micro_f1"].value == same["reasons.micro_f1"].high == 0


def test_open_gold_needs_the_letters_of_a_file(gold_file: Path) -> None:
    with pytest.raises(AnnotationError, match="--letters"):
        open_gold(gold_file, None)


@pytest.mark.parametrize("name", ["held out", "a.b", "corpus_cv"])
def test_open_gold_refuses_a_folder_that_cannot_name_figures(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(AnnotationError, match="figures cannot be named after it"):
        open_gold(tmp_path / name, None)
