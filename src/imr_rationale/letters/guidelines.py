"""How guidelines are named in a guideline line, as patterns and tables."""

import re
from collections.abc import Mapping
from types import MappingProxyType

from imr_rationale.labels import GuidelineBody
from imr_rationale.letters.folding import Phrase

__all__ = [
    "ADDRESS",
    "AFTER",
    "ATTACHED",
    "BODIES",
    "CHAPTER_WORD_RE",
    "EDGE_RE",
    "EMPTY_RE",
    "INHERITING",
    "JOINT_RE",
    "LINKED",
    "MARK_RE",
    "MARK_WORDS",
    "MASK",
    "NOISE",
    "NONE",
    "OPENERS",
    "OUTSIDE",
    "PAGES",
    "PAREN_RE",
    "REGULATION",
    "REVERSED_EDGE_RE",
    "SECTION_RE",
    "SEPARATORS",
    "SPACE_RE",
    "TITLE_RE",
    "UNMARKED",
    "WORD_RE",
    "YEAR",
]

#: stands for each character of an aside, so that offsets stay
MASK = "\0"
SEPARATORS = " ,;.:/–&-"

_YEAR = r"(?:19|20)\d\d"
_SUBJECT = r"(?:The )?\b(?:Claims Administrator|(?:MAXIMUS |Expert |Physician |Medical |Professional )?Reviewer)"
_DECISION = r"(?:its|his/her|his|her|their|the) decisions?"
_MTUS = r"\b(?:(?:CA|California)[ -])?(?:Medical Treatment Utilization Schedule|MTUS)\b(?: Guidelines?\b)?"
_ODG = r"\b(?:Official Disability(?: Guidelines?)?|ODG)\b(?: Guidelines?\b)?"
_ACOEM = (
    r"\b(?:American College of Occupational (?:and|&) Environmental Medicine|ACOEM)\b"
    rf"(?:(?:'s)?(?:[ {MASK}]{{1,9}}Occupational Medicine)?(?:[ {MASK}]{{1,9}}Practice)?[ {MASK}]{{1,9}}Guidelines?)?"
)
_LABEL = r"\bOther (?:Medical )?(?:Treatment )?Guidelines?(?: or Medical Evidence)?|\bOther(?= ?:)"
_PART = (
    r"(?:Neck|Shoulder|Elbow|Forearm|Wrist|Hand|(?:Low |Lower |Upper )?Back|Hip|Groin|Knee|Leg|Ankle|Foot|Eye|Pelvis)s?"
)
_REGION = (
    rf"(?:(?:Forearm,? Wrist,? (?:and |& )?Hand|Hand,? Wrist,? (?:and |& )?Forearm|Cervical (?:and|&) Thoracic Spine"
    rf"|{_PART}(?:(?: and | & |/){_PART})?)\b)"
)
#: chapters of ACOEM that the MTUS adopts
_COMPLAINTS = rf"(?:{_REGION} (?:Complaints|Disorders)(?: Guidelines?)?|Stress[- ]Related Conditions)"
_GENERAL = (
    r"(?:General Approach(?:es)?(?: to Initial Assessment and Documentation)?|Initial Approaches to Treatment"
    r"|Cornerstones of Disability Prevention and Management|Pain, Suffering,? and the Restoration of Function)"
)
#: guidelines of the MTUS itself
_GUIDELINE = r"(?:Chronic Pain|Opioids?|Acupuncture|Post-?surgical|Traumatic Brain Injury)(?: Medical)?(?: Treatment)?"
_CHAPTER = (
    rf"(?:{_REGION}|Pain|Head|Preface|Fitness for Duty|Mental Illness(?: (?:and|&) Stress)?|Carpal Tunnel Syndrome"
    r"|Hernia|Diabetes|Pulmonary|Infectious Diseases?|Burns|Lumbar (?:and|&) Thoracic)"
)
#: how other sources begin, for where one follows a guideline
_OTHER = (
    r"(?:American|National|U\.?S\.?|California|Centers? for|Cochrane|Agency for|Department of|Goodman|Mosby|Mayo Clinic"
    r"|Physicians?'? Desk|Drugs\.com|RxList|(?-i:J [A-Z])[a-z]*|Journal of|New England|Labor Code|peer[- ]reviewed"
    r"|\d{1,2} CFR|FDA|CMS|Medicare|PubMed|Medscape|MedlinePlus|UpToDate|WebMD|MD ?Guidelines|Milliman|MCG|InterQual"
    r"|Aetna|Cigna|Blue Cross|Sanford"
    r"|(?-i:AAO|AAOS|ACC|ACG|ACR|ADA|AHA|AHRQ|AMA|AUA|CDC|JNC|NICE|NIH|PDR|USPSTF|VA/DoD))\b"
)
_CODE = r"9792(?:\.\d{1,2}){1,3}(?:\([a-z0-9]{1,4}\)){0,4}"
_EDITION = r"\b(?:\d{1,2}(?:st|nd|rd|th)|first|second|third)(?: Annual)? (?:edition\b|ed\b\.?)"
_REGULATION = (
    rf"(?:\b8,? (?:C\.?C\.?R\.?|Cal\.? Code Regs?\.?),? ?(?:§{{1,2}} ?|Sections? )?)?\b{_CODE}"
    rf"(?: ?(?:[-–]|to|and|&) ?{_CODE}){{0,3}}"
)
_PAGE = r"\d{1,4}(?:\s?[-–]\s?\d{1,4})?"


