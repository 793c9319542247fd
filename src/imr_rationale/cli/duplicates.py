"""Which rationales are boilerplate: duplicates."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from imr_rationale.cli.options import OUTPUT, one_line_errors, say

if TYPE_CHECKING:
    from imr_rationale.serving.duplicates import Search
    from imr_rationale.serving.duplicates_report import DuplicatesReport

__all__ = ["COMMANDS"]


class StepsBar:
    """A bar on stderr for each step of a long search, where a person watches."""

    def __init__(self) -> None:
        from tqdm import tqdm

        self.step = ""
        self.bar = tqdm(disable=True)

    def __call__(self, step: str, done: int, total: int) -> None:
        """Say how much of a step is done, and of how much (0 where nobody knows)."""
        if step != self.step:
            self._begin(step, total)
        self.bar.update(done - self.bar.n)

    def _begin(self, step: str, total: int) -> None:
        from tqdm import tqdm

        self.bar.close()
        self.step = step
        self.bar = tqdm(desc=f"{step:<12}", total=total or None, unit_scale=True, disable=not sys.stderr.isatty())

    def __enter__(self) -> "StepsBar":
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.close()


@click.command()
@click.argument("items", nargs=-1, required=True, type=click.Path(path_type=Path))
@OUTPUT
@click.option(
    "--predictions",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="What imr predict wrote for the same letters: reasons are compared too. May be given more than once.",
)
@click.option(
    "--report",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write shares, sizes and examples as FILE.html and FILE.json.",
)
@click.option(
    "--threshold",
    default=0.5,
    show_default=True,
    type=click.FloatRange(0.3, 1),
    help="Part of their distinct five-word runs that two near-duplicates share (Jaccard).",
)
@one_line_errors
def duplicates(
    items: tuple[Path, ...], output: str, predictions: tuple[Path, ...], report: Path | None, threshold: float
) -> None:
    """Group rationales that are near-duplicates, and show which decide otherwise.

    ITEMS are what imr parse wrote (.jsonl .csv .parquet), and folders of it. Out comes one JSON object a group, the
    largest first: its items, letters, outcomes and reasons, an example, and its members.
    """
    from imr_rationale.serving.duplicates import Search, find_duplicates

    place = None if output == "-" else Path(output)
    search = Search(items, predictions, place, sys.stdout, report, threshold)
    with StepsBar() as progress:
        found = find_duplicates(search, progress=progress)
    _print_summary(found, search)


def _print_summary(found: "DuplicatesReport", search: "Search") -> None:
    from imr_rationale.serving.duplicates_report import format_duplicates
    from imr_rationale.serving.report import place_report

    written = f", {found.n_groups:,} groups written to {search.output}" if search.output else ""
    without = f", {found.n_without:,} items without a rationale" if found.n_without else ""
    where = f" ({search.output}.rejects.jsonl)" if search.output else ""
    rejected = f", {found.n_rejected:,} rows not read{where}" if found.n_rejected else ""
    say(f"{found.n_items:,} items of {found.n_letters:,} letters read{written}{without}{rejected}")
    for line in format_duplicates(found):
        say(line)
    if search.report:
        say(f"report       {', '.join(map(str, place_report(search.report)))}")


COMMANDS = (duplicates,)
