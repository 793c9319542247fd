"""Parsed items in, groups of near-duplicates out."""

import sys
from pathlib import Path

import click

from imr_rationale.cli.options import OUTPUT, StagesBar, one_line_errors, say

__all__ = ["COMMANDS", "LOWEST", "USUAL"]

#: `LOWEST` and `NEAR_DUPLICATE` of learning.near_duplicates, which is heavy to import
LOWEST, USUAL = 0.3, 0.5


@click.command()
@click.argument("items", nargs=-1, required=True, type=click.Path(path_type=Path))
@OUTPUT
@click.option(
    "--predictions",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="What imr predict wrote for the same letters, a file or a folder: reasons to compare. May be repeated.",
)
@click.option(
    "--report",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write shares, sizes and the groups that deserve a look as FILE.html and FILE.json.",
)
@click.option(
    "--threshold",
    default=USUAL,
    show_default=True,
    type=click.FloatRange(LOWEST, 1),
    help="Part of their five-word runs that two near-duplicates share.",
)
@one_line_errors
def duplicates(
    items: tuple[Path, ...], output: str, predictions: tuple[Path, ...], report: Path | None, threshold: float
) -> None:
    """Group rationales that are nearly the same: boilerplate, and what was decided upon it.

    ITEMS are what imr parse wrote: .jsonl, .csv or .parquet, or folders of them. The output is JSON Lines, one group of
    two items or more a line, the largest first, with counts of outcomes and reasons, an example, and its members.
    """
    from imr_rationale.serving.duplicates import find_duplicates
    from imr_rationale.serving.duplicates_report import format_duplicates
    from imr_rationale.serving.report import place_report

    with StagesBar() as progress:
        found = find_duplicates(
            items,
            None if output == "-" else Path(output),
            sys.stdout,
            predictions=predictions,
            report=report,
            threshold=threshold,
            progress=progress,
        )
    for line in format_duplicates(found):
        say(line)
    if report:
        say(f"report      {', '.join(map(str, place_report(report)))}")


COMMANDS = (duplicates,)
