"""Look at models, runs and rules: evaluate, compare, promote, rules, verify, ui."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from imr_rationale.cli.options import (
    CORPUS,
    LETTERS,
    MODEL,
    TRACKING,
    format_value,
    one_line_errors,
    print_differences,
    print_headlines,
    say,
)

if TYPE_CHECKING:
    from imr_rationale.learning.bootstrap import Figure
    from imr_rationale.learning.evaluation import Evaluation

__all__ = ["COMMANDS"]


@click.command()
@click.argument("gold", type=click.Path(path_type=Path))
@LETTERS
@CORPUS
@click.option(
    "--against",
    metavar="MODEL",
    help="Another model: print each figure's difference to it, with the interval of a paired bootstrap over letters.",
)
@click.option("--json", "as_json", is_flag=True, help="Print every figure as one JSON object.")
@click.option("--run", metavar="RUN", help="Measure the model of this run, and add the figures and pictures to it.")
@click.option("--record", is_flag=True, help="Write the figures into the model's manifest.")
@MODEL
@TRACKING
@one_line_errors
def evaluate(
    gold: Path,
    letters: Path | None,
    corpus: Path,
    against: str | None,
    as_json: bool,
    run: str | None,
    record: bool,
    model: str | None,
    tracking_uri: str | None,
) -> None:
    """Measure a model on annotated items.

    GOLD is a folder of annotated files in the corpus' format, or JSON Lines with one or more annotators an item beside
    the folder of their LETTERS.
    """
    from imr_rationale.learning.corpus import read_corpus
    from imr_rationale.learning.measure import compare_models, digest_gold, measure_model, open_gold
    from imr_rationale.learning.train import make_training_set
    from imr_rationale.serving.predict import load_model
    from imr_rationale.tracking.runs import add_evaluation
    from imr_rationale.tracking.store import find_run_id, resolve_store

    if run and (model or record):
        raise click.UsageError("--run names the model; --model and --record go without it")
    if record and model and model.startswith(("models:/", "runs:/")):
        raise click.UsageError("--record writes into a model's folder; --run adds to a run")
    store = resolve_store(tracking_uri)
    run_id = find_run_id(store, run) if run else None
    fitted = load_model(f"runs:/{run_id}/model" if run_id else model, tracking_uri=store)
    other = load_model(against, tracking_uri=store) if against else None
    gold_set = open_gold(gold, letters)
    for problem in gold_set.problems:
        say(f"imr: {problem}")
    say("language pipeline")
    evaluation = measure_model(fitted, gold_set, make_training_set(read_corpus(corpus)), progress=say)
    if record:
        _record(evaluation, model)
    if run_id:
        say("pictures and tables")
        add_evaluation(store, run_id, evaluation, digest_gold(gold))
    compared = compare_models(fitted, other, gold_set) if other is not None else {}
    if as_json:
        _print_json(evaluation, compared)
        return
    sizes = gold_set.sizes
    about = f"{gold}, {sizes['n_items']} distinct rationales of {sizes['n_letters']} letters"
    print_headlines({f"{gold_set.name}.{name}": f for name, f in evaluation.figures.items()}, gold_set.name, about)
    if compared:
        print_differences(compared, f"difference to {against}")
    if run_id:
        click.echo(f"\nrun       {run_id} in {store}")


def _record(evaluation: "Evaluation", model: str | None) -> None:
    """Write the figures into a model's manifest and card."""
    from imr_rationale.learning.bundle import find_champion, read_manifest, record_figures
    from imr_rationale.learning.evaluation import name_figures
    from imr_rationale.review.card import write_card

    folder = find_champion() if model is None else Path(model)
    record_figures(folder, evaluation.name, name_figures([evaluation]), **evaluation.sizes)
    write_card(folder, read_manifest(folder))


def _print_json(evaluation: "Evaluation", compared: "Mapping[str, Figure]") -> None:
    import json
    from dataclasses import asdict

    figures = {**evaluation.figures, **{f"{name}.difference": figure for name, figure in compared.items()}}
    click.echo(json.dumps({f"{evaluation.name}.{name}": asdict(f) for name, f in figures.items()}, indent=1))


RUN_HELP = "A RUN is a run's id or the beginning of it, a run's name, or @champion."


