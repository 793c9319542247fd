"""Train, search, draw learning curves."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imr_rationale.cli.options import (
    CORPUS,
    HELDOUT,
    LETTERS,
    TRACKING,
    Steps,
    choose_heldout,
    format_value,
    one_line_errors,
    print_headlines,
    say,
)

if TYPE_CHECKING:
    from imr_rationale.learning.model import Config
    from imr_rationale.tracking.training import TrainingInputs, TrainingOutcome

__all__ = ["COMMANDS"]

MODEL_FOLDER = click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("models/latest"),
    show_default=True,
    help="Folder that the model is written to.",
)
UNSEEN = click.option(
    "--heldout",
    type=click.Path(path_type=Path),
    help="Folder of annotated files to measure on and never learn from. [default: data/heldout where it is there]",
)
NOTE = click.option("--note", default="", metavar="TEXT", help="What the run tries; shown with it in the UI.")
#: options of `train` that --config brings
CONFIGURED = ("seed", "folds", "bootstrap", "base_rate")


@click.command()
@CORPUS
@click.option(
    "--letters",
    type=click.Path(path_type=Path),
    help="Folder of real letters to learn from besides, named by their case numbers; needs --annotations.",
)
@click.option("--annotations", type=click.Path(path_type=Path), help="Stand-off annotations of those letters.")
@MODEL_FOLDER
@click.option("--seed", default=0, show_default=True, help="Seeds splits and intervals.")
@click.option(
    "--folds", default=5, show_default=True, type=click.IntRange(2, 20), help="Folds of the cross-validation."
)
@click.option(
    "--bootstrap", default=500, show_default=True, type=click.IntRange(10, 10_000), help="Replicates behind intervals."
)
@UNSEEN
@click.option(
    "--base-rate",
    default=0.11,
    show_default=True,
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Share of Overturned that outcome probabilities are corrected to.",
)
@click.option(
    "--config", metavar="RUN", help="Take the whole configuration of this run, to train it again or on other data."
)
@NOTE
@click.option(
    "--resume-tracking",
    is_flag=True,
    help="Train nothing: upload the runs beside the output folder that their tracking store did not take.",
)
@TRACKING
@one_line_errors
def train(
    corpus: Path,
    letters: Path | None,
    annotations: Path | None,
    output: Path,
    heldout: Path | None,
    note: str,
    resume_tracking: bool,
    tracking_uri: str | None,
    **options: Any,
) -> None:
    """Train on an annotated corpus, track the run in MLflow and write the model."""
    from imr_rationale.tracking.store import resolve_store

    if (letters is None) != (annotations is None):
        raise click.UsageError("--letters and --annotations go together")
    store = resolve_store(tracking_uri)
    if resume_tracking:
        _resume(output, store)
        return
    config = _make_config(store, **options)
    inputs = _read(corpus, letters=letters, annotations=annotations, heldout=heldout)
    _print_outcome(_train(inputs, config, output, store, note), output, store)


def _resume(output: Path, store: str) -> None:
    from imr_rationale.errors import TrackingError
    from imr_rationale.tracking.training import resume_tracking

    found = list(resume_tracking(output, store))
    for run_id in found:
        if isinstance(run_id, str):
            click.echo(f"run       {run_id} in {store}")
    failures = [failure for failure in found if isinstance(failure, TrackingError)]
    if failures:
        raise TrackingError(f"{failures[0]} ({len(failures)} of {len(found)} runs still wait)")
    if not found:
        raise TrackingError(f"no run waits beside {output}")


def _make_config(store: str, *, config: str | None, **options: Any) -> "Config":
    from imr_rationale.learning.model import Config
    from imr_rationale.tracking.runs import read_config

    if config is None:
        names = {"seed": "random_state", "folds": "n_splits", "bootstrap": "n_bootstrap"}
        return Config(**{names.get(name, name): value for name, value in options.items()})
    context = click.get_current_context()
    for name in CONFIGURED:
        if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            raise click.UsageError(f"--config brings what --{name.replace('_', '-')} says")
    return read_config(store, config)


def _read(corpus: Path, *, heldout: Path | None, **files: Path | None) -> "TrainingInputs":
    from imr_rationale.tracking.training import read_inputs

    with Steps(total=1) as step:
        step("read corpus")
        return read_inputs(corpus, heldout=choose_heldout(heldout), **files)


def _train(
    inputs: "TrainingInputs", config: "Config", output: Path, store: str, note: str, parent_id: str | None = None
) -> "TrainingOutcome":
    from imr_rationale.tracking.training import count_steps, run_training

    with Steps(total=count_steps(inputs, config)) as step:
        return run_training(inputs, config, output, store, note=note, parent_id=parent_id, progress=step)


def _print_outcome(outcome: "TrainingOutcome", output: Path, store: str) -> None:
    from imr_rationale.learning.evaluation import name_figures

    figures = name_figures(outcome.evaluations)
    for evaluation in outcome.evaluations:
        sizes = evaluation.sizes
        how = ", cross-validated" if evaluation.name.endswith("_cv") else " that nothing was learned from"
        about = f"{evaluation.name}: {sizes['n_items']} items of {sizes['n_letters']} letters{how}"
        print_headlines(figures, evaluation.name, about)
    _print_next(output, store, outcome)
    if outcome.failure is not None:
        raise outcome.failure


def _print_next(output: Path, store: str, outcome: "TrainingOutcome") -> None:
    command = sys.argv[0] if "/" in sys.argv[0] else "imr"
    click.echo(f"\nmodel     {output}")
    if outcome.run_id is not None:
        share = f"{outcome.tracking_seconds:.0f} of {outcome.seconds:.0f} seconds"
        click.echo(f"run       {outcome.run_id} in {store} (tracking took {share})")
    click.echo(f"predict   {command} predict data/letters --model {output} -o predictions.jsonl")
    click.echo(f"review    {command} ui --tracking-uri {store}")


@click.command()
@CORPUS
@MODEL_FOLDER
@click.option("--name", default="search", show_default=True, help="Names the search; the same name and data go on.")
@click.option(
    "--metric",
    default="reasons.micro_f1",
    show_default=True,
    help="What is searched for, <task>.<metric>, cross-validated on the corpus.",
)
@click.option(
    "--trials",
    default=20,
    show_default=True,
    type=click.IntRange(1, 1000),
    help="Configurations to try, those of an earlier start included.",
)
@click.option("--minutes", type=click.FloatRange(min=0), help="Begin no trial after so many minutes.")
@click.option("--seed", default=0, show_default=True, help="Seeds splits, intervals and what is tried.")
@click.option(
    "--folds", default=3, show_default=True, type=click.IntRange(2, 20), help="Folds of each trial's cross-validation."
)
@click.option(
    "--bootstrap",
    default=100,
    show_default=True,
    type=click.IntRange(10, 10_000),
    help="Replicates behind the intervals of a trial.",
)
@UNSEEN
@NOTE
@TRACKING
@one_line_errors
def search(
    corpus: Path,
    output: Path,
    name: str,
    metric: str,
    trials: int,
    minutes: float | None,
    seed: int,
    folds: int,
    bootstrap: int,
    heldout: Path | None,
    note: str,
    tracking_uri: str | None,
) -> None:
    """Search for better hyper-parameters by cross-validation on the corpus alone.

    Every trial is a child run of one parent in MLflow; a search that was stopped goes on where it stood when started
    again. The best configuration is trained at last, with the folds of 'imr train', and written to the output folder.
    """
    from dataclasses import replace

    from imr_rationale.learning.evaluate import HEADLINES
    from imr_rationale.learning.model import Config
    from imr_rationale.tracking.search import SearchPlan, search_config
    from imr_rationale.tracking.store import resolve_store

    if metric not in HEADLINES or metric.endswith("calibration_error") or metric.startswith("leak."):
        raise click.UsageError(f"--metric {metric}: known are {', '.join(HEADLINES)}, but for errors and leaks")
    if "'" in name:
        raise click.UsageError("--name holds a quote")
    store = resolve_store(tracking_uri)
    inputs = _read(corpus, heldout=heldout)
    config = Config(random_state=seed, n_splits=folds, n_bootstrap=bootstrap)
    plan = SearchPlan(name, metric, config, inputs.sources[0], note)
    seconds = None if minutes is None else minutes * 60
    try:
        with Steps(total=trials) as step:
            found = search_config(plan, inputs.data, store, n_trials=trials, seconds=seconds, progress=step)
    except KeyboardInterrupt:
        say("the same command goes on after the last trial that was logged")
        raise
    _print_trials(found.trials, metric)
    whole = Config()
    chosen = replace(found.best, n_splits=whole.n_splits, n_bootstrap=whole.n_bootstrap)
    outcome = _train(inputs, chosen, output, store, note or f"best of {name}", found.parent_id)
    _print_outcome(outcome, output, store)


def _print_trials(trials: Any, metric: str) -> None:
    click.echo(f"\n{'trial':>5}  {metric} (corpus, cross-validated)")
    best = trials["value"].max()
    for row in trials.to_dict("records"):
        star = "  best" if row["value"] == best else "  as it stands" if row["trial"] == 1 else ""
        click.echo(f"{row['trial']:>5}  {row['value']:.4f}   {row['low']:.3f}–{row['high']:.3f}{star}")


@click.command()
@click.argument("gold", nargs=-1, type=click.Path(path_type=Path))
@LETTERS
@CORPUS
@click.option("--seed", default=0, show_default=True, help="Seeds the draw of the parts.")
@click.option(
    "--folds", default=3, show_default=True, type=click.IntRange(2, 20), help="Folds behind thresholds and calibration."
)
@TRACKING
@one_line_errors
def curve(
    gold: tuple[Path, ...], letters: Path | None, corpus: Path, seed: int, folds: int, tracking_uri: str | None
) -> None:
    """Draw learning curves: quality by size of the corpus, and without each kind of its files.

    Measured on GOLD, folders of annotated files or JSON Lines beside their LETTERS; data/heldout by default.
    """
    from imr_rationale.learning.curve import SHARES, list_kinds, measure_curve
    from imr_rationale.learning.measure import open_gold
    from imr_rationale.learning.model import Config
    from imr_rationale.tracking.runs import write_curve_record
    from imr_rationale.tracking.store import resolve_store
    from imr_rationale.tracking.training import make_place, read_inputs, track

    started = time.time()
    store = resolve_store(tracking_uri)
    config = Config(random_state=seed, n_splits=folds)
    gold_sets = [open_gold(path, letters) for path in gold or (HELDOUT,)]
    inputs = read_inputs(corpus)
    data = inputs.data
    with Steps(total=len(SHARES) + len(list_kinds(data))) as step:
        points = list(measure_curve(data, gold_sets, config, progress=step))
    click.echo(f"{'part':24}{'items':>7}" + "".join(f"{f'{g.name} micro-F1':>18}{'roles':>8}" for g in gold_sets))
    for point in points:
        cells = "".join(
            f"{format_value(point.figures[f'{g.name}.reasons.micro_f1'].value):>18}"
            f"{format_value(point.figures[f'{g.name}.roles.accuracy'].value):>8}"
            for g in gold_sets
        )
        click.echo(f"{point.name:24}{point.n_items:>7}{cells}")
    output = Path("models/curve")
    record = make_place(output)
    write_curve_record(record, points, config, inputs.sources[0], started)
    click.echo(f"\nrun       {track(record, store, output)} in {store}")


COMMANDS = (train, search, curve)
