"""The words of a disputed treatment read as a request: what kind, how many, how often, how long, how strong, where."""

from functools import lru_cache

from imr_rationale.letters.amounts import holds_number, read_dose, read_duration, read_frequency, read_quantity
from imr_rationale.letters.category import read_category, read_regions, read_side, split_words
from imr_rationale.letters.folding import lower_ascii
from imr_rationale.letters.limits import LINES_KEPT
from imr_rationale.letters.service_dates import read_services, read_timing
from imr_rationale.records import Request

__all__ = ["MAX_CHARS", "read_request"]

#: a treatment is a heading of one to three lines; what stands behind this many characters is not read
MAX_CHARS = 4_000


@lru_cache(maxsize=LINES_KEPT)
def read_request(treatment: str | None) -> Request:
    """Read what a treatment's words ask for.

    The category is that of the first phrase that decides it, the longest where several begin at one word; inside one
    noun group the head decides ("physical therapy evaluation", "Toradol injection"). Of several things, the first.

    Parameters
    ----------
    treatment : str or None
        The words of one disputed treatment; only the first `MAX_CHARS` characters are read.

    Returns
    -------
    Request
        Offsets index `treatment`; None or empty where nothing is printed.

    Notes
    -----
    The categories are the DWC's. Its reports name physical therapy and chiropractic as rehabilitation, imaging as
    diagnostic tests, functional restoration, brain injury and weight loss as programs, specialist consultations and
    dental services as evaluation and management [1]_; the CWCI counts acupuncture with physical therapy and
    chiropractic [2]_. Where they say nothing, the conventions are:

    - Rehabilitation is treatment by exercise, hand or needle (physical, occupational, speech and aquatic therapy,
      chiropractic, massage, acupuncture), Therapies treatment by a machine or agent in the clinic (shock wave, laser,
      electrical stimulation, spinal decompression, hyperbaric oxygen); a device to take home is DMEPOS.
    - Programs are also work hardening and conditioning, gym, detoxification and inpatient rehabilitation, and the
      evaluations that open a program.
    - Injection holds blocks, viscosupplements, PRP, botulinum toxin, infusions and radiofrequency ablation; Surgery
      holds trials and implants of stimulators and pumps.
    - Adjunct Surgical Services is whatever is headed "associated surgical service"; assistants, clearance, anesthesia,
      hospital stays; tests and visits called pre-operative; equipment called post-operative. Post-operative therapy
      stays Rehabilitation, post-operative drugs Pharmaceuticals, psychological clearance Psych Services.
    - A functional capacity evaluation is Diagnostic Testing, an interpreter or a hotel room Transportation.
    - An unknown name with a strength is Pharmaceuticals.

    The dose is the first strength printed; "10/325" of a drug is in mg. "60 grams" of a drug is its quantity where no
    other is printed, and no dose; refills, spinal levels and views of a film are no quantity. "2x4" of visits is twice
    a week for four weeks; every three months is a third of a time a month. Of different sides, the first.

    References
    ----------
    .. [1] DIR and DWC, Independent Medical Review (IMR) Report, on the data of 2018, 2023 and 2024.
    .. [2] CWCI, on utilization review and IMR outcomes of January to October 2018, published in 2019.

    Examples
    --------
    >>> request = read_request("Norco 10/325mg #60 with 2 refills")
    >>> request.category.value, request.quantity.value.number, request.dose.value.amounts
    ('Pharmaceuticals', 60.0, (10.0, 325.0))
    >>> request = read_request("Physical therapy 2 times a week for 6 weeks for the left knee")
    >>> request.frequency.value, request.duration.value
    (Frequency(low=2.0, high=2.0, per='week'), Duration(low=6.0, high=6.0, unit='weeks'))
    """
    text = lower_ascii((treatment or "")[:MAX_CHARS])
    words = split_words(text)
    category = read_category(text, words)
    kind = category.value if category else None
    numbered = holds_number(text)
    duration = read_duration(text, kind, numbered=numbered)
    dates = tuple(read_services(text)) if numbered else ()
    return Request(
        category=category,
        quantity=read_quantity(text, kind, duration) if numbered else None,
        frequency=read_frequency(text, kind, numbered=numbered),
        duration=duration,
        dose=read_dose(text, kind) if numbered else None,
        regions=tuple(read_regions(words)),
        side=read_side(text, words),
        timing=read_timing(text, dates),
        dates_of_service=dates,
    )
