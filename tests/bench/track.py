"""A benchmark as an MLflow run, in an experiment of its own."""

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.figures import Figure, judge
from imr_rationale.tracking.record import MetricPoint
from imr_rationale.tracking.store import connect
from imr_rationale.tracking.upload import LONGEST, log_files, log_metrics

__all__ = ["EXPERIMENT", "log_benchmark"]

EXPERIMENT = "imr-rationale-bench"


def log_benchmark(figures: Sequence[Figure], machine: dict[str, Any], folder: Path, store: str, started: float) -> str:
    """Log figures as metrics, ratios beside them, and the files of `folder`; gives the run's id.

    Raises
    ------
    TrackingError
        The store cannot be reached or refuses.
    """
    from mlflow.entities import Param

    with connect(store) as mlflow:
        client = mlflow.MlflowClient()
        found = client.get_experiment_by_name(EXPERIMENT)
        experiment = found.experiment_id if found else client.create_experiment(EXPERIMENT)
        tags = {
            "mlflow.source.name": "make bench",
            **{name: machine[name] for name in ("git_commit", "git_changes") if name in machine},
        }
        run = client.create_run(experiment, start_time=round(started * 1000), tags=tags)
        run_id = str(run.info.run_id)
        facts = {**machine, **machine["packages"]}
        params = [Param(name, str(value)[:LONGEST]) for name, value in facts.items() if name != "packages"]
        client.log_batch(run_id, params=params)
        log_metrics(client, run_id, tuple(_list_points(figures)), round(time.time() * 1000))
        log_files(client, run_id, folder)
        client.set_terminated(run_id)
    return run_id


def _list_points(figures: Sequence[Figure]) -> list[MetricPoint]:
    by_name = {figure.name: figure for figure in figures}
    values: dict[str, float] = {}
    for figure in figures:
        ratio, judgement = judge(figure, by_name)
        values |= {figure.name: figure.value, f"{figure.name}.ratio": ratio}
        if judgement in ("met", "MISSED"):
            values[f"{figure.name}.met"] = float(judgement == "met")
    return [MetricPoint(name, value) for name, value in values.items() if not math.isnan(value)]
