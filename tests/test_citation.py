"""Guideline lines in, the guidelines they name out. Every line is invented."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imr_rationale.learning.corpus import AnnotatedLetter
from imr_rationale.letters import guidelines
from imr_rationale.letters.citation import MAX_CHARS, _find_marks, read_basis
from imr_rationale.letters.folding import Phrase, fold_case
from imr_rationale.letters.guidelines import MARK_RE, MARK_WORDS, WORD_RE
from imr_rationale.records import Citation

MTUS = "Decision based on MTUS "
NON_MTUS = "Decision based on Non-MTUS Citation "
PIECES = (
    *(
        "Decision based on",
        "MTUS",
        "Non-MTUS Citation",
        "ODG",
        "ACOEM",
        "Low Back Complaints",
        "2004",
        ", and ",
        "; ",
        "(",
        ")",
    ),
    *(
        "Section(s):",
        "Page(s): 4-6 of 9",
        "8 C.C.R. 9792.20 - 9792.26",
        "which is not part of the MTUS",
        "www.a.b",
        "Chapter 9",
    ),
    *("did not cite", "outside of the MTUS", "Pain Chapter", "\n", "\t", "\0", "İ", "2nd Edition", "FDA", " the ", "."),
)


def make_row(citation: Citation) -> tuple[object, ...]:
    row = (citation.body, citation.title, citation.section, citation.year, citation.pages, citation.regulation)
    return row[: max(index for index, value in enumerate(row) if value is not None) + 1]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param(MTUS + "Elbow Complaints 2011.", [("MTUS", "Elbow Complaints", None, 2011)], id="title and year"),
        pytest.param(
            MTUS + "Ankle and Foot Complaints 2005, Section(s): Home Exercise, Imaging.",
            [("MTUS", "Ankle and Foot Complaints", "Home Exercise, Imaging", 2005)],
            id="sections share a citation",
        ),
        pytest.param(
            MTUS + "Knee Complaints 2005, Section(s): Bracing, and Opioid Treatment 2018, Section(s): Naloxone.",
            [("MTUS", "Knee Complaints", "Bracing", 2005), ("MTUS", "Opioid Treatment", "Naloxone", 2018)],
            id="and joins two",
        ),
        pytest.param(
            MTUS + "Forearm, Wrist, and Hand Complaints 2005, and Acupuncture Treatment 2011, and Eye Complaints 2005.",
            [
                ("MTUS", "Forearm, Wrist, and Hand Complaints", None, 2005),
                ("MTUS", "Acupuncture Treatment", None, 2011),
                ("MTUS", "Eye Complaints", None, 2005),
            ],
            id="commas and and inside a title",
        ),
        pytest.param(
            MTUS
            + "Postsurgical Treatment 2011, Section(s): Forearm, Wrist, & Hand, and Chronic Pain Medical Treatment 2018.",
            [
                ("MTUS", "Postsurgical Treatment", "Forearm, Wrist, & Hand", 2011),
                ("MTUS", "Chronic Pain Medical Treatment", None, 2018),
            ],
            id="body region as section",
        ),
        pytest.param(
            MTUS + "Knee Complaints 2005, Section(s): Summary, and Vestibular Care Program 2019, Section(s): Tests.",
            [("MTUS", "Knee Complaints", "Summary", 2005), ("MTUS", "Vestibular Care Program", "Tests", 2019)],
            id="unknown title with a year",
        ),
        pytest.param(
            MTUS
            + "Opioid Treatment 2018, Section(s):\n5. Opioids for Chronic Pain and Chronic Opioid Treatment: Refills, 5.2 More.",
            [
                (
                    "MTUS",
                    "Opioid Treatment",
                    "5. Opioids for Chronic Pain and Chronic Opioid Treatment: Refills, 5.2 More",
                    2018,
                )
            ],
            id="guideline's name inside its sections, line break",
        ),
        pytest.param(
            MTUS + "Chronic Pain Medical Treatment 2018, Section(s): Heat, chronic pain (thermal wraps).",
            [("MTUS", "Chronic Pain Medical Treatment", "Heat, chronic pain (thermal wraps)", 2018)],
            id="guideline's words as topic",
        ),
        pytest.param(
            MTUS + "Chronic Pain Medical Treatment 2018 Guidelines, Section(s): Zinc (Zincol®).",
            [("MTUS", "Chronic Pain Medical Treatment Guidelines", "Zinc (Zincol®)", 2018)],
            id="year inside the title",
        ),
        pytest.param(
            MTUS + "General Approaches 2005, Section(s): Initial Approaches to Treatment, and Eye Complaints 2005.",
            [
                ("MTUS", "General Approaches", "Initial Approaches to Treatment", 2005),
                ("MTUS", "Eye Complaints", None, 2005),
            ],
            id="general chapter as section",
        ),
        pytest.param(
            MTUS + "Elbow Complaints 2011, Section(s): 412.",
            [("MTUS", "Elbow Complaints", "412", 2011)],
            id="number as section",
        ),
        pytest.param(
            MTUS + "Chronic Pain Treatment Guidelines 8 C.C.R. 9792.20 - 9792.26 Page(s): 31-33 of 127. "
            "Decision based on Non-MTUS Citation ODG, Low Back aerobic exercise.",
            [
                ("MTUS", "Chronic Pain Treatment Guidelines", None, None, "31-33 of 127", "8 C.C.R. 9792.20 - 9792.26"),
                ("ODG", "Low Back", "aerobic exercise"),
            ],
            id="regulation, pages, topic without comma",
        ),
        pytest.param(
            MTUS + "ACOEM Practice Guidelines, Chapter 14 Ankle and Foot Complaints Page(s): 370-372, "
            "Chronic Pain Treatment Guidelines Magnets Page(s): 57.",
            [
                ("MTUS", "Chapter 14 Ankle and Foot Complaints", None, None, "370-372"),
                ("MTUS", "Chronic Pain Treatment Guidelines", "Magnets", None, "57"),
            ],
            id="2014 template, both guidelines with pages",
        ),
        pytest.param(
            MTUS + "ACOEM, Chronic Pain Treatment Guidelines.",
            [("MTUS",), ("MTUS", "Chronic Pain Treatment Guidelines")],
            id="2014 template, bare names",
        ),
        pytest.param(
            MTUS + "ACOEM Neck and Upper Back Complaints, page 181.",
            [("MTUS", "Neck and Upper Back Complaints", None, None, "181")],
            id="ACOEM in the MTUS",
        ),
        pytest.param(
            MTUS + "ACOEM Practice Guidelines, 2nd Edition, (2004) Chapter 10, Elbow Complaints, page 30.",
            [("MTUS", "Chapter 10, Elbow Complaints", None, 2004, "30")],
            id="edition and chapter between two names of one",
        ),
        pytest.param(
            "CA-MTUS/ACOEM Guidelines, Chapter 13 and ODG.",
            [("MTUS", "Chapter 13"), ("ODG",)],
            id="slash joins, and separates",
        ),
        pytest.param(
            MTUS + "ACOEM Chapter 9, page 11; Chapter 10, page 12.",
            [("MTUS", "Chapter 9", None, None, "11"), ("MTUS", "Chapter 10", None, None, "12")],
            id="second chapter after a semicolon",
        ),
        pytest.param(
            "CA MTUS 2009: 9792.24.2. Chronic Pain Medical Treatment Guidelines, pages 6, 8 & 10.",
            [("MTUS", "Chronic Pain Medical Treatment Guidelines", None, 2009, "6, 8 & 10", "9792.24.2")],
            id="regulation between two names of one",
        ),
        pytest.param(
            "Chronic Pain Medical Treatment Guidelines (May 2009), Magnets, 8 CCR §9792.24.2, which is part of the MTUS.",
            [("MTUS", "Chronic Pain Medical Treatment Guidelines", "Magnets", 2009, None, "8 CCR §9792.24.2")],
            id="edition by month, section sign",
        ),
        pytest.param(
            "The Claims Administrator based its decision on the Acupuncture Medical Treatment Guidelines, Frequency, "
            "which is part of the MTUS. The Expert Reviewer based his/her decision on the Knee Complaints (ACOEM Practice "
            "Guidelines, 2nd Edition (2004), Chapter 13), pages 340-341, which is part of the MTUS.",
            [
                ("MTUS", "Acupuncture Medical Treatment Guidelines", "Frequency"),
                ("MTUS", "Knee Complaints", None, 2004, "340-341"),
            ],
            id="2013 wording, part of the MTUS",
        ),
        pytest.param(
            "The Physician Reviewer based his/her decision on the American College of Occupational and Environmental Medicine "
            "(ACOEM) Practice Guidelines, 2nd Edition (2004), Chapter 14, page 377, which is part of the MTUS and the "
            "Official Disability Guidelines (ODG), Ankle Chapter, which is not part of the MTUS.",
            [("MTUS", "Chapter 14", None, 2004, "377"), ("ODG", "Ankle")],
            id="2013 wording, part and not part",
        ),
        pytest.param(
            "The utilization reviewer based its decision on the MTUS ACOEM Chapter 5 page 83 and on the Non-MTUS ODG.",
            [("MTUS", "Chapter 5", None, None, "83"), ("ODG",)],
            id="unknown subject is no citation",
        ),
        pytest.param(
            NON_MTUS + "Official Disability Guidelines (ODG), Hernia, Mesh.",
            [("ODG", "Hernia", "Mesh")],
            id="chapter, topic",
        ),
        pytest.param(
            "Decision based on Non-MTUS ODG Knee/ Crutches.", [("ODG", "Knee", "Crutches")], id="slash, no Citation"
        ),
        pytest.param(
            NON_MTUS + "Official Disability Guidelines (ODG) Lenses.", [("ODG", None, "Lenses")], id="no chapter"
        ),
        pytest.param(
            NON_MTUS + "ODG Head (Smell testing (UPSIT)).", [("ODG", "Head", "Smell testing (UPSIT)")], id="nested"
        ),
        pytest.param(
            NON_MTUS + "Official Disability Guidelines: Low Back - Lumbar & Thoracic (Acute & Chronic) Yoga; Pilates.",
            [("ODG", "Low Back - Lumbar & Thoracic (Acute & Chronic)", "Yoga; Pilates")],
            id="qualified chapter, two topics",
        ),
        pytest.param(
            NON_MTUS + "ODG, 19th Edition, 2014, Elbow (updated 3/4/14) Chapter: Slings (Online Version).",
            [("ODG", "Elbow", "Slings", 2014)],
            id="edition, update",
        ),
        pytest.param(
            NON_MTUS + "ODG, Knee Chapter, Hip Chapter, Swimming.",
            [("ODG", "Knee"), ("ODG", "Hip", "Swimming")],
            id="two chapters",
        ),
        pytest.param(
            NON_MTUS + "ODG, Neck & Upper Back, Elbow and Head chapters: Massage.",
            [("ODG", "Neck & Upper Back, Elbow and Head", "Massage")],
            id="chapters that share the word stay together",
        ),
        pytest.param(
            NON_MTUS + "ODG, Knee, Ice packs; Low Back - Lumbar & Thoracic (Acute & Chronic).",
            [("ODG", "Knee", "Ice packs"), ("ODG", "Low Back - Lumbar & Thoracic (Acute & Chronic)")],
            id="chapter after a semicolon",
        ),
        pytest.param(
            NON_MTUS + "ODG (ODG), Hip (updated 1/2/16), Ice, ODG ice guidelines, ODG Knee, Ice; ODG Head, Ice.",
            [("ODG", "Hip", "Ice"), ("ODG", None, "ice guidelines"), ("ODG", "Knee", "Ice"), ("ODG", "Head", "Ice")],
            id="name repeated",
        ),
        pytest.param(
            NON_MTUS + "ODG, Knee Official Disability Guidelines (ODG), Cycling Guidelines.",
            [("ODG", "Knee"), ("ODG", None, "Cycling Guidelines")],
            id="name repeated without comma",
        ),
        pytest.param(
            NON_MTUS + "Elbow (Acute & Chronic), Ice, ODG Preface – Ice.",
            [("ODG", "Elbow (Acute & Chronic)", "Ice"), ("ODG", "Preface", "Ice")],
            id="chapter before the name",
        ),
        pytest.param(NON_MTUS + "Knee (Cold laser).", [("ODG", "Knee", "Cold laser")], id="chapter without a name"),
        pytest.param(
            NON_MTUS + "ODG Pain Chapter, Acupuncture treatment; Stretching.",
            [("ODG", "Pain", "Acupuncture treatment; Stretching")],
            id="MTUS words as topic of the ODG",
        ),
        pytest.param(
            NON_MTUS + "ACOEM guidelines and the Official Disability Guidelines.",
            [("ACOEM",), ("ODG",)],
            id="two bare names",
        ),
        pytest.param(
            NON_MTUS + "ACOEM Occupational Medicine Practice Guidelines, 3rd ed., Elbow Disorders, pg. 52.",
            [("ACOEM", "Elbow Disorders", None, None, "52")],
            id="ACOEM without the MTUS",
        ),
        pytest.param(
            NON_MTUS + "ACOEM Shoulder Chapter/Test recommendations.",
            [("ACOEM", "Shoulder", "Test recommendations")],
            id="ACOEM chapter and topic",
        ),
        pytest.param(
            "ACOEM Chapter 3; ODG Neck, Heat.", [("ACOEM", "Chapter 3"), ("ODG", "Neck", "Heat")], id="no opening"
        ),
        pytest.param(
            NON_MTUS + "http://www.example.org/a-b_c/1.html, https://example.com/d-e.",
            [("other",), ("other",)],
            id="addresses",
        ),
        pytest.param(
            NON_MTUS + "ODG Elbow/Nerve gliding and Other Medical Treatment Guidelines www.example.org.",
            [("ODG", "Elbow", "Nerve gliding"), ("other",)],
            id="other guideline by its address",
        ),
        pytest.param(
            "Decision based on Other Medical Treatment Guideline or Medical Evidence: American Society of Examples, Rest.",
            [("other", "American Society of Examples, Rest")],
            id="other medical evidence",
        ),
        pytest.param(
            NON_MTUS + "University of Example. Hay fever (HF). Town (ST): University of Example; 2003 May. 4.",
            [("other", "University of Example. Hay fever (HF). Town (ST): University of Example; May. 4", None, 2003)],
            id="reference with full stops and semicolon",
        ),
        pytest.param(
            NON_MTUS + "ODG Pain, Zinc; FDA label, zinc; Mosby's Drug Consult.",
            [("ODG", "Pain", "Zinc"), ("other", "FDA label, zinc"), ("other", "Mosby's Drug Consult")],
            id="other sources after a semicolon",
        ),
        pytest.param("MTUS is silent. " + NON_MTUS + "ODG Hip.", [("ODG", "Hip")], id="silent MTUS is no citation"),
        pytest.param(
            "The Claims Administrator did not cite any medical evidence for its decision.", [], id="none cited"
        ),
        pytest.param(None, [], id="no line"),
        pytest.param("", [], id="empty line"),
    ],
)
def test_read_basis_names_every_guideline(line: str | None, expected: list[tuple[object, ...]]) -> None:
    assert [make_row(citation) for citation in read_basis(line).citations] == expected


@pytest.mark.parametrize(
    ("line", "words"),
    [
        pytest.param(
            "The Expert Reviewer based their decision on recommendation(s) outside of the MTUS Guidelines. "
            + NON_MTUS
            + "ODG.",
            "The Expert Reviewer based their decision on recommendation(s) outside of the MTUS Guidelines",
            id="outside",
        ),
        pytest.param(
            "The Claims Administrator did not base their decision on the MTUS. " + NON_MTUS + "ODG.",
            "The Claims Administrator did not base their decision on the MTUS",
            id="not based on",
        ),
        pytest.param(
            "The Expert Reviewer found no section of the MTUS was applicable. " + NON_MTUS + "ODG.",
            "The Expert Reviewer found no section of the MTUS was applicable",
            id="none applicable",
        ),
        pytest.param("The MTUS and ODG are silent. " + NON_MTUS + "ODG.", "The MTUS and ODG are silent", id="silent"),
        pytest.param("ODG, Hip Chapter, which is not part of the MTUS.", None, id="said of one guideline"),
    ],
)
def test_read_basis_finds_outside_mtus(line: str, words: str | None) -> None:
    basis = read_basis(line)
    assert (basis.outside_mtus and basis.outside_mtus.value) == words
    assert [citation.body for citation in basis.citations] == ["ODG"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        pytest.param(
            "The Expert Reviewer did not cite any medical evidence for its decision.",
            "The Expert Reviewer did not cite any medical evidence for its decision",
            id="no evidence",
        ),
        pytest.param(
            "No MTUS, ACOEM or ODG section was cited.", "No MTUS, ACOEM or ODG section was cited", id="names none"
        ),
        pytest.param("N/A", "N/A", id="not applicable"),
        pytest.param("No guideline cited; rest follows.", "No guideline cited", id="other words are no citation"),
    ],
)
def test_read_basis_finds_none_cited(line: str, words: str) -> None:
    basis = read_basis(line)
    assert basis.none_cited is not None
    assert basis.none_cited.value == words
    assert basis.citations == ()


def test_read_basis_reads_a_bounded_line() -> None:
    assert len(read_basis("ODG; " * MAX_CHARS).citations) == MAX_CHARS // len("ODG; ")


@given(
    st.one_of(
        st.text(), st.lists(st.sampled_from(PIECES)).map(" ".join), st.lists(st.sampled_from(PIECES)).map("".join)
    )
)
def test_read_basis_offsets_index_the_line(line: str) -> None:
    basis = read_basis(line)
    ends = [0]
    for citation in basis.citations:
        assert line[citation.start_char : citation.end_char] == citation.text
        assert citation.text
        assert citation.start_char >= ends[-1]
        ends.append(citation.end_char)
    for found in filter(None, (basis.outside_mtus, basis.none_cited)):
        assert line[found.start_char : found.end_char] == found.value


#: one line for each way in which a mark begins
MARKED = (
    "Decisions based upon ODG; the Claims Administrator based its decision on ACOEM. The Expert Reviewer cited",
    "onThe MAXIMUS Reviewer relied on NonMTUS Citations, Non- MTUS",
    "ODG, which is not part of the MTUS; ACOEM,that are a part of MTUS and both part of the MTUS",
    "CA MTUS, California-Medical Treatment Utilization Schedule Guidelines, Official Disability, ODG",
    "2nd Edition ACOEM's Practice Guidelines, third annual ed. American College of Occupational & Environmental Medicine",
    "Other Medical Treatment Guideline or Medical Evidence: http://a.b www.c.d, https://e",
    "Forearm, Wrist and Hand Complaints; Lower Backs Disorders; Stress-Related Conditions; General Approaches 2004",
    "Pain, Suffering and the Restoration of Function 2004; Cornerstones of Disability Prevention and Management 2004",
    "Chronic Pain Guidelines, Opioid, 2016; Post-surgical 2009; Postsurgical Guideline; Traumatic Brain Injury 2016",
    "U.S. Department of; 21 CFR; J Bone, VA/DoD; MDGuidelines; MD Guidelines; Physicians' Desk; peer-reviewed; Drugs.com",
    "ODG; Carpal Tunnel Syndrome chapter, and Head: Infectious Disease/ Pain (Chronic); Burns. and Chapter 12",
    "Opioid Treatment 2016, and Workplace Rules & Tests 2018, and so on",
    "\u017ftre\u017f\u017f related condition\u017f; Chron\u0131c Pain Guideline\u017f; \u212anee Complaints; Offic\u0130al Disability",
    "ACOEM first ed. ACOEM, second edition ACOEM; Cervical and Thoracic Spine Disorders; Elbow/Shoulder Complaints",
    "Preface: Fitness for Duty: Mental Illness: Hernia: Diabetes: Pulmonary: Lumbar & Thoracic chapter; Acupuncture 2007",
    "ODG; Hernia; Diabetes; Pulmonary; Preface; Burns; Eyes; Hips; Groin; Ankle; Foot; Leg; Wrists; Necks; Pain, a",
    "Upper Back Complaints; Low Back Complaints; Hip Complaints; Groin Complaints; Ankle Disorders; Foot Disorders",
    "Leg Complaints; Wrist Complaints; Neck Complaints; Eye Complaints; Pelvis Disorders; Knees Disorders; Initial "
    "Approaches to Treatment 2004; The Professional Reviewer cited",
    "National US California Centers for Cochrane Agency for Goodman Mosby Mayo Clinic RxList Journal of New England",
    "Labor Code FDA CMS Medicare PubMed Medscape MedlinePlus UpToDate WebMD Milliman MCG InterQual Aetna Cigna Blue Cross",
    "Sanford AAO AAOS ACC ACG ACR ADA AHA AHRQ AMA AUA CDC JNC NICE NIH PDR USPSTF Center for American",
)
#: lines that cite nothing, and what stands beside a guideline's name
UNCITED = (
    *(
        "None",
        "N/A",
        "NA",
        "Not stated",
        "No guideline was cited",
        "The Reviewer failed to cite any",
        "ODG (MTUS chapter)",
    ),
    *(
        "MTUS is silent",
        "not covered in MTUS",
        "No section of the MTUS",
        "outside the MTUS",
        "p\n4",
        "pp 4",
        "pgs. 5-6",
    ),
)
NAMED_PHRASES = [
    *((name, value) for name, value in vars(guidelines).items() if isinstance(value, Phrase)),
    *((f"NOISE[{i}]", phrase) for i, phrase in enumerate(guidelines.NOISE)),
]


def list_marks(line: str) -> list[tuple[tuple[int, int], str | None]]:
    return [(mark.span(), mark.lastgroup) for mark in MARK_RE.finditer(line)]


@pytest.mark.parametrize("line", MARKED)
def test_find_marks_finds_what_a_search_finds(line: str) -> None:
    assert [(mark.span(), mark.lastgroup) for mark in _find_marks(line)] == list_marks(line) != []


def test_every_mark_is_tried() -> None:
    found = {kind for line in MARKED for _, kind in list_marks(line)}
    assert found == set(MARK_RE.groupindex) - {"no"}
    words = {word for line in MARKED for word in WORD_RE.findall(line.lower())}
    assert set(MARK_WORDS) <= {*words, *(f"{word}s" for word in words), *(word.removesuffix("s") for word in words)}


@given(
    st.lists(st.sampled_from([*PIECES, *" ".join(MARKED).split(" "), "; ", ", ", "the"])), st.sampled_from(("", " "))
)
def test_find_marks_finds_what_a_search_finds_in_any_line(pieces: list[str], joint: str) -> None:
    line = joint.join(pieces)
    assert [(mark.span(), mark.lastgroup) for mark in _find_marks(line)] == list_marks(line)


@pytest.mark.parametrize("phrase", [pytest.param(phrase, id=name) for name, phrase in NAMED_PHRASES])
def test_phrase_holds_one_of_its_words(phrase: Phrase, corpus: tuple[AnnotatedLetter, ...]) -> None:
    items = [item for letter in corpus for item in letter.items]
    printed = {line for item in items for line in (item.claims_administrator_guideline, item.reviewer_guideline)}
    found = [line for line in {*printed, *MARKED, *PIECES, *UNCITED} if phrase.pattern.search(line)]
    assert found
    assert [line for line in found if not phrase.may_stand_in(fold_case(line))] == []
