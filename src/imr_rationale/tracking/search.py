"""Hyper-parameter search: every trial a child run of one parent, which is also all that a search resumes from.

Selection uses cross-validation on the corpus alone; what is held out and real letters are never looked at.
"""

import hashlib
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from imr_rationale.errors import TrackingError
from imr_rationale.language.rules import RULES_VERSION
from imr_rationale.learning.evaluation import name_figures
from imr_rationale.learning.model import Config
from imr_rationale.learning.train import TrainingSet, cross_validate
from imr_rationale.review.artifacts import save_picture, write_table
from imr_rationale.review.trials import draw_trials
from imr_rationale.tracking.record import (
    DataSource,
    MetricPoint,
    RunRecord,
    flatten_figures,
    list_steps,
    read_commit,
    write_record,
)
from imr_rationale.tracking.store import connect, open_experiment
from imr_rationale.tracking.upload import log_files, log_metrics, log_sources, upload_record

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SPACE", "SearchPlan", "SearchState", "search_config"]

#: parameter -> lowest and highest value that is tried, on a logarithmic scale: a factor of ten to either side of the
#: default for regularisation, narrower where ten times would make no sense
SPACE: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "c_role": (0.3, 30.0),
        "c_role_context": (0.003, 0.3),
        "c_verdict": (0.15, 15.0),
        "c_reasons": (1.6, 160.0),
        "c_calibration": (0.005, 0.5),
        "c_primary": (0.003, 0.3),
        "gate": (0.5, 2.0),
        "evidence_share": (0.4, 0.95),
    }
)
DATA = "corpus_cv"


@dataclass(frozen=True, slots=True)
class SearchPlan:
    """What a search looks for: two searches with the same plan are one search.

    Attributes
    ----------
    metric : str
        "<task>.<metric>", cross-validated on the corpus; the higher the better.
    config : Config
        The first trial; the others differ from it in the parameters of `SPACE`.
    """

    name: str
    metric: str
    config: Config
    source: DataSource
    note: str = ""

    @property
    def identity(self) -> dict[str, str]:
        """Tags by which a parent run is known again."""
        parts = (self.metric, self.config.to_params(), sorted(SPACE.items()), RULES_VERSION, self.source.digest)
        return {"search": self.name, "search.plan": hashlib.sha256(repr(parts).encode()).hexdigest()}


@dataclass(frozen=True, slots=True)
class SearchState:
    """Where a search stands: its parent run, its trials as a table, the best configuration so far."""

    parent_id: str
    trials: "pd.DataFrame"
    best: Config
    n_resumed: int


def search_config(
    plan: SearchPlan,
    data: TrainingSet,
    store: str,
    *,
    n_trials: int,
    seconds: float | None = None,
    progress: Callable[[str], None] = lambda step: None,
) -> SearchState:
    """Try configurations until there are `n_trials` of them or the time is over; trials of an earlier start count.

    Parameters
    ----------
    seconds : float, optional
        No trial begins after so many seconds.

    Raises
    ------
    TrackingError
        The store cannot be reached or refuses; run it again to go on after the last trial that was logged.
    """
    begun = time.monotonic()
    with _open_parent(plan, store) as (client, parent_id):
        done = _read_trials(client, plan, parent_id)
        study = _make_study(plan, done)
        n_resumed = len(done)
        while len(done) < n_trials and not (done and seconds is not None and time.monotonic() - begun > seconds):
            trial = study.ask(_make_distributions())
            progress(f"trial {len(done) + 1}/{n_trials}")
            config = replace(plan.config, **trial.params)
            found = _run_trial(plan, config, data, store, parent_id, len(done) + 1)
            study.tell(trial, found["value"])
            done.append(found)
            _show_trials(client, plan, parent_id, done)
        best = max(done, key=lambda row: row["value"])
        client.set_terminated(parent_id, "FINISHED")
        import pandas as pd

        chosen = replace(plan.config, **{name: best[name] for name in SPACE})
        return SearchState(parent_id, pd.DataFrame(done), chosen, n_resumed)


@contextmanager
def _open_parent(plan: SearchPlan, store: str) -> Iterator[tuple[Any, str]]:
    """Give the parent run of this plan, the one begun earlier if there is one, to one process at a time."""
    with _lock_plan(plan), connect(store) as mlflow:
        client = mlflow.MlflowClient()
        experiment = open_experiment(client)
        wanted = " and ".join(f"tags.`{name}` = '{value}'" for name, value in plan.identity.items())
        known = client.search_runs([experiment], wanted, max_results=1)
        if known:
            parent_id = known[0].info.run_id
            client.update_run(parent_id, status="RUNNING")
            _close_trials(client, known[0])
        else:
            tags = {**plan.identity, "note": plan.note, "real_letters": "no", **read_commit(), **_describe(plan)}
            parent_id = client.create_run(experiment, tags=tags, run_name=plan.name).info.run_id
            log_sources(client, parent_id, (plan.source,))
        try:
            yield client, parent_id
        except BaseException:
            client.set_terminated(parent_id, "KILLED")
            raise