def _compile(*alternatives: str) -> re.Pattern[str]:
    return re.compile("|".join(alternatives), re.IGNORECASE)


# "(" of "Official Disability Guidelines (ODG)"
PAREN_RE = re.compile(r"[()]")
# "\n" of "Section(s):\n3. Opioids"
SPACE_RE = re.compile(r"[^\S ]")
# "(, )" and ", ," where an edition stood
EMPTY_RE = re.compile(r"\(\s?[,;]?\s?\)|,\s?(?=[,;)])|\s(?=[,;])")
# "Hip & Pelvis chapter"
CHAPTER_WORD_RE = re.compile(r" (?:chapters?|section)\Z", re.IGNORECASE)
# "The Claims Administrator based their decision on recommendation(s) outside of the MTUS Guidelines", "MTUS is silent"
OUTSIDE = Phrase(
    _compile(
        rf"(?:{_SUBJECT} )?\b(?:based {_DECISION} on (?:recommendation(?:\(s\)|s)? )?outside (?:of )?(?:the )?MTUS\b"
        rf"|(?:did not base {_DECISION}|not based) on the MTUS\b)(?: Guidelines?)?",
        rf"(?:{_SUBJECT} )?(?:found )?(?:that )?\bno section of the MTUS (?:(?:was|is) )?applicable[^.;,]{{0,80}}",
        r"\b(?:outside (?:of )?|not (?:addressed|covered) (?:by|in) )(?:the )?MTUS\b(?: Guidelines?)?",
        r"(?:The )?\bMTUS(?: Guidelines?)?(?:,? and (?:the )?(?:ACOEM|ODG))?"
        r" (?:(?:(?:is|are) )?silent|(?:was|were|is|are) not applicable"
        r"|(?:did|does|do) not (?:address|apply|contain|cover|discuss))[^.;,]{0,80}",
    ),
    ("outside", "not ", "no section", "silent"),
)
# "The Expert Reviewer did not cite any medical evidence for its decision", "No MTUS, ACOEM or ODG guideline was cited"
NONE = Phrase(
    _compile(
        rf"(?:{_SUBJECT} )?\b(?:did not|failed to) cite\b[^.;]{{0,120}}",
        r"\bNo [^.;]{0,120}\b(?:cited|stated|provided)\b",
        r"\b(?:Guideline|Citation)s? not (?:specified|cited|stated|provided)\b",
        r"\A(?:None|N/?A|Not (?:cited|stated|provided|applicable))\b[^;]{0,40}\Z",
    ),
    ("not ", "failed to", "no ", "none", "n/a", "na"),
)
# "Decision based on", "Non-MTUS Citation", "which is part of the MTUS", "ODG", "http://…", ", and Low Back Complaints"
MARK_RE = _compile(
    rf"(?P<open>\bDecisions? based (?:up)?on\b|(?:{_SUBJECT} )?\bbased {_DECISION} (?:up)?on\b"
    rf"|{_SUBJECT} (?:cited|relied (?:up)?on)\b)",
    r"(?P<unadopted>\bNon-? ?MTUS\b(?: Citations?\b)?)",
    r"(?P<part>,? ?\b(?:which|that|both)(?: is| are)? (?P<no>not )?(?:a )?part of (?:the )?MTUS)",
    rf"(?P<mtus>{_MTUS})",
    rf"(?P<odg>{_ODG})",
    rf"(?P<acoem>(?:{_EDITION} )?{_ACOEM})",
    rf"(?P<label>{_LABEL})",
    r"(?P<url>(?:\bhttps?://|\bwww\.)(?!\S{0,40}(?:odg|acoem))\S{0,500})",
    rf"(?P<complaints>\b(?:{_COMPLAINTS}|{_GENERAL}(?= {_YEAR})))",
    rf"(?P<guideline>\b{_GUIDELINE}(?: Guidelines?|(?=,? {_YEAR}))\b)",
    rf"(?P<other>\b{_OTHER})",
    rf"(?:(?<=;\s)|(?<=chapter,\s)|(?<=chapter\sand\s)|(?<=mtus\scitation\s))(?P<chapter>{_CHAPTER})"
    rf"(?= (?:chapter|[–{MASK}-])|[,:/]|\.?\Z)",
    r"(?:(?<=;\s)|(?<=\sand\s))(?P<numbered>Chapter \d{1,2})\b",
    rf"(?<=,\sand\s)(?P<dated>(?-i:[A-Z])[A-Za-z &-]{{3,60}} {_YEAR})(?=[,.;])",
)
#: the word that a mark begins with, unless it is a number or follows a word of `LINKED`: no other words are looked at
MARK_WORDS = frozenset(
    (
        # open, unadopted, part
        "decision", "decisions", "the", "claims", "maximus", "expert", "physician", "medical", "professional",
        "reviewer", "based", "non", "nonmtus", "which", "that", "both",
        # mtus, odg, acoem, label, url
        "ca", "california", "mtus", "official", "odg", "first", "second", "third", "american", "acoem", "other",
        "http", "https", "www",
        # complaints, guideline, chapter, numbered
        "forearm", "forearms", "hand", "hands", "cervical", "neck", "necks", "shoulder", "shoulders", "elbow",
        "elbows", "wrist", "wrists", "low", "lower", "upper", "back", "backs", "hip", "hips", "groin", "groins",
        "knee", "knees", "leg", "legs", "ankle", "ankles", "foot", "foots", "eye", "eyes", "pelvis", "pelviss",
        "stress", "general", "initial", "cornerstones", "pain", "chronic", "opioid", "opioids", "acupuncture", "post",
        "postsurgical", "traumatic", "head", "preface", "fitness", "mental", "carpal", "hernia", "diabetes",
        "pulmonary", "infectious", "burns", "lumbar", "chapter",
        # other
        "national", "u", "us", "center", "centers", "cochrane", "agency", "department", "goodman", "mosby", "mayo",
        "physicians", "drugs", "rxlist", "j", "journal", "new", "labor", "peer", "fda", "cms", "medicare", "pubmed",
        "medscape", "medlineplus", "uptodate", "webmd", "md", "mdguidelines", "milliman", "mcg", "interqual", "aetna",
        "cigna", "blue", "sanford", "aao", "aaos", "acc", "acg", "acr", "ada", "aha", "ahrq", "ama", "aua", "cdc",
        "jnc", "nice", "nih", "pdr", "uspstf", "va",
    )
)  # fmt: skip
#: a guideline that no table names may follow: ", and Opioid Treatment 2016"
LINKED = frozenset({"and"})
# "MTUS", "2nd"
WORD_RE = re.compile(r"\w+")
# may stand between two names of one thing: ", 2nd Edition (2004), "
JOINT_RE = _compile(rf"\A(?:[ ,:/–{MASK}-]|{_EDITION}|{_YEAR}\b|{_REGULATION}\.?|Chapter \d{{1,2}}\b|Sections?\b)*+\Z")
# the words between citations that belong to none: ", and the"; the second reads a piece backwards
EDGE_RE = re.compile(rf"(?:[{SEPARATORS}]|(?:and|the|on|or|both)\b)*", re.IGNORECASE)
REVERSED_EDGE_RE = re.compile(rf"(?:[{SEPARATORS}]|(?:dna|eht|no|ro|htob)\b)*", re.IGNORECASE)

