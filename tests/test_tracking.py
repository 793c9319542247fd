"""The tracking store: what a run holds, how it survives a store that fails, how a champion is made."""

import json
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conftest import run, serve
from imr_rationale.errors import TrackingError
from imr_rationale.learning.bundle import read_manifest
from imr_rationale.learning.evaluate import HEADLINES, evaluate_predictions
from imr_rationale.learning.evaluation import EvaluatedItem, Evaluation
from imr_rationale.learning.model import Config
from imr_rationale.learning.train import TrainingResult, TrainingSet
from imr_rationale.review import artifacts
from imr_rationale.serving.predict import load_model
from imr_rationale.tracking import runs
from imr_rationale.tracking.record import BUNDLE, TRAINING, DataSource, read_record, write_record
from imr_rationale.tracking.registry import compare_runs, promote_run
from imr_rationale.tracking.runs import TrainingFacts, read_config, write_training_record
from imr_rationale.tracking.search import SPACE, SearchPlan, search_config
from imr_rationale.tracking.server import find_runs_address, make_command
from imr_rationale.tracking.store import EXPERIMENT, connect, find_run, open_experiment, resolve_store
from imr_rationale.tracking.training import resume_tracking
from imr_rationale.tracking.upload import LONGEST, lock_record, log_files, upload_record

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")
SOURCE = DataSource("tiny", "0" * 64, TRAINING, 10, 4)


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with its tables made, which takes seconds."""
    folder = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        with connect(f"sqlite:///{folder}/empty.db") as mlflow:
            open_experiment(mlflow.MlflowClient())
    return folder / "empty.db"


@pytest.fixture
def store(empty_store: Path, tmp_path: Path) -> str:
    shutil.copy(empty_store, tmp_path / "store.db")
    return f"sqlite:///{tmp_path}/store.db"


@pytest.fixture
def make_record(
    tiny_result: TrainingResult,
    tiny_data: TrainingSet,
    tiny_bundle: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Any:
    """Write the record of a training run, by default of the tiny model as it is; one picture is enough here."""
    monkeypatch.setattr(artifacts, "PICTURES", {"calibration": artifacts.PICTURES["calibration"]})
    monkeypatch.setattr(runs, "write_model", lambda model, folder: None)

    def make(
        name: str,
        *,
        items: Callable[[EvaluatedItem], EvaluatedItem] = lambda item: item,
        of: slice = slice(120),
        data: str = "corpus_cv",
    ) -> Path:
        found = tuple(items(item) for item in tiny_result.evaluations[0].items[of])
        figures = evaluate_predictions([i.prediction for i in found], [i.gold for i in found], n_bootstrap=10)
        whole = {**tiny_result.evaluations[0].figures, **figures}
        home = tmp_path / f"home-{name}"
        shutil.copytree(tiny_bundle, home)
        digests = {data: SOURCE.digest}
        example = tiny_data.texts[0]
        facts = TrainingFacts(name, home, example, time.time() - 60, (SOURCE,), digests, 100.0, "a note")
        folder = tmp_path / "untracked" / name
        shutil.copytree(tiny_bundle, folder / BUNDLE)
        write_training_record(folder, tiny_result.model, [Evaluation(data, found, whole)], facts)
        return folder

    return make


def forget_reasons(item: EvaluatedItem) -> EvaluatedItem:
    """A model that shows one reason less in every item."""
    assert item.prediction is not None
    reasons = item.prediction.reasons[1:]
    primary = reasons[0].label if reasons else None
    return replace(item, prediction=replace(item.prediction, reasons=reasons, primary_reason=primary))


def read_store(store: str) -> Any:
    with connect(store) as mlflow:
        return mlflow.MlflowClient()


def list_artifacts(client: Any, run_id: str, folder: str = "") -> Iterator[str]:
    for found in client.list_artifacts(run_id, folder or None):
        if found.is_dir:
            yield from list_artifacts(client, run_id, found.path)
        else:
            yield found.path


# ---------------------------------------------------------------- what a run holds


def test_train_tracks_one_run(trained: tuple[Path, str, str]) -> None:
    folder, store, _ = trained
    client = read_store(store)
    found = find_run(client, "model")
    assert found.info.run_id == read_manifest(folder / "model")["run_id"]
    assert found.info.status == "FINISHED"
    assert list((folder / "untracked").iterdir()) == []
    assert {name: str(value) for name, value in Config(n_splits=2, n_bootstrap=20).to_params().items()} == (
        found.data.params
    )
    tags = found.data.tags
    assert (tags["note"], tags["real_letters"]) == ("", "no")
    assert len(tags["sha256.corpus"]) == len(tags["sha256.heldout"]) == 64
    assert tags["mlflow.note.content"].startswith("# Model card: model")
    names = {(i.dataset.name, i.tags[0].value) for i in found.inputs.dataset_inputs}
    assert names == {
        ("corpus", "training"),
        ("corpus_cv fold 1", "cross-validation"),
        ("corpus_cv fold 2", "cross-validation"),
        ("heldout", "evaluation"),
    }
    assert found.info.end_time - found.info.start_time > 1000


def test_train_tracks_metrics_by_one_scheme(trained: tuple[Path, str, str]) -> None:
    client = read_store(trained[1])
    found = find_run(client, "model")
    metrics = found.data.metrics
    manifest = read_manifest(trained[0] / "model")
    for name in HEADLINES:
        for data in ("corpus_cv", "heldout"):
            if (value := manifest["figures"][f"{data}.{name}"]["value"]) is not None:
                assert metrics[f"{data}.{name}"] == pytest.approx(value, abs=1e-6)
                assert {f"{data}.{name}.low", f"{data}.{name}.high"} <= set(metrics)
    expected = {
        "corpus_cv.reasons.micro_f1.tfidf",
        "heldout.forecast.auroc.metadata",
        "heldout.verdict.base_rate",
        "corpus_cv.reasons.f1.safety_risk",
        "corpus_cv.n_items",
        "model.items_per_second",
        "model.megabytes",
        "train.seconds",
    }
    assert expected <= set(metrics)
    assert "corpus_cv.reasons.f1.safety_risk.tfidf" not in metrics
    steps = client.get_metric_history(found.info.run_id, "corpus_cv_fold.reasons.micro_f1")
    assert sorted(point.step for point in steps) == [1, 2]


EACH = (
    "calibration.png certainty.png confusions.json confusions.png errors.html headlines.json headlines.png items.parquet "
    "label_noise.json outcomes.png precision_recall.png reasons.json reasons.png roles.json roles.png scores.parquet"
)


def test_train_tracks_pictures_tables_and_pages(trained: tuple[Path, str, str]) -> None:
    client = read_store(trained[1])
    found = find_run(client, "model")
    artifacts = set(list_artifacts(client, found.info.run_id))
    wanted = {f"{data}/{name}" for data in ("corpus_cv", "heldout") for name in EACH.split()}
    assert artifacts == wanted | {"card.md", "model_weights/weights.json", "model_weights/weights.png"}
    tables = {table["path"] for table in json.loads(found.data.tags["mlflow.loggedArtifacts"])}
    assert tables == {name for name in artifacts if name.endswith(".json")}


def test_tracked_model_loads_through_our_loader_and_as_pyfunc(
    trained: tuple[Path, str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow
    import pandas as pd

    folder, store, _ = trained
    monkeypatch.chdir(folder)
    run_id = read_manifest(folder / "model")["run_id"]
    text = "There are no red flags. Therefore, the request is not medically necessary."
    ours = load_model(f"runs:/{run_id}/model", tracking_uri=store)
    local = load_model(folder / "model")
    assert ours.manifest == local.manifest
    mlflow.set_tracking_uri(store)
    pyfunc = mlflow.pyfunc.load_model(f"runs:/{run_id}/model")
    assert pyfunc.metadata.signature is not None
    (row,) = pyfunc.predict(pd.DataFrame([{"rationale": text}])).to_dict("records")
    whole = pd.DataFrame([{"rationale": text, "treatment": "An MRI", "summary": None}] * 2)
    assert len(pyfunc.predict(whole)) == 2
    from imr_rationale import predict

    expected = predict(text, model=local)
    assert row["reasons"] == ",".join(reason.label for reason in expected.reasons)
    assert row["verdict_probability"] == expected.outcome.verdict.probability  # type: ignore[union-attr]


def test_training_again_from_the_logged_config_gives_the_same_figures(
    trained: tuple[Path, str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, store, _ = trained
    monkeypatch.chdir(folder)
    args = ("--corpus", "corpus", "--heldout", "heldout", "--tracking-uri", store, "--note", "again")
    run("train", "-o", "again", "--config", "model", *args)
    first, second = (read_manifest(folder / name) for name in ("model", "again"))
    assert first["figures"] == second["figures"]
    assert first["thresholds"] == second["thresholds"]
    client = read_store(store)
    measured = [find_run(client, name).data.metrics for name in ("model", "again")]
    assert first["sha256"] == second["sha256"]
    timed = {"model.items_per_second", "train.seconds"}
    assert {k: v for k, v in measured[0].items() if k not in timed} == {
        k: v for k, v in measured[1].items() if k not in timed
    }
    assert find_run(client, "again").data.tags["note"] == "again"


def test_train_refuses_a_config_beside_its_options(trained: tuple[Path, str, str]) -> None:
    _, err = run("train", "--config", "model", "--seed", 1, "--tracking-uri", trained[1], code=2)
    assert "--config brings what --seed says" in err


def test_read_config_gives_every_digit_back(store: str) -> None:
    config = Config(c_role=1 / 3, gate=0.1 + 0.2, n_splits=7)
    client = read_store(store)
    begun = client.create_run(open_experiment(client), run_name="digits")
    for name, value in config.to_params().items():
        client.log_param(begun.info.run_id, name, value)
    assert read_config(store, "digits") == config


def test_read_config_refuses_a_run_without_one(store: str) -> None:
    client = read_store(store)
    client.create_run(open_experiment(client), run_name="bare")
    with pytest.raises(TrackingError, match="no whole configuration"):
        read_config(store, "bare")


# ---------------------------------------------------------------- a store that fails


def test_train_keeps_model_and_run_when_tracking_fails(
    trained: tuple[Path, str, str], store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _, _ = trained
    (tmp_path / "file").write_text("")
    broken = f"sqlite:///{tmp_path}/file/store.db"
    args = ("--corpus", folder / "corpus", "--folds", 2, "--bootstrap", 10)
    monkeypatch.chdir(tmp_path)
    out, err = run("train", *args, "-o", "models/m", "--tracking-uri", broken, code=1)
    assert "reasons.micro_f1" in out
    assert err.splitlines()[-1].startswith(f"imr: {broken}: ")
    assert err.splitlines()[-1].endswith(f"imr train --resume-tracking -o models/m --tracking-uri {broken}")
    assert load_model(tmp_path / "models" / "m").manifest["run_id"] is None
    said = shlex.split(err.splitlines()[-1].partition(": imr ")[2])
    _, err = run(*said, code=1)
    assert "(1 of 1 runs still wait)" in err
    out, _ = run(*said[:-1], store)
    found = find_run(read_store(store), "m")
    assert out == f"run       {found.info.run_id} in {store}\n"
    assert found.info.status == "FINISHED"
    assert found.data.params["n_bootstrap"] == "10"
    assert read_manifest(tmp_path / "models" / "m")["run_id"] == found.info.run_id
    assert "run " + found.info.run_id in (tmp_path / "models" / "m" / "card.md").read_text()
    _, err = run(*said[:-1], store, code=1)
    assert err == "imr: no run waits beside models/m\n"


def test_train_says_before_training_that_it_cannot_save(trained: tuple[Path, str, str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    args = ("--corpus", trained[0] / "corpus", "--heldout", trained[0] / "heldout", "--tracking-uri", trained[1])
    _, err = run("train", *args, "-o", tmp_path / "file" / "model", code=1)
    assert err.splitlines()[-1].startswith(f"imr: {tmp_path}/file/model: ")
    assert "fold 1" not in err


@pytest.mark.parametrize("broken", ["log_artifacts", "log_batch", "set_terminated"])
def test_an_upload_that_was_cut_off_goes_on_in_its_run(
    broken: str, make_record: Any, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    folder = make_record("cut")
    real = getattr(MlflowClient, broken)

    def fail(self: Any, *args: Any, **kwargs: Any) -> None:
        if broken != "log_batch" or kwargs.get("metrics"):
            raise ConnectionResetError("connection reset")
        real(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, broken, fail)
        with pytest.raises(TrackingError, match="connection reset"):
            upload_record(folder, store)
    begun = read_record(folder).run_id
    assert begun is not None
    assert list(resume_tracking(folder.parent.parent / "m", store)) == [begun]
    client = read_store(store)
    (found,) = client.search_runs([open_experiment(client)])
    assert found.info.status == "FINISHED"
    models = client.search_logged_models([open_experiment(client)], filter_string=f"source_run_id='{begun}'")
    assert len(models) == 1
    history = client.get_metric_history(begun, "corpus_cv.reasons.micro_f1")
    assert len(history) == 1
    assert not folder.exists()


@pytest.mark.parametrize("silent", [False, True], ids=["nobody listens", "somebody listens and says nothing"])
def test_a_server_that_is_down_or_slow_costs_one_line(
    silent: bool, make_record: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    folder = make_record("waits")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        if silent:
            listener.listen()
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(TrackingError) as caught:
            upload_record(folder, address)
    assert str(caught.value).startswith(f"{address}: ")
    assert "\n" not in str(caught.value)
    assert read_record(folder).run_id is None


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(TrackingError, match="no record of a run"):
        upload_record(tmp_path, f"sqlite:///{tmp_path}/s.db")


def test_a_record_comes_back_as_it_was_written(make_record: Any, tmp_path: Path) -> None:
    record = read_record(make_record("same"))
    write_record(record, tmp_path / "again")
    assert read_record(tmp_path / "again") == record


def test_a_record_that_fails_stops_no_other(make_record: Any, store: str, tmp_path: Path) -> None:
    (tmp_path / "untracked" / "0-damaged").mkdir(parents=True)
    (tmp_path / "untracked" / "0-damaged" / "run.json").write_text("{}")
    make_record("whole")
    failure, run_id = resume_tracking(tmp_path / "m", store)
    assert isinstance(failure, TrackingError)
    assert find_run(read_store(store), "whole").info.run_id == run_id


def test_a_record_in_hand_is_left_to_who_has_it(make_record: Any, store: str) -> None:
    folder = make_record("held")
    code = "import sys; from imr_rationale.tracking.upload import upload_record; from pathlib import Path;"
    code += "upload_record(Path(sys.argv[1]), sys.argv[2])"
    with lock_record(folder), lock_record(folder):  # had twice by the same process
        other = subprocess.run([sys.executable, "-c", code, folder, store], capture_output=True, text=True, check=False)
    assert "another process has this run in hand" in other.stderr
    upload_record(folder, store)
    assert list(folder.parent.iterdir()) == []


def test_connect_leaves_mlflow_where_it_was(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlflow

    before = mlflow.get_tracking_uri()
    with connect(store):
        assert mlflow.get_tracking_uri() == store
    assert mlflow.get_tracking_uri() == before
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///mine.db")
    with connect(store):
        pass
    assert resolve_store(None) == "sqlite:///mine.db"


@pytest.mark.parametrize("args", [("compare", "a", "b"), ("promote", "a"), ("train", "--config", "a")])
def test_looking_up_makes_no_store(args: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    _, err = run(*args, code=1)
    assert err == "imr: sqlite:///mlflow.db: no such store; 'imr train' makes one\n"
    assert list(tmp_path.iterdir()) == []


def test_a_store_without_its_driver_costs_one_line(make_record: Any) -> None:
    with pytest.raises(TrackingError, match="psycopg"):
        upload_record(make_record("x"), "postgresql://127.0.0.1:1/x")


def test_two_uploads_at_once_leave_a_whole_store(make_record: Any, tmp_path: Path) -> None:
    folders = [make_record("left"), make_record("right")]
    store = f"sqlite:///{tmp_path}/new.db"
    code = "import sys; from imr_rationale.tracking.upload import upload_record; from pathlib import Path;"
    code += "print(upload_record(Path(sys.argv[1]), sys.argv[2]))"
    expected = [len(read_record(folder).metrics) for folder in folders]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(folder), store], cwd=tmp_path, stdout=subprocess.PIPE, text=True
        )
        for folder in folders
    ]
    ids = [process.communicate(timeout=300)[0].strip() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    client = read_store(store)
    assert [find_run(client, name).info.run_id for name in ("left", "right")] == ids
    for run_id, count in zip(ids, expected, strict=True):
        found = client.get_run(run_id)
        names = found.data.metrics
        assert sum(len(client.get_metric_history(run_id, name)) for name in names) == count
        assert f"corpus_cv/{EACH.split()[0]}" in set(list_artifacts(client, run_id))


def test_a_remote_server_does_all_of_it(make_record: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records = [make_record(name, of=slice(0, 30)) for name in ("one", "other")]
    (tmp_path / "far").mkdir()
    with serve(f"sqlite:///{tmp_path}/far/store.db", tmp_path / "far") as address:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        ids = [upload_record(record, resolve_store(None)) for record in records]
        client = read_store(address)
        assert client.get_run(ids[0]).info.artifact_uri.startswith("mlflow-artifacts:")
        out, _ = run("compare", "one", "other", "--bootstrap", 10)
        assert "corpus_cv, 30 items" in out
        out, _ = run("promote", "one")
        assert "version 1 is models:/imr-rationale@champion" in out
        assert load_model("models:/imr-rationale@champion").manifest["run_id"] == ids[0]
        out, _ = run("ui")
        assert out.startswith(f"{address}/#/experiments/")


# ---------------------------------------------------------------- finding, comparing, promoting


def test_find_run_takes_ids_beginnings_and_names(store: str) -> None:
    client = read_store(store)
    ids = [client.create_run(open_experiment(client), run_name="twice").info.run_id for _ in range(2)]
    assert find_run(client, ids[0]).info.run_id == ids[0]
    assert find_run(client, ids[0][:12]).info.run_id == ids[0]
    assert find_run(client, "twice").info.run_id in ids
    for name in ("nothing", "", "@champion", "john's", ids[0][:2]):
        with pytest.raises(TrackingError, match="no run"):
            find_run(client, name)


def test_compare_prints_differences_and_logs_them(make_record: Any, store: str) -> None:
    worse = upload_record(make_record("worse", items=forget_reasons), store)
    same = upload_record(make_record("same"), store)
    out, _ = run("compare", "worse", "same", "--bootstrap", 50, "--flips", "--tracking-uri", store)
    line = next(line for line in out.splitlines() if line.startswith("reasons.micro_f1 "))
    assert float(line.split()[1]) < -0.1
    assert line.endswith("*")
    assert "items are read better by one of the two" in out
    assert "lost " in out
    names = set(list_artifacts(read_store(store), worse, f"compared_with_{same[:8]}"))
    folder = f"compared_with_{same[:8]}/corpus_cv"
    assert names == {
        f"{folder}/{name}" for name in ("differences.json", "differences.png", "flips.json", "reasons.json")
    }


def test_compare_leaves_out_what_runs_do_not_share(make_record: Any, store: str) -> None:
    upload_record(make_record("left", of=slice(0, 30)), store)
    upload_record(make_record("right", of=slice(30, 60)), store)
    _, err = run("compare", "left", "right", "--tracking-uri", store, code=1)
    assert "left and right have no item in common (corpus_cv)" in err
    upload_record(make_record("other", data="heldout"), store)
    with pytest.raises(TrackingError, match=r"no item in common \(corpus_cv, heldout\)"):
        compare_runs(store, "left", "other")


def test_many_comparisons_keep_the_list_of_tables_whole(store: str, tmp_path: Path) -> None:
    client = read_store(store)
    run_id = client.create_run(open_experiment(client), run_name="often").info.run_id
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / ("long-name-" * 20 + ".json")).write_text("{}")
    for i in range(30):
        log_files(client, run_id, tmp_path / "tables", f"folder-{i}")
    told = client.get_run(run_id).data.tags["mlflow.loggedArtifacts"]
    assert 4000 < len(told) <= LONGEST
    assert all(table["type"] == "table" for table in json.loads(told))


def test_a_long_note_fits_every_store(make_record: Any, store: str) -> None:
    folder = make_record("long")
    record = read_record(folder)
    write_record(replace(record, tags={**record.tags, "note": "x" * 9000}), folder)
    tags = read_store(store).get_run(upload_record(folder, store)).data.tags
    assert max(map(len, tags.values())) <= LONGEST


def test_promote_needs_the_champions_items(make_record: Any, store: str) -> None:
    upload_record(make_record("first", of=slice(0, 60)), store)
    assert promote_run(store, "first").version == "1"
    upload_record(make_record("part", of=slice(0, 30)), store)
    upload_record(make_record("elsewhere", of=slice(0, 60), data="heldout"), store)
    for name in ("part", "elsewhere"):
        found = promote_run(store, name)
        assert found.version is None
        assert "items of corpus_cv" in {bar.name for bar in found.bars if not bar.passed}


def test_compare_needs_items(store: str) -> None:
    client = read_store(store)
    for name in ("one", "other"):
        client.create_run(open_experiment(client), run_name=name)
    with pytest.raises(TrackingError, match="run one .*: holds no items to compare"):
        compare_runs(store, "one", "other")


def test_promote_moves_the_champion_only_through_the_gate(
    make_record: Any, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = upload_record(make_record("first"), store)
    out, _ = run("promote", "first", "--tracking-uri", store)
    assert "version 1 is models:/imr-rationale@champion" in out
    worse = upload_record(make_record("worse", items=forget_reasons), store)
    out, err = run("promote", "worse", "--tracking-uri", store, code=1)
    assert "FAILED   headlines on corpus_cv" in out
    assert "is not promoted: headlines on corpus_cv" in err.splitlines()[-1]
    client = read_store(store)
    assert client.get_model_version_by_alias(EXPERIMENT, "champion").run_id == first
    assert client.get_run(worse).data.tags["promotion"].startswith("refused: headlines on corpus_cv")
    out, _ = run("promote", "worse", "--force", "to see it work", "--tracking-uri", store)
    version = client.get_model_version_by_alias(EXPERIMENT, "champion")
    assert (version.run_id, version.tags["promotion"]) == (worse, "forced: to see it work")
    assert client.get_run(worse).data.tags["promotion"] == "version 2, forced: to see it work"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    assert load_model("models:/imr-rationale@champion").manifest["run_id"] == worse
    assert find_run(client, "@champion").info.run_id == worse


def test_promote_refuses_an_altered_bundle_even_by_force(make_record: Any, store: str, tmp_path: Path) -> None:
    run_id = upload_record(make_record("altered"), store)
    with connect(store) as mlflow:
        place = mlflow.artifacts.download_artifacts(f"runs:/{run_id}/model", dst_path=str(tmp_path / "x"))
        client = mlflow.MlflowClient()
        (model,) = client.search_logged_models([open_experiment(client)], filter_string=f"source_run_id='{run_id}'")
    assert place
    file = next(Path(model.artifact_location.removeprefix("file://")).rglob("model.npz"))
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    found = promote_run(store, "altered", force="whatever")
    assert found.version is None
    assert [bar.name for bar in found.bars if not bar.passed] == ["bundle"]
    assert "sha256" in found.bars[0].text


def test_evaluate_adds_a_data_set_to_a_run(trained: tuple[Path, str, str]) -> None:
    folder, store, _ = trained
    shutil.copytree(folder / "heldout", folder / "later", dirs_exist_ok=True)
    out, _ = run("evaluate", folder / "later", "--corpus", folder / "corpus", "--run", "model", "--tracking-uri", store)
    client = read_store(store)
    found = find_run(client, "model")
    assert f"run       {found.info.run_id}" in out
    assert found.data.metrics["later.reasons.micro_f1"] == found.data.metrics["heldout.reasons.micro_f1"]
    assert {f"later/{name}" for name in EACH.split()} == set(list_artifacts(client, found.info.run_id, "later"))
    assert "| figure | corpus_cv | heldout | later |" in found.data.tags["mlflow.note.content"]
    assert "later" in {i.dataset.name for i in found.inputs.dataset_inputs}
    shutil.rmtree(folder / "later")
    _, err = run("evaluate", folder, "--run", "model", "--record", code=2)
    assert "--run names the model" in err


# ---------------------------------------------------------------- searching


def test_search_goes_on_where_it_stopped(tiny_data: TrainingSet, store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from imr_rationale.tracking import search

    plan = SearchPlan("small", "reasons.micro_f1", Config(n_splits=2, n_bootstrap=10), SOURCE, "why not")
    real, calls = search.cross_validate, []

    def stop_at_second(data: TrainingSet, config: Config) -> Any:
        calls.append(config)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(data, config)

    monkeypatch.setattr(search, "cross_validate", stop_at_second)
    with pytest.raises(KeyboardInterrupt):
        search_config(plan, tiny_data, store, n_trials=3)
    client = read_store(store)
    parent = find_run(client, "small")
    assert parent.info.status == "KILLED"
    found = search_config(plan, tiny_data, store, n_trials=2)
    assert (found.parent_id, found.n_resumed, len(found.trials)) == (parent.info.run_id, 1, 2)
    assert calls[0] == plan.config
    assert calls[2] != plan.config
    best = found.trials.loc[found.trials["value"].idxmax()]
    assert all(getattr(found.best, name) == best[name] for name in SPACE)
    children = client.search_runs([parent.info.experiment_id], f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")
    assert {child.info.run_name for child in children} == {"trial 1", "trial 2"}
    assert all("corpus_cv.reasons.micro_f1.low" in child.data.metrics for child in children)
    assert not any(name.startswith(("heldout", "real")) for child in children for name in child.data.metrics)
    assert set(list_artifacts(client, parent.info.run_id)) == {"trials.json", "trials.png"}
    steps = client.get_metric_history(parent.info.run_id, "search.reasons.micro_f1.best")
    assert [point.step for point in steps] == [1, 2]
    assert client.get_run(parent.info.run_id).info.status == "FINISHED"


def test_search_trains_the_best_as_a_child(trained: tuple[Path, str, str], store: str, tmp_path: Path) -> None:
    for file in sorted((trained[0] / "corpus").glob("*.txt"))[::4]:
        (tmp_path / "corpus").mkdir(exist_ok=True)
        shutil.copy(file, tmp_path / "corpus")
    args = (
        "--corpus",
        tmp_path / "corpus",
        "--trials",
        1,
        "--folds",
        2,
        "--bootstrap",
        10,
        "--heldout",
        trained[0] / "heldout",
    )
    out, _ = run("search", *args, "-o", tmp_path / "best", "--tracking-uri", store)
    assert "    1  0." in out
    client = read_store(store)
    child = find_run(client, "best")
    assert child.data.tags["mlflow.parentRunId"] == find_run(client, "search").info.run_id
    assert load_model(tmp_path / "best").manifest["run_id"] == child.info.run_id
    assert child.data.tags["note"] == "best of search"


def test_search_refuses_a_metric_it_cannot_raise() -> None:
    _, err = run("search", "--metric", "reasons.calibration_error", code=2)
    assert "known are reasons.micro_f1" in err


# ---------------------------------------------------------------- the server


def test_server_listens_on_this_machine_alone() -> None:
    command, environment = make_command("sqlite:///x.db", port=5123)
    assert command[command.index("--host") + 1] == "127.0.0.1"
    assert command[command.index("--workers") + 1] == "1"
    assert environment["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert environment["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"


def test_ui_names_the_address_of_the_runs(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from imr_rationale.tracking import server

    served: list[tuple[str, int]] = []
    monkeypatch.setattr(server, "serve_ui", lambda store, *, port: served.append((store, port)) or 0)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    _, err = run("ui", "--port", 5999)
    assert served == [(store, 5999)]
    address = find_runs_address(store, port=5999)
    assert address in err
    assert address.startswith("http://127.0.0.1:5999/#/experiments/")
    assert "viewStateShareKey=headlines" in address


def test_resolve_store_prefers_the_option(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    assert resolve_store("sqlite:///a.db") == "sqlite:///a.db"
    assert resolve_store(None) == "http://127.0.0.1:1"
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert resolve_store(None) == "sqlite:///mlflow.db"
