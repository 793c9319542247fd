from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imr_rationale.labels import CATEGORIES
from imr_rationale.learning.corpus import AnnotatedLetter
from imr_rationale.letters import amounts
from imr_rationale.letters.amounts import holds_number
from imr_rationale.letters.folding import Phrase, lower_ascii
from imr_rationale.letters.request import MAX_CHARS, read_request
from imr_rationale.letters.terms import GENERIC_PHRASES, PHRASES, QUALIFIERS
from imr_rationale.records import Dose, Duration, Found, Frequency, Quantity, Request

FIELDS = ("category", "quantity", "frequency", "duration", "dose", "side", "timing")
DRUGS, TESTS, DEVICES, VISITS = "Pharmaceuticals", "Diagnostic Testing", "DMEPOS", "Evaluation & Management"
REHAB, THERAPIES, INJECTION, SURGERY = "Rehabilitation", "Therapies", "Injection", "Surgery"
ADJUNCT, PROGRAMS, PSYCH, HOME = "Adjunct Surgical Services", "Programs", "Psych Services", "Home Health"


def found_in(request: Request) -> list[Found]:
    single = [getattr(request, field) for field in FIELDS]
    return [found for found in single if found is not None] + [*request.regions, *request.dates_of_service]


@pytest.mark.parametrize(
    ("treatment", "category", "words"),
    [
        pytest.param("CT scan of the left ankle", TESTS, "CT scan", id="imaging"),
        pytest.param("X-rays sacrum, 2 views", TESTS, "X-rays", id="plural with hyphen"),
        pytest.param("EMG/NCS left upper extremity", TESTS, "EMG/NCS", id="two tests in one"),
        pytest.param("Urine toxicology screen", TESTS, "Urine toxicology screen", id="drug screen"),
        pytest.param("Functional capacity exam, elbow", TESTS, "Functional capacity exam", id="fce"),
        pytest.param("Testosterone level", TESTS, "Testosterone level", id="level of a drug"),
        pytest.param("Venogram", TESTS, "Venogram", id="ending of a test"),
        pytest.param("Drug level, weekly", TESTS, "Drug level", id="longer phrase"),
        pytest.param("MRI of the hip prior to injection", TESTS, "MRI", id="earlier phrase"),
        pytest.param("Follow-up x-ray", TESTS, "x-ray", id="follow-up of a test"),
        pytest.param("Physical therapy evaluation", VISITS, "evaluation", id="head of a noun group"),
        pytest.param("Acupuncture lumbar re-evaluation", VISITS, "re-evaluation", id="head after a region"),
        pytest.param(
            "Physical therapy evaluation and treatment", REHAB, "Physical therapy", id="evaluated and treated"
        ),
        pytest.param("Physical therapy, evaluation of gait", REHAB, "Physical therapy", id="comma ends the group"),
        pytest.param("Referral to aquatic therapy", VISITS, "Referral", id="referral"),
        pytest.param(
            "Pain management consultation for facet block", VISITS, "Pain management consultation", id="consult"
        ),
        pytest.param("Follow-up visit with hand surgeon", VISITS, "Follow-up visit", id="follow-up visit"),
        pytest.param("Follow up with rheumatologist in 8 weeks", VISITS, "Follow up", id="follow-up alone"),
        pytest.param("Orthopedic spine surgery consult", VISITS, "consult", id="surgery consult"),
        pytest.param("Methadone follow-up visits", VISITS, "follow-up visits", id="visits for a drug"),
        pytest.param("Root canal, molar", VISITS, "Root canal", id="dental service"),
        pytest.param("Orthopedic mattress", DEVICES, "Orthopedic mattress", id="specialty before a device"),
        pytest.param("Tub bench", DEVICES, "Tub bench", id="bath aid"),
        pytest.param("Quvex stim system purchase", DEVICES, "system", id="unknown device"),
        pytest.param("Ice machine, 10 day rental", DEVICES, "Ice machine", id="cold unit"),
        pytest.param("Home cervical traction unit", DEVICES, "Home cervical traction", id="traction at home"),
        pytest.param("Back brace, post-op", ADJUNCT, "Back brace, post-op", id="post-operative device"),
        pytest.param("Post-operative walker", ADJUNCT, "Post-operative walker", id="post-operative device first"),
        pytest.param("Pre-operative chest x-ray", ADJUNCT, "Pre-operative chest x-ray", id="pre-operative test"),
        pytest.param("Pre-op internist visit", ADJUNCT, "Pre-op internist", id="pre-operative visit"),
        pytest.param("Preoperative clearance", ADJUNCT, "Preoperative clearance", id="clearance"),
        pytest.param("Associated surgical service: crutches", ADJUNCT, "Associated surgical service", id="associated"),
        pytest.param("PA-C assist", ADJUNCT, "PA-C assist", id="assistant"),
        pytest.param("Overnight stay", ADJUNCT, "Overnight stay", id="stay"),
        pytest.param("Post operative hand therapy", REHAB, "hand therapy", id="post-operative therapy"),
        pytest.param("Post-op Percocet 5/325mg", DRUGS, "Percocet", id="post-operative drug"),
        pytest.param(
            "Pre-operative psychological clearance", PSYCH, "psychological clearance", id="psychological clearance"
        ),
        pytest.param("Chiro and ultrasound", REHAB, "Chiro", id="chiropractic"),
        pytest.param("Infrared acupuncture", REHAB, "Infrared acupuncture", id="acupuncture"),
        pytest.param("Deep tissue massage", REHAB, "Deep tissue massage", id="massage"),
        pytest.param("PT to the shoulder", REHAB, "PT", id="abbreviation"),
        pytest.param("PT/INR", TESTS, "PT/INR", id="same letters in a longer phrase"),
        pytest.param("Shock wave treatments", THERAPIES, "Shock wave treatments", id="shock wave"),
        pytest.param("Cold laser, elbow", THERAPIES, "Cold laser", id="laser"),
        pytest.param("Hyperbaric oxygen therapy", THERAPIES, "Hyperbaric oxygen therapy", id="oxygen"),
        pytest.param("Zelomatic therapy", THERAPIES, "therapy", id="unknown therapy"),
        pytest.param("Home health physical therapy", HOME, "Home health physical therapy", id="home before therapy"),
        pytest.param("Daily LVN for dressing changes", HOME, "LVN", id="nurse at home"),
        pytest.param("Injection of Kenalog", INJECTION, "Injection", id="injection of a drug"),
        pytest.param("Celestone 6mg injection", INJECTION, "injection", id="drug injected"),
        pytest.param("Ultrasound-guided cortisone injection", INJECTION, "cortisone injection", id="guided injection"),
        pytest.param("Right S1 selective nerve root block", INJECTION, "selective nerve root block", id="block"),
        pytest.param("Euflexxa series", INJECTION, "Euflexxa", id="viscosupplement"),
        pytest.param("Radiofrequency ablation L3-L5", INJECTION, "Radiofrequency ablation", id="ablation"),
        pytest.param("Left hip arthroscopy with labral repair", SURGERY, "arthroscopy", id="operation"),
        pytest.param("Sacral laminotomy", SURGERY, "laminotomy", id="listed operation"),
        pytest.param("Ulnar sesamoidectomy", SURGERY, "sesamoidectomy", id="ending of an operation"),
        pytest.param("Spinal cord stimulator trial", SURGERY, "Spinal cord stimulator trial", id="stimulator"),
        pytest.param(
            "Chiropractic manipulation under anesthesia", REHAB, "Chiropractic manipulation", id="first phrase"
        ),
        pytest.param(
            "Functional restoration program evaluation", PROGRAMS, "Functional restoration program", id="entry"
        ),
        pytest.param("YMCA membership", PROGRAMS, "YMCA membership", id="gym"),
        pytest.param("Inpatient rehab stay", PROGRAMS, "Inpatient rehab", id="inpatient"),
        pytest.param("CBT sessions", PSYCH, "CBT", id="cognitive therapy"),
        pytest.param("EMG biofeedback", PSYCH, "EMG biofeedback", id="biofeedback"),
        pytest.param("Transportation to physical therapy", "Transportation", "Transportation", id="ride"),
        pytest.param("Retrospective: taxi to clinic", "Transportation", "taxi", id="taxi"),
        pytest.param("Nabumetone 750mg", DRUGS, "Nabumetone", id="drug"),
        pytest.param("Zaltoprofen 80mg", DRUGS, "Zaltoprofen", id="ending of a drug"),
        pytest.param("Quelvamor 40mg", DRUGS, "40mg", id="unknown name with a strength"),
        pytest.param("Baclofen 4%, Menthol 3% in cream base", DRUGS, "Baclofen", id="compound"),
        pytest.param("3 boxes of capsules", DRUGS, "capsules", id="form alone"),
        pytest.param("Tramadol extended release", DRUGS, "Tramadol", id="release is no operation"),
        pytest.param("Unlisted item", None, None, id="nothing known"),
        pytest.param("", None, None, id="empty"),
        pytest.param(None, None, None, id="missing"),
    ],
)
def test_read_request_category(treatment, category, words):
    found = read_request(treatment).category
    assert (found and (found.value, treatment[found.start_char : found.end_char])) == (category and (category, words))


