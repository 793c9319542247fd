"""The page of items where model and annotators differ: what it shows, what it survives, what it never asks for."""

import html
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from imr_rationale.labels import NONE_STATED, REASONS
from imr_rationale.learning.bootstrap import Figure
from imr_rationale.learning.evaluation import EvaluatedItem, Evaluation
from imr_rationale.learning.gold import Annotation, GoldItem, GoldSentence
from imr_rationale.records import (
    Evidence,
    ItemText,
    OutcomePrediction,
    Outcomes,
    Prediction,
    ReasonPrediction,
    SentencePrediction,
)
from imr_rationale.review.browser import COLOURS, KINDS, measure_disagreement, render_error_browser

FIRST = "The knee was not examined."
SECOND = "Six visits were done and did not help."
VERDICT = "The visits are not necessary."
RATIONALE = f"{FIRST} {SECOND}\n\n{VERDICT}"


def make_annotation(
    *reasons: str, primary: str | None = None, roles: str = "FFC", texts: Sequence[str] = (FIRST, SECOND, VERDICT)
) -> Annotation:
    """Annotate the first sentence with every reason; the last sentence gives the verdict."""
    sentences = tuple(
        GoldSentence(text, role, text == texts[-1], reasons if text == texts[0] else ())
        for text, role in zip(texts, roles, strict=True)
    )
    return Annotation(primary or (reasons[0] if reasons else NONE_STATED), sentences)


def make_prediction(probabilities: Mapping[str, float], rationale: str, texts: Sequence[str]) -> Prediction:
    """Predict every reason from the first sentence."""
    starts = [rationale.index(text) for text in texts]
    spans = [(start, start + len(text)) for start, text in zip(starts, texts, strict=True)]
    evidence = (Evidence(*spans[0], texts[0]),)
    return Prediction(
        rationale=rationale,
        outcome=Outcomes(None, OutcomePrediction("Upheld", 0.03), OutcomePrediction("Upheld", 0.2), None),
        reasons=tuple(ReasonPrediction(label, p, evidence) for label, p in probabilities.items()),
        primary_reason=next(iter(probabilities), None),
        sentences=tuple(
            SentencePrediction(*span, role, span == spans[-1]) for span, role in zip(spans, "FFC", strict=True)
        ),
        certainty=0.61,
    )


def make_item(
    *annotations: Annotation,
    shown: Mapping[str, float] | None = None,
    letter: str = "CM99-0000001",
    item: int = 1,
    treatment: str = "Physical therapy",
    rationale: str = RATIONALE,
    texts: Sequence[str] = (FIRST, SECOND, VERDICT),
) -> EvaluatedItem:
    shown = {"no_functional_improvement": 0.9} if shown is None else shown
    return EvaluatedItem(
        gold=GoldItem(
            letter, item, "Upheld", rationale, annotations or (make_annotation("no_functional_improvement"),)
        ),
        text=ItemText(rationale, treatment),
        prediction=make_prediction(shown, rationale, texts),
        scores=tuple(shown.get(reason, 0.05) for reason in REASONS),
        thresholds=(0.4,) * len(REASONS),
        split="fold 1",
    )


def drop_prediction(item: EvaluatedItem) -> EvaluatedItem:
    return replace(item, prediction=None, scores=())


def render(*items: EvaluatedItem, **options: int) -> str:
    figures = {"reasons.micro_f1": Figure(0.75, 0.71, 0.79), "primary.accuracy": Figure(0.6, math.nan, math.nan)}
    return render_error_browser(Evaluation("corpus_cv", items, figures), **options)


def find_articles(page: str) -> list[str]:
    return re.findall(r'<article class="item".*?</article>', page, re.DOTALL)


def get_data(article: str, name: str) -> str:
    found = re.search(rf'data-{name}="([^"]*)"', article)
    assert found, name
    return html.unescape(found[1])


def read_text(markup: str) -> str:
    return html.unescape(re.sub(r"<[^>]*>", "", markup))


def read_rationale(article: str) -> str:
    """Give the text of the rationale without the notes behind its sentences."""
    found = re.search(r'<div class="rationale">(.*?)</div>', article, re.DOTALL)
    assert found
    no_marks = re.sub(r'<span class="marks">(?:\s*<span class="mark[^>]*>.*?</span>)*\s*</span>', "", found[1])
    return read_text(no_marks)


def read_rows(article: str) -> dict[str, list[str]]:
    """Give the cells of the table of reasons: reason -> annotators, model, threshold, judgement."""
    rows = re.findall(r"<tr style.*?</tr>", article, re.DOTALL)
    cells = [[read_text(cell) for cell in re.findall(r"<t[hd].*?</t[hd]>", row, re.DOTALL)] for row in rows]
    return {name: rest for name, *rest in cells}


