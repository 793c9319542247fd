"""The same chunks on a cluster of processes: every row is that of one machine."""

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from conftest import run
from deadly import KillAlways, KillOnce, Slow
from imr_rationale.errors import SourceError
from imr_rationale.letters.tables import Columns
from imr_rationale.serving import chunks
from imr_rationale.serving.batch import Batch, run_batch
from imr_rationale.serving.rows import list_items

distributed = pytest.importorskip("distributed")
dask = pytest.importorskip("dask")
pytestmark = [
    # distributed's own event loop and sockets, when a cluster is closed
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
N_LETTERS = 40
POISON = "17.txt"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with start_cluster() as found:
        yield found


@contextmanager
def start_cluster() -> Iterator[Any]:
    """Two workers, each a process that is started again when it ends."""
    settings = {
        # a local cluster gives those up that are away at the wrong moment
        "distributed.deploy.lost-worker-timeout": "1h",
        # results of a worker that has just ended are asked for once more
        "distributed.comm.timeouts.connect": "3s",
    }
    with (
        dask.config.set(settings),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address="127.0.0.1:0", silence_logs=50
        ) as found,
    ):
        yield found


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "CHUNK_LETTERS", 4)


@pytest.fixture
def folder(make_letter_text: Callable[..., str], tmp_path: Path) -> Path:
    place = tmp_path / "letters"
    place.mkdir()
    for i in range(N_LETTERS):
        text = make_letter_text(rationale=f"There is no fracture {i}. It is not medically necessary.")
        (place / f"{i:02}.txt").write_text(text if i % 9 else "Dear colleague,")
    (place / "table.csv").write_text("Findings\n" + "The MRI is not medically necessary.\n" * 9)
    return place


def parse(folder: Path, output: Path, cluster: Any = None, make_rows: chunks.RowMaker = list_items) -> None:
    engine = {"engine": "dask", "master": cluster.scheduler_address} if cluster else {}
    run_batch(Batch([folder], make_rows, output, columns=Columns("Findings"), **engine))


def wait_for_rows(output: Path) -> None:
    partial = Path(f"{output}.partial")
    for _ in range(12_000):
        if partial.exists() and partial.stat().st_size:
            return
        time.sleep(0.01)
    raise AssertionError(f"{output}: no row came")


def read_both(output: Path) -> tuple[bytes, bytes]:
    return output.read_bytes(), Path(f"{output}.rejects.jsonl").read_bytes()


def test_dask_writes_what_one_machine_writes(folder: Path, cluster: Any, tmp_path: Path) -> None:
    parse(folder, tmp_path / "dask.jsonl", cluster)
    parse(folder, tmp_path / "one.jsonl")
    assert read_both(tmp_path / "dask.jsonl") == read_both(tmp_path / "one.jsonl")


def test_dask_predicts_what_one_machine_predicts(folder: Path, cluster: Any, tiny_bundle: Path, tmp_path: Path) -> None:
    args = ("predict", folder, "--model", tiny_bundle, "--text-column", "Findings")
    run(*args, "-o", tmp_path / "one.jsonl")
    run(*args, "-o", tmp_path / "dask.jsonl", "--engine", "dask", "--master", cluster.scheduler_address)
    assert read_both(tmp_path / "dask.jsonl") == read_both(tmp_path / "one.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "dask.jsonl").read_text(encoding="utf-8").splitlines()]
    assert sum(bool(row["reasons"]) for row in rows) > N_LETTERS / 2


def test_a_dask_worker_that_is_killed_loses_and_doubles_nothing(folder: Path, cluster: Any, tmp_path: Path) -> None:
    parse(folder, tmp_path / "one.jsonl")
    parse(folder, tmp_path / "dask.jsonl", cluster, KillOnce(POISON, tmp_path / "killed"))
    assert (tmp_path / "killed").exists()
    assert read_both(tmp_path / "dask.jsonl") == read_both(tmp_path / "one.jsonl")


def test_a_dask_worker_killed_from_outside_loses_and_doubles_nothing(
    folder: Path, cluster: Any, tmp_path: Path
) -> None:
    parse(folder, tmp_path / "one.jsonl")
    killed = []

    def kill() -> None:
        wait_for_rows(tmp_path / "dask.jsonl")
        killed.append(next(iter(cluster.workers.values())).pid)
        os.kill(killed[0], signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    parse(folder, tmp_path / "dask.jsonl", cluster, Slow(0.05))
    thread.join()
    assert killed
    assert read_both(tmp_path / "dask.jsonl") == read_both(tmp_path / "one.jsonl")


def test_a_letter_that_ends_its_dask_worker_every_time_costs_itself(folder: Path, cluster: Any, tmp_path: Path) -> None:
    parse(folder, tmp_path / "one.jsonl")
    parse(folder, tmp_path / "dask.jsonl", cluster, KillAlways((POISON,)))
    one, dask = (
        {(row["source"], row["item"]) for row in map(json.loads, path.read_text(encoding="utf-8").splitlines())}
        for path in (tmp_path / "one.jsonl", tmp_path / "dask.jsonl")
    )
    assert one - dask == {(str(folder / POISON), 1)}
    assert f"{folder / POISON}: the process that reads it ends" in (tmp_path / "dask.jsonl.rejects.jsonl").read_text()


def test_a_cluster_that_is_not_there_takes_one_line(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imr_rationale.serving.workers.CLUSTER_SECONDS", 1.0)
    args = ("parse", folder, "-o", tmp_path / "items.jsonl", "--engine", "dask", "--master", "tcp://127.0.0.1:9")
    _, err = run(*args, code=1)
    [line] = err.splitlines()
    assert line.startswith("imr: tcp://127.0.0.1:9: no dask scheduler (")


def test_a_cluster_that_loses_its_workers_for_good_takes_one_line(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imr_rationale.serving.workers.CLUSTER_SECONDS", 2.0)
    output = tmp_path / "items.jsonl"
    with start_cluster() as cluster:

        def stop() -> None:
            wait_for_rows(output)
            cluster.scale(0)

        thread = threading.Thread(target=stop)
        thread.start()
        with pytest.raises(SourceError, match="the cluster has no workers"):
            parse(folder, output, cluster, Slow(0.3))
        thread.join()
    settings = {"columns": Columns("Findings"), "resume": True}
    run_batch(Batch([folder], list_items, output, **settings))
    parse(folder, tmp_path / "one.jsonl")
    assert read_both(output) == read_both(tmp_path / "one.jsonl")