@pytest.mark.parametrize(
    ("treatment", "number", "unit", "words"),
    [
        pytest.param("Etodolac 400mg #45", 45, None, "#45", id="number sign"),
        pytest.param("Etodolac 400mg # 45.00", 45, None, "# 45.00", id="with decimals"),
        pytest.param("Salonpas patch, #2 boxes with 1 refill", 2, "boxes", "#2 boxes", id="number sign with unit"),
        pytest.param("NCS both legs QTY: 3", 3, None, "QTY: 3", id="named"),
        pytest.param("Qty 28 Doxepin 10mg", 28, None, "Qty 28", id="named first"),
        pytest.param("Baclofen 20mg quantity of 15", 15, None, "quantity of 15", id="named in words"),
        pytest.param(
            "Seven physical therapy visits for the hip", 7, "visits", "Seven physical therapy visits", id="word"
        ),
        pytest.param(
            "Nine manual acupuncture visits (20 mins)", 9, "visits", "Nine manual acupuncture visits", id="gap"
        ),
        pytest.param("chiropractic sixteen (16) visits", 16, "visits", "sixteen (16) visits", id="word and numeral"),
        pytest.param(
            "PT 2 times a week for 5 weeks (10 sessions)", 10, "sessions", "10 sessions", id="after a frequency"
        ),
        pytest.param("Massage 3x5=15 visits", 15, "visits", "15 visits", id="after a product"),
        pytest.param("Aquatic therapy two times five visits (10)", 10, None, "(10)", id="in parentheses"),
        pytest.param("Acupuncture x 9 sessions", 9, "sessions", "9 sessions", id="times sessions"),
        pytest.param("Caudal ESI x2", 2, None, "x2", id="times"),
        pytest.param("1 raised toilet seat", 1, None, "1", id="leading numeral"),
        pytest.param(
            "One stem cell injection to the hip", 1, "injections", "One stem cell injection", id="leading word"
        ),
        pytest.param("Purchase of two canes", 2, None, "two", id="purchase of"),
        pytest.param("Hyalgan, series of five", 5, None, "five", id="series of"),
        pytest.param("Psychological evaluation, one", 1, None, ", one", id="trailing word"),
        pytest.param("Physical therapy x 5 post epidural injection", 5, None, "x 5", id="of what comes after another"),
        pytest.param("Neurology office visits, 7", 7, None, "visits, 7", id="trailing numeral"),
        pytest.param("6 post-op PT visits", 6, "visits", "6 post-op PT visits", id="post-op in the gap"),
        pytest.param("One jar of Ketoprofen 10%", 1, "jars", "One jar", id="container"),
        pytest.param("Ketoprofen 10%, 90grams #3", 3, None, "#3", id="beside a size"),
        pytest.param("Diclofenac gel #50 grams with 2 refills", 50, "g", "50 grams", id="size behind a number sign"),
        pytest.param("Lidocaine cream 60gm tube", 60, "g", "60gm", id="size of a tube"),
        pytest.param("Medrelix oral solution 200ml", 200, "ml", "200ml", id="volume"),
        pytest.param("Nerve studies of both arms, 2", 2, None, ", 2", id="trailing numeral behind a word"),
        pytest.param("Tylenol with codeine #3, #40", 40, None, "#40", id="the name's number"),
        pytest.param("Work conditioning 60 hours", 60, "hours", "60 hours", id="hours of a program"),
        pytest.param("Fluoxetine 20mg take 1 tab daily #30", 30, None, "#30", id="beside a direction"),
    ],
)
def test_read_request_quantity(treatment, number, unit, words):
    found = read_request(treatment).quantity
    assert found.value == Quantity(number, unit)
    assert treatment[found.start_char : found.end_char].removesuffix(")").endswith(words.removesuffix(")"))


