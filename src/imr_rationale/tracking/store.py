"""The tracking store: where it is, how to reach it, how to find a run in it."""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from imr_rationale.errors import TrackingError
from imr_rationale.tracking.views import make_view_tags

__all__ = [
    "ALIAS",
    "DEFAULT_STORE",
    "EXPERIMENT",
    "SETTINGS",
    "UNKNOWN",
    "connect",
    "find_run",
    "find_run_id",
    "import_mlflow",
    "open_experiment",
    "resolve_store",
]

#: name of the experiment and of the registered model
EXPERIMENT = "imr-rationale"
#: alias of the registered model's version in use
ALIAS = "champion"
DEFAULT_STORE = "sqlite:///mlflow.db"
VARIABLE = "MLFLOW_TRACKING_URI"
#: a server that answers nothing fails a run's tracking after about two minutes, not after mlflow's quarter of an hour
PATIENCE = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "30", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2"}
#: of mlflow's environment, where it does not say otherwise
SETTINGS: Mapping[str, str] = MappingProxyType(
    {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "GIT_PYTHON_REFRESH": "quiet",
        **PATIENCE,
    }
)
FILE = "sqlite:///"
#: seconds to wait for another process that makes the tables of a store, which takes it some ten
PATIENCE_WITH_FILE = 120

# "637cf3b", "637cf3bff56d4c048da8e69c53c06605"
RUN_ID_RE = re.compile(r"[0-9a-f]{4,32}")
#: how a store says that it does not know an alias
UNKNOWN = frozenset({"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"})


def resolve_store(option: str | None) -> str:
    """Give the tracking store: the option, else MLFLOW_TRACKING_URI, else a file in the working folder."""
    return option or os.environ.get(VARIABLE) or DEFAULT_STORE


def import_mlflow() -> Any:
    """Import mlflow without telemetry, silent but for errors; it is pointed at no store."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    import logging

    import mlflow

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    return mlflow


@contextmanager
def connect(store: str, *, must_exist: bool = False) -> Iterator[Any]:
    """Import mlflow without telemetry, pointed at `store` until the end of the block.

    Parameters
    ----------
    must_exist : bool
        Refuse a store in a file that is not there, rather than make it.

    Raises
    ------
    TrackingError
        In place of every error of the store: it cannot be reached, does not know what is asked for, or refuses.
    """
    if must_exist and store.startswith(FILE) and not Path(store.removeprefix(FILE)).is_file():
        raise TrackingError(f"{store}: no such store; 'imr train' makes one")
    mlflow = import_mlflow()
    import warnings

    from sqlalchemy.exc import SQLAlchemyError

    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=UserWarning, module=r"mlflow\.")
            with _use(mlflow, store):
                if store.startswith(FILE):
                    _make_tables(mlflow, store)
                yield mlflow
    except (mlflow.exceptions.MlflowException, SQLAlchemyError, OSError, ImportError) as error:
        raise TrackingError(f"{store}: {_first_line(error)}") from error


@contextmanager
def _use(mlflow: Any, store: str) -> Iterator[None]:
    """Point mlflow at `store`, and back at the end to where the caller had it."""
    variable = os.environ.get(VARIABLE)
    before = mlflow.get_tracking_uri() if mlflow.is_tracking_uri_set() else None
    mlflow.set_tracking_uri(store)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(before)
        if variable is None:
            os.environ.pop(VARIABLE, None)
        else:
            os.environ[VARIABLE] = variable


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
    """Give the run that `name` means: "@champion", a run's name (the latest of it), an id or the beginning of it.

    Raises
    ------
    TrackingError
        There is no such run, or several ids begin so.
    """
    return _find_champion(client, name) or _find_named(client, name) or _find_begun(client, name)


def _find_champion(client: Any, name: str) -> Any:
    from mlflow.exceptions import MlflowException

    if name != f"@{ALIAS}":
        return None
    try:
        return client.get_run(client.get_model_version_by_alias(EXPERIMENT, ALIAS).run_id)
    except MlflowException as error:
        if error.error_code in UNKNOWN:
            return None
        raise


def _find_named(client: Any, name: str) -> Any:
    found = client.get_experiment_by_name(EXPERIMENT)
    if found is None or "'" in name:
        return None
    runs = client.search_runs([found.experiment_id], f"attributes.run_name = '{name}'", max_results=1)
    return runs[0] if runs else None


def _find_begun(client: Any, name: str) -> Any:
    found = client.get_experiment_by_name(EXPERIMENT)
    runs = client.search_runs([found.experiment_id], max_results=5000) if found and RUN_ID_RE.fullmatch(name) else []
    begun = [run for run in runs if run.info.run_id.startswith(name)]
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
    with connect(store, must_exist=True) as mlflow:
        return str(find_run(mlflow.MlflowClient(), name).info.run_id)