# "http://www.drugs.com/famotidine.html"
ADDRESS = Phrase(_compile(r"(?:\bhttps?://|\bwww\.)\S{0,500}"), ("http", "www."))
# "8 C.C.R. 9792.20 - 9792.26", "8 CCR §9792.24.2", "9792.20(e)"
REGULATION = Phrase(_compile(_REGULATION), ("9792.",))
# "Page(s): 58-60 of 127", "pg. 607", "pages 308, 310"
PAGES = Phrase(
    _compile(
        rf"\b(?:pages?|pgs?|pp?)\b(?:\(s\))?[.:]{{0,2}}\s?"
        rf"(?P<value>{_PAGE}(?:(?:,|,? and|,? &)\s?(?!{_YEAR}){_PAGE}\b){{0,40}}(?: of \d{{1,4}})?)"
    ),
    ("p",),
)
# "2004", "(2004)", "(May 2009)", "(August 1, 2016)"; not the year of "11/23/2016"
YEAR = Phrase(
    _compile(
        rf"\(?(?:\b[A-Z][a-z]{{2,8}}\.? (?:\d{{1,2}}, )?(?={_YEAR}\)))?"
        rf"(?<![\d/.–-])(?P<value>{_YEAR})(?!\d|[/.–-]\d)\)?"
    ),
    ("19", "20"),
)
# "Section(s):"
SECTION_RE = _compile(r"\bSections?(?:\(s\))? ?:")
# "(21st Annual Edition)", "3rd ed.", "(updated 11/23/16)", "(Online Version)", "(ACOEM Guidelines, Chapter 12)"
NOISE = (
    Phrase(
        _compile(
            rf"\(?{_EDITION}\)?",
            r"\((?:updated|accessed|revised|effective)\b[^()]{0,40}\)",
            r"\(?\b(?:Online|Web) Version\b\)?",
            r"\bWork Loss Data Institute\b|\bProcedure Summary\b",
        ),
        (" ed", "(", "version", "institute", "summary"),
    ),
    YEAR,
    Phrase(_compile(r"\((?:ODG|ACOEM|MTUS)\b[^()]{0,120}\)"), ("(",)),
    Phrase(
        _compile(_MTUS, _ODG, _ACOEM, _LABEL),
        ("mtus", "medical treatment", "odg", "official", "acoem", "american college", "other"),
    ),
)
# "Chapter 12 Low Back Complaints", "Low Back - Lumbar & Thoracic (Acute & Chronic) Chapter", "Pain (Chronic)"
TITLE_RE = _compile(
    rf"(?P<title>[^;:/()]{{1,100}}?(?= chapters\b)|(?:Chapter \d{{1,2}}[:,]? )?(?:{_COMPLAINTS}|{_GENERAL})"
    rf"|Chapter \d{{1,2}}\b|{_GUIDELINE}(?: Guidelines?)?(?<!opioid)(?<!opioids)(?<!acupuncture)"
    rf"|{_CHAPTER}\b(?:,? ?-? ?\(?(?:Lumbar|Thoracic) (?:and|&) (?:Lumbar|Thoracic)\b(?:, Acute and Chronic)?\)?)?"
    r"(?: \((?:Acute|Chronic)[^()]{0,20}\))?"
    rf"|[^,;:/()]{{1,60}}(?= (?:chapter|section)\b))"
    r"(?: (?:chapters?|section)\b(?: Guidelines?\b)?)?"
)

