"""Kinds of things that rationales speak of: "naproxen" is a drug, "MRI" imaging, "the claimant" a person.

What a reviewer says of one drug is said of the next one too. Words of one kind are read as that kind, beside the
words themselves, so that a model need not have seen the very drug, study or body part.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from imr_rationale.language.words import Word

T = TypeVar("T")

__all__ = ["KINDS", "Known", "find_kinds", "look_up", "replace_kinds"]

#: phrases and their kinds, and the kind where none of them stands
Known = tuple[tuple[tuple[tuple[str, ...], str], ...], str]

#: kind -> its words and phrases, normalised and in lower case
KINDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "person": (
            "patient", "claimant", "applicant", "worker", "injured worker", "injured employee", "employee", "individual",
            "member", "beneficiary", "he", "she",
        ),
        "provider": (
            "provider", "treating provider", "requesting provider", "attending provider", "treating physician",
            "requesting physician", "attending physician", "physician", "prescriber", "surgeon", "treater", "doctor",
            "primary treating physician", "ptp", "clinician",
        ),
        "file": (
            "medical records", "records", "record", "documentation", "documents", "medical documents", "clinical notes",
            "progress notes", "progress note", "office notes", "notes", "report", "reports", "medical reports", "chart",
            "clinical documentation", "medical documentation", "file", "clinical records", "submitted documentation",
            "documentation submitted", "documentation provided", "records provided", "records submitted",
        ),
        "body": (
            "knee", "knees", "shoulder", "shoulders", "lumbar spine", "cervical spine", "thoracic spine", "spine", "low back",
            "lower back", "back", "neck", "wrist", "wrists", "hand", "hands", "elbow", "elbows", "ankle", "ankles", "foot",
            "feet", "hip", "hips", "finger", "fingers", "thumb", "lumbar", "cervical", "thoracic", "upper extremity",
            "upper extremities", "lower extremity", "lower extremities", "leg", "legs", "arm", "arms", "pelvis", "head",
            "abdomen", "abdominal", "chest", "forearm", "heel", "toe", "rotator cuff", "meniscus", "sacroiliac joint",
        ),
        "imaging": (
            "mri", "mris", "mr arthrogram", "arthrogram", "magnetic resonance imaging", "ct", "ct scan", "cat scan", "x-ray",
            "x-rays", "radiograph", "radiographs", "plain films", "films", "film", "bone scan", "ultrasound", "ultrasonography",
            "imaging", "imaging study", "imaging studies", "scan", "myelogram", "dexa", "echocardiogram",
        ),
        "test": (
            "emg", "ncv", "ncs", "nerve conduction study", "nerve conduction studies", "electrodiagnostic study",
            "electrodiagnostic studies", "electromyography", "eeg", "ekg", "electrocardiogram", "sleep study",
            "polysomnography", "urine drug screen", "urine drug screens", "urine drug screening", "urine drug test",
            "urine drug testing", "urinalysis", "laboratory tests", "laboratory testing", "labs", "blood tests", "blood work",
            "cbc", "metabolic panel", "functional capacity evaluation", "fce", "genetic testing", "toxicology",
            "psychological evaluation", "neuropsychological testing",
        ),
        "therapy": (
            "physical therapy", "pt", "physiotherapy", "occupational therapy", "ot", "aquatic therapy", "pool therapy",
            "chiropractic", "chiropractic care", "chiropractic treatment", "chiropractic therapy", "chiropractic manipulation",
            "manipulation", "acupuncture", "massage", "massage therapy", "psychotherapy", "cognitive behavioral therapy", "cbt",
            "biofeedback", "work conditioning", "work hardening", "functional restoration program", "postoperative therapy",
            "post-operative therapy", "rehabilitation", "physical medicine", "manual therapy", "hand therapy", "therapy",
            "counseling", "supervised therapy",
        ),
        "visits": ("visit", "visits", "session", "sessions", "treatments", "appointments"),
        "device": (
            "tens", "tens unit", "h-wave", "interferential unit", "interferential", "stimulator", "brace", "splint", "orthosis",
            "orthotics", "sling", "walker", "wheelchair", "crutches", "cane", "cold therapy unit", "hot pack", "bed", "mattress",
            "traction unit", "traction", "bone growth stimulator", "spinal cord stimulator", "cpm", "dme", "unit", "device",
            "shower chair", "scooter", "collar", "lumbar support", "boot", "cushion",
        ),
        "injection": (
            "injection", "injections", "epidural steroid injection", "epidural steroid injections", "esi", "epidural",
            "facet injection", "facet injections", "medial branch block", "medial branch blocks", "block", "blocks",
            "trigger point injection", "trigger point injections", "cortisone injection", "steroid injection",
            "corticosteroid injection", "hyaluronic acid injection", "synvisc", "rhizotomy", "radiofrequency ablation",
            "neurotomy", "botox", "sacroiliac joint injection", "prp", "platelet rich plasma", "nerve block", "toradol injection",
        ),
        "surgery": (
            "surgery", "operation", "surgical procedure", "procedure", "surgical intervention", "fusion", "repair", "release",
            "replacement", "decompression", "reconstruction", "arthroscopic repair", "rotator cuff repair", "debridement",
            "carpal tunnel release", "hardware removal", "operative intervention",
        ),
        "service": (
            "home health care", "home health", "home health aide", "skilled nursing", "transportation", "gym membership",
            "weight loss program", "consultation", "consult", "referral", "evaluation", "follow-up visit", "office visit",
            "office visits", "re-evaluation", "clearance", "medical clearance", "preoperative clearance",
            "pre-operative clearance", "assistant surgeon", "inpatient stay", "hospital stay", "nursing",
        ),
        "drugs": (
            "medication", "medications", "drug", "drugs", "agent", "agents", "opioid", "opioids", "nsaid", "nsaids",
            "muscle relaxant", "muscle relaxants", "antidepressant", "antidepressants", "anticonvulsant", "anticonvulsants",
            "benzodiazepine", "benzodiazepines", "proton pump inhibitor", "ppi", "ppis", "topical", "topicals",
            "topical analgesic", "topical analgesics", "compound", "compounded", "compounded medication", "cream", "gel",
            "ointment", "patch", "patches", "hypnotic", "hypnotics", "narcotics", "narcotic", "analgesic", "analgesics",
            "supplement", "medical food", "laxative", "stool softener", "antiemetic", "anti-inflammatory",
            "anti-inflammatories", "sleep aid",
        ),
        "drug": (
            "norco", "vicodin", "percocet", "oxycontin", "opana", "nucynta", "ultram", "ultracet", "tramadol", "morphine",
            "ms contin", "fentanyl", "duragesic", "methadone", "butrans", "suboxone", "dilaudid", "tylenol", "codeine", "soma",
            "flexeril", "zanaflex", "skelaxin", "robaxin", "baclofen", "fexmid", "valium", "xanax", "ativan", "klonopin",
            "ambien", "lunesta", "restoril", "trazodone", "elavil", "cymbalta", "effexor", "zoloft", "lexapro", "prozac",
            "wellbutrin", "paxil", "neurontin", "lyrica", "gralise", "topamax", "motrin", "advil", "naprosyn", "anaprox", "aleve",
            "celebrex", "mobic", "relafen", "voltaren", "lodine", "daypro", "toradol", "aspirin", "prilosec", "protonix",
            "nexium", "lidoderm", "terocin", "menthoderm", "lidopro", "capsaicin", "menthol", "camphor", "methyl salicylate",
            "glucosamine", "chondroitin", "colace", "docusate", "senna", "senokot", "miralax", "zofran", "ondansetron",
            "medrox", "theramine", "sentra", "gabadone", "viagra", "cialis", "testosterone", "imitrex", "lithium", "nuvigil",
            "provigil", "ketamine", "flector", "pennsaid", "colchicine", "prednisone", "medrol", "keflex", "hydroxyzine",
            "acetaminophen", "apap", "buprenorphine", "amitriptyline", "nortriptyline", "metaxalone", "ranitidine",
        ),
    }
)  # fmt: skip
# "hydrocodone", "gabapentin", "ibuprofen", "zolpidem": names of one family end alike
DRUG_RE = re.compile(
    r"^\w{2,}(?:codone|morphone|gabalin|gabapentin|profen|fenac|oxicam|coxib|proxen|prazole|zepam|azolam|zolpidem|clone|etine|"
    r"traline|alopram|faxine|triptyline|benzaprine|bamol|anidine|caine|salicylate|setron|statin|olol|sartan|cillin|floxacin|"
    r"triptan|tidine|oxetine|dolac|metone|lamine|iramate)$"
)
# "meniscectomy", "arthroplasty", "arthroscopy", "laminotomy", "arthrodesis"
SURGERY_RE = re.compile(r"^\w{3,}(?:ectomy|plasty|oscopy|otomy|odesis|ectomies)$")


@cache
def _index_phrases() -> Mapping[str, tuple[tuple[tuple[str, ...], str], ...]]:
    """Give first word -> (words, kind) of each phrase that begins with it, the longest first."""
    index: dict[str, list[tuple[tuple[str, ...], str]]] = {}
    for kind, phrases in KINDS.items():
        for phrase in phrases:
            words = tuple(phrase.split())
            index.setdefault(words[0], []).append((words, f"<{kind}>"))
    return {first: tuple(sorted(found, key=lambda pair: -len(pair[0]))) for first, found in index.items()}


def find_kinds(words: "Sequence[Word]") -> list[tuple[int, int, str]]:
    """Give (first, last, kind) of words and phrases of a known kind, dates and numbers; indices are inclusive.

    Examples
    --------
    >>> from imr_rationale.language.words import split_words
    >>> find_kinds(split_words("the claimant failed physical therapy").words)
    [(1, 1, '<person>'), (3, 4, '<therapy>')]
    """
    found = []
    following = 0
    for i, (phrases, kind) in [(i, word.known) for i, word in enumerate(words) if word.known]:
        if i < following:
            continue
        for phrase, name in phrases:
            if len(phrase) == 1 or tuple([word.text for word in words[i : i + len(phrase)]]) == phrase:
                following = i + len(phrase)
                found.append((i, following - 1, name))
                break
        else:
            if kind:
                found.append((i, i, kind))
    return found


def replace_kinds(words: Sequence[T], kinds: Iterable[tuple[int, int, T]]) -> list[T]:
    """Give `words`, or what runs parallel to them, with each kind in the place of what it stands for.

    Examples
    --------
    >>> from imr_rationale.language.words import split_words
    >>> text = "the claimant failed naproxen and physical therapy of the knee"
    >>> " ".join(replace_kinds(text.split(), find_kinds(split_words(text).words)))
    'the <person> failed <drug> and <therapy> of the <body>'
    """
    replaced: list[T] = []
    following = 0
    for first, last, kind in kinds:
        replaced += words[following:first]
        replaced.append(kind)
        following = last + 1
    return [*replaced, *words[following:]]


def look_up(word: str) -> Known | None:
    """Give the phrases that begin with a word, and its kind where none of them stands; None where there is neither."""
    phrases = _index_phrases().get(word, ())
    kind = word if word[0] == "<" else _read_ending(word)
    return (phrases, kind) if phrases or kind else None


def _read_ending(word: str) -> str:
    if DRUG_RE.match(word):
        return "<drug>"
    return "<surgery>" if SURGERY_RE.match(word) else ""
