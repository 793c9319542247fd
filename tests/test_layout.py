"""Letters with known records in, the same records out."""

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imr_rationale.errors import ImrError, LetterParseError
from imr_rationale.learning.corpus import AnnotatedLetter
from imr_rationale.learning.printed import LAYOUTS, PrintedLetter, can_print, make_dates, make_printed_letter
from imr_rationale.learning.render import LATER_RENDERERS, RENDERERS, render_pdf
from imr_rationale.letters.items import read_details
from imr_rationale.letters.layout import parse_document, parse_letter
from imr_rationale.letters.sandbox import read_document
from imr_rationale.letters.sources import Document
from imr_rationale.records import Request
from imr_rationale.serving.rows import list_items

GOLDEN = Path(__file__).parent / "golden"
MakeText = Callable[..., str]
OLDER = LAYOUTS[1:]


def fold(text: str | None) -> str:
    return " ".join((text or "").split())


def assert_same(letter: AnnotatedLetter, text: str) -> None:
    parsed = parse_letter(text)
    assert parsed.case_number == letter.id
    assert parsed.dates == make_dates(letter)
    assert parsed.priority == "Standard"
    assert fold(parsed.specialty) == fold(letter.specialty)
    assert fold(parsed.summary) == fold(letter.summary)
    assert parsed.warnings == ()
    assert len(parsed.items) == len(letter.items)
    for item, gold in zip(parsed.items, letter.items, strict=True):
        assert item.number == gold.number
        assert item.outcome == gold.outcome
        assert fold(item.treatment) == fold(gold.treatment)
        assert fold(item.rationale) == fold(gold.rationale)
        assert fold(item.claims_administrator_guideline) == fold(gold.claims_administrator_guideline)
        assert fold(item.reviewer_guideline) == fold(gold.reviewer_guideline)
        assert fold(text[item.rationale_start_char : item.rationale_end_char]) == fold(gold.rationale)
        assert fold(gold.treatment) in fold(text[item.start_char : item.end_char])


def assert_same_as_printed(printed: PrintedLetter, text: str) -> None:
    """Hold a parsed letter against what its renderer says it printed; the two share no code."""
    parsed = parse_letter(text)
    assert (parsed.layout, parsed.priority) == (printed.layout, printed.priority)
    # where the header lacks the case number, the pages' headers may print it
    assert parsed.case_number == printed.case_number or (printed.case_number is None and parsed.case_number in text)
    # the notice names the day of assignment in a sentence, and not in its header
    assert replace(parsed.dates, assigned=None) == replace(printed.dates, assigned=None)
    assert fold(parsed.specialty) == ", ".join(filter(None, (printed.specialty, printed.subspecialty)))
    assert parsed.licensure == printed.licensure
    assert fold(parsed.summary) == fold(printed.summary)
    assert printed.case_outcome in (None, parsed.outcome)
    for item, gold in zip(parsed.items, printed.items, strict=True):
        assert (item.number, item.outcome) == (gold.number, gold.outcome)
        assert fold(item.treatment).lower() == fold(gold.treatment).lower()
        assert fold(item.claims_administrator_guideline) == fold(gold.claims_administrator_guideline)
        assert fold(item.reviewer_guideline) == fold(gold.reviewer_guideline)
        assert fold(item.rationale) == fold(gold.rationale)
        assert fold(text[item.rationale_start_char : item.rationale_end_char])[:20] == fold(gold.rationale)[:20]
        # some treatments of the corpus are parts of modified requests
        assert not [text for text in item.warnings if text.endswith("not read") and "modified request" not in text]


@pytest.mark.parametrize("layout", OLDER)
def test_parse_letter_gives_back_every_letter_of_older_layouts(
    layout: str, corpus: tuple[AnnotatedLetter, ...]
) -> None:
    letters = [letter for letter in corpus if can_print(letter, layout)]
    assert len(letters) > len(corpus) / 3
    for letter in letters:
        assert_same_as_printed(make_printed_letter(letter, layout), RENDERERS[layout](letter))


@pytest.mark.parametrize("layout", OLDER)
def test_parse_letter_gives_back_older_layouts_from_real_pdfs(
    layout: str, some_letters: tuple[AnnotatedLetter, ...], tmp_path: Path
) -> None:
    letters = [letter for letter in some_letters if can_print(letter, layout)][:40]
    for letter in letters:
        text = read_document(render_pdf(letter, tmp_path / f"{letter.id}.pdf", layout=layout)).text
        assert_same_as_printed(make_printed_letter(letter, layout), text)


