"""Items of many letters -> groups of near-duplicate rationales, with their outcomes and reasons.

Texts are read once and wait in a working folder beside the output, together with what is counted of them; in memory
stand numbers alone. The folder is gone when the run is over, however it ends; one that a killed run left is emptied by
the next run with the same output.
"""

import json
import os
import shutil
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, TypeVar

import numpy as np

from imr_rationale.errors import SourceError
from imr_rationale.labels import REASONS
from imr_rationale.language.words import normalize_text
from imr_rationale.learning.near_duplicates import (
    LOWEST,
    NEAR_DUPLICATE,
    NearDuplicates,
    Progress,
    open_near_duplicates,
)
from imr_rationale.letters.sources import Reject
from imr_rationale.serving.duplicate_groups import Columns, DuplicateGroup, count_twins, list_groups, make_columns
from imr_rationale.serving.duplicates_report import (
    MANY,
    DuplicatesReport,
    Histogram,
    Listing,
    Parts,
    show_group,
    write_duplicates_report,
)
from imr_rationale.serving.items_file import NO_PREDICTION, ItemsFile, Predictions, Words64, make_key
from imr_rationale.serving.outputs import place_beside
from imr_rationale.serving.readers import find_row_files, read_parsed, read_predicted
from imr_rationale.serving.report import check_report, place_report
from imr_rationale.serving.working_folder import open_working_folder
from imr_rationale.serving.writers import WRITING, check_place, open_instead

__all__ = ["Search", "find_duplicates"]

T = TypeVar("T")
#: texts that are handed on at a time
CHUNK = 2_000


@dataclass(frozen=True)
class Search:
    """What a search for duplicates reads and writes.

    Attributes
    ----------
    items : sequence of Path
        What `imr parse` wrote: files (.jsonl .csv .parquet), and folders of them.
    predictions : sequence of Path
        What `imr predict` wrote for the same letters; found by source and item, in whatever order.
    output : Path or None
        JSON Lines; None writes to `stream`.
    report : Path or None
        What was found is told there too, as a page and as JSON.
    threshold : float
        Part of their distinct five-word runs that two near-duplicates share (Jaccard).
    """

    items: Sequence[Path]
    predictions: Sequence[Path] = ()
    output: Path | None = None
    stream: IO[str] | None = None
    report: Path | None = None
    threshold: float = NEAR_DUPLICATE


def find_duplicates(search: Search, *, progress: Progress = lambda step, done, total: None) -> DuplicatesReport:
    """Group the items whose rationales are near-duplicates, directly or over others, and write the groups.

    Each line is a group of two items or more, the largest first: how many items and letters it holds, which outcomes
    and reasons, an example, and its members. Rows that cannot be read stop nothing; they are named in
    "<output>.rejects.jsonl", which is absent when there are none.

    Parameters
    ----------
    search : Search
    progress : callable
        Told the step, how much of it is done, and of how much (0 where nobody knows).

    Raises
    ------
    SourceError
        A file is missing or of an unknown kind, nothing could be read, or an output cannot be written.
    """
    _check(search)
    items, predictions = (_leave_own(find_row_files(paths), search) for paths in (search.items, search.predictions))
    try:
        with open_working_folder(search.output) as folder, ExitStack() as stack:
            run = _Run(
                search,
                stack.enter_context(ItemsFile(folder / "items")),
                stack.enter_context(open_near_duplicates(folder, threshold=search.threshold)),
                stack.enter_context((folder / "rejects").open("w+", encoding="utf-8", errors="replace")),
                progress,
            )
            run.read_items(items)
            run.read_predictions(predictions)
            return run.finish()
    except OSError as error:
        raise SourceError(f"{search.output or 'standard output'}: {error.strerror or error}") from error