#: mark -> marks that name the same thing when only joints stand between: "MTUS ACOEM", "ACOEM, Knee Complaints"
ATTACHED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "mtus": ("mtus", "acoem", "complaints", "guideline"),
        "acoem": ("mtus", "acoem", "complaints"),
        "complaints": ("mtus", "acoem"),
        "guideline": ("mtus",),
        "numbered": ("complaints",),
        "label": ("mtus", "acoem", "odg", "other"),
        "odg": ("odg",),
    }
)
#: the first of these marks that a piece has tells its body
BODIES: Mapping[str, GuidelineBody] = MappingProxyType(
    {
        "mtus": "MTUS",
        "odg": "ODG",
        "acoem": "ACOEM",
        "complaints": "MTUS",
        "guideline": "MTUS",
        "dated": "MTUS",
        "chapter": "ODG",
    }
)
#: mark of a topic or chapter -> what the piece must name for it to begin another citation
AFTER: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "other": frozenset(BODIES),
        "chapter": frozenset({"odg", "chapter", "open", "unadopted"}),
        "numbered": frozenset({"acoem", "mtus", "complaints"}),
        "dated": frozenset({"mtus", "complaints", "guideline", "dated"}),
    }
)
#: what a mark that opens a statement says of the MTUS
OPENERS: Mapping[str, bool | None] = MappingProxyType({"open": None, "unadopted": False, "part": None})
#: a piece with no more than these is a citation only where the line does not say that nothing was cited
UNMARKED = frozenset({"start", *OPENERS})
#: chapters of what the piece before names
INHERITING = frozenset({"chapter", "numbered"})
