"""The journal of a batch run -> what a person wants to know of it: on screen, as JSON, as a page."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from imr_rationale.errors import SourceError
from imr_rationale.letters.sources import MISSING
from imr_rationale.records import Dates, Item, Letter
from imr_rationale.serving.journal import Journal
from imr_rationale.serving.writers import check_place, open_instead

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = [
    "BatchReport",
    "Duplicates",
    "Group",
    "check_report",
    "format_report",
    "make_report",
    "place_report",
    "write_report",
]

#: sources that stand for a group
N_EXAMPLES = 3
#: kinds of missing fields, of warnings and of rejects that are listed, and groups of duplicates; the rest is counted
N_KINDS, N_DUPLICATES = 50, 20
#: kinds that are listed on the screen
N_LINES = 5
#: letters of one case that are named
N_COPIES = 10
# "item 3: " before a warning
ITEM_RE = re.compile(r"^item \d{1,9}: ")
# numbers and names that make equal warnings look different: "(certainty 0.31)", "'Overturned in part'"; not "'.doc'"
DETAIL_RE = re.compile(r"\d+(?:\.\d+)?|'[^'.][^']*'")
NOT_READ = " not read"
#: what parsers call a field that they could not read
FIELDS = frozenset(
    {
        *(field.name for record in (Letter, Item) for field in fields(record)),
        *(f"date {field.name}" for field in fields(Dates)),
        "parts of the modified request",
    }
)
KINDS = "SELECT kind, count(*), count(error) FROM entries GROUP BY kind"
LAYOUTS = "SELECT layout, count(*), sum(n_items) FROM entries WHERE error IS NULL GROUP BY 1 ORDER BY 2 DESC"
OUTCOMES = "SELECT coalesce(outcome, 'unknown'), count(*) FROM entries WHERE error IS NULL GROUP BY 1 ORDER BY 2 DESC"


@dataclass(frozen=True, slots=True)
class Group:
    """Equal warnings, missing fields or errors: how many letters have them, and some of these.

    The last one of many stands for `n_kinds` others together.
    """

    text: str
    n_letters: int
    examples: tuple[str, ...]
    n_kinds: int = 1


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Letters that stand more than once: `n_groups` cases or texts, and some of them with their sources."""

    n_groups: int
    n_letters: int
    examples: tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class BatchReport:
    """What a batch run read.

    Attributes
    ----------
    files : int
        Letters, members of archives and rows of tables that were opened: `files == read + rejected`.
    kinds : mapping of str to (int, int)
        Kind of file -> how many were read and rejected.
    layouts : mapping of str to (int, int)
        Layout -> how many letters and items it has.
    outcomes : mapping of str to int
        Case outcome -> how many letters have it; "unknown" where an item's outcome was not read.
    items, overturned : int
        Items, and those whose heading says Overturned.
    missing, warnings, rejects : tuple of Group
        Fields that were not read, other warnings, errors; the most frequent first.
    same_case, same_text : Duplicates
        Letters that share a case number, and letters whose text, as it was read from their files, is equal to the
        character.
    """

    files: int
    read: int
    rejected: int
    items: int
    overturned: int
    kinds: Mapping[str, tuple[int, int]]
    layouts: Mapping[str, tuple[int, int]]
    outcomes: Mapping[str, int]
    missing: tuple[Group, ...]
    warnings: tuple[Group, ...]
    rejects: tuple[Group, ...]
    same_case: Duplicates
    same_text: Duplicates

    @property
    def absent(self) -> int:
        """How many files were named, or listed a moment before, and are not there."""
        return self.kinds.get(MISSING, (0, 0))[1]


def make_report(journal: Journal, *, named: bool = True) -> BatchReport:
    """Sum a journal up; duplicates by case number and digest, or by numbers alone."""
    query = journal.query
    [(files, rejected, items, overturned)] = query(
        "SELECT count(*), count(error), coalesce(sum(n_items), 0), coalesce(sum(n_overturned), 0) FROM entries"
    )
    return BatchReport(
        files=files,
        read=files - rejected,
        rejected=rejected,
        items=items,
        overturned=overturned,
        kinds={kind: (n - bad, bad) for kind, n, bad in query(KINDS)},
        layouts={layout: (n, n_items) for layout, n, n_items in query(LAYOUTS)},
        outcomes=dict(query(OUTCOMES)),
        missing=_make_groups(lambda: (row for row in _list_warnings(journal) if _is_missing(row.text))),
        warnings=_make_groups(lambda: (row for row in _list_warnings(journal) if not _is_missing(row.text))),
        rejects=_make_groups(lambda: _list_rejects(journal)),
        same_case=_find_duplicates(journal, "letter", None if named else "case"),
        same_text=_find_duplicates(journal, "digest", None if named else "text"),
    )


@dataclass(frozen=True, slots=True)
class _Remark:
    """A warning or error of a letter."""

    letter: int
    text: str
    source: str


def _list_warnings(journal: Journal) -> Iterator[_Remark]:
    for letter, text, source in journal.warnings():
        yield _Remark(letter, ITEM_RE.sub("", text), source)


def _list_rejects(journal: Journal) -> Iterator[_Remark]:
    for i, (source, error) in enumerate(journal.rejects()):
        yield _Remark(i, error.removeprefix(f"{source}: "), source)


def _is_missing(text: str) -> bool:
    """Tell "summary not read" from "outcome 'Partly' is not read", which quotes what it could not make sense of."""
    return text.endswith(NOT_READ) and text.removesuffix(NOT_READ) in FIELDS