def _check(search: Search) -> None:
    if not LOWEST <= search.threshold <= 1:
        raise SourceError(f"threshold {search.threshold} is not between {LOWEST} and 1")
    if search.output is None and search.stream is None:
        raise SourceError("neither an output nor a stream to write to")
    if search.output is not None:
        if search.output.suffix.lower() != ".jsonl":
            raise SourceError(
                f"{search.output}: unknown kind {search.output.suffix!r}; known: .jsonl, or - for standard output"
            )
        check_place(search.output)
    if search.report is not None:
        check_report(search.report)


def _leave_own(files: list[Path], search: Search) -> list[Path]:
    """Leave out what this run writes and the run before may have written, however it is spelled."""
    own = [] if search.output is None else [search.output, _place_rejects(search.output)]
    own += place_report(search.report) if search.report else []
    written = frozenset(os.path.realpath(place) for path in own for place in (path, place_beside(path, WRITING)))
    kept = [file for file in files if os.path.realpath(file) not in written]
    if files and not kept:
        raise SourceError(f"{files[0]}: nothing to read but what this run would write")
    return kept


def _place_rejects(output: Path) -> Path:
    return place_beside(output, ".rejects.jsonl")


class _Run:
    """One search under way."""

    def __init__(
        self, search: Search, items: ItemsFile, texts: NearDuplicates, rejects: IO[str], progress: Progress
    ) -> None:
        self.search = search
        self.items = items
        self.texts = texts
        self.rejects = rejects
        self.progress = progress
        self.predictions = Predictions()
        #: places of items without a rationale
        self.without = array("Q")
        self.n_rejected = 0
        self.first_error: str | None = None

    def read_items(self, files: Sequence[Path]) -> None:
        """Read the items and count the runs of words in their rationales; only those with a rationale are kept."""
        waiting: list[str] = []
        for item in self._sift(read_parsed(files), "read"):
            text = normalize_text(item.rationale or "")
            if not text:
                self.without.append(make_key(item.source, item.item))
                continue
            self.items.add(item)
            waiting.append(text)
            if len(waiting) == CHUNK:
                self.texts.add(waiting)
                waiting = []
        self.texts.add(waiting)
        if not len(self.items):
            why = self.first_error or ("no item has a rationale" if self.without else "no item")
            raise SourceError(why if self.first_error else f"{files[0]}: {why}")

    @property
    def places(self) -> Words64:
        """Keys of all items, also of those without a rationale."""
        return np.concatenate([self.items.places, np.frombuffer(self.without, dtype=np.uint64)])

    def read_predictions(self, files: Sequence[Path]) -> None:
        """Read the reasons of the items."""
        for item in self._sift(read_predicted(files), "read reasons"):
            self.predictions.add(item)

    def _sift(self, found: Iterable[T | Reject], step: str) -> Iterator[T]:
        """Yield what was read, and note what was not."""
        for number, row in enumerate(found, start=1):
            if isinstance(row, Reject):
                self.n_rejected += 1
                self.first_error = self.first_error or f"{row.source}: {row.error}"
                line = {"path": row.source, "error": f"{row.source}: {row.error}"}
                self.rejects.write(json.dumps(line, ensure_ascii=False) + "\n")
            else:
                yield row
            self.progress(step, number, 0)

    def finish(self) -> DuplicatesReport:
        """Group the items, write groups and rejects, then the report."""
        groups = self.texts.group(progress=self.progress)
        columns = make_columns(self.items, groups, self.predictions)
        summary = _Summary(columns, bool(self.search.predictions))
        if self.search.output is None:
            self._write_groups(self.search.stream, columns, summary)  # type: ignore[arg-type]  # _check saw to it
        else:
            with (
                open_instead(self.search.output) as writing,
                writing.open("w", encoding="utf-8", errors="replace", newline="\n") as file,
            ):
                self._write_groups(file, columns, summary)
            self._write_rejects(_place_rejects(self.search.output))
        report = summary.make_report(self)
        if self.search.report is not None:
            write_duplicates_report(report, self.search.report)
        return report

    def _write_groups(self, file: IO[str], columns: Columns, summary: "_Summary") -> None:
        for group, members in list_groups(columns):
            summary.add(group)
            head = {**asdict(group), "example": self.items.read(group.example)[1]}
            head["counterexample"] = self.read_counterexample(group)
            file.write(json.dumps(head, ensure_ascii=False)[:-1] + ', "members": [')
            for k, item in enumerate(members):
                file.write((", " if k else "") + self._format_member(int(item), columns))
            file.write("]}\n")
            self.progress("write", summary.histogram_items, len(self.items))

    def read_counterexample(self, group: DuplicateGroup) -> str | None:
        """Give the example of the rarer outcome, where there are two."""
        return self.items.read(group.counterexample)[1] if group.counterexample >= 0 else None

    def _format_member(self, item: int, columns: Columns) -> str:
        """Give a member as JSON: where it stands, its outcome and its reasons."""
        member, _ = self.items.read(item)
        mask = int(columns.masks[item])
        known = columns.primaries[item] != NO_PREDICTION
        reasons = [label for k, label in enumerate(REASONS) if mask >> k & 1] if known else None
        return f'{member[:-1]}, "reasons": {json.dumps(reasons)}}}'

    def _write_rejects(self, path: Path) -> None:
        """Write a line for each row that was not read; without any there is no file."""
        path.unlink(missing_ok=True)
        if self.n_rejected:
            self.rejects.seek(0)
            with open_instead(path) as writing, writing.open("w", encoding="utf-8", newline="\n") as file:
                shutil.copyfileobj(self.rejects, file)