@click.command(epilog=RUN_HELP)
@click.argument("run")
@click.argument("other")
@click.option(
    "--bootstrap", default=500, show_default=True, type=click.IntRange(10, 10_000), help="Replicates behind intervals."
)
@click.option("--flips", is_flag=True, help="List the items that either run reads better.")
@TRACKING
@one_line_errors
def compare(run: str, other: str, bootstrap: int, flips: bool, tracking_uri: str | None) -> None:
    """Compare RUN with OTHER, item by item, on every data set that both were measured on.

    Prints each figure's difference, RUN less OTHER, and logs tables and pictures with RUN.
    """
    from imr_rationale.tracking.registry import compare_runs
    from imr_rationale.tracking.store import resolve_store

    compared = compare_runs(resolve_store(tracking_uri), run, other, n_bootstrap=bootstrap)
    for found in compared.comparisons:
        left_out = f", {found.n_left_out} items left out that the runs do not share" if found.n_left_out else ""
        about = f"{found.name}, {found.n_items} items of {found.n_letters} letters{left_out}: {run} less {other}"
        print_differences(found.differences, about)
        click.echo(f"\n{'reason':36}{'items':>7}{'F1':>9}{'interval':>19}{'won':>6}{'lost':>6}")
        for row in found.labels.to_dict("records"):
            interval = f"{row['low']:+.3f} to {row['high']:+.3f}"
            cells = f"{row['annotated']:>7.0f}{row['difference']:>+9.3f}{interval:>19}{row['won']:>6}{row['lost']:>6}"
            click.echo(f"{row['reason']:36}{cells}")
        click.echo(f"{len(found.flips)} items are read better by one of the two")
        for row in found.flips.to_dict("records") if flips else ():
            told = [f"{word} {row[word]}" for word in ("gained", "lost") if row[word]]
            if row["first_primary"] != row["second_primary"]:
                told.append(f"primary {row['second_primary']} -> {row['first_primary']} ({row['primary']})")
            click.echo(f"  {row['id']:20} {'; '.join(told)}")
    if compared.left_out:
        say(f"not compared, nothing in common: {', '.join(compared.left_out)}")


@click.command(epilog=RUN_HELP)
@click.argument("run")
@click.option("--force", metavar="REASON", help="Promote whatever the bars say; the reason is kept as a tag.")
@TRACKING
@one_line_errors
def promote(run: str, force: str | None, tracking_uri: str | None) -> None:
    """Make the model of RUN the champion of the store, if it clears the gate.

    Its bundle must verify, the leak check pass, it must be measured on the champion's items, no headline be worse there
    beyond noise, no reason collapse, and its throughput be at least 0.8 of the champion's.
    """
    from imr_rationale.errors import TrackingError
    from imr_rationale.tracking.registry import promote_run
    from imr_rationale.tracking.store import ALIAS, EXPERIMENT, resolve_store

    found = promote_run(resolve_store(tracking_uri), run, force=force)
    for bar in found.bars:
        click.echo(f"{'cleared' if bar.passed else 'FAILED':9}{bar.name:28}{bar.text}")
    failed = [bar.name for bar in found.bars if not bar.passed]
    if found.version is None:
        raise TrackingError(f"run {found.run_id} is not promoted: {', '.join(failed)}")
    forced = f" although it failed: {', '.join(failed)}" if failed else ""
    click.echo(f"\nversion {found.version} is models:/{EXPERIMENT}@{ALIAS}{forced}")


@click.command()
@CORPUS
@click.option("--examples", is_flag=True, help="Show the sentence in which each rule holds and the one in which not.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a rule.")
@one_line_errors
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
        interval = f"{format_value(figure.low)}–{format_value(figure.high)}"
        cells = (
            f"{figure.n_items:>6}{format_value(figure.precision):>8}{interval:>14}{format_value(figure.coverage):>8}"
        )
        click.echo(f"{figure.rule.name:26}{figure.rule.reason:36}{cells}")
        if examples:
            click.echo(f"  holds      {figure.rule.positive}\n  holds not  {figure.rule.negative}")


@click.command()
@click.option("--port", default=5000, show_default=True, type=click.IntRange(1, 65535), help="Port of the UI.")
@TRACKING
@one_line_errors
def ui(port: int, tracking_uri: str | None) -> None:
    """Open the MLflow UI on 127.0.0.1 to review training runs."""
    from imr_rationale.tracking.server import find_runs_address, is_server, serve_ui
    from imr_rationale.tracking.store import resolve_store

    store = resolve_store(tracking_uri)
    address = find_runs_address(store, port=port)
    if is_server(store):
        click.echo(address)
        return
    say(f"{store}, in some seconds on\n  {address}\nstop with Ctrl-C")
    serve_ui(store, port=port)


@click.command()
@click.argument("model", required=False)
@TRACKING
@one_line_errors
def verify(model: str | None, tracking_uri: str | None) -> None:
    """Check a model before it is used: its sum, its parts, its labels, and that it predicts.

    MODEL is a folder or an address such as models:/imr-rationale@champion; the bundled champion when left out.
    """
    from importlib import metadata

    from imr_rationale.serving.predict import load_model, predict

    fitted = load_model(model, tracking_uri=tracking_uri)
    manifest = fitted.manifest
    found = predict("There is no evidence of red flags. The request is not medically necessary.", model=fitted)
    click.echo(f"sum       sha256 {manifest['sha256']}, as the manifest says")
    parts = f"{len(fitted.vocabularies)} vocabularies and {len(fitted.regressions)} regressions"
    click.echo(f"parts     {parts}, arrays of numbers and nothing else")
    click.echo(f"labels    {len(manifest['reasons'])} reasons and {len(manifest['roles'])} roles, as in this version")
    click.echo(f"predicts  {found.primary_reason or 'no reason'} in a rationale that lacks red flags")
    others = {name: there for name, there in manifest["libraries"].items() if metadata.version(name) != there}
    for name, there in others.items():
        say(f"imr: made with {name} {there}, here is {metadata.version(name)}: check a few predictions")


COMMANDS = (evaluate, compare, promote, rules, verify, ui)