@dataclass(slots=True)
class _Kind:
    """Remarks that are equal but for numbers and quoted words; only what the report shows of their letters is kept."""

    first: str
    n_letters: int = 0
    last: int | None = None
    examples: tuple[str, ...] = ()

    def add(self, remark: _Remark) -> None:
        """Count a remark; those of one letter follow each other."""
        if remark.letter != self.last:
            self.last = remark.letter
            self.n_letters += 1
            self.examples = (*self.examples, remark.source)[:N_EXAMPLES]


def _make_groups(read: Callable[[], Iterable[_Remark]]) -> tuple[Group, ...]:
    """Group texts that differ in their numbers and quoted words only, the most frequent first; the rare ones in one.

    Parameters
    ----------
    read : callable
        Gives the remarks in the order of their letters, anew each time: a million of them are not kept.
    """
    kinds: dict[str, _Kind] = {}
    for remark in read():
        kinds.setdefault(_find_key(remark), _Kind(remark.text)).add(remark)
    order = sorted(kinds, key=lambda key: (-kinds[key].n_letters, key))
    groups = [_make_group(key, kinds[key]) for key in order[:N_KINDS]]
    if others := frozenset(order[N_KINDS:]):
        rest = _Kind("")
        for remark in read():
            if _find_key(remark) in others:
                rest.add(remark)
        groups.append(Group(f"{len(others)} other kinds", rest.n_letters, (), len(others)))
    return tuple(groups)


def _find_key(remark: _Remark) -> str:
    return DETAIL_RE.sub("…", remark.text)


def _make_group(key: str, kind: _Kind) -> Group:
    return Group(key if kind.n_letters > 1 else kind.first, kind.n_letters, kind.examples)


def _find_duplicates(journal: Journal, column: str, word: str | None) -> Duplicates:
    """Find letters that are equal in a column, named by it or, where `word` stands for it, by that and a number."""
    groups = f"SELECT {column} AS name, count(*) AS n FROM entries WHERE {column} NOT NULL GROUP BY 1 HAVING n > 1"  # noqa: S608  (our own names)
    [(n_groups, n_letters)] = journal.query(f"SELECT count(*), coalesce(sum(n), 0) FROM ({groups})")  # noqa: S608
    names = [name for name, _ in journal.query(f"{groups} ORDER BY n DESC, min(position) LIMIT ?", N_DUPLICATES)]
    sources = f"SELECT source FROM entries WHERE {column} = ? ORDER BY position LIMIT ?"  # noqa: S608
    copies = [tuple(source for (source,) in journal.query(sources, name, N_COPIES)) for name in names]
    shown = [f"{word} {number}" for number in range(1, len(names) + 1)] if word else names
    return Duplicates(n_groups, n_letters, tuple(zip(shown, copies, strict=True)))


def format_report(report: BatchReport) -> Iterator[str]:
    """Yield the lines for the screen; those with nothing to say are left out."""
    if report.layouts:
        cells = (f"{name} {letters} ({items} items)" for name, (letters, items) in report.layouts.items())
        yield f"layouts     {', '.join(cells)}"
        yield f"outcomes    {', '.join(f'{name} {count}' for name, count in report.outcomes.items())}"
    for title, groups in (("missing", report.missing), ("warnings", report.warnings), ("rejects", report.rejects)):
        for group in groups[:N_LINES]:
            name = group.text.removesuffix(NOT_READ) if title == "missing" else group.text
            yield f"{title:12}{group.n_letters} × {name} ({_list_examples(group.examples, group.n_letters)})"
        if others := groups[N_LINES:]:
            yield f"{title:12}{sum(group.n_kinds for group in others)} other kinds"
    for title, found in (("same case", report.same_case), ("same text", report.same_text)):
        if found.n_groups:
            _, sources = found.examples[0]
            examples = _list_examples(sources, len(sources))
            yield f"{title:12}{found.n_letters} letters in {found.n_groups} groups ({examples})"


def _list_examples(sources: Sequence[str], n_all: int) -> str:
    more = ", …" if n_all > N_EXAMPLES else ""
    return ", ".join(sources[:N_EXAMPLES]) + more


def place_report(path: Path) -> tuple[Path, Path]:
    """Give the paths of page and JSON: their endings go behind the name, which may hold one of them already."""
    name = path.with_suffix("").name if path.suffix in {".html", ".json"} else path.name
    return path.with_name(f"{name}.html"), path.with_name(f"{name}.json")


def check_report(path: Path) -> None:
    """Refuse a path where no report can be written.

    Raises
    ------
    SourceError
        It names a folder and no file, or its folder is missing or closed.
    """
    if path.name in {"", ".."}:
        raise SourceError(f"{path}: a folder; name a file, such as {path / 'report'}")
    for place in place_report(path):
        check_place(place)


def write_report(
    report: "DataclassInstance", path: Path, *, page: str = "batch_report.html.jinja"
) -> tuple[Path, Path]:
    """Write a report as a page and as JSON; gives both paths, which differ in their suffix.

    Parameters
    ----------
    report : BatchReport or other dataclass
    path : Path
        As `place_report` takes it.
    page : str
        The template in this folder that shows such reports.

    Raises
    ------
    SourceError
        It cannot be written.
    """
    texts = (_render_page(report, page), json.dumps(asdict(report), ensure_ascii=False, indent=1) + "\n")
    places = place_report(path)
    for place, text in zip(places, texts, strict=True):
        try:
            with open_instead(place) as writing:
                writing.write_text(text, encoding="utf-8")
        except OSError as error:
            raise SourceError(f"{place}: {error.strerror or error}") from error
    return places


def _render_page(report: "DataclassInstance", page: str) -> str:
    from jinja2 import Environment, PackageLoader

    pages = Environment(loader=PackageLoader("imr_rationale.serving", "."), autoescape=True, trim_blocks=True)
    return pages.get_template(page).render(report=report, not_read=NOT_READ)
