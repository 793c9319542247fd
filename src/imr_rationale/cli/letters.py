"""Letters in, rows out: parse and predict."""

import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imr_rationale.cli.options import MODEL, OUTPUT, TRACKING, FilesBar, one_line_errors, read_workers, say
from imr_rationale.letters.limits import Limits
from imr_rationale.letters.tables import PRESETS, Columns

if TYPE_CHECKING:
    from imr_rationale.serving.batch import Batch
    from imr_rationale.serving.fields import Fields
    from imr_rationale.serving.report import BatchReport
    from imr_rationale.serving.rows import RowMaker

__all__ = ["COMMANDS"]

#: standard input as a path
STDIN = Path("-")
#: bytes in the unit of --max-memory
MEGABYTE = 1_000_000
USUAL = Limits()
ABOUT = """PATHS are files (.txt .md .html .pdf .docx), a .zip of them, folders, or - for standard input; with the name
    of a text column also tables (.csv .xlsx .parquet .jsonl). The output's ending says its kind: .jsonl, .csv or
    .parquet; a name that ends in / is a folder of Parquet parts."""
#: what may read: this machine, or a cluster
LOCAL, DASK, SPARK = "local", "dask", "spark"


def _limit(name: str, kind: "click.ParamType[float]", usual: float, about: str, metavar: str | None = None) -> Any:
    """Give an option for a limit; its help prints the usual value with commas."""
    return click.option(name, type=kind, default=usual, metavar=metavar, help=f"{about} [default: {usual:,.0f}]")