@pytest.mark.parametrize("name", LATER_RENDERERS)
def test_parse_letter_gives_back_every_corpus_letter(name: str, corpus: tuple[AnnotatedLetter, ...]) -> None:
    for letter in corpus:
        assert_same(letter, RENDERERS[name](letter))


def test_parse_letter_gives_back_letters_from_real_pdfs(
    some_letters: tuple[AnnotatedLetter, ...], tmp_path: Path
) -> None:
    for letter in some_letters:
        assert_same(letter, read_document(render_pdf(letter, tmp_path / f"{letter.id}.pdf")).text)


@pytest.mark.parametrize("name", ["plain", "modified"])
def test_parse_letter_matches_golden_record(name: str, update_golden: bool) -> None:
    record = GOLDEN / f"{name}.json"
    parsed = asdict(parse_letter((GOLDEN / f"{name}.txt").read_text(encoding="utf-8")))
    del parsed["text"]
    found = json.dumps(parsed, indent=1, default=str) + "\n"
    if update_golden:
        record.write_text(found, encoding="utf-8")
    assert record.is_file(), "no golden record; write it with --update-golden"
    assert found == record.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("heading", "treatment", "outcome"),
    [
        pytest.param("MRI of the wrist: Overturned", "MRI of the wrist", "Overturned", id="plain"),
        pytest.param("Gel, DOS: 01/02/2016: Upheld", "Gel, DOS: 01/02/2016", "Upheld", id="colon inside"),
        pytest.param("**Norco 10/325mg #60:** Upheld", "Norco 10/325mg #60", "Upheld", id="bold"),
        pytest.param(
            "Twelve visits of therapy for the\nright knee: Upheld",
            "Twelve visits of therapy for the right knee",
            "Upheld",
            id="two lines",
        ),
        pytest.param("Home aide, four hours:\nUpheld", "Home aide, four hours", "Upheld", id="outcome below"),
        pytest.param("gym pass: UPHELD", "gym pass", "Upheld", id="capitals"),
        pytest.param(
            "Cane: Denied, see 3\n\nbelow: Upheld", "Cane: Denied, see 3 below", "Upheld", id="page break inside"
        ),
        pytest.param("Cane", "Cane", None, id="no outcome"),
    ],
)
def test_parse_letter_reads_headings(
    heading: str, treatment: str, outcome: str | None, make_letter_text: MakeText
) -> None:
    (item,) = parse_letter(make_letter_text(heading=heading)).items
    assert (item.treatment, item.outcome) == (treatment, outcome)
    assert item.rationale is not None
    assert item.rationale.startswith("There is no evidence")


def test_parse_letter_leaves_out_details_and_their_rows_do_not(make_letter_text: MakeText) -> None:
    text = make_letter_text()
    whole, bare = parse_letter(text), parse_letter(text, details=False)
    assert [item.request for item in bare.items] == [Request()] * len(whole.items)
    assert all(item.request.category and item.reviewer_basis.citations for item in whole.items)
    assert replace(bare, items=tuple(map(read_details, bare.items))) == whole
    assert list_items([(bare, "a.txt")]) == list_items([(whole, "a.txt")])


ORIGINAL = "Massage 12 visits was the original request. "
REMAINING = "The remaining IMR eligible portion of the original request, "


@pytest.mark.parametrize(
    ("heading", "parts"),
    [
        pytest.param(
            ORIGINAL + "Massage 4 visits was authorized by the Claims Administrator. " + REMAINING + "Massage 8 visits "
            "is: Upheld",
            ("Massage 12 visits", "Massage 4 visits", "Massage 8 visits"),
            id="portion",
        ),
        pytest.param(
            ORIGINAL + "The Claims Administrator authorized Massage 4 visits, leaving the original request IMR "
            "eligible. The original request, Massage 12 visits is:\nOverturned",
            ("Massage 12 visits", "Massage 4 visits", "Massage 12 visits"),
            id="whole",
        ),
        pytest.param(
            ORIGINAL + "Massage 4 visits was authorized by the Claims Administrator. The\n\nremaining IMR eligible "
            "portion of the original request, Massage 8 visits: Upheld",
            ("Massage 12 visits", "Massage 4 visits", "Massage 8 visits"),
            id="page break, no verb",
        ),
    ],
)
def test_parse_letter_takes_modified_requests_apart(
    heading: str, parts: tuple[str, str, str], make_letter_text: MakeText
) -> None:
    (item,) = parse_letter(make_letter_text(heading=heading)).items
    assert item.modified is not None
    assert (item.modified.original, item.modified.authorized, item.modified.disputed) == parts
    spans = (item.modified.original_span, item.modified.authorized_span, item.modified.disputed_span)
    assert item.heading is not None
    assert tuple(item.heading[slice(*span)] for span in spans if span) == parts
    assert item.treatment == parts[2]
    assert item.warnings == ()


