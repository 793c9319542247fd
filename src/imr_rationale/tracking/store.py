"""The tracking store: where it is, how to reach it, how to find a run in it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from imr_rationale.errors import TrackingError
from imr_rationale.tracking.views import make_view_tags

__all__ = [
    "ALIAS",
    "DEFAULT_STORE",
    "EXPERIMENT",
    "connect",
    "find_run",
    "find_run_id",
    "open_experiment",
    "resolve_store",
]

#: name of the experiment and of the registered model
EXPERIMENT = "imr-rationale"
#: alias of the registered model's version in use
ALIAS = "champion"
DEFAULT_STORE = "sqlite:///mlflow.db"
#: a server that answers nothing fails a run's tracking after about two minutes, not after mlflow's quarter of an hour
PATIENCE = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "30", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2"}
FILE = "sqlite:///"
#: seconds to wait for another process that makes the tables of a store, which takes it some ten
PATIENCE_WITH_FILE = 120


def resolve_store(option: str | None) -> str:
    """Give the tracking store: the option, else MLFLOW_TRACKING_URI, else a file in the working folder."""
    return option or os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_STORE


@contextmanager
def connect(store: str) -> Iterator[Any]:
    """Import mlflow without telemetry, pointed at `store`.

    Raises
    ------
    TrackingError
        In place of every error of the store: it cannot be reached, does not know what is asked for, or refuses.
    """
    settings = {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "GIT_PYTHON_REFRESH": "quiet",
        **PATIENCE,
    }
    for name, value in settings.items():
        os.environ.setdefault(name, value)
    import logging
    import warnings

    import mlflow
    from sqlalchemy.exc import SQLAlchemyError

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=UserWarning, module=r"mlflow\.")
            mlflow.set_tracking_uri(store)
            mlflow.set_registry_uri(store)
            if store.startswith(FILE):
                _make_tables(mlflow, store)
            yield mlflow
    except (mlflow.exceptions.MlflowException, SQLAlchemyError, OSError) as error:
        raise TrackingError(f"{store}: {_first_line(error)}") from error


def _make_tables(mlflow: Any, store: str) -> None:
    """Let one process at a time make the tables of a store in a file: two at once spoil it."""
    from filelock import FileLock

    with FileLock(f"{store.removeprefix(FILE)}.lock", timeout=PATIENCE_WITH_FILE):
        client = mlflow.MlflowClient()
        client.search_experiments(max_results=1)
        client.search_registered_models(max_results=1)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def open_experiment(client: Any) -> str:
    """Give the experiment's id; the experiment is made if it is not there."""
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(EXPERIMENT)
    if found is None:
        try:
            return str(client.create_experiment(EXPERIMENT, tags=make_view_tags()))
        except MlflowException:  # another process made it just now
            found = client.get_experiment_by_name(EXPERIMENT)
            if found is None:
                raise
    for key, value in make_view_tags().items():
        if found.tags.get(key) != value:
            client.set_experiment_tag(found.experiment_id, key, value)
    return str(found.experiment_id)


def find_run(client: Any, name: str) -> Any:
    """Give the run that `name` means: an id or the beginning of it, a run's name (the latest of it), or "champion".

    Raises
    ------
    TrackingError
        There is no such run, or several ids begin so.
    """
    if name == ALIAS:
        return client.get_run(client.get_model_version_by_alias(EXPERIMENT, ALIAS).run_id)
    found = client.get_experiment_by_name(EXPERIMENT)
    runs = client.search_runs([found.experiment_id], max_results=5000) if found else []
    named = [run for run in runs if run.info.run_id == name] or [run for run in runs if run.info.run_name == name]
    begun = [run for run in runs if run.info.run_id.startswith(name)] if name else []
    if named:
        return named[0]
    if len(begun) == 1:
        return begun[0]
    reason = f"{len(begun)} runs begin with" if begun else "no run"
    raise TrackingError(f"{reason} {name!r} in the experiment {EXPERIMENT}; 'imr ui' lists them")


def find_run_id(store: str, name: str) -> str:
    """Give the id of the run that `name` means, as in `find_run`.

    Raises
    ------
    TrackingError
        The store cannot be reached, or has no such run.
    """
    with connect(store) as mlflow:
        return str(find_run(mlflow.MlflowClient(), name).info.run_id)