@pytest.mark.parametrize(
    "treatment",
    [
        pytest.param("Wound filler for the heel, 60gm", id="size of what is no drug"),
        pytest.param("Medrelix 25mg/5ml solution", id="strength by volume"),
        pytest.param("Zolpidem (unknown quantity)", id="unknown"),
        pytest.param("Facet injections L3-4, L4-5", id="spinal levels"),
        pytest.param("Physical therapy 2 times a week for 6 weeks", id="frequency and duration"),
        pytest.param("Physical therapy 2x6", id="grid"),
        pytest.param("Home nurse 3 visits per week for 2 weeks", id="visits per week"),
        pytest.param("2 sessions a week of yoga", id="sessions a week first"),
        pytest.param("3 in 1 shower commode", id="name with a number"),
        pytest.param("CT of the knee, 3 views", id="views"),
        pytest.param("MRI 3.0 Tesla of the wrist", id="field strength"),
        pytest.param("Procedure 97140, wrist", id="CPT code"),
        pytest.param("Botox 100 units", id="units are a dose"),
        pytest.param("Buspirone take 2 tabs at bedtime", id="direction"),
        pytest.param("2 month rental of scooter", id="rental"),
        pytest.param("Lorazepam 1mg, per 11/02/2016 order", id="date"),
    ],
)
def test_read_request_leaves_other_numbers(treatment):
    assert read_request(treatment).quantity is None