def test_parse_letter_warns_of_unreadable_modified_request(make_letter_text: MakeText) -> None:
    (item,) = parse_letter(make_letter_text(heading=REMAINING + "Massage 8 visits is: Upheld")).items
    assert item.treatment == "Massage 8 visits"
    assert item.warnings == ("item 1: parts of the modified request not read",)


@pytest.mark.parametrize(
    ("change", "field", "warning"),
    [
        pytest.param({"header": ""}, "case_number", "case_number not read", id="no header"),
        pytest.param({"summary": ""}, "summary", "summary not read", id="no summary"),
        pytest.param({"header": "Case Number: CM99-0000001\nDecision Date: 02/31/2016"}, "priority", "date decision not read", id="no such day"),
    ],
)  # fmt: skip
def test_parse_letter_names_what_it_cannot_read(
    change: dict[str, str], field: str, warning: str, make_letter_text: MakeText
) -> None:
    letter = parse_letter(make_letter_text(**change))
    assert getattr(letter, field) is None
    assert warning in letter.warnings
    assert letter.items[0].outcome == "Upheld"


def test_parse_letter_reads_age_sex_states_and_two_digit_years(make_letter_text: MakeText) -> None:
    letter = parse_letter(make_letter_text(header="Case Number: CM99-0000001\nDate of Injury: 5-6-14"))
    assert (letter.age, letter.sex) == (35, "female")
    assert letter.licensure == ("California", "Texas")
    assert letter.dates.injury == date(2014, 5, 6)


def test_parse_letter_keeps_an_item_whose_label_is_missing(make_letter_text: MakeText) -> None:
    second = "\nWrist splint: Overturned\n\nMAXIMUS guideline: ACOEM.\n\nDecision rationale: The splint is medically necessary."
    letter = parse_letter(make_letter_text(after=second))
    assert [item.treatment for item in letter.items] == ["MRI of the left wrist", "Wrist splint"]
    assert letter.items[1].claims_administrator_guideline is None
    assert letter.items[1].warnings == ("item 2: claims_administrator_guideline not read",)


def test_parse_letter_keeps_an_item_whose_heading_is_missing(make_letter_text: MakeText) -> None:
    second = "Claims Administrator guideline: MTUS.\n\nMAXIMUS guideline: ACOEM.\n\nDecision rationale: Not needed."
    letter = parse_letter(make_letter_text(after=second))
    assert [item.rationale for item in letter.items][1] == "Not needed."
    assert letter.items[1].outcome is None


def test_parse_letter_reads_text_without_line_breaks(make_letter_text: MakeText) -> None:
    second = "\nWrist splint: Overturned\n\nClaims Administrator guideline: MTUS.\n\nMAXIMUS guideline: ACOEM.\n\nDecision rationale: The splint is medically necessary."
    text = make_letter_text(after=second)
    flat = parse_letter(" ".join(text.split()))
    wrapped = parse_letter(text)
    assert [(i.treatment, i.outcome, i.rationale) for i in flat.items] == [
        (i.treatment, i.outcome, i.rationale) for i in wrapped.items
    ]
    assert (flat.case_number, flat.dates, flat.summary) == (wrapped.case_number, wrapped.dates, wrapped.summary)


def test_parse_letter_joins_pages_and_keeps_paragraphs(make_letter_text: MakeText) -> None:
    rationale = "The request is\n\nnot supported by evidence-\nbased care.\n\nNote that a taper is advised."
    (item,) = parse_letter(make_letter_text(rationale=rationale)).items
    assert item.rationale == "The request is not supported by evidence-based care.\n\nNote that a taper is advised."


