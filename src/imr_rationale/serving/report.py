"""The journal of a batch run -> what a person wants to know of it: on screen, as JSON, as a page."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from imr_rationale.letters.sources import MISSING
from imr_rationale.serving.journal import Journal

__all__ = ["BatchReport", "Duplicates", "Group", "format_report", "make_report", "write_report"]

#: sources that stand for a group
N_EXAMPLES = 3
#: groups of warnings and of rejects that are listed, and groups of duplicates; the rest is counted
N_GROUPS, N_DUPLICATES = 50, 20
#: letters of one case that are named
N_COPIES = 10
# "item 3: " before a warning
ITEM_RE = re.compile(r"^item \d{1,9}: ")
# numbers and names that make equal warnings look different: "(certainty 0.31)", "'Overturned in part'"; not "'.doc'"
DETAIL_RE = re.compile(r"\d+(?:\.\d+)?|'[^'.][^']*'")
NOT_READ = " not read"
KINDS = "SELECT kind, count(*), count(error) FROM entries GROUP BY kind"
LAYOUTS = "SELECT layout, count(*), sum(n_items) FROM entries WHERE error IS NULL GROUP BY 1 ORDER BY 2 DESC"
OUTCOMES = "SELECT coalesce(outcome, 'unknown'), count(*) FROM entries WHERE error IS NULL GROUP BY 1 ORDER BY 2 DESC"


@dataclass(frozen=True, slots=True)
class Group:
    """Equal warnings, missing fields or errors: how many letters have them, and some of these."""

    text: str
    n_letters: int
    examples: tuple[str, ...]


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
        Letters that share a case number, and letters that are equal to the character.
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


def make_report(journal: Journal) -> BatchReport:
    """Sum a journal up."""
    query = journal.query
    [(files, rejected, items, overturned)] = query(
        "SELECT count(*), count(error), coalesce(sum(n_items), 0), coalesce(sum(n_overturned), 0) FROM entries"
    )
    groups = _group_warnings(journal)
    return BatchReport(
        files=files,
        read=files - rejected,
        rejected=rejected,
        items=items,
        overturned=overturned,
        kinds={kind: (n - bad, bad) for kind, n, bad in query(KINDS)},
        layouts={layout: (n, n_items) for layout, n, n_items in query(LAYOUTS)},
        outcomes=dict(query(OUTCOMES)),
        missing=tuple(group for group in groups if group.text.endswith(NOT_READ)),
        warnings=tuple(group for group in groups if not group.text.endswith(NOT_READ)),
        rejects=_group_rejects(journal),
        same_case=_find_duplicates(journal, "letter"),
        same_text=_find_duplicates(journal, "digest"),
    )


def _group_warnings(journal: Journal) -> tuple[Group, ...]:
    rows = journal.query("SELECT text, source FROM warnings JOIN entries USING (position) ORDER BY position")
    return _make_groups((ITEM_RE.sub("", text), source) for text, source in rows)


def _group_rejects(journal: Journal) -> tuple[Group, ...]:
    return _make_groups((error.removeprefix(f"{source}: "), source) for source, error in journal.rejects())


def _make_groups(pairs: Iterator[tuple[str, str]]) -> tuple[Group, ...]:
    """Group texts that differ in their numbers and quoted words only; each source counts once a group."""
    counts: dict[str, int] = {}
    firsts: dict[str, str] = {}
    examples: dict[str, list[str]] = {}
    last: dict[str, str] = {}
    for text, source in pairs:
        key = DETAIL_RE.sub("…", text)
        if last.get(key) == source:
            continue
        last[key] = source
        firsts.setdefault(key, text)
        counts[key] = counts.get(key, 0) + 1
        if counts[key] <= N_EXAMPLES:
            examples.setdefault(key, []).append(source)
    order = sorted(counts, key=lambda key: (-counts[key], key))[:N_GROUPS]
    return tuple(Group(key if counts[key] > 1 else firsts[key], counts[key], tuple(examples[key])) for key in order)


def _find_duplicates(journal: Journal, column: str) -> Duplicates:
    groups = f"SELECT {column} AS name, count(*) AS n FROM entries WHERE {column} NOT NULL GROUP BY 1 HAVING n > 1"  # noqa: S608  (our own names)
    [(n_groups, n_letters)] = journal.query(f"SELECT count(*), coalesce(sum(n), 0) FROM ({groups})")  # noqa: S608
    names = [name for name, _ in journal.query(f"{groups} ORDER BY n DESC, min(position) LIMIT ?", N_DUPLICATES)]
    sources = f"SELECT source FROM entries WHERE {column} = ? ORDER BY position LIMIT ?"  # noqa: S608
    return Duplicates(
        n_groups,
        n_letters,
        tuple((name, tuple(source for (source,) in journal.query(sources, name, N_COPIES))) for name in names),
    )


def format_report(report: BatchReport) -> Iterator[str]:
    """Yield the lines for the screen; those with nothing to say are left out."""
    if report.layouts:
        cells = (f"{name} {letters} ({items} items)" for name, (letters, items) in report.layouts.items())
        yield f"layouts     {', '.join(cells)}"
        yield f"outcomes    {', '.join(f'{name} {count}' for name, count in report.outcomes.items())}"
    for title, groups in (("missing", report.missing), ("warnings", report.warnings), ("rejects", report.rejects)):
        for group in groups[:5]:
            name = group.text.removesuffix(NOT_READ) if title == "missing" else group.text
            yield f"{title:12}{group.n_letters} × {name} ({_list_examples(group.examples, group.n_letters)})"
        if len(groups) > 5:
            yield f"{title:12}{len(groups) - 5} other kinds"
    for title, found in (("same case", report.same_case), ("same text", report.same_text)):
        if found.n_groups:
            _, sources = found.examples[0]
            examples = _list_examples(sources, len(sources))
            yield f"{title:12}{found.n_letters} letters in {found.n_groups} groups ({examples})"


def _list_examples(sources: Sequence[str], n_all: int) -> str:
    more = ", …" if n_all > N_EXAMPLES else ""
    return ", ".join(sources[:N_EXAMPLES]) + more


def write_report(report: BatchReport, path: Path) -> tuple[Path, Path]:
    """Write a report as a page and as JSON; gives both paths, which differ in their suffix."""
    from jinja2 import Environment, PackageLoader

    page = Environment(loader=PackageLoader("imr_rationale.serving", "."), autoescape=True, trim_blocks=True)
    html = page.get_template("batch_report.html.jinja").render(report=report, not_read=NOT_READ)
    as_html, as_json = path.with_suffix(".html"), path.with_suffix(".json")
    as_html.write_text(html, encoding="utf-8")
    as_json.write_text(json.dumps(asdict(report), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return as_html, as_json
