"""The command `imr`: read options, call the library, print."""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imr_rationale.errors import ImrError

if TYPE_CHECKING:
    from imr_rationale.errors import TrackingError
    from imr_rationale.learning.corpus import AnnotatedLetter
    from imr_rationale.learning.evaluate import Figure
    from imr_rationale.serving.batch import BatchCounts

__all__ = ["main"]

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
PATHS = click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
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


def _say(text: str = "") -> None:
    click.echo(text, err=True)


def _one_line_errors(command: Callable[..., None]) -> Callable[..., None]:
    """Turn our own errors into one line on stderr and exit code 1."""

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except ImrError as error:
            _say(f"imr: {error}")
            sys.exit(1)
        except KeyboardInterrupt:
            _say("imr: stopped")
            sys.exit(130)

    return run


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="imr-rationale")
def main() -> None:
    """Read why medical treatment is refused or granted in Independent Medical Review letters."""


# ---------------------------------------------------------------- letters in, rows out


@main.command()
@PATHS
@OUTPUT
@_one_line_errors
def parse(paths: tuple[Path, ...], output: str) -> None:
    """Split letters into their disputed items.

    PATHS are files (.txt, .md, .pdf) or folders of them. The output's ending says its kind: .jsonl, .csv, .parquet.
    """
    from imr_rationale.serving.batch import parse_file

    _run_files(paths, output, parse_file)


@main.command()
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
@_one_line_errors
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
    counts = run_batch(_show_progress(files, "letters"), read, target, sys.stdout)
    _report_batch(counts, target)


def _show_progress(files: Sequence[Path], unit: str) -> Iterable[Path]:
    from tqdm import tqdm

    return tqdm(files, unit=f" {unit}", disable=len(files) < 2 or not sys.stderr.isatty())


def _report_batch(counts: "BatchCounts", target: Path | None) -> None:
    if target is None or counts.files == 1:
        for _, error in counts.rejects:
            _say(f"imr: {error}")
    read = counts.files - len(counts.rejects)
    if target is not None:
        rejected = f", {len(counts.rejects)} not read ({target}.rejects.jsonl)" if counts.rejects else ""
        _say(f"{read} letters read, {counts.rows} items written to {target}{rejected}")
    elif counts.rejects:
        _say(f"{read} letters read, {len(counts.rejects)} not read")
    if not read:
        if not counts.files:
            _say("imr: no letter found")
        sys.exit(1)


# ---------------------------------------------------------------- training and review