@pytest.mark.parametrize("text", ["", "Dear Sir or Madam,", "MRI: Upheld", "\x00\n\n:"])
def test_parse_letter_refuses_other_texts(text: str) -> None:
    with pytest.raises(LetterParseError, match="no Independent Medical Review letter"):
        parse_letter(text)


FRAGMENTS = st.sampled_from(
    [
        "IMR ISSUES, DECISIONS AND RATIONALES",
        "Claims Administrator guideline:",
        "MAXIMUS guideline:",
        "Decision rationale:",
        "MRI: Upheld",
        "was the original request.",
        "The remaining IMR eligible portion of the original request, X is: Upheld",
        "CLINICAL CASE SUMMARY",
        "Case Number:",
        "\n",
        "\n\n",
        " ",
        "**",
        "The request is not medically necessary.",
    ]
)


@given(st.lists(st.one_of(FRAGMENTS, st.text(max_size=20)), max_size=40).map("".join))
def test_parse_letter_raises_only_our_errors_and_keeps_offsets(text: str) -> None:
    try:
        letter = parse_letter(text)
    except ImrError:
        return
    assert letter.text == text
    for item in letter.items:
        assert 0 <= item.start_char <= item.end_char <= len(text)
        if item.rationale_start_char is not None and item.rationale_end_char is not None:
            assert item.start_char <= item.rationale_start_char <= item.rationale_end_char <= item.end_char


def test_parse_letter_finds_headings_without_blank_lines(some_letters: tuple[AnnotatedLetter, ...]) -> None:
    for letter in some_letters:
        text = "\n".join(line for line in RENDERERS["pdf_text"](letter).splitlines() if line.strip())
        parsed = parse_letter(text)
        long = [len(item.rationale) > 300 for item in letter.items[:-1]]
        if all(long):  # a short rationale cannot be told from a long heading
            assert [fold(item.treatment) for item in parsed.items] == [fold(item.treatment) for item in letter.items]
            assert [fold(item.rationale) for item in parsed.items] == [fold(item.rationale) for item in letter.items]


# ---------------------------------------------------------------- what fits no layout


def test_parse_letter_reads_an_unknown_layout_by_the_headings_it_knows(make_letter_text: MakeText) -> None:
    text = make_letter_text().replace("IMR ISSUES, DECISIONS AND RATIONALES", "OUR FINDINGS")
    letter = parse_letter(text)
    assert letter.layout == "unknown"
    assert any("read as final_determination" in warning for warning in letter.warnings)
    (item,) = letter.items
    assert (item.treatment, item.outcome) == ("MRI of the left wrist", "Upheld")
    assert letter.case_number == "CM99-0000001"
    assert letter.specialty == "Hand Surgery"


def test_parse_letter_reads_later_items_under_an_older_heading(make_letter_text: MakeText) -> None:
    text = make_letter_text().replace("IMR ISSUES, DECISIONS AND RATIONALES", "IMR DECISION(S) AND RATIONALE(S)")
    letter = parse_letter(text)
    assert letter.layout == "unknown"
    assert [(item.treatment, item.outcome) for item in letter.items] == [("MRI of the left wrist", "Upheld")]
    assert letter.items[0].rationale is not None


def test_parse_letter_keeps_a_decision_without_an_item() -> None:
    text = (
        "INDEPENDENT MEDICAL REVIEW DECISION AND RATIONALE\n"
        "1) MAXIMUS Federal Services, Inc. has determined the request for a cane is medically necessary\nand appropriate.\n"
        "2) MAXIMUS Federal Services, Inc. has determined the request for a bed is notmedically necessary and\n"
        "appropriate.\n"
        "1) Regarding the request for a cane:\nRationale for the Decision:\nThe gait is unsteady.\n"
    )
    cane, bed = parse_letter(text).items
    assert (cane.treatment, cane.outcome, cane.rationale) == ("a cane", "Overturned", "The gait is unsteady.")
    assert (bed.treatment, bed.outcome, bed.rationale) == ("a bed", "Upheld", None)
    assert "item 2: rationale not read" in bed.warnings


