"""Spark itself: whether it is there, how it is started, and what its errors come to in one line."""

import os
import re
import shutil
import socket
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from imr_rationale.errors import EngineError
from imr_rationale.tracking.store import SETTINGS

__all__ = ["LETTERS", "check_engine", "explain_errors", "list_errors", "open_session"]

#: letters that are handed on and predicted at once; some hundred are as fast as many
LETTERS = 200
#: times that a task is tried before the run gives up, as on a cluster
TRIES = 4
#: seconds until a master that does not answer is given up
PATIENCE = 10.0
#: of Spark's configuration, which may set everything else; SQL's first
SETUP = {
    # "Text" and "text" are two columns
    "spark.sql.caseSensitive": "true",
    "spark.sql.execution.arrow.maxRecordsPerBatch": str(LETTERS),
    # rows, rejects and letters without items are written side by side, without sorting them first
    "spark.sql.maxConcurrentOutputFileWriters": "3",
    # the files of a finished task are moved to their place when the whole job is done
    "spark.hadoop.mapreduce.fileoutputcommitter.algorithm.version": "1",
    # errors are raised besides
    "spark.log.level": "FATAL",
    "spark.ui.enabled": "false",
}
# "local", "local[2]", "local[*]"
LOCAL_RE = re.compile(r"local(?:\[(?P<cores>\d+|\*)\])?")
# the kinds of address that Spark knows
MASTER_RE = re.compile(r"local(?:$|\[)|spark://|yarn$|k8s://")
# "spark://10.0.0.7:7077"
STANDALONE_RE = re.compile(r"spark://(?P<host>[^:/,]+):(?P<port>\d{1,5})")
# "An error occurred while calling o75.parquet."
CALL_RE = re.compile(r"An error occurred while calling ")
# ": org.apache.spark.SparkException: " before what it says
JAVA_RE = re.compile(r"^(?:: )?(?:org|java|py4j)\.[\w.$]+: ")
# "MemoryError: no more", "imr_rationale.errors.ModelError: …" at the end of a traceback
RAISED_RE = re.compile(r"^(?!org\.|java\.|py4j\.)[A-Za-z_][\w.]{0,100}(?:Error|Exception|Interrupt): ")


def check_engine(master: str) -> None:
    """Refuse at once what Spark would find out after minutes, or say in many lines.

    Raises
    ------
    EngineError
        Spark or Java is not installed, or the master is none or does not answer.
    """
    from importlib.util import find_spec

    if not MASTER_RE.match(master):
        raise EngineError(f"unknown master {master!r}; known: local[*], local[2], spark://HOST:PORT, yarn, k8s://URL")
    if find_spec("pyspark") is None:
        raise EngineError("Spark is not installed; it comes with the extra: pip install 'imr-rationale[spark]'")
    home = os.environ.get("JAVA_HOME")
    if shutil.which("java", path=str(Path(home, "bin")) if home else None) is None:
        where = f"in JAVA_HOME ({home})" if home else "on the PATH, and JAVA_HOME is not set"
        raise EngineError(f"Spark needs Java 17 or newer: there is no java {where}")
    match = STANDALONE_RE.fullmatch(master)
    if match:
        try:
            socket.create_connection((match["host"], int(match["port"])), timeout=PATIENCE).close()
        except (OSError, OverflowError) as error:
            raise EngineError(f"{master}: the master cannot be reached ({error})") from error


def list_errors() -> tuple[type[Exception], ...]:
    """Give the errors that Spark raises: its own, and Java's where it translates none."""
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    return PySparkException, Py4JError


@contextmanager
def explain_errors() -> Iterator[None]:
    """Turn Spark's errors, which are pages long, into one line.

    Raises
    ------
    EngineError
        In place of every error of Spark.
    """
    try:
        with warnings.catch_warnings():
            # of columns as text, whose type is new; every value is compared in the tests
            warnings.filterwarnings("ignore", message="PySpark does not yet fully support pandas")
            yield
    except list_errors() as error:
        raise EngineError(f"Spark gave up: {_find_cause(str(error))}") from error


def _find_cause(text: str) -> str:
    r"""Give the line of an error of Spark that says most: what Python raised on a worker, else the first of Java's.

    Examples
    --------
    >>> _find_cause("Job aborted:\nTraceback (most recent call last):\n  File ...\nMemoryError: no more\n\n\tat org...")
    'MemoryError: no more'
    >>> _find_cause("An error occurred while calling o7.x.\n: org.apache.spark.SparkException: no master\n\tat org...")
    'no master'
    """
    if "JAVA_GATEWAY_EXITED" in text:
        return "it did not start; it needs Java 17 or newer, and what Java said stands above"
    lines = [line.strip() for line in text.splitlines() if line.strip() and not CALL_RE.match(line)]
    raised = [line for line in lines if RAISED_RE.match(line)]
    return JAVA_RE.sub("", (raised[-1:] or lines or ["no reason given"])[0])[:500]


@contextmanager
def open_session(master: str) -> Iterator[Any]:
    """Start Spark until the end of the block; a session that was there before is used, and stays.

    On this machine all of it is bound to 127.0.0.1.
    """
    from pyspark.sql import SparkSession

    before = SparkSession.getActiveSession()
    with _set_environment(master):
        builder = SparkSession.builder.appName("imr predict").master(_allow_tries(master))
        for name, value in _configure(master).items():
            builder = builder.config(name, value)
        spark = builder.getOrCreate()
    try:
        yield spark
    finally:
        if before is None:
            spark.stop()


@contextmanager
def _set_environment(master: str) -> Iterator[None]:
    """Set what Spark takes from its environment alone, where it is not set."""
    # without it workers are the first "python3" of the PATH
    wanted = {**SETTINGS, "PYSPARK_PYTHON": sys.executable}
    if _is_here(master):
        wanted["SPARK_LOCAL_IP"] = "127.0.0.1"
    added = {name: value for name, value in wanted.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


def _configure(master: str) -> dict[str, str]:
    watched = {"spark.ui.showConsoleProgress": str(sys.stderr.isatty()).lower()}
    workers = {f"spark.executorEnv.{name}": value for name, value in SETTINGS.items()}
    here = {"spark.driver.bindAddress": "127.0.0.1", "spark.driver.host": "127.0.0.1"} if _is_here(master) else {}
    return {**SETUP, **watched, **workers, **here}


def _allow_tries(master: str) -> str:
    """Let tasks on this machine be tried again, as those of a cluster are.

    Examples
    --------
    >>> _allow_tries("local[2]"), _allow_tries("spark://10.0.0.7:7077")
    ('local[2,4]', 'spark://10.0.0.7:7077')
    """
    match = LOCAL_RE.fullmatch(master)
    return f"local[{match['cores'] or 1},{TRIES}]" if match else master


def _is_here(master: str) -> bool:
    match = STANDALONE_RE.fullmatch(master)
    return master.startswith("local") or (match is not None and match["host"] in {"localhost", "127.0.0.1"})
