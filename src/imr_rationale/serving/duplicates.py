"""Rows of `imr parse` and `imr predict` -> groups of near-duplicate rationales, one JSON object each.

Numbers stand in memory, names and texts in files: members are written one by one, whatever their group's size.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, TypeVar

import numpy as np

from imr_rationale.errors import SourceError
from imr_rationale.language.words import normalize_text
from imr_rationale.learning.near_duplicates import NEAR_DUPLICATE, NearDuplicates, Progress, open_near_duplicates
from imr_rationale.letters.sources import Reject
from imr_rationale.serving.duplicates_report import DuplicatesReport, Tally
from imr_rationale.serving.groups import GroupMaker, list_groups
from imr_rationale.serving.items_file import NO_PREDICTION, ItemsFile, Predictions
from imr_rationale.serving.pairs import PairFinder
from imr_rationale.serving.readers import find_row_files, read_parsed, read_predicted
from imr_rationale.serving.report import check_report, write_report
from imr_rationale.serving.working_folder import open_working_folder
from imr_rationale.serving.writers import check_place, open_instead

__all__ = ["find_duplicates"]

T = TypeVar("T")
#: rows between two signs of life, and texts in memory at a time
ROWS = 2_000
PAGE = "duplicates_report.html.jinja"


def find_duplicates(
    items: Sequence[Path],
    output: Path | None,
    stream: IO[str],
    *,
    predictions: Sequence[Path] = (),
    report: Path | None = None,
    threshold: float = NEAR_DUPLICATE,
    progress: Progress = lambda step, done, total: None,
) -> DuplicatesReport:
    """Group items whose rationales are near-duplicates, and write the groups of two or more.

    Parameters
    ----------
    items : sequence of Path
        Outputs of `imr parse`, or folders of them.
    output : Path or None
        JSON Lines, the largest group first; it appears under its name when it is whole.
    stream : text stream
        Where there is no output.
    predictions : sequence of Path
        Outputs of `imr predict` over the same letters, joined by source and item.
    report : Path, optional
        For a page and its JSON, as `place_report` names them.
    threshold : float
        Part of their distinct five-word runs that two near-duplicates share (Jaccard), `LOWEST` to 1.

    Raises
    ------
    SourceError
        A file is missing or of unknown kind, no item has a rationale, or an output cannot be written.
    """
    files, predicted = find_row_files(items), find_row_files(predictions)
    _check_outputs(output, report, [*files, *predicted])
    try:
        with _open_search(output, threshold) as search:
            search.read_items(files, progress)
            if predicted:
                search.read_predictions(predicted, progress)
            found = search.write(output, stream, progress)
    except OSError as error:
        raise SourceError(f"{output or 'standard output'}: {error.strerror or error}") from error
    if report:
        write_report(found, report, page=PAGE)
    return found


def _check_outputs(output: Path | None, report: Path | None, files: Iterable[Path]) -> None:
    if output is not None:
        if output.suffix.lower() != ".jsonl":
            raise SourceError(f"{output}: unknown kind {output.suffix!r}; known: .jsonl, or - for standard output")
        if os.path.realpath(output) in map(os.path.realpath, files):
            raise SourceError(f"{output}: would take the place of what it is made from")
        check_place(output)
    if report is not None:
        check_report(report)


@contextmanager
def _open_search(output: Path | None, threshold: float) -> Iterator["_Search"]:
    """Give an empty search; its files stand beside the output, where there is room for it, and go in the end."""
    with (
        open_working_folder(output) as folder,
        ItemsFile(folder / "items") as items,
        open_near_duplicates(folder, threshold=threshold) as texts,
    ):
        yield _Search(items, texts)


class _Search:
    """Items, texts and predictions of one run, and what is counted on the way."""

    def __init__(self, items: ItemsFile, texts: NearDuplicates) -> None:
        self.items = items
        self.texts = texts
        self.predictions = Predictions()
        self.is_predicted = False
        self.tally = Tally()

    def read_items(self, files: Sequence[Path], progress: Progress) -> None:
        """Read the rows of `imr parse`."""
        waiting: list[str] = []
        for item in self._take(read_parsed(files), "read items", progress):
            if not item.rationale or item.rationale.isspace():
                self.tally.n_empty += 1
                continue
            self.items.add(item, item.rationale)
            # of another alphabet no word is left: such a text stands for itself
            waiting.append(normalize_text(item.rationale) or item.rationale)
            if len(waiting) == ROWS:
                self.texts.add(waiting)
                waiting = []
        self.texts.add(waiting)

    def read_predictions(self, files: Sequence[Path], progress: Progress) -> None:
        """Read the rows of `imr predict`."""
        self.is_predicted = True
        for row in self._take(read_predicted(files), "read predictions", progress):
            self.predictions.add(row)
        if not len(self.predictions):
            because = f" ({self.tally.rejects[-1]})" if self.tally.rejects else ""
            raise SourceError(f"no item with predicted reasons{because}")

    def _take(self, rows: Iterable[T | Reject], step: str, progress: Progress) -> Iterator[T]:
        """Yield what could be read, and count what could not."""
        for number, row in enumerate(rows, start=1):
            if isinstance(row, Reject):
                self.tally.add_reject(f"{row.source}: {row.error}")
            else:
                yield row
            if number % ROWS == 0:
                progress(step, number, 0)

    def write(self, output: Path | None, stream: IO[str], progress: Progress) -> DuplicatesReport:
        """Group the items and write the groups."""
        if not len(self.items):
            because = f" ({self.tally.rejects[0]})" if self.tally.rejects else ""
            raise SourceError(f"no item with a rationale{because}")
        distinct = self.items.list_distinct()
        labels = self.texts.group(progress=progress)[distinct]
        maker = GroupMaker(self.items, self.predictions)
        pairs = PairFinder(self.items, self.texts.shingles, maker.primaries)
        with _open_output(output, stream) as file:
            for number, places in enumerate(list_groups(labels), start=1):
                members = distinct[places]
                group = maker.make(number, members)
                self.tally.add(
                    group, outcomes=partial(pairs.pair_outcomes, members), reasons=partial(pairs.pair_reasons, members)
                )
                file.writelines(maker.format(group, members))
                if number % ROWS == 0:
                    progress("write groups", number, 0)
        n_unpredicted = int((maker.primaries[distinct] == NO_PREDICTION).sum())
        return self.tally.make_report(
            threshold=self.texts.threshold,
            n_items=len(distinct),
            n_repeated=len(self.items) - len(distinct),
            n_letters=len(np.unique(self.items.letters)),
            n_unpredicted=n_unpredicted if self.is_predicted else None,
        )


@contextmanager
def _open_output(output: Path | None, stream: IO[str]) -> Iterator[IO[str]]:
    if output is None:
        yield stream
        return
    with open_instead(output) as writing, writing.open("w", encoding="utf-8") as file:
        yield file
