"""Groups of near-duplicates, one after the other -> what a person wants to know of them all."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from imr_rationale.serving.deidentify import coarsen_dates
from imr_rationale.serving.groups import DuplicateGroup
from imr_rationale.serving.pairs import Pair

__all__ = ["DuplicatesReport", "Listing", "Share", "SizeClass", "Tally", "format_duplicates"]

#: groups that are listed of each kind, and characters of their example texts
N_LISTED, EXAMPLE_CHARS = 20, 600
#: what could not be read that is named; the rest is counted
N_REJECTS = 5
#: items from which on a group is counted as boilerplate, in two senses of the word
BOILERPLATE = (2, 10)
#: smallest size of each class of the histogram
SIZES = (1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000)


@dataclass(frozen=True, slots=True)
class Share:
    """How much stands in groups of `smallest` items or more.

    Attributes
    ----------
    share : float
        Part of all items, 0 to 1.
    n_exact, n_near : int
        Items whose text another one of their group has too, and the others.
    n_within, n_across : int
        Items whose group is in one letter, and the others: their text stands in another letter too, word for word or
        nearly.
    n_copied : int
        Those whose text stands in another letter word for word.
    """

    smallest: int
    n_groups: int
    n_items: int
    share: float
    n_exact: int
    n_near: int
    n_within: int
    n_across: int
    n_copied: int


@dataclass(frozen=True, slots=True)
class SizeClass:
    """How many groups are of a size, such as "1" or "5–9", and how many items stand in them."""

    sizes: str
    n_groups: int
    n_items: int


@dataclass(frozen=True, slots=True)
class Listing:
    """How many groups are of a kind, their items, the largest of them, and two items of each of these."""

    n_groups: int
    n_items: int
    examples: tuple[DuplicateGroup, ...]
    pairs: tuple[Pair, ...]


@dataclass(frozen=True, slots=True)
class DuplicatesReport:
    """What `imr duplicates` found.

    Attributes
    ----------
    threshold : float
        Part of their five-word runs that near-duplicates share.
    items, letters : int
        Items that were compared: those with a rationale, each once.
    repeated : int
        Items that were left out because they were there before: same letter, number and text.
    empty : int
        Items without a rationale.
    unpredicted : int or None
        Items without a prediction; None where there are no predictions.
    rejected, rejects : int, tuple of str
        Rows and files that could not be read, and some of them with the reason.
    boilerplate : tuple of Share
        For groups of two items or more, and for those of ten or more.
    """

    threshold: float
    items: int
    letters: int
    repeated: int
    empty: int
    unpredicted: int | None
    rejected: int
    rejects: tuple[str, ...]
    boilerplate: tuple[Share, ...]
    sizes: tuple[SizeClass, ...]
    largest: Listing
    opposite: Listing
    differing: Listing


@dataclass(slots=True)
class _Kind:
    """Groups of a kind; the first ones are kept, with the beginning of their example."""

    n_groups: int = 0
    n_items: int = 0
    examples: list[DuplicateGroup] = field(default_factory=list)
    pairs: list[Pair] = field(default_factory=list)

    def add(self, group: DuplicateGroup, find_pair: Callable[[], Pair] | None = None) -> None:
        self.n_groups += 1
        self.n_items += group.n_items
        if len(self.examples) < N_LISTED:
            self.examples.append(replace(group, example=_cut(group.example)))
            if find_pair:
                self.pairs.append(find_pair())

    def make_listing(self) -> Listing:
        return Listing(self.n_groups, self.n_items, tuple(self.examples), tuple(self.pairs))


def _cut(text: str) -> str:
    """Give the beginning of a text for the report, without months, days and case numbers."""
    # struck out before it is cut: of half a date nobody could tell that it is one
    text = coarsen_dates(text)
    return text if len(text) <= EXAMPLE_CHARS else f"{text[:EXAMPLE_CHARS]}…"


class Tally:
    """Count groups as they come, the largest first."""

    def __init__(self) -> None:
        self.n_empty = self.n_rejected = 0
        self.rejects: list[str] = []
        self.largest, self.opposite, self.differing = _Kind(), _Kind(), _Kind()
        self._shares = [Share(smallest, 0, 0, 0.0, 0, 0, 0, 0, 0) for smallest in BOILERPLATE]
        self._sizes: dict[int, list[int]] = {size: [0, 0] for size in SIZES}

    def add_reject(self, error: str) -> None:
        """Count what could not be read."""
        self.n_rejected += 1
        if len(self.rejects) < N_REJECTS:
            self.rejects.append(error)

    def add(self, group: DuplicateGroup, *, outcomes: Callable[[], Pair], reasons: Callable[[], Pair]) -> None:
        """Count a group of two items or more.

        Parameters
        ----------
        group : DuplicateGroup
        outcomes, reasons : callable
            Find two items of the group with different outcomes, or primary reasons; called where it is listed.
        """
        self.largest.add(group)
        if group.opposite:
            self.opposite.add(group, outcomes)
        if group.differing:
            self.differing.add(group, reasons)
        self._shares = [_add(share, group) if group.n_items >= share.smallest else share for share in self._shares]
        counts = self._sizes[max(size for size in SIZES if size <= group.n_items)]
        counts[0] += 1
        counts[1] += group.n_items

    def make_report(
        self, *, threshold: float, n_items: int, n_letters: int, n_repeated: int, n_unpredicted: int | None
    ) -> DuplicatesReport:
        """Sum up, when all groups were counted."""
        n_alone = n_items - self.largest.n_items
        sizes = {**self._sizes, 1: [n_alone, n_alone]}
        return DuplicatesReport(
            threshold=threshold,
            items=n_items,
            letters=n_letters,
            repeated=n_repeated,
            empty=self.n_empty,
            unpredicted=n_unpredicted,
            rejected=self.n_rejected,
            rejects=tuple(self.rejects),
            boilerplate=tuple(replace(share, share=share.n_items / max(n_items, 1)) for share in self._shares),
            sizes=tuple(_name_sizes(sizes)),
            largest=self.largest.make_listing(),
            opposite=self.opposite.make_listing(),
            differing=self.differing.make_listing(),
        )


def _add(share: Share, group: DuplicateGroup) -> Share:
    n_within = group.n_items if group.n_letters == 1 else 0
    return replace(
        share,
        n_groups=share.n_groups + 1,
        n_items=share.n_items + group.n_items,
        n_exact=share.n_exact + group.n_exact,
        n_near=share.n_near + group.n_items - group.n_exact,
        n_within=share.n_within + n_within,
        n_across=share.n_across + group.n_items - n_within,
        n_copied=share.n_copied + group.n_copied,
    )


def _name_sizes(counts: Mapping[int, list[int]]) -> Iterator[SizeClass]:
    """Yield the classes up to the largest group."""
    last = max((size for size, (n_groups, _) in counts.items() if n_groups), default=0)
    for size, behind in zip(SIZES, (*SIZES[1:], None), strict=True):
        if size <= last:
            name = f"{size} and more" if behind is None else str(size) if behind == size + 1 else f"{size}–{behind - 1}"
            yield SizeClass(name, *counts[size])


def format_duplicates(report: DuplicatesReport) -> Iterator[str]:
    """Yield the lines for the screen; those with nothing to say are left out."""
    yield f"items       {report.items:,} of {report.letters:,} letters"
    if report.empty or report.repeated:
        yield f"left out    {report.empty:,} without a rationale, {report.repeated:,} that were there before"
    if report.rejected:
        others = report.rejected - len(report.rejects)
        yield from (f"not read    {error}" for error in report.rejects)
        if others:
            yield f"not read    {others:,} others"
    two, ten = report.boilerplate
    across, copied = (count / max(report.items, 1) for count in (two.n_across, two.n_copied))
    yield f"boilerplate {across:.1%} of the items stand in another letter too, {copied:.1%} word for word"
    yield (
        f"grouped     {two.share:.1%} in {_count(two.n_groups)} of {two.smallest} or more, within a letter or across;"
        f" {ten.share:.1%} in {_count(ten.n_groups)} of {ten.smallest} or more"
    )
    yield f"opposite    {_count_items(report.opposite)} with both Upheld and Overturned"
    if report.unpredicted is not None:
        yield f"differing   {_count_items(report.differing)} with different primary reasons"
        if report.unpredicted:
            yield f"predictions none for {report.unpredicted:,} of the items"


def _count_items(listing: Listing) -> str:
    return f"{_count(listing.n_groups)} ({listing.n_items:,} items)"


def _count(n_groups: int) -> str:
    return f"{n_groups:,} {'group' if n_groups == 1 else 'groups'}"
