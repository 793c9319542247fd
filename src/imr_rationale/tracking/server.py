"""The tracking UI, on this machine alone."""

import os
import sys
from typing import NoReturn

from imr_rationale.tracking.store import connect, open_experiment
from imr_rationale.tracking.views import find_address

__all__ = ["find_runs_address", "is_server", "make_command", "serve_ui"]

#: one worker without job execution starts in half the time and a quarter of the memory
SETTINGS = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


def is_server(store: str) -> bool:
    """Say whether a store is a server that already runs, with a UI of its own."""
    return store.startswith(("http://", "https://"))


def find_runs_address(store: str, *, port: int) -> str:
    """Give the address at which the UI shows the experiment's runs; the experiment is made if it is not there.

    Raises
    ------
    TrackingError
        The store cannot be reached.
    """
    with connect(store) as mlflow:
        experiment = open_experiment(mlflow.MlflowClient())
    return find_address(store if is_server(store) else f"http://127.0.0.1:{port}", experiment)


def make_command(store: str, *, port: int) -> tuple[list[str], dict[str, str]]:
    """Give the command of the server and its environment."""
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", store]
    command += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    return command, {**os.environ, **SETTINGS}


def serve_ui(store: str, *, port: int) -> NoReturn:
    """Become the server of the review UI on 127.0.0.1: what was imported so far gives its memory back."""
    command, environment = make_command(store, port=port)
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(command[0], command, environment)  # noqa: S606