@main.command()
@CORPUS
@click.option(
    "--letters",
    type=click.Path(path_type=Path),
    help="Folder of real letters to learn from besides, named by their case numbers; needs --annotations.",
)
@click.option("--annotations", type=click.Path(path_type=Path), help="Stand-off annotations of those letters.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("models/latest"),
    show_default=True,
    help="Folder that the model is written to.",
)
@click.option("--seed", default=0, show_default=True, help="Seeds splits and intervals.")
@click.option(
    "--folds", default=5, show_default=True, type=click.IntRange(2, 20), help="Folds of the cross-validation."
)
@click.option(
    "--bootstrap", default=500, show_default=True, type=click.IntRange(10, 10_000), help="Replicates behind intervals."
)
@click.option(
    "--heldout",
    type=click.Path(path_type=Path),
    help="Folder of annotated files to measure on and never learn from. [default: data/heldout where it is there]",
)
@click.option(
    "--base-rate",
    default=0.11,
    show_default=True,
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Share of Overturned that outcome probabilities are corrected to.",
)
@TRACKING
@_one_line_errors
def train(
    corpus: Path,
    letters: Path | None,
    annotations: Path | None,
    output: Path,
    seed: int,
    folds: int,
    bootstrap: int,
    heldout: Path | None,
    base_rate: float,
    tracking_uri: str | None,
) -> None:
    """Train on an annotated corpus, track the run in MLflow and write the model."""
    from imr_rationale.learning import tracking
    from imr_rationale.learning.bundle import save_bundle
    from imr_rationale.learning.corpus import digest_files, read_corpus
    from imr_rationale.learning.measure import measure_model, read_gold_folder
    from imr_rationale.learning.model import Config
    from imr_rationale.learning.train import make_training_set, tabulate_predictions, train_model

    if (letters is None) != (annotations is None):
        raise click.UsageError("--letters and --annotations go together")
    store = tracking.resolve_store(tracking_uri)
    config = Config(random_state=seed, n_splits=folds, n_bootstrap=bootstrap, base_rate=base_rate)
    folder = heldout or (HELDOUT if HELDOUT.is_dir() else None)
    with _Steps(total=2 * folds + (8 if folder else 6)) as step:
        step("read corpus")
        invented = read_corpus(corpus)
        unseen = read_gold_folder(folder) if folder else None
        sources = [{"name": corpus.name, "sha256": digest_files(corpus)}]
        real: Sequence[AnnotatedLetter] = ()
        if letters is not None and annotations is not None:
            real = _join(letters, annotations, sources)
        step("language pipeline")
        data = make_training_set(invented, real)
        result = train_model(data, config, progress=step)
        figures, measured = dict(result.figures), {f"{origin}_cv": size for origin, size in result.sizes.items()}
        if unseen is not None:
            figures |= measure_model(result.model, unseen, data, n_bootstrap=bootstrap, progress=step)
            measured[unseen.name] = unseen.sizes
        step("save model")
        run_id, failure = _try(lambda: tracking.open_run(store, name=f"{output.name} ({len(data)} items)"))
        learned = {"learned_from": sources, "measured": measured}
        save_bundle(result.model, output, data=learned, figures=figures, run_id=run_id)
        step("track run")
        if run_id is not None:
            opened = run_id
            _, failure = _try(
                lambda: tracking.log_run(
                    output,
                    store=store,
                    run_id=opened,
                    params=config.to_params(),
                    figures=figures,
                    sources=sources,
                    sizes=result.sizes,
                    table=tabulate_predictions(data, result.predictions),
                    example=data.texts[0],
                )
            )
    for origin, size in result.sizes.items():
        about = f"{corpus if origin == 'corpus' else letters}, {size['n_items']} items of {size['n_letters']} letters"
        _print_headlines(figures, f"{origin}_cv", f"{about}, {folds}-fold cross-validation")
    if unseen is not None:
        sizes = unseen.sizes
        about = f"{folder}, {sizes['n_items']} items of {sizes['n_letters']} letters that nothing was learned from"
        _print_headlines(figures, unseen.name, about)
    _print_next(output, store, run_id if failure is None else None)
    if failure is not None:
        raise failure


def _join(letters: Path, annotations: Path, sources: list[dict[str, str]]) -> "Sequence[AnnotatedLetter]":
    import hashlib

    from imr_rationale.learning.standoff import join_letters, read_annotations

    joined = join_letters(read_annotations(annotations), letters)
    digest = hashlib.sha256(annotations.read_bytes()).hexdigest()
    sources.append({"name": annotations.name, "sha256": digest})
    return joined


def _try(action: Callable[[], str]) -> "tuple[str | None, TrackingError | None]":
    """Let a run outlive its tracking store: the model is saved whatever happens there."""
    from imr_rationale.errors import TrackingError

    try:
        return action(), None
    except TrackingError as error:
        return None, error


class _Steps:
    """Say each step on stderr: a bar where a person watches, a line each elsewhere."""

    def __init__(self, total: int) -> None:
        from tqdm import tqdm

        self.bar = tqdm(total=total, bar_format="{desc:<28} {bar} {elapsed}", disable=not sys.stderr.isatty())

    def __call__(self, name: str) -> None:
        if self.bar.disable:
            _say(name)
        self.bar.set_description(name)
        self.bar.update()

    def __enter__(self) -> "_Steps":
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.close()


