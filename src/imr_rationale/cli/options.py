"""Options that commands share, errors in one line, progress, and figures as lines."""

import sys
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imr_rationale.errors import ImrError

if TYPE_CHECKING:
    from imr_rationale.learning.bootstrap import Figure

__all__ = [
    "CORPUS",
    "HELDOUT",
    "LETTERS",
    "MODEL",
    "OUTPUT",
    "TRACKING",
    "FilesBar",
    "StagesBar",
    "Steps",
    "choose_heldout",
    "format_value",
    "one_line_errors",
    "print_differences",
    "print_headlines",
    "read_workers",
    "say",
]

#: measured on after training, never learned from
HELDOUT = Path("data/heldout")
CORPUS = click.option(
    "--corpus",
    type=click.Path(path_type=Path),
    default=Path("data/corpus"),
    show_default=True,
    help="Folder of annotated files that models, baselines or rules are made from or measured on.",
)
LETTERS = click.option(
    "--letters",
    type=click.Path(path_type=Path),
    help="Folder of the letters that GOLD annotates, named by their case numbers.",
)
MODEL = click.option(
    "--model",
    metavar="MODEL",
    help="Model folder, or an address such as models:/imr-rationale@champion. [default: the bundled champion]",
)
TRACKING = click.option(
    "--tracking-uri",
    metavar="URI",
    help="Tracking store. [default: $MLFLOW_TRACKING_URI or sqlite:///mlflow.db]",
)
OUTPUT = click.option(
    "-o", "--output", default="-", show_default=True, metavar="FILE", help="Output; - is standard output."
)


def read_workers(ctx: click.Context, param: click.Parameter, value: str) -> int:
    """Give the number of workers that an option asks for; "auto" is -1, one for each core."""
    text = "-1" if value == "auto" else value
    if text != "-1" and not (text.isdecimal() and int(text)):
        raise click.BadParameter(f"{value!r} is neither 1 or more nor auto")
    return int(text)


def say(text: str = "") -> None:
    """Print a line on stderr."""
    click.echo(text, err=True)


def one_line_errors(command: Callable[..., None]) -> Callable[..., None]:
    """Turn our own errors into one line on stderr and exit code 1."""

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except ImrError as error:
            say(f"imr: {error}")
            sys.exit(1)
        except KeyboardInterrupt:
            say("imr: stopped")
            sys.exit(130)

    return run


def choose_heldout(folder: Path | None) -> Path | None:
    """Give the folder to measure on, the default one only where it is there."""
    return folder or (HELDOUT if HELDOUT.is_dir() else None)


class FilesBar:
    """A bar on stderr, where a person watches: files with time left, letters with their rate.

    Parameters
    ----------
    count_files : callable
        Gives how many files there are; called where a person watches.
    """

    def __init__(self, count_files: Callable[[], int]) -> None:
        from tqdm import tqdm

        watched = sys.stderr.isatty()
        self.n_files = count_files() if watched else 0
        # of one archive nobody knows beforehand how many letters it holds
        total, unit = (self.n_files, " files") if self.n_files > 1 else (None, " letters")
        self.bar = tqdm(total=total, unit=unit, disable=not watched)

    def __call__(self, n_files: int, n_letters: int) -> None:
        """Say how many files were begun, and how many letters are done."""
        if self.n_files > 1:
            self.bar.set_postfix_str(f"{n_letters:,} letters", refresh=False)
        self.bar.update((n_files if self.n_files > 1 else n_letters) - self.bar.n)

    def __enter__(self) -> "FilesBar":
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.close()


class StagesBar:
    """A bar on stderr, where a person watches, that begins anew with each stage of the work."""

    def __init__(self) -> None:
        from tqdm import tqdm

        self.bar = tqdm(disable=not sys.stderr.isatty())
        self.stage = ""

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Say how much of a stage is done; a total of 0 is not known."""
        if stage != self.stage and not self.bar.disable:
            self.stage = stage
            self.bar.set_description(stage)
            self.bar.reset(total or None)
        self.bar.update(done - self.bar.n)

    def __enter__(self) -> "StagesBar":
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.close()


class Steps:
    """Say each step on stderr: a bar where a person watches, a line each elsewhere."""

    def __init__(self, total: int) -> None:
        from tqdm import tqdm

        self.bar = tqdm(total=total, bar_format="{desc:<28} {bar} {elapsed}", disable=not sys.stderr.isatty())

    def __call__(self, name: str) -> None:
        """Say that the step `name` begins."""
        if self.bar.disable:
            say(name)
        self.bar.set_description(name)
        self.bar.update()

    def __enter__(self) -> "Steps":
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.close()


def print_headlines(figures: Mapping[str, "Figure"], data: str, about: str) -> None:
    """Print each headline with its interval, and the baselines beside it."""
    from imr_rationale.learning.baselines import BASELINES
    from imr_rationale.learning.evaluate import HEADLINES

    click.echo(f"\n{about}; 95 % intervals by bootstrap over letters")
    baselines = [name for name in BASELINES if any(f"{data}.{figure}.{name}" in figures for figure in HEADLINES)]
    click.echo(f"{'':32}{'model':>8}{'interval':>16}" + "".join(f"{name:>10}" for name in baselines))
    for name in HEADLINES:
        figure = figures.get(f"{data}.{name}")
        if figure is not None:
            beside = (figures.get(f"{data}.{name}.{baseline}") for baseline in baselines)
            interval = f"{figure.low:.3f}–{figure.high:.3f}"
            cells = "".join(f"{format_value(found.value if found else None):>10}" for found in beside)
            click.echo(f"{name:32}{format_value(figure.value):>8}{interval:>16}{cells}")
    base = figures.get(f"{data}.verdict.base_rate")
    if base is not None:
        click.echo(f"share of Overturned: {base.value:.3f}")


def format_value(value: float | None) -> str:
    """Give three decimals, a dash where there is no value."""
    return "–" if value is None or value != value else f"{value:.3f}"


def print_differences(differences: Mapping[str, "Figure"], about: str) -> None:
    """Print each headline's difference; a star where its interval leaves zero out."""
    from imr_rationale.learning.evaluate import HEADLINES

    click.echo(f"\n{about}; 95 % intervals by paired bootstrap over letters, * where zero is outside")
    for name in HEADLINES:
        figure = differences.get(name)
        if figure is not None:
            star = " *" if figure.low > 0 or figure.high < 0 else ""
            click.echo(f"{name:32}{figure.value:>+8.3f}   {figure.low:+.3f} to {figure.high:+.3f}{star}")
