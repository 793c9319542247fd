"""What runs are made of, and what is read back from them."""

import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imr_rationale.errors import TrackingError
from imr_rationale.learning.bundle import MODEL_FILE, read_manifest
from imr_rationale.learning.evaluate import HEADLINES
from imr_rationale.learning.evaluation import Evaluation, name_figures
from imr_rationale.learning.model import Config, RationaleModel
from imr_rationale.records import ItemText
from imr_rationale.review.artifacts import save_picture, write_evaluation, write_model, write_table
from imr_rationale.review.card import CARD, format_card, format_summary, write_card
from imr_rationale.review.curves import draw_learning_curves
from imr_rationale.review.items import ITEMS_FILE, read_items
from imr_rationale.tracking.record import (
    ARTIFACTS,
    BUNDLE,
    DataSource,
    MetricPoint,
    RunRecord,
    describe_sources,
    flatten_figures,
    list_steps,
    read_commit,
    write_record,
)
from imr_rationale.tracking.store import connect, find_run
from imr_rationale.tracking.upload import LONGEST, log_files, log_metrics, log_sources

if TYPE_CHECKING:
    from imr_rationale.learning.curve import CurvePoint

__all__ = [
    "TrainingFacts",
    "add_evaluation",
    "fetch_evaluations",
    "read_config",
    "write_curve_record",
    "write_training_record",
]

#: tag that says whether figures or labels of real letters had a part in a run
REAL_LETTERS = "real_letters"


@dataclass(frozen=True, slots=True)
class TrainingFacts:
    """What a training run is told by whoever starts it.

    Attributes
    ----------
    home : Path
        The folder that the model is published in.
    example : ItemText
        An input that the logged model shows.
    started : float
        Seconds since 1970.
    sources : tuple of DataSource
        What the model learned from.
    digests : mapping
        Name of an evaluation -> the digest of its data.
    speed : float
        Items predicted in a second by one process.
    note : str
        What the run tries.
    """

    name: str
    home: Path
    example: ItemText
    started: float
    sources: tuple[DataSource, ...]
    digests: Mapping[str, str]
    speed: float
    note: str = ""
    parent_id: str | None = None


def write_training_record(
    folder: Path, model: RationaleModel, evaluations: Sequence[Evaluation], facts: TrainingFacts
) -> None:
    """Write everything of a training run into `folder`, where the model is saved already.

    What cannot be made again comes first: a run whose pictures fail is still there to be uploaded.
    """
    manifest = read_manifest(folder / BUNDLE)
    write_card(folder / BUNDLE, manifest, facts.name)
    write_record(_make_training_record(folder, model, evaluations, facts), folder)
    (folder / ARTIFACTS / CARD).write_text(format_card(manifest, facts.name), encoding="utf-8")
    for evaluation in evaluations:
        write_evaluation(evaluation, folder / ARTIFACTS / evaluation.name)
    write_model(model, folder / ARTIFACTS / "model_weights")


def _make_training_record(
    folder: Path, model: RationaleModel, evaluations: Sequence[Evaluation], facts: TrainingFacts
) -> RunRecord:
    ended = time.time()
    figures = name_figures(evaluations)
    metrics = [*flatten_figures(figures), *(step for found in evaluations for step in list_steps(found))]
    for evaluation in evaluations:
        metrics += [MetricPoint(f"{evaluation.name}.{name}", size) for name, size in evaluation.sizes.items()]
    metrics += [
        MetricPoint("model.items_per_second", facts.speed),
        MetricPoint("model.megabytes", (folder / BUNDLE / MODEL_FILE).stat().st_size / 1e6),
        MetricPoint("train.seconds", ended - facts.started),
    ]
    splits = (source for found in evaluations for source in describe_sources(found, facts.digests[found.name]))
    return RunRecord(
        name=facts.name,
        started=round(facts.started * 1000),
        ended=round(ended * 1000),
        params=model.config.to_params(),
        tags=_make_tags(facts, evaluations),
        metrics=tuple(metrics),
        sources=(*facts.sources, *splits),
        description=format_summary({point.name: point.value for point in metrics}, facts.name, facts.note),
        parent_id=facts.parent_id,
        home=str(facts.home.resolve()),
        example=_describe_example(facts.example),
    )