def reading(*engines: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options of reading many letters."""
    options = (
        click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path, allow_dash=True)),
        OUTPUT,
        click.option(
            "--part-letters",
            type=click.IntRange(1),
            default=10_000,
            help="Letters of each part of a folder. [default: 10,000]",
        ),
        click.option(
            "--workers",
            callback=read_workers,
            default="1",
            show_default=True,
            metavar="N",
            help="Processes that read; auto is one for each core. The output is the same to the byte.",
        ),
        click.option(
            "--engine",
            type=click.Choice(engines),
            default=LOCAL,
            show_default=True,
            help="Read on this machine, or on a cluster whose workers see the same files and models.",
        ),
        click.option(
            "--master",
            metavar="ADDRESS",
            help="Address of the cluster: tcp://10.0.0.1:8786 (dask); spark://10.0.0.1:7077, yarn, local[2] (spark).",
        ),
        click.option("--resume", is_flag=True, help="Go on where a run with the same output was cut off."),
        click.option(
            "--report",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="Write what was read, missing, rejected and doubled as FILE.html and FILE.json.",
        ),
        click.option("--preset", type=click.Choice(list(PRESETS)), help="Columns of a published table."),
        click.option("--text-column", metavar="NAME", help="Column of a table that holds the rationales."),
        click.option("--id-column", metavar="NAME", help="Column that names a row."),
        click.option("--outcome-column", metavar="NAME", help="Column that begins with Upheld or Overturned."),
        click.option("--treatment-column", metavar="NAME", help="Column with what was asked for."),
        _limit("--max-bytes", click.IntRange(1), USUAL.bytes, "Largest file of a letter."),
        _limit("--max-pages", click.IntRange(1), USUAL.pages, "Longest PDF."),
        _limit("--max-seconds", click.FloatRange(0.1), USUAL.seconds, "Longest time for one letter."),
        _limit("--max-memory", click.IntRange(300), USUAL.memory // MEGABYTE, "Memory for reading.", "MB"),
    )

    def add(command: Callable[..., None]) -> Callable[..., None]:
        for option in reversed(options):
            command = option(command)
        return command

    return add


@click.command(help=f"Split letters into their disputed items.\n\n    {ABOUT}")
@reading(LOCAL, DASK)
@one_line_errors
def parse(**options: Any) -> None:
    """Split letters into their disputed items."""
    from imr_rationale.serving.fields import item_fields
    from imr_rationale.serving.rows import list_items

    with _make_batch(list_items, item_fields, {"command": "parse"}, options) as batch:
        _run(batch)


@click.command(help=f"Give the reasons and outcomes of each disputed item.\n\n    {ABOUT}")
@reading(LOCAL, DASK, SPARK)
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
    "--deidentify",
    is_flag=True,
    help="Number the letters; leave case numbers and file names out of rows, rejects, report and screen; strike months "
    "and days out of dates.",
)
@one_line_errors
def predict(
    model: str | None, tracking_uri: str | None, min_certainty: float, deidentify: bool, **options: Any
) -> None:
    """Give the reasons and outcomes of each disputed item."""
    if options["engine"] == SPARK:
        _run_spark(model, tracking_uri, min_certainty, {**options, "deidentify": deidentify})
        return
    from imr_rationale.serving.chunks import PredictRows
    from imr_rationale.serving.fields import prediction_fields

    make_rows = PredictRows.load(model, tracking_uri=tracking_uri, min_certainty=min_certainty)
    settings = {
        "command": "predict",
        "--model": str(make_rows.sha256),
        "--min-certainty": str(min_certainty),
    }
    with _make_batch(make_rows, prediction_fields, settings, options, deidentify=deidentify) as batch:
        _run(batch)


@contextmanager
def _make_batch(
    make_rows: "RowMaker",
    fields: "Fields",
    settings: Mapping[str, str],
    options: Mapping[str, Any],
    *,
    deidentify: bool = False,
) -> "Iterator[Batch]":
    """Give what the options ask for; standard input is kept in a file meanwhile."""
    from importlib.metadata import version

    from imr_rationale.serving.batch import Batch

    output = None if options["output"] == "-" else Path(options["output"])
    if options["resume"] and output is None:
        raise click.UsageError("--resume needs an output file")
    _check_engine(options)
    columns, limits = _choose_columns(options), _choose_limits(options)
    with _take_stdin(options["paths"]) as (paths, names):
        yield Batch(
            paths,
            make_rows,
            output,
            sys.stdout,
            fields=fields,
            part_letters=options["part_letters"] if options["output"].endswith("/") else None,
            report=options["report"],
            limits=limits,
            columns=columns,
            settings={**settings, "version": version("imr-rationale")},
            resume=options["resume"],
            deidentify=deidentify,
            names=names,
            workers=options["workers"],
            engine=options["engine"],
            master=options["master"],
        )


def _check_engine(options: Mapping[str, Any]) -> None:
    is_local = options["engine"] == LOCAL
    if is_local and options["master"]:
        raise click.UsageError("--master belongs to a cluster: --engine dask or spark")
    if not is_local and not options["master"]:
        raise click.UsageError(f"--engine {options['engine']} needs --master")
    if not is_local and options["workers"] != 1:
        raise click.UsageError("--workers belongs to --engine local: a cluster has its own")


def _run_spark(model: str | None, tracking_uri: str | None, min_certainty: float, options: Mapping[str, Any]) -> None:
    """Predict on Spark; exit code 1 where nothing was read or a path is not there."""
    from imr_rationale.serving.spark import run_spark

    _check_engine(options)
    for name in ("resume", "report", "deidentify"):
        if options[name]:
            raise click.UsageError(f"--{name} is not for --engine spark")
    if options["output"] == "-" or STDIN in options["paths"]:
        raise click.UsageError("--engine spark reads files and writes a folder: -o FOLDER/")
    output = Path(options["output"])
    report = run_spark(
        options["paths"],
        output,
        model=model,
        tracking_uri=tracking_uri,
        master=options["master"],
        columns=_choose_columns(options),
        limits=_choose_limits(options),
        min_certainty=min_certainty,
    )
    rejected = f", {report.rejected} not read ({output}.rejects.jsonl)" if report.rejected else ""
    say(f"{report.read} letters read, {report.items} items written to {output}{rejected}")
    if not report.read or report.absent:
        sys.exit(1)


def _run(batch: "Batch") -> None:
    """Run a batch and say what came of it; exit code 1 where nothing was read or a file is not there."""
    from imr_rationale.letters.sources import find_files
    from imr_rationale.serving.batch import run_batch

    try:
        with FilesBar(lambda: sum(1 for _ in find_files(batch.paths))) as progress:
            report = run_batch(batch, progress=progress)
    except KeyboardInterrupt:
        _say_how_to_go_on(batch)
        raise
    _print_report(report, batch)
    if not report.read or report.absent:
        sys.exit(1)


def _choose_columns(options: Mapping[str, Any]) -> Columns | None:
    chosen = {name: options[f"{name}_column"] for name in ("text", "id", "outcome", "treatment")}
    given = {name: column for name, column in chosen.items() if column}
    if options["preset"]:
        return replace(PRESETS[options["preset"]], **given)
    if given and "text" not in given:
        raise click.UsageError("--text-column is needed with the other columns")
    return Columns(**given) if given else None


def _choose_limits(options: Mapping[str, Any]) -> Limits:
    return Limits(
        bytes=options["max_bytes"],
        pages=options["max_pages"],
        seconds=options["max_seconds"],
        memory=options["max_memory"] * MEGABYTE,
    )


@contextmanager
def _take_stdin(paths: tuple[Path, ...]) -> Iterator[tuple[list[Path], dict[Path, str]]]:
    """Put standard input into a file, which a child process can read; gives the paths to read, and its name."""
    if STDIN not in paths:
        yield list(paths), {}
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "input"
        with file.open("wb") as copy:
            while chunk := sys.stdin.buffer.read(1 << 20):
                copy.write(chunk)
        yield [file if path == STDIN else path for path in paths], {file: "-"}


def _say_how_to_go_on(batch: "Batch") -> None:
    if batch.output is not None:
        where = f"{batch.output}.partial (JSON Lines)" if batch.part_letters is None else f"{batch.output}/"
        say(f"rows so far are in {where}; the same command with --resume goes on")


def _print_report(report: "BatchReport", batch: "Batch") -> None:
    """Say on stderr what was read; of a single file only what went wrong."""
    from imr_rationale.serving.report import format_report, place_report

    for line in _sum_up(report, batch):
        say(line)
    if report.files > 1:
        for line in format_report(report):
            say(line)
    if batch.report:
        say(f"report      {', '.join(map(str, place_report(batch.report)))}")


def _sum_up(report: "BatchReport", batch: "Batch") -> Iterator[str]:
    if not report.files:
        yield "imr: no letter found"
    elif report.files == 1 and report.rejected:
        yield f"imr: {report.rejects[0].examples[0]}: {report.rejects[0].text}"
    elif batch.output or report.files > 1:
        output = batch.output
        written = f", {report.items} items written to {output}" if output else ""
        rejected = f", {report.rejected} not read" if report.rejected else ""
        rejects = f"{output}.rejects.jsonl" if batch.part_letters is None else f"{output}/_rejects.jsonl"
        where = f" ({rejects})" if rejected and output else ""
        yield f"{report.read} letters read{written}{rejected}{where}"


COMMANDS = (parse, predict)
