"""Letters in, rows out: parse and predict."""

import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imr_rationale.cli.options import MODEL, OUTPUT, TRACKING, one_line_errors, say, show_progress

if TYPE_CHECKING:
    from imr_rationale.letters.limits import Limits
    from imr_rationale.letters.tables import Columns
    from imr_rationale.records import Letter
    from imr_rationale.serving.batch import Batch
    from imr_rationale.serving.report import BatchReport

__all__ = ["COMMANDS"]

#: standard input as a path
STDIN = Path("-")
ABOUT = """PATHS are files (.txt .md .html .pdf .docx), a .zip of them, folders, or - for standard input; with the name
    of a text column also tables (.csv .xlsx .parquet .jsonl). The output's ending says its kind: .jsonl, .csv or
    .parquet."""


def reading(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of reading many letters."""
    options = (
        click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path, allow_dash=True)),
        OUTPUT,
        click.option("--resume", is_flag=True, help="Go on where a run with the same output was cut off."),
        click.option(
            "--report",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="Write what was read, missing, rejected and doubled as FILE.html and FILE.json.",
        ),
        click.option("--preset", type=click.Choice(["dmhc"]), help="Columns of a published table."),
        click.option("--text-column", metavar="NAME", help="Column of a table that holds the rationales."),
        click.option("--id-column", metavar="NAME", help="Column that names a row."),
        click.option("--outcome-column", metavar="NAME", help="Column that begins with Upheld or Overturned."),
        click.option("--treatment-column", metavar="NAME", help="Column with what was asked for."),
        click.option("--max-bytes", type=click.IntRange(1), help="Largest file of a letter. [default: 50,000,000]"),
        click.option("--max-pages", type=click.IntRange(1), help="Longest PDF. [default: 2,000]"),
        click.option("--max-seconds", type=click.FloatRange(0.1), help="Longest time for one letter. [default: 60]"),
        click.option(
            "--max-memory", type=click.IntRange(300), metavar="MB", help="Memory for reading. [default: 2,000]"
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.command(help=f"Split letters into their disputed items.\n\n    {ABOUT}")
@reading
@one_line_errors
def parse(**options: Any) -> None:
    """Split letters into their disputed items."""
    from imr_rationale.serving.rows import parse_rows

    _run(parse_rows, {"command": "parse"}, options)


@click.command(help=f"Give the reasons and outcomes of each disputed item.\n\n    {ABOUT}")
@reading
@MODEL
@TRACKING
@click.option(
    "--min-certainty",
    default=0.0,
    show_default=True,
    type=click.FloatRange(0, 1),
    help="Warn of items whose reasons are less certain: leave them to a reader.",
)
@click.option(
    "--deidentify", is_flag=True, help="Leave case numbers and file names out, strike months and days out of dates."
)
@one_line_errors
def predict(
    model: str | None, tracking_uri: str | None, min_certainty: float, deidentify: bool, **options: Any
) -> None:
    """Give the reasons and outcomes of each disputed item."""
    from imr_rationale.serving.predict import load_model, predict_rows
    from imr_rationale.serving.rows import Row

    fitted = load_model(model, tracking_uri=tracking_uri)

    def make_rows(letter: "Letter", source: str) -> list[Row]:
        return predict_rows(letter, source, model=fitted, min_certainty=min_certainty)

    settings = {
        "command": "predict",
        "--model": fitted.manifest["sha256"],
        "--min-certainty": str(min_certainty),
        "--deidentify": str(deidentify),
    }
    _run(make_rows, settings, options, deidentify=deidentify)


def _run(
    make_rows: "Callable[[Letter, str], list[dict[str, Any]]]",
    settings: Mapping[str, str],
    options: dict[str, Any],
    *,
    deidentify: bool = False,
) -> None:
    from importlib.metadata import version

    from imr_rationale.serving.batch import Batch, run_batch
    from imr_rationale.serving.report import write_report

    output = None if options["output"] == "-" else Path(options["output"])
    if options["resume"] and output is None:
        raise click.UsageError("--resume needs an output file")
    columns = _choose_columns(options)
    with ExitStack() as stack:
        paths, names = _take_stdin(options["paths"], stack)
        batch = Batch(
            paths,
            make_rows,
            output,
            sys.stdout,
            limits=_choose_limits(options),
            columns=columns,
            settings={**settings, "version": version("imr-rationale"), "columns": str(columns)},
            resume=options["resume"],
            deidentify=deidentify,
            names=names,
        )
        try:
            report = run_batch(batch, progress=lambda files: show_progress(files, "files"))
        except KeyboardInterrupt:
            _say_how_to_go_on(batch)
            raise
    _print_report(report, output)
    if options["report"]:
        say(f"report      {', '.join(map(str, write_report(report, options['report'])))}")
    if not report.read or report.absent:
        sys.exit(1)


def _choose_columns(options: Mapping[str, Any]) -> "Columns | None":
    from imr_rationale.letters.tables import PRESETS, Columns

    chosen = {name: options[f"{name}_column"] for name in ("text", "id", "outcome", "treatment")}
    given = {name: column for name, column in chosen.items() if column}
    if options["preset"]:
        return replace(PRESETS[options["preset"]], **given)
    if given and "text" not in given:
        raise click.UsageError("--text-column is needed with the other columns")
    return Columns(**given) if given else None


def _choose_limits(options: Mapping[str, Any]) -> "Limits":
    from imr_rationale.letters.limits import Limits

    chosen = {name: options[f"max_{name}"] for name in ("bytes", "pages", "seconds", "memory")}
    if chosen["memory"]:
        chosen["memory"] *= 1_000_000
    return Limits(**{name: value for name, value in chosen.items() if value})


def _take_stdin(paths: tuple[Path, ...], stack: ExitStack) -> tuple[list[Path], dict[Path, str]]:
    """Put standard input into a file, which a child process can read."""
    if STDIN not in paths:
        return list(paths), {}
    file = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "input"
    with file.open("wb") as copy:
        while chunk := sys.stdin.buffer.read(1 << 20):
            copy.write(chunk)
    return [file if path == STDIN else path for path in paths], {file: "-"}


def _say_how_to_go_on(batch: "Batch") -> None:
    if batch.output is not None:
        say(f"rows so far are in {batch.output}.partial (JSON Lines); the same command with --resume goes on")


def _print_report(report: "BatchReport", output: Path | None) -> None:
    """Say on stderr what was read; of a single file only what went wrong."""
    from imr_rationale.serving.report import format_report

    if not report.files:
        say("imr: no letter found")
        return
    rejected = f", {report.rejected} not read" if report.rejected else ""
    where = f" ({output}.rejects.jsonl)" if rejected and output else ""
    written = f", {report.items} items written to {output}" if output else ""
    if report.files == 1 and report.rejected:
        say(f"imr: {report.rejects[0].examples[0]}: {report.rejects[0].text}")
        return
    if output or rejected or report.files > 1:
        say(f"{report.read} letters read{written}{rejected}{where}")
    if report.files > 1:
        for line in format_report(report):
            say(line)


COMMANDS = (parse, predict)
