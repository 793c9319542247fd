"""Groups of near-duplicate rationales -> what a person wants to know of them: on screen, as JSON, as a page."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from difflib import SequenceMatcher
from heapq import nsmallest
from pathlib import Path

from imr_rationale.errors import SourceError
from imr_rationale.serving.deidentify import coarsen_dates
from imr_rationale.serving.duplicate_groups import DuplicateGroup
from imr_rationale.serving.report import place_report
from imr_rationale.serving.writers import open_instead

__all__ = [
    "DuplicatesReport",
    "Histogram",
    "ListedGroup",
    "Listing",
    "Parts",
    "format_duplicates",
    "mark_differences",
    "show_group",
    "write_duplicates_report",
]

#: groups that are listed under each heading
N_LISTED = 20
#: longest example, in characters
MAX_EXAMPLE = 4_000
#: words that are shown before and after a difference
EDGE = 15
#: groups of up to so many items are counted together
BOUNDS = (1, 2, 4, 9, 19, 49, 99, 999)
#: from so many items, or letters, on a text is boilerplate by any standard
MANY = 10


@dataclass(frozen=True, slots=True)
class ListedGroup:
    """A group with an example of its text; of opposite outcomes one of each."""

    group: DuplicateGroup
    example: str
    counterexample: str | None


def show_group(group: DuplicateGroup, example: str, counterexample: str | None) -> ListedGroup:
    """Give a group with its examples, dates and case numbers struck out of them."""
    return ListedGroup(group, _shorten(example), None if counterexample is None else _shorten(counterexample))


class Listing:
    """Keep the first `N_LISTED` groups of those that are wanted, in an order of their own, and count all.

    Parameters
    ----------
    wants : callable
        Tells whether a group belongs here.
    rank : callable
        Gives what to sort by, the lowest first; the number of the group decides between equals.
    """

    def __init__(self, wants: Callable[[DuplicateGroup], bool], rank: Callable[[DuplicateGroup], int]) -> None:
        self.wants = wants
        self.rank = rank
        self.n_groups = self.n_items = 0
        self.groups: list[DuplicateGroup] = []

    def add(self, group: DuplicateGroup) -> None:
        """Take a group, if it belongs here."""
        if self.wants(group):
            self.n_groups += 1
            self.n_items += group.n_items
            self.groups = nsmallest(N_LISTED, [*self.groups, group], key=lambda one: (self.rank(one), one.group))


@dataclass(frozen=True, slots=True)
class Parts:
    """Groups of one kind: how many, their items, and the first of them."""

    n_groups: int
    n_items: int
    groups: tuple[ListedGroup, ...]


class Histogram:
    """Count groups and their items by size."""

    def __init__(self) -> None:
        self.counts = {bound: [0, 0] for bound in (*BOUNDS, None)}

    def add(self, size: int, n_groups: int = 1) -> None:
        """Count groups of a size."""
        bound = next((bound for bound in BOUNDS if size <= bound), None)
        self.counts[bound][0] += n_groups
        self.counts[bound][1] += size * n_groups

    def list_bins(self) -> tuple[tuple[str, int, int], ...]:
        """Give (sizes, groups, items) of each range of sizes that occurs."""
        lows = (1, *(bound + 1 for bound in BOUNDS))
        names = [_name_range(low, bound) for low, bound in zip(lows, self.counts, strict=True)]
        rows = zip(names, self.counts.values(), strict=True)
        return tuple((name, groups, items) for name, (groups, items) in rows if groups)


def _name_range(low: int, high: int | None) -> str:
    if high is None:
        return f"{low:,} and more"
    return str(low) if low == high else f"{low:,}–{high:,}"


@dataclass(frozen=True, slots=True)
class DuplicatesReport:
    """What a search for duplicates found.

    Attributes
    ----------
    n_items, n_letters, n_texts : int
        Items with a rationale, their letters, their distinct texts (white space aside).
    n_without : int
        Items without a rationale, which are left out.
    n_rejected : int
        Rows and files that could not be read.
    n_predicted : int or None
        Items whose reasons are known; None where no predictions were given.
    n_stray : int
        Predictions that fit no item.
    twins : mapping of str to int
        Items by where the nearest to their rationale stands again, as `count_twins` gives them.
    in_groups, in_large_groups, in_wide_groups : int
        Items in groups of two items or more, of ten items or more, of ten letters or more.
    n_groups : int
        Groups of two items or more.
    sizes : tuple of (str, int, int)
        Range of sizes, groups, items; items that stand alone are groups of 1.
    largest, opposite, opposite_same_text, differing, differing_primary : Parts
        All groups; those with both outcomes, also those that have both under one text; those with differing reasons,
        and with differing primary reasons.
    """

    threshold: float
    n_items: int
    n_letters: int
    n_texts: int
    n_without: int
    n_rejected: int
    n_predicted: int | None
    n_stray: int
    twins: Mapping[str, int]
    in_groups: int
    in_large_groups: int
    in_wide_groups: int
    n_groups: int
    sizes: Sequence[tuple[str, int, int]]
    largest: Parts
    opposite: Parts
    opposite_same_text: Parts
    differing: Parts
    differing_primary: Parts

    @property
    def boilerplate(self) -> int:
        """How many items share their rationale, word for word or nearly so, with another letter."""
        return self.twins["same_text_elsewhere"] + self.twins["near_elsewhere"]

    @property
    def share(self) -> float:
        """The part of the items that is boilerplate."""
        return self.boilerplate / self.n_items


def format_duplicates(report: DuplicatesReport) -> Iterator[str]:
    """Yield the lines for the screen; those with nothing to say are left out."""

    def percent(count: int) -> str:
        return f"{100 * count / report.n_items:.1f} %"

    twins = report.twins
    yield (
        f"boilerplate  {percent(report.boilerplate)} of {report.n_items:,} rationales stand in another letter too: "
        f"{percent(twins['same_text_elsewhere'])} word for word, {percent(twins['near_elsewhere'])} nearly so"
    )
    own = twins["same_text_own_letter"] + twins["near_own_letter"]
    yield f"own letter   {percent(own)} more are repeated in their own letter alone"
    yield (
        f"groups       {report.n_groups:,} of two items or more ({percent(report.in_groups)} of the items), "
        f"{percent(report.in_large_groups)} in groups of ten or more"
    )
    yield (
        f"opposite     both outcomes in {report.opposite.n_groups:,} of the groups, "
        f"under one text in {report.opposite_same_text.n_groups:,}"
    )
    if report.n_predicted is None:
        yield "differing    reasons were not compared: --predictions names what imr predict wrote for the same letters"
        return
    yield (
        f"differing    reasons in {report.differing.n_groups:,} of the groups, "
        f"the primary reason in {report.differing_primary.n_groups:,}"
    )
    if report.n_predicted < report.n_items or report.n_stray:
        missing = report.n_items - report.n_predicted
        yield f"predictions  {missing:,} items have none; {report.n_stray:,} predictions fit no item"


def write_duplicates_report(report: DuplicatesReport, path: Path) -> tuple[Path, Path]:
    """Write a report as a page and as JSON; gives both paths, which differ in their suffix.

    It names no source.

    Raises
    ------
    SourceError
        It cannot be written.
    """
    texts = (_render_page(report), json.dumps(_to_dict(report), ensure_ascii=False, indent=1) + "\n")
    places = place_report(path)
    for place, text in zip(places, texts, strict=True):
        try:
            with open_instead(place) as writing:
                writing.write_text(text, encoding="utf-8", errors="replace")
        except OSError as error:
            raise SourceError(f"{place}: {error.strerror or error}") from error
    return places


def _shorten(text: str) -> str:
    text = coarsen_dates(text)
    return text if len(text) <= MAX_EXAMPLE else text[:MAX_EXAMPLE] + " …"


def _to_dict(report: DuplicatesReport) -> dict[str, object]:
    """Give the JSON object; of a group everything but the places of its examples."""
    found = {**asdict(report), "n_boilerplate": report.boilerplate, "boilerplate_share": report.share}
    for parts in found.values():
        if isinstance(parts, dict) and "groups" in parts:
            parts["groups"] = [_flatten(one) for one in parts["groups"]]
    return found


def _flatten(one: Mapping[str, dict[str, object]]) -> dict[str, object]:
    return {**one["group"], "example": one["example"], "counterexample": one["counterexample"]}


def _render_page(report: DuplicatesReport) -> str:
    from jinja2 import Environment, PackageLoader

    page = Environment(loader=PackageLoader("imr_rationale.serving", "."), autoescape=True, trim_blocks=True)
    template = page.get_template("duplicates_report.html.jinja")
    return template.render(report=report, many=MANY, mark_differences=mark_differences)


def mark_differences(text: str, other: str) -> tuple[list[tuple[str, bool]], list[tuple[str, bool]]]:
    """Split two texts into runs of words, and tell of each whether the other text lacks it.

    Of a long run that both have its beginning and its end are given.

    Examples
    --------
    >>> mark_differences("it is not necessary", "it is necessary")
    ([('it is', False), ('not', True), ('necessary', False)], [('it is necessary', False)])
    """
    words, others = text.split(), other.split()
    left: list[tuple[str, bool]] = []
    right: list[tuple[str, bool]] = []
    for kind, a, b, c, d in SequenceMatcher(None, words, others, autojunk=False).get_opcodes():
        for side, run in ((left, words[a:b]), (right, others[c:d])):
            if run:
                _append(side, _elide(run) if kind == "equal" else " ".join(run), kind != "equal")
    return left, right


def _elide(run: Sequence[str]) -> str:
    hidden = len(run) - 2 * EDGE
    if hidden < EDGE:
        return " ".join(run)
    return " ".join([*run[:EDGE], f"[… {hidden} words alike …]", *run[-EDGE:]])


def _append(runs: list[tuple[str, bool]], text: str, differs: bool) -> None:
    """Add a run of words, to the last one where it is of the same kind."""
    if runs and runs[-1][1] == differs:
        runs[-1] = f"{runs[-1][0]} {text}", differs
    else:
        runs.append((text, differs))