def test_parse_letter_names_decisions_that_contradict_each_other() -> None:
    decision = "1) MAXIMUS Federal Services, Inc. has determined the request for a cane is {}medically necessary.\n"
    text = (
        "INDEPENDENT MEDICAL REVIEW DECISION AND RATIONALE\n"
        + decision.format("")
        + decision.format("not ")
        + "1) Regarding the request for a cane:\nRationale for the Decision:\nThe gait is unsteady.\n"
    )
    (item,) = parse_letter(text).items
    assert item.outcome is None
    assert "item 1: is decided twice and differently" in item.warnings


def test_parse_letter_shares_one_rationale_among_issues() -> None:
    text = (
        "MEDICAL PROFESSIONAL REVIEW\nISSUE AT DISPUTE:\n1. A cane\n2. A bed\nCASE SUMMARY:\nA fall.\n"
        "RATIONALE FOR WHY THE REQUESTED TREATMENT/SERVICE IS/WAS NOT\nMEDICALLY NECESSARY:\nNeither is needed.\n"
    )
    items = parse_letter(text).items
    assert [(item.treatment, item.outcome, item.rationale) for item in items] == [
        ("A cane", "Upheld", "Neither is needed."),
        ("A bed", "Upheld", "Neither is needed."),
    ]
    assert "item 1: one rationale for 2 issues" in items[0].warnings


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        pytest.param(("Upheld",), "Uphold", id="one"),
        pytest.param(("Overturned", "Overturned"), "Overturn", id="all"),
        pytest.param(("Upheld", "Overturned"), "Partially Overturn", id="a mix"),
        pytest.param(("Upheld", None), None, id="one not read"),
        pytest.param((None,), None, id="none read"),
        pytest.param(("Upheld", "Overturned", None), "Partially Overturn", id="a mix whatever the third"),
    ],
)
def test_letter_outcome_follows_its_items(
    outcomes: tuple[str | None, ...], expected: str | None, make_letter_text: MakeText
) -> None:
    letter = parse_letter(make_letter_text())
    items = tuple(replace(letter.items[0], outcome=outcome) for outcome in outcomes)
    assert replace(letter, items=items).outcome == expected


@pytest.mark.parametrize(
    "furniture",
    [
        "Page 2 of 3",
        "2",
        "Final Determination Letter for IMR Case Number CM99-0000001 2",
        "IMR Case Number CM99-0000001",
    ],
)
def test_parse_letter_takes_page_furniture_out(furniture: str, make_letter_text: MakeText) -> None:
    rationale = f"There is no evidence of a\n\n{furniture}\n\nfracture. The request is not medically necessary."
    (item,) = parse_letter(make_letter_text(rationale=rationale)).items
    assert item.rationale == "There is no evidence of a fracture. The request is not medically necessary."


def test_parse_letter_keeps_a_number_that_ends_a_sentence(make_letter_text: MakeText) -> None:
    (item,) = parse_letter(make_letter_text(rationale="The pain score was\n7\nof 10 in May.")).items
    assert item.rationale == "The pain score was 7 of 10 in May."


# ---------------------------------------------------------------- items that are easily lost or given the wrong outcome

LABELS = "\n\nClaims Administrator guideline: MTUS.\n\nMAXIMUS guideline: ACOEM.\n\nDecision rationale: Not shown.\n\n"


def read_items(text: str) -> list[tuple[str | None, str | None, str | None]]:
    return [(item.treatment, item.outcome, item.rationale) for item in parse_letter(text).items]


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        pytest.param(
            f"MRI: Upheld{LABELS}Walker: Upheld\n\nCane: Overturned{LABELS}",
            [("MRI", "Upheld", "Not shown."), ("Walker", "Upheld", None), ("Cane", "Overturned", "Not shown.")],
            id="heading without labels between items",
        ),
        pytest.param(
            f"MRI: Upheld\nCT: Upheld\nCane: Overturned{LABELS}",
            [("MRI", "Upheld", None), ("CT", "Upheld", None), ("Cane", "Overturned", "Not shown.")],
            id="headings in one paragraph",
        ),
        pytest.param(
            f"MRI: Upheld{LABELS}Walker: Upheld\n",
            [("MRI", "Upheld", "Not shown."), ("Walker", "Upheld", None)],
            id="heading at the end",
        ),
        pytest.param(
            f"1. MRI: Upheld{LABELS}2. Cane: Overturned{LABELS}",
            [("MRI", "Upheld", "Not shown."), ("Cane", "Overturned", "Not shown.")],
            id="numbers",
        ),
        pytest.param(
            "MRI: Upheld\n\nClaims Administrator\nguideline: MTUS.\n\nMAXIMUS\nguideline: ACOEM.\n\nDecision\nrationale: No.",
            [("MRI", "Upheld", "No.")],
            id="labels that wrap",
        ),
        pytest.param(
            "MRI: Upheld\n\nClaims Administrator guideline: MTUS.\n\nMAXIMUS guideline: ACOEM.\n\n"
            "Decision rationale: See below.\n\nFinal determination: Upheld\n\nNo red flag.",
            [("MRI", "Upheld", "See below.\n\nFinal determination: Upheld No red flag.")],
            id="a determination inside a rationale",
        ),
    ],
)
def test_parse_letter_loses_no_heading(section: str, expected: list[tuple[str, str, str | None]]) -> None:
    assert read_items(f"IMR ISSUES, DECISIONS AND RATIONALES\n\n{section}") == expected