@pytest.mark.parametrize(
    ("treatment", "frequency", "duration"),
    [
        pytest.param("PT 3 times a week for 5 weeks", (3, 3, "week"), (5, 5, "weeks"), id="plain"),
        pytest.param("Acupuncture two times a week times five weeks", (2, 2, "week"), (5, 5, "weeks"), id="words"),
        pytest.param("Chiro 1 to 2 times per week over 4-6 weeks", (1, 2, "week"), (4, 6, "weeks"), id="ranges"),
        pytest.param("PT four (4) times weekly for two (2) weeks", (4, 4, "week"), (2, 2, "weeks"), id="echo"),
        pytest.param("PT 3x/wk x 5 wks", (3, 3, "week"), (5, 5, "weeks"), id="short"),
        pytest.param("PT 2 x week x 5 weeks", (2, 2, "week"), (5, 5, "weeks"), id="x week"),
        pytest.param("Massage 2x5", (2, 2, "week"), (5, 5, "weeks"), id="grid"),
        pytest.param("Massage 1-2 x 5-6 weeks", (1, 2, "week"), (5, 6, "weeks"), id="grid of ranges"),
        pytest.param("PT, elbow, 3x per week x 5", (3, 3, "week"), (5, 5, "weeks"), id="weeks implied"),
        pytest.param("Psychotherapy twice weekly", (2, 2, "week"), None, id="twice"),
        pytest.param(
            "Aide 5 hours/day, 6 days/week x 3 weeks", (6, 6, "week"), (3, 3, "weeks"), id="hours are no times"
        ),
        pytest.param("Daily LVN for 2 weeks", (1, 1, "day"), (2, 2, "weeks"), id="daily"),
        pytest.param("Etodolac 400mg b.i.d. for 14 days", (2, 2, "day"), (14, 14, "days"), id="code"),
        pytest.param("Etodolac 400mg q 6-8 hours", (3, 4, "day"), None, id="interval in hours"),
        pytest.param("Labs every 2 years", (0.5, 0.5, "year"), None, id="interval in years"),
        pytest.param("Motrin 800mg three times a day", (3, 3, "day"), None, id="a day"),
        pytest.param("Follow-up monthly", (1, 1, "month"), None, id="monthly"),
        pytest.param("Scooter for a 4 month rental", None, (4, 4, "months"), id="rental"),
        pytest.param("H-wave, 45-day trial", None, (45, 45, "days"), id="trial"),
        pytest.param("one month supply of Requip", None, (1, 1, "months"), id="supply"),
        pytest.param("Opana ER 5mg #30 day supply: 15", None, (15, 15, "days"), id="supply named"),
        pytest.param("Inpatient rehabilitation 5-8 days", None, (5, 8, "days"), id="days"),
        pytest.param("Gym membership for a year", None, (1, 1, "years"), id="a year"),
        pytest.param("Follow-up in 6 weeks", None, None, id="a point in time"),
        pytest.param("Gauze 2 x 2", None, None, id="a measure"),
        pytest.param("Patch, 8 hours on 16 hours off", None, None, id="hours"),
    ],
)
def test_read_request_frequency_and_duration(treatment, frequency, duration):
    request = read_request(treatment)
    assert (request.frequency and request.frequency.value) == (frequency and Frequency(*frequency))
    assert (request.duration and request.duration.value) == (duration and Duration(*duration))