def read_marks(article: str) -> list[str]:
    return [
        re.sub(r"\s+", " ", read_text(mark)).strip()
        for mark in re.findall(r'<span class="mark .*?</span>', article, re.DOTALL)
    ]


def test_colours_hold_every_reason() -> None:
    assert tuple(COLOURS) == REASONS
    assert len({colour for pair in COLOURS.values() for colour in pair}) == 2 * len(REASONS)


def test_measure_disagreement_is_the_mean_log_loss_over_annotators() -> None:
    item = make_item(make_annotation("safety_risk"), make_annotation(), shown={"safety_risk": 0.8})
    others = -15 * math.log(0.95)
    assert measure_disagreement(item) == pytest.approx(others - (math.log(0.8) + math.log(0.2)) / 2)


def test_measure_disagreement_is_finite_for_certain_and_wrong_scores() -> None:
    assert measure_disagreement(make_item(make_annotation(), shown={"safety_risk": 1.0})) == pytest.approx(
        -math.log(0.001) - 15 * math.log(0.95)
    )


def test_measure_disagreement_is_infinite_without_prediction() -> None:
    assert measure_disagreement(drop_prediction(make_item())) == math.inf


def test_render_error_browser_ranks_by_disagreement() -> None:
    items = [
        make_item(letter="right"),
        make_item(make_annotation("guideline_met"), letter="wrong"),
        drop_prediction(make_item(letter="unread")),
        make_item(shown={"no_functional_improvement": 0.5}, letter="unsure"),
    ]
    articles = find_articles(render(*items))
    assert [get_data(article, "letter") for article in articles] == ["unread", "wrong", "unsure", "right"]
    assert [get_data(article, "rank") for article in articles] == ["1", "2", "3", "4"]


def test_render_error_browser_respects_the_limit_and_says_so() -> None:
    page = render(*(make_item(letter=f"CM99-{i}", item=i) for i in range(5)), limit=2)
    assert len(find_articles(page)) == 2
    assert "2 of 2 items" in page
    assert "3 are left out" in page


def test_render_error_browser_shows_an_empty_evaluation() -> None:
    page = render()
    assert not find_articles(page)
    assert "No item was measured." in page


def test_render_error_browser_shows_figures_that_are_there() -> None:
    text = " ".join(read_text(render(make_item()).replace("<", " <")).split())
    assert "Reasons, micro-F1 0.75 95 % interval 0.71 to 0.79" in text
    assert "Primary reason, accuracy 0.60 95 % interval – to –" in text
    assert "macro-F1" not in text


@pytest.mark.parametrize(
    ("given", "shown", "expected"),
    [
        pytest.param(["safety_risk"], ["safety_risk"], ["yes", "0.80", "0.40", "right"], id="both"),
        pytest.param(["safety_risk"], [], ["yes", "0.05", "0.40", "missed"], id="annotators-alone"),
        pytest.param([], ["safety_risk"], ["no", "0.80", "0.40", "extra"], id="model-alone"),
    ],
)
def test_render_error_browser_judges_each_reason(given: list[str], shown: list[str], expected: list[str]) -> None:
    (article,) = find_articles(render(make_item(make_annotation(*given), shown=dict.fromkeys(shown, 0.8))))
    (found,) = read_rows(article).values()
    assert found == expected
    judged = {name: get_data(article, name) for name in ("right", "missed", "extra")}
    assert judged == {**dict.fromkeys(judged, ""), expected[-1]: "safety_risk"}


def test_render_error_browser_counts_annotators() -> None:
    both, one = make_annotation("safety_risk", "guideline_not_met"), make_annotation("safety_risk")
    (article,) = find_articles(render(make_item(both, one, shown={"safety_risk": 0.8})))
    rows = read_rows(article)
    assert rows["safety risk ★ primary: gold + model"][0] == "yes"
    assert rows["guideline not met"][0] == "1 of 2"
    assert read_marks(article) == ["gold + model: safety risk", "gold (1 of 2): guideline not met"]