@pytest.mark.parametrize(
    "heading", ["IMR ISSUES, DECISIONS\nAND RATIONALES", "IMR ISSUE, DECISION AND RATIONALE", "OUR FINDINGS"]
)
def test_parse_letter_keeps_rationales_out_of_the_summary(heading: str, make_letter_text: MakeText) -> None:
    letter = parse_letter(make_letter_text().replace("IMR ISSUES, DECISIONS AND RATIONALES", heading))
    assert [item.rationale for item in letter.items] == [
        "There is no evidence of a fracture. Therefore, the request is not medically necessary."
    ]
    assert letter.summary is not None
    assert letter.summary.startswith("The worker is a 35-year-old female baker who twisted her left wrist.")
    assert "fracture" not in letter.summary


DECISION = (
    "{}) MAXIMUS Federal Services, Inc. has determined the request for {} is {}medically necessary and appropriate.\n"
)
REGARDING = "{}) Regarding the request for {}:\nRationale for the Decision:\nOn {}.\n"


@pytest.mark.parametrize(
    ("blocks", "expected"),
    [
        pytest.param(
            ((1, "an MRI"), (3, "a bed")),
            [("an MRI", "Upheld", "On an MRI."), ("a cane", "Overturned", None), ("a bed", "Upheld", "On a bed.")],
            id="an item missing",
        ),
        pytest.param(
            ((2, "a cane"), (1, "an MRI"), (3, "a bed")),
            [
                ("an MRI", "Upheld", "On an MRI."),
                ("a cane", "Overturned", "On a cane."),
                ("a bed", "Upheld", "On a bed."),
            ],
            id="another order",
        ),
        pytest.param(
            ((1, "an MRI"), (2, "a gym pass"), (3, "a bed")),
            [
                ("an MRI", "Upheld", "On an MRI."),
                ("a gym pass", None, "On a gym pass."),
                ("a bed", "Upheld", "On a bed."),
            ],
            id="another treatment",
        ),
    ],
)
def test_parse_letter_joins_decisions_by_their_printed_numbers(
    blocks: tuple[tuple[int, str], ...], expected: list[tuple[str, str | None, str | None]]
) -> None:
    decisions = (
        DECISION.format(1, "an MRI", "not "),
        DECISION.format(2, "a cane", ""),
        DECISION.format(3, "a bed", "not"),
    )
    items = "".join(REGARDING.format(number, treatment, treatment) for number, treatment in blocks)
    text = f"INDEPENDENT MEDICAL REVIEW DECISION AND RATIONALE\n{''.join(decisions)}\n{items}"
    assert read_items(text) == expected
    assert [item.number for item in parse_letter(text).items] == [1, 2, 3]


def test_parse_letter_says_when_a_decision_is_on_another_treatment() -> None:
    text = (
        "INDEPENDENT MEDICAL REVIEW DECISION AND RATIONALE\n"
        + DECISION.format(1, "an MRI", "not ")
        + REGARDING.format(1, "a gym pass", "a gym pass")
    )
    assert "item 1: the decision of this number is on 'an MRI'" in parse_letter(text).items[0].warnings