@pytest.mark.parametrize(
    ("treatment", "amounts", "unit"),
    [
        pytest.param("Percocet 7.5/325mg", (7.5, 325), "mg", id="combination"),
        pytest.param("Percocet 5/325 #30", (5, 325), "mg", id="combination without unit"),
        pytest.param("Dolex 32.5/20/10 mg", (32.5, 20, 10), "mg", id="three parts"),
        pytest.param("Baclofen 4%, Menthol 3%", (4,), "%", id="first of a compound"),
        pytest.param("Capsaicin .05%", (0.05,), "%", id="no leading nought"),
        pytest.param("Medrelix 25mg/ml solution", (25,), "mg/ml", id="per volume"),
        pytest.param("Medrelix (25mg/1ml)", (25,), "mg/ml", id="per one volume"),
        pytest.param("Butrans 15 mcg/hour", (15,), "mcg/hr", id="per hour"),
        pytest.param("Vitamin D 5,000 IU", (5000,), "iu", id="thousands"),
        pytest.param("Botox 100 units", (100,), "units", id="units"),
        pytest.param("Hydrocodone 10mg/325mg", (10, 325), "mg", id="unit twice"),
    ],
)
def test_read_request_dose(treatment, amounts, unit):
    assert read_request(treatment).dose.value == Dose(amounts, unit)


@pytest.mark.parametrize(
    "treatment",
    [
        pytest.param("Diclofenac gel 100 grams", id="size"),
        pytest.param("EKG 1/5/2016", id="date"),
        pytest.param("MRI 1.5 Tesla", id="tesla"),
        pytest.param("30-40 mmHg stockings", id="pressure"),
    ],
)
def test_read_request_leaves_sizes_out_of_the_dose(treatment):
    assert read_request(treatment).dose is None


@pytest.mark.parametrize(
    ("treatment", "regions", "side"),
    [
        pytest.param("MRI of neck and left foot", ("neck", "foot"), "left", id="two regions"),
        pytest.param(
            "PT for the lumbar and cervical spine", ("lumbar spine", "cervical spine"), None, id="shared noun"
        ),
        pytest.param("X-ray both ankles", ("ankle",), "bilateral", id="both"),
        pytest.param("EMG BLE", ("lower extremity",), "bilateral", id="abbreviation"),
        pytest.param("PT right wrist/hand, right wrist", ("wrist", "hand"), "right", id="each once"),
        pytest.param("Left and right elbow splints", ("elbow",), "bilateral", id="left and right"),
        pytest.param("Left elbow and right elbow splints", ("elbow",), "left", id="the first side"),
        pytest.param("CT of the lumbosacral spine", ("lumbosacral spine",), None, id="longer region"),
        pytest.param("Hand surgeon consultation", (), None, id="specialist"),
        pytest.param("Knee walker rental", (), None, id="device with a region's name"),
    ],
)
def test_read_request_regions_and_side(treatment, regions, side):
    request = read_request(treatment)
    assert tuple(found.value for found in request.regions) == regions
    assert (request.side and request.side.value) == side


@pytest.mark.parametrize(
    ("treatment", "timing", "words", "dates"),
    [
        pytest.param("Retrospective EKG", "retrospective", "Retrospective", (), id="printed"),
        pytest.param("Prospective request for labs", "prospective", "Prospective", (), id="prospective"),
        pytest.param("EKG, DOS: 4/5/16", "retrospective", "DOS: 4/5/16", (date(2016, 4, 5),), id="by its date"),
        pytest.param("Retro: EKG (DOS 04-05-2016)", "retrospective", "Retro", (date(2016, 4, 5),), id="hyphens"),
        pytest.param("Retro EKG 4/5/16", "retrospective", "Retro", (date(2016, 4, 5),), id="retro with a date"),
        pytest.param("Retro Soma, per 4/5/2016 order", "retrospective", "Retro", (), id="an order's date"),
        pytest.param("EKG date of service April 5, 2016", "retrospective", None, (date(2016, 4, 5),), id="in words"),
        pytest.param(
            "Labs DOS 4/5/16, 5/6/16 and 6/7/16",
            "retrospective",
            "DOS 4/5/16",
            (date(2016, 4, 5), date(2016, 5, 6), date(2016, 6, 7)),
            id="a list",
        ),
        pytest.param("PT DOS 4/5/16-5/6/16", "retrospective", None, (date(2016, 4, 5), date(2016, 5, 6)), id="a range"),
        pytest.param("EKG DOS 13/45/2016", None, None, (), id="no date"),
        pytest.param("EKG 4/5/2016", None, None, (), id="unsaid date"),
    ],
)
def test_read_request_timing_and_dates(treatment, timing, words, dates):
    request = read_request(treatment)
    assert (request.timing and request.timing.value) == timing
    assert tuple(found.value for found in request.dates_of_service) == dates
    if words:
        assert treatment[request.timing.start_char : request.timing.end_char] == words


