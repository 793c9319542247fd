"""What the champion must do whatever its figures: tables of small rationales and the reasons they state."""

import pytest

from imr_rationale import predict
from imr_rationale.records import Prediction

REQUEST = "Therefore, the request is not medically necessary."


def labels(prediction: Prediction) -> set[str]:
    return {reason.label for reason in prediction.reasons}


OBJECTS = {
    "no_clinical_indication": "There was a lack of documentation regarding red flags or neurological deficits.",
    "conservative_care_not_exhausted": "There was a lack of documentation regarding failed conservative treatment.",
    "no_functional_improvement": "There was a lack of documentation regarding functional improvement with prior visits.",
    "insufficient_documentation": "There was a lack of documentation regarding the quantity and dosage requested.",
}


@pytest.mark.parametrize(("label", "sentence"), OBJECTS.items())
def test_the_object_of_the_absence_decides_the_reason(label: str, sentence: str) -> None:
    found = predict(f"The guidelines were consulted. However, {sentence[0].lower()}{sentence[1:]} {REQUEST}")
    assert found.primary_reason == label
    assert labels(found) & set(OBJECTS) == {label}


@pytest.mark.parametrize(
    ("refusing", "granting", "label"),
    [
        pytest.param(
            "In this case, there are no neurological deficits on examination.",
            "In this case, there are progressive neurological deficits on examination.",
            "no_clinical_indication",
            id="deficits",
        ),
        pytest.param(
            "However, there was no functional improvement with the prior sessions.",
            "However, there was clear functional improvement with the prior sessions.",
            "no_functional_improvement",
            id="improvement",
        ),
    ],
)
def test_negation_flips_the_reason(refusing: str, granting: str, label: str) -> None:
    assert label in labels(predict(f"{refusing} {REQUEST}"))
    assert label not in labels(predict(f"{granting} Therefore, the request is medically necessary."))


@pytest.mark.parametrize(
    ("unknown", "absent", "label"),
    [
        pytest.param(
            "However, the neurological examination was not submitted for review.",
            "However, the neurological examination was normal with no deficit.",
            "no_clinical_indication",
            id="examination",
        ),
        pytest.param(
            "However, the radiology report was not included in the records provided.",
            "However, there were no red flags noted on examination.",
            "no_clinical_indication",
            id="report",
        ),
    ],
)
def test_what_is_unknown_is_not_absent(unknown: str, absent: str, label: str) -> None:
    recital = "The guidelines recommend imaging when neurological deficits are present."
    assert "insufficient_documentation" in labels(predict(f"{recital} {unknown} {REQUEST}"))
    found = labels(predict(f"{recital} {absent} {REQUEST}"))
    assert label in found
    assert "insufficient_documentation" not in found


PARAPHRASES = {
    "no_functional_improvement": (
        "However, there was no evidence of functional improvement from the previous sessions.",
        "The records do not show any functional gains with the earlier therapy.",
        "There is no documentation of objective benefit from the visits already completed.",
    ),
    "conservative_care_not_exhausted": (
        "There is no evidence that the patient has failed first-line medication.",
        "The records do not indicate a trial of conservative treatment.",
        "However, there was a lack of documentation of failed oral medications.",
    ),
    "exceeds_guideline_quantity": (
        "The request for 18 visits exceeds the guideline recommendation.",
        "The requested number of sessions is in excess of what the guidelines recommend.",
        "However, the requested 12 sessions would exceed the recommended initial trial.",
    ),
    "duplicative_service": (
        "The patient already had an MRI of the same region, and there has been no change since.",
        "This request would be duplicative, as an MRI was done two months ago.",
        "The patient was recently approved for the same consultation, so this request is duplicative.",
    ),
    "not_recommended": (
        "In this case, the guidelines do not recommend this treatment for the patient's condition.",
        "As this compound contains a drug that is not recommended, it is not supported for this patient.",
        "Given that the guidelines do not recommend this treatment, the request is not supported.",
    ),
}


@pytest.mark.parametrize(
    ("label", "sentence"), [(label, sentence) for label, sentences in PARAPHRASES.items() for sentence in sentences]
)
def test_paraphrases_give_the_same_reason(label: str, sentence: str) -> None:
    assert label in labels(predict(f"{sentence} {REQUEST}"))


@pytest.mark.parametrize(
    "recital",
    [
        "The MTUS recommends up to 10 visits of physical therapy over 8 weeks.",
        "ACOEM states that imaging is not recommended during the first month unless red flags are present.",
        "The ODG supports continued use when functional improvement is documented.",
    ],
)
def test_a_guideline_recital_alone_gives_no_reason(recital: str) -> None:
    found = predict(f"{recital} {REQUEST}")
    assert not found.reasons
    assert found.primary_reason is None
    assert found.sentences[0].role == "G"


@pytest.mark.parametrize(("label", "sentence"), OBJECTS.items())
def test_the_verdict_removed_keeps_the_reason(label: str, sentence: str) -> None:
    assert label in labels(predict(sentence))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("Mr. Ortiz was seen.", "Ms. Haddad was seen.", id="name"),
        pytest.param("The patient was seen on 01/04/2016.", "The patient was seen on 11/23/2014.", id="date"),
        pytest.param("He took 20 mg.", "He took 45 mg.", id="amount"),
        pytest.param("Pain was 4/10 in May.", "Pain was 7/10 in October.", id="score"),
    ],
)
def test_names_dates_and_amounts_change_nothing(one: str, other: str) -> None:
    rest = f"{OBJECTS['no_functional_improvement']} {REQUEST}"
    first, second = predict(f"{one} {rest}"), predict(f"{other} {rest}")
    assert labels(first) == labels(second)
    assert first.primary_reason == second.primary_reason
    assert first.outcome.verdict is not None
    assert second.outcome.verdict is not None
    assert first.outcome.verdict.label == second.outcome.verdict.label