def test_render_error_browser_stars_the_primary_reasons() -> None:
    first, second = make_annotation("safety_risk"), make_annotation("safety_risk", primary=NONE_STATED)
    (article,) = find_articles(render(make_item(first, second, shown={"guideline_met": 0.8})))
    assert {"safety risk ★ primary: gold 1 of 2", "guideline met ★ primary: model"} == set(read_rows(article))
    assert "★ No primary reason: gold 1 of 2" in article
    assert get_data(article, "primary").split() == ["safety_risk", NONE_STATED, "guideline_met"]


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        pytest.param(make_item(), "", id="all-right"),
        pytest.param(make_item(make_annotation(), shown={}), "", id="no-reason-at-all"),
        pytest.param(
            make_item(make_annotation("safety_risk", "no_functional_improvement", primary="no_functional_improvement")),
            "missed",
            id="one-missed",
        ),
        pytest.param(make_item(make_annotation("safety_risk")), "missed extra primary none", id="nothing-agrees"),
        pytest.param(make_item(make_annotation("no_functional_improvement", roles="BFC")), "role", id="role"),
        pytest.param(
            make_item(
                make_annotation("no_functional_improvement", roles="BFC"), make_annotation("no_functional_improvement")
            ),
            "",
            id="one-annotator-has-the-role",
        ),
        pytest.param(
            make_item(make_annotation("no_functional_improvement", texts=(FIRST, VERDICT, SECOND), roles="FCF")),
            "verdict_flag",
            id="verdict-sentence",
        ),
        pytest.param(drop_prediction(make_item()), "missed primary none", id="no-prediction"),
    ],
)
def test_render_error_browser_names_the_kinds_of_difference(item: EvaluatedItem, expected: str) -> None:
    (article,) = find_articles(render(item))
    assert get_data(article, "kinds") == expected
    assert set(expected.split()) <= {value for value, _ in KINDS}


def test_render_error_browser_names_a_verdict_that_is_not_the_outcome() -> None:
    item = make_item()
    (article,) = find_articles(render(replace(item, gold=replace(item.gold, outcome="Overturned"))))
    assert get_data(article, "kinds") == "verdict"
    assert "0.03<span aria-hidden" in article


def test_render_error_browser_notes_a_role_that_differs() -> None:
    item = make_item(make_annotation("no_functional_improvement", roles="BFC"))
    assert "role: gold B, model F" in read_marks(find_articles(render(item))[0])


@pytest.mark.parametrize("without", [False, True], ids=["predicted", "unread"])
def test_render_error_browser_keeps_the_rationale(without: bool) -> None:
    texts = ('Pain < 5/10 & "stable".', "  It's   fine?!", "{{ denied }} <b>now</b>.")
    rationale = f" {texts[0]}\n\n{texts[1]} and\t{texts[2]} \n"
    item = make_item(make_annotation("safety_risk", texts=texts), rationale=rationale, texts=texts)
    (article,) = find_articles(render(drop_prediction(item) if without else item))
    assert read_marks(article)
    assert read_rationale(article) == rationale


def test_render_error_browser_shows_sentences_that_the_model_splits_otherwise() -> None:
    joined = f"{FIRST} {SECOND}"
    item = make_item(make_annotation("safety_risk", texts=(joined, VERDICT), roles="FC"))
    (article,) = find_articles(render(item))
    _, unplaced = article.split('<div class="unplaced">')
    assert joined in read_text(unplaced)
    assert read_marks(unplaced) == ["gold: safety risk"]
    assert read_rationale(article) == RATIONALE


def test_render_error_browser_escapes_hostile_text() -> None:
    attack = "</script><script>alert(1)</script>"
    texts = (f"{attack} one.", "--> two ]]>.", "</div></article> three.")
    quotes = '" onmouseover="alert(2)\' x=`'
    item = make_item(
        make_annotation("safety_risk", texts=texts),
        rationale=" ".join(texts),
        texts=texts,
        treatment=quotes,
        letter=quotes,
    )
    page = render(replace(item, split=attack))
    (article,) = find_articles(page)
    assert page.count("<script") == page.count("</script>") == 1
    assert quotes not in page
    assert get_data(article, "letter") == quotes
    assert read_rationale(article) == " ".join(texts)


def test_render_error_browser_refers_to_nothing_outside() -> None:
    page = render(make_item(), drop_prediction(make_item()))
    assert not re.findall(r"https?:|//\w|\bsrc=|\bhref=|@import|url\(|<link|<form|<iframe", page)
    assert not re.findall(r"localStorage|sessionStorage|cookie|fetch\(|location|history|indexedDB", page)


@pytest.mark.parametrize("control", ["filter-reason", "filter-kind", "filter-outcome", "filter-text", "sort"])
def test_render_error_browser_labels_each_control(control: str) -> None:
    page = render(make_item())
    assert page.count(f'id="{control}"') == page.count(f'<label for="{control}"') == 1


def test_render_error_browser_stays_small() -> None:
    page = render(*(make_item(letter=f"CM99-{i}", rationale=RATIONALE + " More." * 400) for i in range(200)))
    assert len(page.encode()) < 1_500_000
