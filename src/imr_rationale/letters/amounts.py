"""The words of a treatment -> how many, how often, how long, how strong.

Here and in the modules beside it a treatment's text is in lower case: patterns are twice as fast that need not ignore
case.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType

from imr_rationale.labels import Category
from imr_rationale.letters.folding import Phrase
from imr_rationale.letters.terms import NUMBERS, UNITS
from imr_rationale.records import Dose, Duration, Found, Frequency, Quantity

__all__ = [
    "FLAGS",
    "find_strength",
    "holds_number",
    "read_dose",
    "read_duration",
    "read_frequency",
    "read_quantity",
    "search_before",
]

#: the words before a number or date that say what it is, as in "retrospective date of service: "
MAX_CUE = 30
FLAGS = re.ASCII

#: the number words that no other is part of: a text without them and without a numeral holds no number
STEMS = tuple(word for word in NUMBERS if not any(other in word for other in NUMBERS if other != word))
# "60"
NUMERAL_RE = re.compile(r"[0-9]")
WORDS = "|".join(sorted((word.replace(" ", "[ -]") for word in NUMBERS), key=len, reverse=True))
NUMBER = rf"(?:[0-9]{{1,4}}(?:\.[0-9]{{1,2}})?|(?:{WORDS})(?![a-z]))"
ECHO = r"(?: ?\((?:[0-9]{1,3}|[a-z]{3,12})\))?"
RANGE = rf"(?<![\w.#/-])(?P<low>{NUMBER}){ECHO}(?: ?(?:-|–|to|or) ?(?P<high>{NUMBER}){ECHO})?"
PERIOD = r"days?|weeks?|wks?|months?|mos?|years?|yrs?"
#: parts of these words, of which every period holds one
PERIOD_WORDS = ("day", "daily", "week", "wk", "mo", "year", "yr", "quarter")
SIZE = r"(?:g|gms?|gr|grams?|ml|cc|mgs?|mcg|oz|%|l|lbs?|cm|mm|inch(?:es)?)(?![a-z])"

# "10/325mg", "0.025%", "15 mg/ml", "10mcg/hr", "10mg/325mg"
DOSE_RE = re.compile(
    r"(?<![\w./])(?P<amounts>(?:[0-9][0-9,]{0,6})?(?:\.[0-9]{1,4}|(?<=[0-9]))"
    r"(?: ?(?:mg)? ?[/-] ?[0-9]{1,5}(?:\.[0-9]{1,4})?){0,4}) {0,2}-?"
    r"(?P<unit>mgs?|milligrams?|mcgs?|ug|µg|micrograms?|meq|iu|%)(?![a-z])"
    r"(?: {0,1}/ {0,1}(?:1 ?)?(?P<rate>[0-9]{0,2} ?(?:ml|cc|hours?|hrs?|h|actuation|spray))(?![a-z]))?",
    FLAGS,
)
# "Norco 10/325 #60"
BARE_DOSE_RE = re.compile(r"(?<![\w./-])(?P<amounts>[0-9]{1,2}(?:\.[0-9]{1,2})?/[2-9][0-9]{2})(?![\w./%-])", FLAGS)
# "Botox 155 units"
UNITS_RE = re.compile(r"(?<![\w./-])(?P<amounts>[0-9][0-9,]{0,6}) {0,2}(?P<unit>units?)(?![a-z])", FLAGS)
AMOUNT_RE = re.compile(r"[0-9][0-9,]{0,6}(?:\.[0-9]{1,4})?|\.[0-9]{1,4}")

# "3 times a week", "1-2x/wk", "three visits per week", "5 days/week", "2 times weekly", "2 per week"
TIMES = Phrase(
    re.compile(
        RANGE
        + r" {0,2}(?:(?:times?|x|visits?|sessions?|treatments?|days?|nights?)(?: ?(?:an?|per|each|every|/))?|an?|per|/)"
        r" ?(?P<per>day|daily|week|weekly|wk|month|monthly|mo|year|yearly|yr|quarter)(?![a-z])",
        FLAGS,
    ),
    PERIOD_WORDS,
)
# "twice a day", "once weekly"
ONCE_A = Phrase(
    re.compile(
        r"\b(?P<low>once|twice|thrice)(?: ?(?:an?|per|each|every|/))? ?"
        r"(?P<per>day|daily|week|weekly|wk|month|monthly|mo|year|yearly|yr|quarter)(?![a-z])",
        FLAGS,
    ),
    ("once", "twice", "thrice"),
)
# "every 4-6 hours", "q8h", "every 3 months"
EVERY = Phrase(
    re.compile(
        rf"\b(?:every|q) ?(?P<low>{NUMBER})(?: ?(?:-|to) ?(?P<high>{NUMBER}))? ?"
        rf"(?P<per>h|hrs?|hours?|{PERIOD})(?![a-z])",
        FLAGS,
    ),
    ("every", "q"),
)
# "2x4", "2-3 x 6 weeks", "two times four"
GRID = Phrase(
    re.compile(
        rf"{RANGE} ?(?:x|times|by) ?(?P<low2>{NUMBER}){ECHO}(?: ?- ?(?P<high2>{NUMBER}))?"
        r"(?P<unit> ?(?:weeks?|wks?)(?![a-z]))?"
        r"(?![\w/.%]|-[a-z0-9]| ?(?:days?|months?|visits?|sessions?|hours?|inch|cm|mg)(?![a-z]))",
        FLAGS,
    ),
    ("x", "times", "by"),
)
# "b.i.d.", "qhs", "at bedtime"
CODE_RE = re.compile(
    r"\b(?P<code>b\.i\.d|t\.i\.d|q\.i\.d|q\.d|bid|tid|qid|qd|qday|qhs|qam|qpm|qod|at bedtime|nightly|every other day|"
    r"(?:every|each) (?:day|night|week|month|year)|daily|weekly|monthly|quarterly|yearly|annually)\b",
    FLAGS,
)
CODES: Mapping[str, tuple[float, str]] = MappingProxyType(
    {
        "bid": (2, "day"), "tid": (3, "day"), "qid": (4, "day"), "qod": (0.5, "day"), "every other day": (0.5, "day"),
        "weekly": (1, "week"), "every week": (1, "week"), "each week": (1, "week"), "monthly": (1, "month"),
        "every month": (1, "month"), "each month": (1, "month"), "quarterly": (4, "year"), "yearly": (1, "year"),
        "annually": (1, "year"), "every year": (1, "year"), "each year": (1, "year"),
    }
)  # fmt: skip
#: letter that begins a period's word -> the period
PERIODS: Mapping[str, str] = MappingProxyType(
    {"d": "day", "w": "week", "m": "month", "y": "year", "q": "quarter", "h": "hour"}
)
ONCE: Mapping[str, int] = MappingProxyType({"once": 1, "twice": 2, "thrice": 3})

# "for 6 weeks", "x 4 wks", "times three weeks", "over a two week period"
FOR = Phrase(
    re.compile(
        rf"(?<![a-z])(?:for|x|×|times|over|during|duration:?)(?: an?| the| another| additional| up to)? ?"
        rf"(?P<low>{NUMBER}){ECHO}(?: ?(?:-|–|to|or) ?(?P<high>{NUMBER}){ECHO})?(?: additional| more)?[ -]?"
        rf"(?P<unit>{PERIOD})(?![a-z])",
        FLAGS,
    ),
    PERIOD_WORDS,
)
# "for a month"
FOR_A = Phrase(
    re.compile(rf"\b(?:for|over) (?P<low>a|an|the next) (?P<unit>{PERIOD})(?![a-z])", FLAGS), ("for ", "over ")
)
# "30 day rental", "7-10 days", "one month supply"
SPAN = Phrase(re.compile(rf"{RANGE}(?: additional| more)?[ -]?(?P<unit>{PERIOD})(?![a-z])", FLAGS), PERIOD_WORDS)
# "day supply: 30"
SUPPLY = Phrase(
    re.compile(rf"\b(?P<unit>{PERIOD})[ '-]{{0,2}}supply[: =]{{1,3}}(?P<low>[0-9]{{1,3}})(?![\w.])", FLAGS), ("supply",)
)
# a span that is a rate or a point in time: "every 3 months", "in 6 weeks", "5 days a week", "6 weeks post-op"
NO_SPAN_BEFORE_RE = re.compile(r"(?:\b(?:every|per|q|in|within|each|after|past|last)|/) ?\Z", FLAGS)
NO_SPAN_AFTER_RE = re.compile(
    r" {0,2}(?:/|post|(?:per|an?|each|ago|old|prior|after|later|weekly|wk|week|from|apart)\b)", FLAGS
)
# "2x/week x 6": the weeks go without saying
IMPLIED_RE = re.compile(
    rf",? {{0,2}}(?:x|times|for) ?(?P<low>{NUMBER})(?![\w./%-]| ?(?:{PERIOD}|visits?|sessions?|treatments?|hours?)\b)",
    FLAGS,
)

UNIT = "|".join(sorted(UNITS, key=len, reverse=True))
NO_GAP = (
    r"(?:of|for|per|an?|every|each|times?|x|to|and|with|by|in|on|or|the|than|post(?![- ]?(?:op|surg))|mgs?|levels?|"
    rf"views?|leads?|panel|phase|tesla|hours?|hrs?|minutes?|mins?|refills?|{PERIOD}|{SIZE})(?![a-z])"
)
# "#60", "# 1 box"
HASH = Phrase(
    re.compile(
        rf"# {{0,2}}(?P<number>[0-9]{{1,2}},[0-9]{{3}}|[0-9]{{1,4}}(?:\.00?)?)(?![0-9]|[.,][0-9]| {{0,2}}-?{SIZE})"
        rf"(?: {{0,2}}(?P<unit>{UNIT})(?:e?s)?(?![a-z]))?",
        FLAGS,
    ),
    ("#",),
)
# "Qty: 30", "quantity of 2 boxes", "dispense 60"
NAMED = Phrase(
    re.compile(
        rf"\b(?:qty|quantity|quantities|dispense|disp|count|total of)\b[.:=# ]{{0,4}}(?:of )?(?P<number>{NUMBER})"
        rf"(?![\w]|[.,][0-9]| {{0,2}}-?{SIZE})(?: {{0,2}}(?P<unit>{UNIT})(?:e?s)?(?![a-z]))?",
        FLAGS,
    ),
    ("qty", "quantit", "disp", "count", "total of"),
)
# "12 sessions", "twelve (12) visits", "Eight physical therapy sessions", "6 to 8 visits"
COUNT = Phrase(
    re.compile(
        rf"(?<![\w.#/$-])(?:{NUMBER}(?: ?- ?| to | or ))?(?P<number>{NUMBER}){ECHO}"
        rf"(?:[ -](?!{NO_GAP})[a-z][a-z/'.-]{{0,24}}){{0,5}}? {{0,2}}-?(?<![a-z])(?P<unit>{UNIT})(?:e?s)?(?![a-z])",
        FLAGS,
    ),
    tuple(UNITS),
)
# "x 12", "times 3"; "two times four" is read to be passed over
TIMES_N = Phrase(
    re.compile(
        rf"(?<![\w#./-]){NUMBER}{ECHO} ?(?:x|times) ?{NUMBER}"
        rf"|(?<![\w])(?:x|×|times) {{0,2}}(?P<number>{NUMBER}){ECHO}(?![\w/%-]|[.,][0-9]"
        rf"| {{0,2}}-?(?:{PERIOD}|hours?|hrs?|minutes?|mins?|refills?|levels?|views?|{SIZE})(?![a-z]))",
        FLAGS,
    ),
    ("x", "times", "×"),
)
# "two times five visits (10)"
PAREN = Phrase(
    re.compile(
        rf"\( ?(?P<number>[0-9]{{1,3}}) ?\)(?! ?(?:times?|x|{PERIOD}|hours?|per|an?|to|{SIZE})(?![a-z]))", FLAGS
    ),
    ("(",),
)
# "1 shower bench", "purchase of one cane", "series of 3"
LEADING = Phrase(
    re.compile(
        r"(?:\A|(?<=request for )|(?<=purchase of )|(?<=rental of )|(?<=series of )|(?<=course of ))"
        rf"(?P<number>{NUMBER}){ECHO}"
        rf"(?=[,.)]|\Z| (?!{NO_GAP}|(?:{UNIT})(?:e?s)?(?![a-z])|additional (?:{PERIOD}))[a-z])",
        FLAGS,
    ),
    ("",),  # stands at the beginning of any text
)
# "Psychological evaluation, one", "office visits, 8", "nerve studies of both arms, 2"
TRAILING = Phrase(
    re.compile(
        r"(?:[,(] ?(?=[a-z])|(?:visits|sessions), (?=[0-9])|(?<=[a-z]{4}), (?=[0-9]{1,2}\Z))"
        rf"(?P<number>{WORDS}|[0-9]{{1,3}})(?= ?(?:\Z|[),;.]))",
        FLAGS,
    ),
    (",", "("),
)
# "240g", "120 grams", "420 ml": what a cream or syrup is dispensed by; "25mg/5ml" is a strength
SIZE_QUANTITY_RE = re.compile(
    r"(?<![\w./-])(?P<number>[0-9]{1,4}(?:\.[0-9]{1,2})?) ?-?(?P<unit>gms?|grams?|gr|g|ml|cc|oz)(?![a-z/])", FLAGS
)
#: printed unit -> unit of a quantity
SIZES: Mapping[str, str] = MappingProxyType({"g": "g", "m": "ml", "c": "ml", "o": "oz"})
QUANTITIES = (HASH, NAMED, COUNT, TIMES_N, PAREN, LEADING, TRAILING)
# "take 1 tab", "Tylenol #3", "tooth #9", "2 x 4": the number before is no quantity
NO_QUANTITY_BEFORE_RE = re.compile(
    rf"(?:\b(?:take|takes|taking|use|apply|inject|tooth|teeth|implant|codeine|tylenol|every|q|max)"
    rf"|(?<![\w#])(?:{NUMBER}){ECHO} ?(?:x|times)) {{0,2}}\Z",
    FLAGS,
)
# "2 tablets daily", "3 visits per week"
NO_QUANTITY_AFTER_RE = re.compile(
    r" {0,2}(?:per\b|an? (?:day|week|month|year)|each\b|/|weekly\b|daily\b|monthly\b|every\b|by mouth|orally|po\b|p\.o|"
    r"q[0-9a-z]{1,3}\b|bid\b|tid\b|once\b|at bedtime)",
    FLAGS,
)
#: categories whose requests count visits, so that "2x4" means times a week and weeks
VISITS = frozenset(
    {"Rehabilitation", "Therapies", "Psych Services", "Programs", "Home Health", "Adjunct Surgical Services"}
)
#: categories of drugs, so that "155 units" is a dose
STRONG = frozenset({"Pharmaceuticals", "Injection"})
#: categories that count hours: "80 hours" of a program
HOURLY = frozenset({"Programs", "Psych Services"})


def holds_number(text: str) -> bool:
    """Say whether a text may hold a number, without which there is no quantity, dose or date in it."""
    return NUMERAL_RE.search(text) is not None or any(word in text for word in STEMS)


def search_before(pattern: re.Pattern[str], text: str, end: int) -> re.Match[str] | None:
    """Search the few characters before `end` for a pattern that ends there."""
    return pattern.search(text, max(0, end - MAX_CUE), end)


def _number(word: str) -> float:
    """Give the number that a word or numeral says.

    Examples
    --------
    >>> _number("Twenty-four"), _number("2.5"), _number("a")
    (24.0, 2.5, 1.0)
    """
    word = word.lower().replace(",", "")
    return float(word) if word[0].isdigit() else float(NUMBERS.get(word, NUMBERS.get(word.replace("-", " "), 1)))


def _bounds(low: str, high: str | None) -> tuple[float, float]:
    first = _number(low)
    second = _number(high) if high else first
    return min(first, second), max(first, second)


def read_frequency(text: str, category: Category | None, *, numbered: bool) -> Found[Frequency] | None:
    """Read how often: "3 times a week", "q8h", and "2x4" where visits are counted."""
    readers = (
        ((TIMES, _make_times), (ONCE_A, _make_once), (EVERY, _make_every)) if numbered else ((ONCE_A, _make_once),)
    )
    for phrase, make in readers:
        match = phrase.search(text)
        if match:
            return Found(make(match), match.start(), match.end())
    grid = _find_grid(text, category) if numbered else None
    if grid:
        return Found(Frequency(*_bounds(grid["low"], grid["high"]), "week"), grid.start(), grid.end())
    code = CODE_RE.search(text)
    return Found(_make_code(code), code.start(), code.end()) if code else None


def _make_times(match: re.Match[str]) -> Frequency:
    return Frequency(*_bounds(match["low"], match["high"]), PERIODS[match["per"][0].lower()])


def _make_once(match: re.Match[str]) -> Frequency:
    times = float(ONCE[match["low"].lower()])
    return Frequency(times, times, PERIODS[match["per"][0].lower()])


def _make_every(match: re.Match[str]) -> Frequency:
    """Turn an interval into times: every 4 to 6 hours is 4 to 6 times a day."""
    low, high = (max(bound, 1.0) for bound in _bounds(match["low"], match["high"]))
    period = PERIODS[match["per"][0].lower()]
    scale, per = (24.0, "day") if period == "hour" else (1.0, period)
    return Frequency(scale / high, scale / low, per)


def _make_code(match: re.Match[str]) -> Frequency:
    times, per = CODES.get(match["code"].lower().replace(".", ""), (1, "day"))
    return Frequency(float(times), float(times), per)


def _find_grid(text: str, category: Category | None) -> re.Match[str] | None:
    """Find "2x4" where it means times a week and weeks."""
    if not GRID.may_stand_in(text):
        return None
    matches = (match for match in GRID.pattern.finditer(text) if match["unit"] or category in VISITS)
    return next((match for match in matches if _number(match["low"]) <= 7), None)


def read_duration(text: str, category: Category | None, *, numbered: bool) -> Found[Duration] | None:
    """Read for how long: "for 6 weeks", "30 day rental"."""
    grid = _find_grid(text, category) if numbered else None
    if grid:
        return Found(Duration(*_bounds(grid["low2"], grid["high2"]), "weeks"), grid.start(), grid.end())
    for phrase in (FOR, FOR_A, SUPPLY, SPAN) if numbered else (FOR_A,):
        matches = phrase.pattern.finditer(text) if phrase.may_stand_in(text) else iter(())
        match = next((match for match in matches if _is_span(text, match)), None)
        if match:
            return Found(_make_duration(match), match.start(), match.end())
    return _read_implied(text) if numbered else None


def _is_span(text: str, match: re.Match[str]) -> bool:
    before = search_before(NO_SPAN_BEFORE_RE, text, match.start())
    return before is None and NO_SPAN_AFTER_RE.match(text, match.end()) is None


def _make_duration(match: re.Match[str]) -> Duration:
    high = match["high"] if "high" in match.re.groupindex else None
    return Duration(*_bounds(match["low"], high), PERIODS[match["unit"][0].lower()] + "s")


def _read_implied(text: str) -> Found[Duration] | None:
    times = TIMES.search(text) or ONCE_A.search(text)
    match = IMPLIED_RE.match(text, times.end()) if times else None
    if times is None or match is None:
        return None
    low, high = _bounds(match["low"], None)
    return Found(Duration(low, high, PERIODS[times["per"][0].lower()] + "s"), times.start(), match.end())


def read_quantity(text: str, category: Category | None, duration: Found[Duration] | None) -> Found[Quantity] | None:
    """Read how many: "#60", "12 visits"; of a drug without a number its weight or volume."""
    for phrase in QUANTITIES:
        for match in phrase.pattern.finditer(text) if phrase.may_stand_in(text) else ():
            if _is_quantity(text, match, category) and not _overlaps(match, duration):
                return Found(_make_quantity(match), match.start(), match.end())
    size = SIZE_QUANTITY_RE.search(text) if category == "Pharmaceuticals" else None
    if size is None:
        return None
    return Found(Quantity(float(size["number"]), SIZES[size["unit"][0].lower()]), size.start(), size.end())


def _overlaps(match: re.Match[str], found: Found[Duration] | None) -> bool:
    return found is not None and match.start() < found.end_char and found.start_char < match.end()


def _is_quantity(text: str, match: re.Match[str], category: Category | None) -> bool:
    unit = _unit(match)
    if (
        match["number"] is None
        or (unit == "units" and category in STRONG)
        or (unit == "hours" and category not in HOURLY)
    ):
        return False
    before = search_before(NO_QUANTITY_BEFORE_RE, text, match.start())
    return before is None and NO_QUANTITY_AFTER_RE.match(text, match.end()) is None


def _unit(match: re.Match[str]) -> str | None:
    printed = match["unit"] if "unit" in match.re.groupindex else None
    return UNITS[printed.lower()] if printed else None


def _make_quantity(match: re.Match[str]) -> Quantity:
    return Quantity(_number(match["number"]), _unit(match))


def read_dose(text: str, category: Category | None) -> Found[Dose] | None:
    """Read how strong: "10/325mg", "5%"."""
    match = DOSE_RE.search(text)
    if match is None and category in STRONG:
        match = BARE_DOSE_RE.search(text) or UNITS_RE.search(text)
    if match is None:
        return None
    amounts = tuple(float(amount.replace(",", "")) for amount in AMOUNT_RE.findall(match["amounts"]))
    return Found(Dose(amounts, _dose_unit(match)), match.start(), match.end())


def _dose_unit(match: re.Match[str]) -> str:
    """Give the unit in one spelling: "mg", "mcg/hr", "mg/5ml"."""
    groups = match.groupdict()
    unit = (groups.get("unit") or "mg").lower()
    rate = (groups.get("rate") or "").lower().replace(" ", "")
    if unit.startswith(("mc", "mic", "ug", "µ")):
        unit = "mcg"
    elif unit.startswith("m") and unit != "meq":
        unit = "mg"
    elif unit.startswith("unit"):
        unit = "units"
    return f"{unit}/{'hr' if rate.lstrip('0123456789').startswith('h') else rate}" if rate else unit


def find_strength(text: str) -> re.Match[str] | None:
    """Find the first strength that is printed with its unit."""
    return DOSE_RE.search(text)