def _print_headlines(figures: Mapping[str, "Figure"], data: str, about: str) -> None:
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
            cells = "".join(f"{_format(found.value if found else None):>10}" for found in beside)
            click.echo(f"{name:32}{_format(figure.value):>8}{interval:>16}{cells}")
    base = figures.get(f"{data}.verdict.base_rate")
    if base is not None:
        click.echo(f"share of Overturned: {base.value:.3f}")


def _format(value: float | None) -> str:
    return "–" if value is None or value != value else f"{value:.3f}"


def _print_next(output: Path, store: str, run_id: str | None) -> None:
    command = sys.argv[0] if "/" in sys.argv[0] else "imr"
    click.echo(f"\nmodel     {output}")
    if run_id is not None:
        click.echo(f"run       {run_id} in {store}")
    click.echo(f"predict   {command} predict data/letters --model {output} -o predictions.jsonl")
    click.echo(f"review    {command} ui --tracking-uri {store}")


@main.command()
@click.argument("gold", type=click.Path(path_type=Path))
@LETTERS
@CORPUS
@click.option(
    "--against",
    metavar="MODEL",
    help="Another model: print each figure's difference to it, with the interval of a paired bootstrap over letters.",
)
@click.option("--json", "as_json", is_flag=True, help="Print every figure as one JSON object.")
@click.option("--record", is_flag=True, help="Write the figures into the model's manifest.")
@MODEL
@TRACKING
@_one_line_errors
def evaluate(
    gold: Path,
    letters: Path | None,
    corpus: Path,
    against: str | None,
    as_json: bool,
    record: bool,
    model: str | None,
    tracking_uri: str | None,
) -> None:
    """Measure a model on annotated items.

    GOLD is a folder of annotated files in the corpus' format, or JSON Lines with one or more annotators an item beside
    the folder of their LETTERS.
    """
    import json
    from dataclasses import asdict

    from imr_rationale.learning.bundle import find_champion, record_figures
    from imr_rationale.learning.corpus import read_corpus
    from imr_rationale.learning.measure import compare_models, measure_model, open_gold
    from imr_rationale.learning.train import make_training_set
    from imr_rationale.serving.predict import load_model

    fitted = load_model(model, tracking_uri=tracking_uri)
    other = load_model(against, tracking_uri=tracking_uri) if against else None
    gold_set = open_gold(gold, letters)
    for problem in gold_set.problems:
        _say(f"imr: {problem}")
    _say("language pipeline")
    figures = measure_model(fitted, gold_set, make_training_set(read_corpus(corpus)), progress=_say)
    if record:
        folder = find_champion() if model is None else Path(model)
        record_figures(folder, gold_set.name, figures, **gold_set.sizes)
    if other is not None:
        compared = compare_models(fitted, other, gold_set)
        figures |= {f"{gold_set.name}.{name}.difference": figure for name, figure in compared.items()}
    if as_json:
        click.echo(json.dumps({name: asdict(figure) for name, figure in figures.items()}, indent=1))
        return
    sizes = gold_set.sizes
    about = f"{gold}, {sizes['n_items']} distinct rationales of {sizes['n_letters']} letters"
    _print_headlines(figures, gold_set.name, about)
    if other is not None:
        _print_differences(figures, gold_set.name, f"difference to {against}")


def _print_differences(figures: Mapping[str, "Figure"], data: str, about: str) -> None:
    """Print each headline's difference; a star where its interval leaves zero out."""
    from imr_rationale.learning.evaluate import HEADLINES

    click.echo(f"\n{about}; 95 % intervals by paired bootstrap over letters, * where zero is outside")
    for name in HEADLINES:
        figure = figures.get(f"{data}.{name}.difference")
        if figure is not None:
            star = " *" if figure.low > 0 or figure.high < 0 else ""
            click.echo(f"{name:32}{figure.value:>+8.3f}   {figure.low:+.3f} to {figure.high:+.3f}{star}")