def _make_tags(facts: TrainingFacts, evaluations: Iterable[Evaluation]) -> dict[str, str]:
    names = {evaluation.name for evaluation in evaluations}
    looked = "learned from" if "letters_cv" in names else "measured on" if "real" in names else "no"
    digests = {f"sha256.{source.name}": source.digest for source in facts.sources}
    digests |= {f"sha256.{name}": digest for name, digest in facts.digests.items() if not name.endswith("_cv")}
    return {"note": facts.note, REAL_LETTERS: looked, **digests, **read_commit()}


def _describe_example(example: ItemText) -> dict[str, str]:
    return {
        "rationale": example.rationale,
        "treatment": example.treatment or "",
        "summary": example.summary or "",
        "claims_administrator_guideline": example.claims_administrator_guideline or "",
    }


def write_curve_record(
    folder: Path, points: "Sequence[CurvePoint]", config: Config, source: DataSource, started: float
) -> None:
    """Write a learning curve as one run: metrics by number of items, a table, and two pictures."""
    from imr_rationale.learning.curve import tabulate_curve

    table = tabulate_curve(points, HEADLINES)
    rows = table[(table["part"] == "size") & table["value"].notna()].to_dict("records")
    (folder / ARTIFACTS).mkdir(parents=True)
    write_table(table, folder / ARTIFACTS / "learning_curve.json")
    for name, picture in draw_learning_curves(table).items():
        save_picture(picture, folder / ARTIFACTS / f"{name}.png")
    record = RunRecord(
        name=f"learning curve ({points[-1].n_items} items)",
        started=round(started * 1000),
        ended=round(time.time() * 1000),
        params=config.to_params(),
        tags=read_commit(),
        metrics=tuple(MetricPoint(f"{row['data']}.{row['metric']}", row["value"], row["n_items"]) for row in rows),
        sources=(source,),
    )
    write_record(record, folder)


def add_evaluation(store: str, run: str, evaluation: Evaluation, digest: str) -> str:
    """Add a model's figures on one more data set to the run that made it; gives the run's id.

    Raises
    ------
    TrackingError
        The store cannot be reached, refuses, or has no such run.
    """
    with connect(store, must_exist=True) as mlflow, tempfile.TemporaryDirectory() as place:
        client = mlflow.MlflowClient()
        found = find_run(client, run)
        run_id = str(found.info.run_id)
        write_evaluation(evaluation, Path(place))
        log_files(client, run_id, Path(place), evaluation.name)
        log_sources(client, run_id, tuple(describe_sources(evaluation, digest)))
        sizes = (MetricPoint(f"{evaluation.name}.{name}", size) for name, size in evaluation.sizes.items())
        points = (*flatten_figures(name_figures([evaluation])), *sizes)
        log_metrics(client, run_id, points, round(time.time() * 1000))
        tags = found.data.tags
        metrics = client.get_run(run_id).data.metrics
        summary = format_summary(metrics, found.info.run_name, tags.get("note", ""))
        client.set_tag(run_id, "mlflow.note.content", summary[:LONGEST])
        if evaluation.name == "real" and tags.get(REAL_LETTERS) == "no":
            client.set_tag(run_id, REAL_LETTERS, "measured on")
        return run_id


def read_config(store: str, run: str) -> Config:
    """Give the configuration that a run logged.

    Raises
    ------
    TrackingError
        There is no such run, or it logged no whole configuration.
    """
    with connect(store, must_exist=True) as mlflow:
        found = find_run(mlflow.MlflowClient(), run)
    params = found.data.params
    kinds: dict[str, type] = {name: type(value) for name, value in Config().to_params().items()}
    try:
        return Config(**{name: kind(params[name]) for name, kind in kinds.items()})
    except (KeyError, ValueError) as error:
        raise TrackingError(f"run {found.info.run_id}: no whole configuration of this version ({error!r})") from error


def fetch_evaluations(client: Any, run: Any) -> dict[str, Evaluation]:
    """Give the evaluations that a run holds, by the names of their data sets; their figures stay in the metrics."""
    run_id = run.info.run_id
    folders = [found.path for found in client.list_artifacts(run_id) if found.is_dir]
    found = {}
    with tempfile.TemporaryDirectory() as place:
        for folder in folders:
            if any(file.path == f"{folder}/{ITEMS_FILE}" for file in client.list_artifacts(run_id, folder)):
                path = client.download_artifacts(run_id, f"{folder}/{ITEMS_FILE}", place)
                found[folder] = read_items(Path(path), folder)
    if not found:
        raise TrackingError(f"run {run.info.run_name} ({run_id}): holds no items to compare")
    return found