@contextmanager
def _lock_plan(plan: SearchPlan) -> Iterator[None]:
    from filelock import FileLock, Timeout

    name = f"imr-search-{plan.identity['search.plan'][:16]}-{plan.name}.lock"
    try:
        with FileLock(Path(tempfile.gettempdir()) / name, timeout=0):
            yield
    except Timeout as error:
        raise TrackingError(f"the search {plan.name} is already running on this machine") from error


def _close_trials(client: Any, parent: Any) -> None:
    """Mark as failed the trial that was being logged when an earlier start was cut off."""
    wanted = f"tags.`mlflow.parentRunId` = '{parent.info.run_id}' and attributes.status = 'RUNNING'"
    for run in client.search_runs([parent.info.experiment_id], wanted):
        client.set_terminated(run.info.run_id, "FAILED")


def _describe(plan: SearchPlan) -> dict[str, str]:
    text = (
        f"{plan.note}\n\nA search for the highest {DATA}.{plan.metric}. Each child run is one trial. Figures of "
        "the best trial are flattered, as it was chosen by them; what it is worth stands in the child run that was "
        "trained on everything, measured on what was held out."
    )
    return {"mlflow.note.content": text.strip(), "mlflow.source.name": "imr search", "mlflow.source.type": "LOCAL"}


def _read_trials(client: Any, plan: SearchPlan, parent_id: str) -> list[dict[str, Any]]:
    """Read the trials that an earlier start of this search has finished."""
    experiment = client.get_run(parent_id).info.experiment_id
    wanted = f"tags.`mlflow.parentRunId` = '{parent_id}' and tags.trial != '' and attributes.status = 'FINISHED'"
    runs = client.search_runs([experiment], wanted, max_results=5000, order_by=["attributes.start_time ASC"])
    return [
        {
            "trial": int(run.data.tags["trial"]),
            "value": run.data.metrics[f"{DATA}.{plan.metric}"],
            "low": run.data.metrics[f"{DATA}.{plan.metric}.low"],
            "high": run.data.metrics[f"{DATA}.{plan.metric}.high"],
            **{name: float(run.data.params[name]) for name in SPACE},
            "run_id": run.info.run_id,
        }
        for run in runs
    ]


def _make_distributions() -> dict[str, Any]:
    import optuna

    return {name: optuna.distributions.FloatDistribution(*ends, log=True) for name, ends in SPACE.items()}


def _make_study(plan: SearchPlan, done: list[dict[str, Any]]) -> Any:
    """Make the study, told of the trials already done; the first trial of all is the configuration as it stands."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=plan.config.random_state + len(done), multivariate=False)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    if not done:
        study.enqueue_trial({name: getattr(plan.config, name) for name in SPACE})
    for row in done:
        values = {name: row[name] for name in SPACE}
        study.add_trial(
            optuna.trial.create_trial(params=values, distributions=_make_distributions(), value=row["value"])
        )
    return study


def _run_trial(
    plan: SearchPlan, config: Config, data: TrainingSet, store: str, parent_id: str, number: int
) -> dict[str, Any]:
    """Cross-validate one configuration and log it as a child run."""
    started = time.time()
    (evaluation,) = cross_validate(data, config)
    figure = evaluation.figures[plan.metric]
    if figure.value != figure.value:
        raise TrackingError(f"{plan.metric} cannot be measured on this corpus")
    record = RunRecord(
        name=f"trial {number}",
        started=round(started * 1000),
        ended=round(time.time() * 1000),
        params=config.to_params(),
        tags={"trial": str(number), "search": plan.name, "real_letters": "no", **read_commit()},
        metrics=(*flatten_figures(name_figures([evaluation])), *list_steps(evaluation)),
        sources=(plan.source,),
        parent_id=parent_id,
    )
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "trial"
        write_record(record, folder)
        run_id = upload_record(folder, store)
    values = {name: getattr(config, name) for name in SPACE}
    return {"trial": number, "value": figure.value, "low": figure.low, "high": figure.high, **values, "run_id": run_id}


def _show_trials(client: Any, plan: SearchPlan, parent_id: str, done: list[dict[str, Any]]) -> None:
    """Bring the parent's picture, table and progress up to date."""
    import pandas as pd

    table = pd.DataFrame(done)
    best = table["value"].max()
    points = (MetricPoint(f"search.{plan.metric}.best", float(best), len(done)),)
    log_metrics(client, parent_id, points, round(time.time() * 1000))
    with tempfile.TemporaryDirectory() as place:
        write_table(table.sort_values("value", ascending=False), Path(place) / "trials.json")
        save_picture(draw_trials(table, f"{DATA}.{plan.metric}", tuple(SPACE)), Path(place) / "trials.png")
        log_files(client, parent_id, Path(place))