class _Summary:
    """What the report says of the groups, gathered while they are written."""

    def __init__(self, columns: Columns, compared: bool) -> None:
        self.columns = columns
        self.compared = compared
        self.histogram = Histogram()
        self.histogram_items = self.large = self.wide = 0
        self.largest = Listing(lambda group: True, lambda group: -group.n_items)
        self.opposite = Listing(lambda group: group.opposite_outcomes, lambda group: -group.n_minority)
        self.same_text = Listing(lambda group: group.opposite_same_text, lambda group: -group.n_minority)
        self.differing = Listing(lambda group: group.differing_reasons, lambda group: -group.n_other_reasons)
        self.primary = Listing(lambda group: group.differing_primary_reasons, lambda group: -group.n_other_reasons)

    def add(self, group: DuplicateGroup) -> None:
        """Take a group into the report."""
        self.histogram.add(group.n_items)
        self.histogram_items += group.n_items
        self.large += group.n_items if group.n_items >= MANY else 0
        self.wide += group.n_items if group.n_letters >= MANY else 0
        for listing in (self.largest, self.opposite, self.same_text, self.differing, self.primary):
            listing.add(group)

    def make_report(self, run: _Run) -> DuplicatesReport:
        """Sum up, with the texts of the groups that are listed."""
        columns = self.columns
        n_items = len(columns.groups)
        n_predicted = int((columns.primaries != NO_PREDICTION).sum())
        self.histogram.add(1, n_items - self.histogram_items)
        return DuplicatesReport(
            threshold=run.search.threshold,
            n_items=n_items,
            n_letters=len(np.unique(columns.letters)),
            n_texts=len(np.unique(columns.texts)),
            n_without=len(run.without),
            n_rejected=run.n_rejected,
            n_predicted=n_predicted if self.compared else None,
            n_stray=run.predictions.count_stray(run.places),
            twins=count_twins(columns),
            in_groups=self.histogram_items,
            in_large_groups=self.large,
            in_wide_groups=self.wide,
            n_groups=self.largest.n_groups,
            sizes=self.histogram.list_bins(),
            largest=_read_parts(self.largest, run),
            opposite=_read_parts(self.opposite, run),
            opposite_same_text=_read_parts(self.same_text, run),
            differing=_read_parts(self.differing, run),
            differing_primary=_read_parts(self.primary, run),
        )


def _read_parts(listing: Listing, run: _Run) -> Parts:
    groups = [
        show_group(group, run.items.read(group.example)[1], run.read_counterexample(group)) for group in listing.groups
    ]
    return Parts(listing.n_groups, listing.n_items, tuple(groups))