@main.command()
@click.argument("gold", nargs=-1, type=click.Path(path_type=Path))
@LETTERS
@CORPUS
@click.option("--seed", default=0, show_default=True, help="Seeds the draw of the parts.")
@click.option(
    "--folds", default=3, show_default=True, type=click.IntRange(2, 20), help="Folds behind thresholds and calibration."
)
@TRACKING
@_one_line_errors
def curve(
    gold: tuple[Path, ...], letters: Path | None, corpus: Path, seed: int, folds: int, tracking_uri: str | None
) -> None:
    """Draw learning curves: quality by size of the corpus, and without each kind of its files.

    Measured on GOLD, folders of annotated files or JSON Lines beside their LETTERS; data/heldout by default.
    """
    from imr_rationale.learning import tracking
    from imr_rationale.learning.corpus import digest_files, read_corpus
    from imr_rationale.learning.curve import SHARES, list_kinds, measure_curve
    from imr_rationale.learning.measure import open_gold
    from imr_rationale.learning.model import Config
    from imr_rationale.learning.train import make_training_set

    store = tracking.resolve_store(tracking_uri)
    config = Config(random_state=seed, n_splits=folds)
    gold_sets = [open_gold(path, letters) for path in gold or (HELDOUT,)]
    data = make_training_set(read_corpus(corpus))
    with _Steps(total=len(SHARES) + len(list_kinds(data))) as step:
        points = list(measure_curve(data, gold_sets, config, progress=step))
    click.echo(f"{'part':24}{'items':>7}" + "".join(f"{f'{g.name} micro-F1':>18}{'roles':>8}" for g in gold_sets))
    for point in points:
        cells = "".join(
            f"{_format(point.figures[f'{g.name}.reasons.micro_f1'].value):>18}"
            f"{_format(point.figures[f'{g.name}.roles.accuracy'].value):>8}"
            for g in gold_sets
        )
        click.echo(f"{point.name:24}{point.n_items:>7}{cells}")
    sources = [{"name": corpus.name, "sha256": digest_files(corpus)}]
    run_id = tracking.log_curve(points, store=store, params=config.to_params(), sources=sources)
    click.echo(f"\nrun       {run_id} in {store}")


@main.command()
@CORPUS
@click.option("--examples", is_flag=True, help="Show the sentence in which each rule holds and the one in which not.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a rule.")
@_one_line_errors
def rules(corpus: Path, examples: bool, as_json: bool) -> None:
    """List the cue rules: the reason of each, how often it holds and how often it is right."""
    import json
    from dataclasses import asdict

    from imr_rationale.language.rules import RULES_VERSION
    from imr_rationale.learning.baselines import measure_rules
    from imr_rationale.learning.corpus import read_corpus
    from imr_rationale.learning.train import make_training_set

    data = make_training_set(read_corpus(corpus))
    found = measure_rules(data.features, data.targets)
    if as_json:
        for figure in found:
            row = {key: None if value != value else value for key, value in asdict(figure).items()}
            click.echo(json.dumps({"version": RULES_VERSION, **row}))
        return
    click.echo(f"cue rules, version {RULES_VERSION}, on {corpus} ({len(data)} items)")
    click.echo(f"{'rule':26}{'reason':36}{'items':>6}{'right':>8}{'interval':>14}{'covers':>8}")
    for figure in found:
        interval = f"{_format(figure.low)}–{_format(figure.high)}"
        cells = f"{figure.n_items:>6}{_format(figure.precision):>8}{interval:>14}{_format(figure.coverage):>8}"
        click.echo(f"{figure.rule.name:26}{figure.rule.reason:36}{cells}")
        if examples:
            click.echo(f"  holds      {figure.rule.positive}\n  holds not  {figure.rule.negative}")


@main.command()
@click.option("--port", default=5000, show_default=True, type=click.IntRange(1, 65535), help="Port of the UI.")
@TRACKING
@_one_line_errors
def ui(port: int, tracking_uri: str | None) -> None:
    """Open the MLflow UI on 127.0.0.1 to review training runs."""
    from imr_rationale.learning.tracking import resolve_store, serve_ui

    store = resolve_store(tracking_uri)
    _say(f"{store} on http://127.0.0.1:{port} (choose 'Model training'; stop with Ctrl-C)")
    sys.exit(serve_ui(store, port=port))
