"""Letters in, rows out: parse and predict."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imr_rationale.cli.options import MODEL, OUTPUT, PATHS, TRACKING, one_line_errors, say, show_progress

if TYPE_CHECKING:
    from imr_rationale.serving.batch import BatchCounts

__all__ = ["COMMANDS"]


@click.command()
@PATHS
@OUTPUT
@one_line_errors
def parse(paths: tuple[Path, ...], output: str) -> None:
    """Split letters into their disputed items.

    PATHS are files (.txt, .md, .pdf) or folders of them. The output's ending says its kind: .jsonl, .csv, .parquet.
    """
    from imr_rationale.serving.batch import parse_file

    _run_files(paths, output, parse_file)


@click.command()
@PATHS
@OUTPUT
@MODEL
@TRACKING
@click.option(
    "--min-certainty",
    default=0.0,
    show_default=True,
    type=click.FloatRange(0, 1),
    help="Warn of items whose reasons are less certain: leave them to a reader.",
)
@one_line_errors
def predict(
    paths: tuple[Path, ...], output: str, model: str | None, tracking_uri: str | None, min_certainty: float
) -> None:
    """Give the reasons and outcomes of each disputed item.

    PATHS are files (.txt, .md, .pdf) or folders of them. The output's ending says its kind: .jsonl, .csv, .parquet.
    """
    from imr_rationale.serving.batch import predict_file
    from imr_rationale.serving.predict import load_model

    fitted = load_model(model, tracking_uri=tracking_uri)
    _run_files(paths, output, lambda path: predict_file(path, fitted, min_certainty=min_certainty))


def _run_files(paths: Sequence[Path], output: str, read: Callable[[Path], list[dict[str, Any]]]) -> None:
    from imr_rationale.letters.sources import find_files
    from imr_rationale.serving.batch import run_batch

    files = list(find_files(paths))
    target = None if output == "-" else Path(output)
    counts = run_batch(show_progress(files, "letters"), read, target, sys.stdout)
    _report_batch(counts, target)


def _report_batch(counts: "BatchCounts", target: Path | None) -> None:
    if target is None or counts.files == 1:
        for _, error in counts.rejects:
            say(f"imr: {error}")
    read = counts.files - len(counts.rejects)
    if target is not None:
        rejected = f", {len(counts.rejects)} not read ({target}.rejects.jsonl)" if counts.rejects else ""
        say(f"{read} letters read, {counts.rows} items written to {target}{rejected}")
    elif counts.rejects:
        say(f"{read} letters read, {len(counts.rejects)} not read")
    if not read:
        if not counts.files:
            say("imr: no letter found")
        sys.exit(1)


COMMANDS = (parse, predict)