@pytest.mark.parametrize(
    ("words", "outcome"),
    [
        pytest.param("TREATMENT/SERVICE IS/WAS NOT\nMEDICALLY NECESSARY:", "Upheld", id="refused"),
        pytest.param("TREATMENT/SERVICES ARE NOT MEDICALLY NECESSARY:", "Upheld", id="plural"),
        pytest.param("TREATMENT/SERVICE WAS/IS NOT MEDICALLY NECESSARY", "Upheld", id="other order"),
        pytest.param("TREATMENT/SERVICE IS/WAS MEDICALLY NECESSARY:", "Overturned", id="granted"),
        pytest.param("\nTREATMENT/SERVICE IS/WAS NOT MEDICALLY NECESSARY:", "Upheld", id="wraps early"),
        pytest.param("TREATMENT/SERVICE IS OR IS NOT MEDICALLY NECESSARY:", None, id="left open"),
        pytest.param("TREATMENT/SERVICE:", None, id="cut"),
    ],
)
def test_parse_letter_reads_the_outcome_of_a_professional_review_from_its_heading(
    words: str, outcome: str | None
) -> None:
    text = (
        "MEDICAL PROFESSIONAL REVIEW\nISSUE AT DISPUTE:\nA cane\nCASE SUMMARY:\nA fall.\n"
        f"RATIONALE FOR WHY THE REQUESTED {words}\nThe gait is steady.\nMEDICAL REVIEWER QUALIFICATIONS:\nA physician."
    )
    assert read_items(text) == [("A cane", outcome, "The gait is steady.")]


def test_parse_letter_reads_the_case_number_of_a_running_header(make_letter_text: MakeText) -> None:
    text = make_letter_text(header="IMR Case Number: CM15-0000001\nDate of Injury: 01/02/2015")
    assert parse_letter(text).case_number == "CM15-0000001"


def test_parse_letter_reads_other_headings_of_the_older_layout() -> None:
    based = "The Claims Administrator based its decision on the MTUS.\nThe Physician Reviewer based his/her decision on ACOEM.\n"
    rationale = "The Physician Reviewer's decision rationale:\nNot shown.\n\n"
    text = (
        "IMR DECISION(S) AND RATIONALE(S)\n\n"
        f"1. MRI of the knee: Upheld\n{based}{rationale}"
        f"The request for a cane is medically necessary and appropriate.\n{based}{rationale}"
    )
    letter = parse_letter(text)
    assert letter.layout == "decisions_and_rationales"
    assert read_items(text) == [("MRI of the knee", "Upheld", "Not shown."), ("a cane", "Overturned", "Not shown.")]


def test_parse_letter_chooses_the_layout_that_reads_most() -> None:
    text = (
        "MAXIMUS FEDERAL SERVICES\n"
        + DECISION.format(1, "an MRI", "not ")
        + "Medical Qualifications of the Expert Reviewer:\nThe reviewer is Board Certified in Surgery and is licensed to "
        "practice in Ohio.\nCase Summary:\nA fall.\n1) Regarding the request for an MRI:\n"
        "Section of the Medical Treatment Utilization Schedule Relied Upon by the Expert Reviewer to Make His/Her Decision\n"
        "The Claims Administrator based its decision on the MTUS. The Expert Reviewer based his/her decision on ACOEM.\n"
        "Rationale for the Decision:\nNot shown.\n"
    )
    letter = parse_letter(text)
    assert letter.layout == "unknown"
    assert read_items(text) == [("an MRI", "Upheld", "Not shown.")]
    assert letter.specialty == "Surgery"


def test_a_rationale_of_a_table_with_words_of_a_heading_keeps_its_cells() -> None:
    text = "Issue in dispute: brace.\nThe brace is medically necessary."
    letter = parse_document(Document("t.csv:1", "row", text, id="EI1", outcome="Upheld by the Department"))
    assert (letter.case_number, letter.layout) == ("EI1", "row")
    assert (letter.items[0].rationale, letter.items[0].outcome) == (text, "Upheld")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"summary": "word " * 30_000}, "a summary, heading or rationale of", id="summary"),
        pytest.param({"rationale": "word " * 30_000}, "a summary, heading or rationale of", id="rationale"),
        pytest.param({"after": f"\nCane: Upheld{LABELS}" * 201}, "202 disputed items; at most 200", id="items"),
    ],
)
def test_parse_letter_refuses_more_than_a_letter_holds(
    change: dict[str, str], message: str, make_letter_text: MakeText
) -> None:
    with pytest.raises(LetterParseError, match=message):
        parse_letter(make_letter_text(**change))