PIECES = st.sampled_from(
    ["physical therapy", "pre-op", "MRI", "2x4", " ", "#60", "x ", "12", "(8)", "visits", "a week", "for", "10/325mg", "DOS:",
     "1/2/16", "every", "left", "lumbar", "twelve", "İ", "é", ",", "/", "-", "q8h", "units", "retro", "٣", "evaluation"]
)  # fmt: skip


@given(st.text(max_size=80) | st.lists(PIECES, max_size=12).map("".join) | st.lists(PIECES, max_size=12).map(" ".join))
def test_read_request_offsets_index_the_treatment(treatment):
    request = read_request(treatment)
    for found in found_in(request):
        assert 0 <= found.start_char < found.end_char <= len(treatment)
    assert request.category is None or request.category.value in CATEGORIES


def test_read_request_reads_no_further_than_its_bound():
    assert read_request(" " * MAX_CHARS + "MRI") == Request()


def test_phrases_are_written_as_they_are_looked_up():
    tables = (PHRASES, QUALIFIERS, GENERIC_PHRASES)
    phrases = [phrase for table in tables for phrases in table.values() for phrase in phrases]
    assert [phrase for phrase in phrases if not phrase.replace(" ", "").isalnum() or phrase != phrase.lower()] == []


def test_phrases_belong_to_one_category():
    pairs = [(phrase, kind) for table in (PHRASES, QUALIFIERS) for kind, phrases in table.items() for phrase in phrases]
    assert len({phrase for phrase, _ in pairs}) == len(pairs)


#: treatments that each pattern of an amount finds something in
AMOUNTS = (
    "visits 3 times a week, twice a month, every 4-6 hours, q8h, 2x4, two by six weeks, 2-3 x 6 wks",
    "for 6 weeks x 4 mos over a month for the next year, 30 day rental, one week supply, day supply: 30",
    "#60, # 1 box, qty: 30, quantity of 2 boxes, dispense 60, count 12, total of eight, twelve (12) visits, times 3 (10)",
    "1 shower bench; series of 3, evaluation, one, visits, 8",
)
AMOUNT_PHRASES = [(name, value) for name, value in vars(amounts).items() if isinstance(value, Phrase)]


@pytest.mark.parametrize("phrase", [pytest.param(phrase, id=name) for name, phrase in AMOUNT_PHRASES])
def test_phrase_holds_one_of_its_words(phrase: Phrase, corpus: tuple[AnnotatedLetter, ...]) -> None:
    printed = {lower_ascii(item.treatment) for letter in corpus for item in letter.items}
    found = [text for text in {*printed, *AMOUNTS} if phrase.pattern.search(text)]
    assert found
    assert [text for text in found if not phrase.may_stand_in(text)] == []
    # once and a month need no number
    assert [text for text in found if not holds_number(text) and phrase not in {amounts.ONCE_A, amounts.FOR_A}] == []


@pytest.mark.parametrize(
    "treatment", ["Norco for ten days", "THIRTEEN visits", "Cane, one", "x2", "forty-eight tablets"]
)
def test_holds_number_knows_every_number(treatment: str) -> None:
    assert holds_number(lower_ascii(treatment))


def test_read_request_ignores_case_of_ascii_letters_alone() -> None:
    assert read_request("PHYSICAL THERAPY 2 TIMES A WEEK") == read_request("physical therapy 2 times a week")
    # a Kelvin sign is no k
    assert read_request("2 times a wee\u212a").frequency is None
