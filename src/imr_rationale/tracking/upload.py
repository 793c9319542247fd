"""Upload a record: parameters, data sets, artifacts, model, metrics, in this order; what is there already is left."""

import shutil
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from imr_rationale.errors import ModelError, TrackingError
from imr_rationale.labels import OUTCOME_TASKS
from imr_rationale.learning.bundle import read_manifest, record_run
from imr_rationale.letters.sources import Document
from imr_rationale.review.card import write_card
from imr_rationale.tracking.record import (
    ARTIFACTS,
    BUNDLE,
    DataSource,
    MetricPoint,
    RunRecord,
    read_record,
    write_record,
)
from imr_rationale.tracking.store import connect, open_experiment

__all__ = [
    "LONGEST",
    "describe_pyfunc",
    "lock_record",
    "log_files",
    "log_metrics",
    "log_sources",
    "upload_record",
]

#: the packages that a logged model needs beside this one
REQUIREMENTS = ("imr-rationale",)
#: of a rationale; the first one must be there
RATIONALE_COLUMNS = ("rationale", "treatment", "summary", "claims_administrator_guideline")
#: of a whole letter, or of a table's row that is no letter; `text` must be there, `notes` is JSON
DOCUMENT_COLUMNS = tuple(field.name for field in fields(Document))
#: metrics that a store takes in one request
BATCH = 1000
#: characters that every store takes of a parameter or a tag
LONGEST = 5000


def upload_record(folder: Path, store: str) -> str:
    """Upload a record and remove it; one that was cut off goes on in the run it had begun.

    Returns
    -------
    str
        The run's id.

    Raises
    ------
    TrackingError
        The store cannot be reached or refuses; the record stays.
    """
    record = read_record(folder)
    with lock_record(folder), connect(store) as mlflow:
        client = mlflow.MlflowClient()
        record = _open_run(client, record, folder)
        run_id = str(record.run_id)
        log_sources(client, run_id, record.sources)
        log_files(client, run_id, folder / ARTIFACTS)
        if (folder / BUNDLE).is_dir():
            record = _log_model(mlflow, record, folder)
        log_metrics(client, run_id, record.metrics, record.ended, record.model_id)
        client.set_terminated(run_id, status="FINISHED", end_time=record.ended)
        shutil.rmtree(folder)
        _find_lock(folder).unlink(missing_ok=True)
    return run_id


def _find_lock(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.lock")


def lock_record(folder: Path) -> Any:
    """Give the lock that says that this process has a record in hand; held already, it is had again.

    Raises
    ------
    TrackingError
        Another process has it.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(_find_lock(folder), is_singleton=True)
    try:
        return lock.acquire(timeout=0)
    except Timeout as error:
        raise TrackingError(f"{folder}: another process has this run in hand") from error


def _open_run(client: Any, record: RunRecord, folder: Path) -> RunRecord:
    """Open the record's run, or find the one that an earlier try opened, and note its id."""
    if record.run_id is None or not _has_run(client, record.run_id):
        tags = {name: value[:LONGEST] for name, value in {**_describe_origin(record), **record.tags}.items()}
        experiment = open_experiment(client)
        run = client.create_run(experiment, start_time=record.started, tags=tags, run_name=record.name)
        record = replace(record, run_id=run.info.run_id, model_id=None)
        write_record(record, folder)
    from mlflow.entities import Param

    client.log_batch(record.run_id, params=[Param(name, str(value)[:LONGEST]) for name, value in record.params.items()])
    return record


def _has_run(client: Any, run_id: str) -> bool:
    from mlflow.exceptions import MlflowException

    try:
        client.get_run(run_id)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return False
        raise
    return True


def _describe_origin(record: RunRecord) -> dict[str, str]:
    """Give the tags that the UI itself reads: who, by what, under which run."""
    import getpass

    tags = {"mlflow.source.name": "imr", "mlflow.source.type": "LOCAL", "mlflow.note.content": record.description}
    if record.parent_id:
        tags["mlflow.parentRunId"] = record.parent_id
    if "git_commit" in record.tags:
        tags["mlflow.source.git.commit"] = record.tags["git_commit"]
    try:
        tags["mlflow.user"] = getpass.getuser()
    except (KeyError, OSError, ImportError):  # an account without a name
        tags["mlflow.user"] = "unknown"
    return tags


def log_sources(client: Any, run_id: str, sources: tuple[DataSource, ...]) -> None:
    """Log data sets as inputs of a run."""
    import json

    from mlflow.entities import Dataset, DatasetInput, InputTag

    inputs = [
        DatasetInput(
            Dataset(
                name=source.name,
                digest=source.digest[:36],
                source_type="local",
                source=json.dumps({"name": source.name, "sha256": source.digest}),
                profile=json.dumps({"num_rows": source.n_items, "num_letters": source.n_letters}),
            ),
            [InputTag("mlflow.data.context", source.context)],
        )
        for source in sources
    ]
    if inputs:
        client.log_inputs(run_id, datasets=inputs)


def log_files(client: Any, run_id: str, folder: Path, into: str | None = None) -> None:
    """Log a folder of artifacts; its tables are announced, so that the UI shows and compares them as tables."""
    import json

    client.log_artifacts(run_id, str(folder), into)
    known = json.loads(client.get_run(run_id).data.tags.get("mlflow.loggedArtifacts", "[]"))
    paths = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*.json"))]
    tables = [{"path": f"{into}/{path}" if into else path, "type": "table"} for path in paths]
    told = json.dumps(known + [table for table in tables if table not in known])
    if len(told) <= LONGEST:  # the artifacts are there all the same, shown as text
        client.set_tag(run_id, "mlflow.loggedArtifacts", told)


def log_metrics(
    client: Any, run_id: str, points: tuple[MetricPoint, ...], timestamp: int, model_id: str | None = None
) -> None:
    """Log metrics in as few requests as the store allows; the same ones twice are logged once."""
    from mlflow.entities import Metric

    metrics = [Metric(point.name, point.value, timestamp, point.step, model_id=model_id) for point in points]
    for start in range(0, len(metrics), BATCH):
        client.log_batch(run_id, metrics=metrics[start : start + BATCH])


def _log_model(mlflow: Any, record: RunRecord, folder: Path) -> RunRecord:
    """Log the model, told which run made it, as a pyfunc that loads through the allow-list."""
    bundle = folder / BUNDLE
    for place in (bundle, *_find_home(record, bundle)):
        record_run(place, str(record.run_id))
        write_card(place, read_manifest(place), record.name)
    if record.model_id is not None:
        return record
    import pandas as pd

    client = mlflow.MlflowClient()
    for model in _list_models(client, record):  # of a try that was cut off
        client.delete_logged_model(model.model_id)
    with mlflow.start_run(run_id=record.run_id):
        info = mlflow.pyfunc.log_model(
            name="model",
            input_example=pd.DataFrame([dict(record.example)]),
            **describe_pyfunc(bundle),
        )
        record = replace(record, model_id=info.model_id)
        write_record(record, folder)
    client.update_run(record.run_id, status="RUNNING")
    return record


def _list_models(client: Any, record: RunRecord) -> list[Any]:
    experiment = client.get_run(record.run_id).info.experiment_id
    return list(client.search_logged_models([experiment], filter_string=f"source_run_id = '{record.run_id}'"))


def _find_home(record: RunRecord, bundle: Path) -> list[Path]:
    """Give the model's own folder, where it still holds this model."""
    home = Path(record.home or "")
    try:
        same = read_manifest(home)["sha256"] == read_manifest(bundle)["sha256"]
    except ModelError:  # moved or trained anew since
        same = False
    return [home] if same else []


def describe_pyfunc(bundle: Path) -> dict[str, Any]:
    """Give the arguments with which MLflow logs or saves the model in a folder, in any of its ways to do so."""
    return {
        "python_model": str(Path(__file__).with_name("pyfunc.py")),
        "artifacts": {"bundle": str(bundle)},
        "signature": _make_signature(),
        "pip_requirements": list(REQUIREMENTS),
    }


def _make_signature() -> Any:
    """Give the columns in, which are those of rationales or those of letters, and the columns out of either."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema

    columns = dict.fromkeys((*RATIONALE_COLUMNS, *DOCUMENT_COLUMNS))
    probabilities = (f"{task}_probability" for task in OUTCOME_TASKS)
    return ModelSignature(
        inputs=Schema([ColSpec("string", name, required=False) for name in columns]),
        outputs=Schema(
            [
                *(ColSpec("string", name, required=False) for name in ("reasons", "primary_reason")),
                *(ColSpec("double", name, required=False) for name in probabilities),
                ColSpec("string", "rows", required=False),
            ]
        ),
        params=ParamSchema([ParamSpec("min_certainty", "double", 0.0)]),
    )
