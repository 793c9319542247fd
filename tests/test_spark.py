"""A real Spark on two cores: every row is that of one machine, also when workers are killed.

They run where Spark is installed (`make test-cluster`); those that need none run everywhere.
"""

import json
import os
import socket
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conftest import find_port, run
from imr_rationale.errors import EngineError, ModelError, SourceError, TrackingError
from imr_rationale.learning.bundle import find_champion
from imr_rationale.learning.corpus import AnnotatedLetter
from imr_rationale.learning.render import RENDERERS, render_markdown, render_pdf_text
from imr_rationale.letters import documents, layout
from imr_rationale.letters.layout import parse_letter
from imr_rationale.letters.limits import Limits
from imr_rationale.letters.sources import Document
from imr_rationale.letters.tables import Columns
from imr_rationale.serving import spark as cluster
from imr_rationale.serving.predict import predict_letters
from imr_rationale.serving.spark import ClusterReport, run_spark
from imr_rationale.serving.spark_session import check_engine, open_session
from imr_rationale.tracking.store import connect, import_mlflow
from imr_rationale.tracking.upload import describe_pyfunc

needs_spark = pytest.mark.skipif(find_spec("pyspark") is None, reason="Spark is not installed")
# columns of text have a type that is new in pandas 3; here every value is compared
pytestmark = pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas")

COLUMNS = Columns("Findings", "Reference ID", "Outcome", "Treatment")
#: runs in each worker, and in the child that reads for it: tells which files they open, and kills one of them
SITE = """
import os, signal, sys
def watch(event, args):
    if event != "open" or not isinstance(args[0], str):
        return
    folder, name = os.environ["IMR_TEST_FOLDER"], os.path.basename(args[0])
    if name in ("model.npz", "pyfunc.py"):
        file = os.open(folder + "/opened", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, f"{os.getpid()} {name}\\n".encode())
        os.close(file)
        with open(folder + "/opened") as file:
            n_tasks = file.read().count("pyfunc.py")
        if n_tasks == 4 and claim(folder + "/kill-predicting"):
            os.kill(os.getpid(), signal.SIGKILL)
    elif name == "victim.txt" and claim(folder + "/kill-reading"):
        os.kill(os.getppid(), signal.SIGKILL)
def claim(order):
    try:
        os.rename(order, order + "-done")
    except OSError:
        return False
    return True
sys.addaudithook(watch)
"""


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Spark on two cores, whose workers say in a folder what they open, and are killed by an order that lies there."""
    folder = tmp_path_factory.mktemp("watched")
    (folder / "sitecustomize.py").write_text(SITE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IMR_TEST_FOLDER", str(folder))
        patch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
        with open_session("local[2]"):
            yield folder


@pytest.fixture(scope="module")
def inputs(some_letters: Sequence[AnnotatedLetter], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Letters of each kind, archives and tables, and of each some that cannot be read."""
    place = tmp_path_factory.mktemp("inputs") / "letters"
    (place / "2014").mkdir(parents=True)
    for letter in some_letters[:20]:
        (place / f"{letter.id}.txt").write_text(render_pdf_text(letter), encoding="utf-8")
    (place / "ünd so [1] {2}, 3%20.md").write_text(render_markdown(some_letters[20]), encoding="utf-8")
    older = RENDERERS["decisions_and_rationales"](some_letters[21])
    (place / "2014" / "older.txt").write_text(older, encoding="utf-8")
    (place / "empty.txt").write_text("")
    (place / "note.txt").write_text("Dear colleague,\n")
    (place / "broken.pdf").write_bytes(b"%PDF-")
    with zipfile.ZipFile(place / "archive.zip", "w") as archive:
        for letter in some_letters[22:25]:
            archive.writestr(f"{letter.id}.txt", render_pdf_text(letter))
        archive.writestr("photo.jpg", b"\xff\xd8\xff\xe0")
    write_tables(place, some_letters[25:60])
    return place


def write_tables(place: Path, letters: Sequence[AnnotatedLetter]) -> None:
    items = [item for letter in letters for item in letter.items]
    table = {
        "Findings": [item.rationale.encode() for item in items],
        "Reference ID": [float(number) for number in range(len(items))],
        "Outcome": ["Overturned", None, "Upheld in part"] * (len(items) // 3) + ["Upheld"] * (len(items) % 3),
        "Treatment": [item.treatment for item in items],
        "findings": ["another column"] * len(items),
    }
    table["Findings"][3:6] = [None, "Naïve – the “request”".encode("cp1252"), render_pdf_text(letters[0]).encode()]
    pq.write_table(pa.table(table), place / "split [x].parquet", row_group_size=10)
    whole = {**table, "Reference ID": [f"r{number}" for number in range(len(items))]}
    pq.write_table(pa.table(whole), place / "other types %41.parquet")
    pq.write_table(pa.table(whole), place / "_passed over by Spark.parquet")
    pq.write_table(pa.table({"Text": ["no such column"]}), place / "lacking.parquet")
    damaged = place / "damaged.parquet"
    pq.write_table(pa.table(whole), damaged, row_group_size=10, compression="gzip")
    start = pq.ParquetFile(damaged).metadata.row_group(1).column(0).data_page_offset
    content = bytearray(damaged.read_bytes())
    content[start : start + 200] = bytes(200)
    damaged.write_bytes(content)
    (place / "no parquet.parquet").write_bytes(b"PAR1 and nothing else PAR1")
    pd.DataFrame({**table, "Findings": [item.rationale for item in items]}).to_csv(place / "table.csv", index=False)


@pytest.fixture
def on_one_machine(tmp_path: Path) -> Callable[..., tuple[pd.DataFrame, list[Any]]]:
    """Predict without a cluster; gives the rows and the rejects."""

    def predict(*paths: Path, min_certainty: float = 0.0) -> tuple[pd.DataFrame, list[Any]]:
        columns = {f"--{field}-column": name for field, name in asdict(COLUMNS).items()}
        options = {**columns, "--min-certainty": min_certainty, "-o": tmp_path / "one.parquet"}
        absent = any(not path.exists() for path in paths)
        run("predict", *paths, *(word for option in options.items() for word in option), code=int(absent))
        return read_output(tmp_path / "one.parquet")

    return predict


def read_output(output: Path) -> tuple[pd.DataFrame, list[Any]]:
    rows = pd.read_parquet(output).sort_values(["source", "item"], ignore_index=True)
    rejects = output.with_name(f"{output.name}.rejects.jsonl")
    lines = rejects.read_text(encoding="utf-8").splitlines() if rejects.exists() else []
    return rows, sorted((json.loads(line) for line in lines), key=lambda reject: str(reject["path"]))


@needs_spark
def test_run_spark_gives_the_rows_and_rejects_of_one_machine(
    watched: Path,
    inputs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    on_one_machine: Callable[..., tuple[pd.DataFrame, list[Any]]],
) -> None:
    monkeypatch.chdir(inputs.parent)
    paths = [Path("letters"), Path("letters", "empty.txt"), Path("missing.txt")]
    output = tmp_path / "rows"
    report = run_spark(paths, output, columns=COLUMNS, min_certainty=0.9, n_tasks=5)
    rows, rejects = on_one_machine(*paths, min_certainty=0.9)
    found, rejected = read_output(output)
    pd.testing.assert_frame_equal(found, rows)
    assert rejected == rejects
    sources = {Path(reject["path"]).name.split(":")[0] for reject in rejects}
    assert sources >= {"photo.jpg", "note.txt", "broken.pdf", "lacking.parquet", "damaged.parquet", "split [x].parquet"}
    assert report == ClusterReport(rows["source"].nunique(), len(rows), len(rejects), absent=1)
    types = {field.name: str(field.type) for field in pq.read_schema(next(output.iterdir()))}
    assert types == {name: {"long": "int64"}.get(kind, kind) for name, kind in cluster.row_fields().items()}
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "one.parquet",
        "one.parquet.rejects.jsonl",
        "rows",
        "rows.rejects.jsonl",
    ]


@needs_spark
@pytest.mark.parametrize(
    ("name", "types"),
    [
        pytest.param("split [x].parquet", ("binary", "double", "string", "string"), id="numbers as ids"),
        pytest.param("other types %41.parquet", ("binary", "string", "string", "string"), id="odd name"),
        pytest.param("lacking.parquet", None, id="a column is missing"),
        pytest.param("no parquet.parquet", None, id="no Parquet"),
        pytest.param("_passed over by Spark.parquet", None, id="hidden from Spark"),
        pytest.param("table.csv", None, id="another kind"),
        pytest.param("2014", None, id="a folder"),
    ],
)
def test_tables_in_parquet_are_split(name: str, types: tuple[str, ...] | None, watched: Path, inputs: Path) -> None:
    with open_session("local[2]") as spark:
        job = cluster._Job(spark, inputs, inputs, inputs, COLUMNS, Limits(), 0.0, None)
        assert job._read_types(inputs / name) == types


@needs_spark
@pytest.mark.parametrize("who", ["predicting", "reading"])
def test_run_spark_loses_no_row_when_a_worker_is_killed(
    who: str,
    watched: Path,
    some_letters: Sequence[AnnotatedLetter],
    tmp_path: Path,
    on_one_machine: Callable[..., tuple[pd.DataFrame, list[Any]]],
) -> None:
    folder = tmp_path / "letters"
    folder.mkdir()
    for number, letter in enumerate(some_letters[:60]):
        name = "victim.txt" if number == 40 else f"{letter.id}.txt"
        (folder / name).write_text(render_pdf_text(letter), encoding="utf-8")
    (watched / "opened").unlink(missing_ok=True)
    (watched / f"kill-{who}").touch()
    run_spark([folder], tmp_path / "rows", n_tasks=8)
    assert (watched / f"kill-{who}-done").exists(), "no worker was killed"
    found, rejected = read_output(tmp_path / "rows")
    rows, _ = on_one_machine(folder)
    pd.testing.assert_frame_equal(found, rows)
    assert not found.duplicated(["source", "item"]).any()
    assert rejected == []


@needs_spark
def test_workers_load_the_model_once_each(
    watched: Path, some_letters: Sequence[AnnotatedLetter], tmp_path: Path
) -> None:
    folder = tmp_path / "letters"
    folder.mkdir()
    for letter in some_letters[:30]:
        (folder / f"{letter.id}.txt").write_text(render_pdf_text(letter), encoding="utf-8")
    (watched / "opened").unlink(missing_ok=True)
    run_spark([folder], tmp_path / "rows", n_tasks=10)
    opened = Counter(tuple(line.split()) for line in (watched / "opened").read_text().splitlines())
    loads = {process: n for (process, name), n in opened.items() if name == "model.npz"}
    tasks = {process: n for (process, name), n in opened.items() if name == "pyfunc.py"}
    assert set(loads.values()) == {1}
    assert set(loads) == set(tasks)
    assert sum(tasks.values()) == 10
    assert len(loads) <= 2  # those that read load none


@needs_spark
def test_the_command_writes_the_rows_of_one_machine(
    watched: Path, some_letters: tuple[AnnotatedLetter, ...], tmp_path: Path
) -> None:
    folder = tmp_path / "letters"
    folder.mkdir()
    for letter in some_letters[:5]:
        (folder / f"{letter.id}.txt").write_text(render_pdf_text(letter), encoding="utf-8")
    (folder / "note.txt").write_text("Dear colleague,")
    rows = tmp_path / "rows"
    _, err = run("predict", folder, "-o", f"{rows}/", "--engine", "spark", "--master", "local[2]")
    assert f"5 letters read, {sum(len(letter.items) for letter in some_letters[:5])} items written to {rows}" in err
    run("predict", folder, "-o", tmp_path / "rows.parquet")
    order = ["source", "item"]
    one, many = (
        pd.read_parquet(path).sort_values(order, ignore_index=True) for path in (tmp_path / "rows.parquet", rows)
    )
    pd.testing.assert_frame_equal(many[one.columns], one)
    assert "note.txt" in (tmp_path / "rows.rejects.jsonl").read_text()


@needs_spark
def test_run_spark_without_letters_writes_a_table_without_rows(watched: Path, tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    report = run_spark([tmp_path / "letters"], tmp_path / "rows")
    assert report == ClusterReport(0, 0, 0, 0)
    assert list(pd.read_parquet(tmp_path / "rows")) == list(cluster.row_fields())


@needs_spark
def test_spark_on_this_machine_listens_to_it_alone(watched: Path) -> None:
    from pyspark import SparkContext

    assert SparkContext._gateway is not None
    process = SparkContext._gateway.proc.pid
    found = [address for address, inode in list_listening() if inode in list_sockets(process)]
    assert found
    assert [address for address in found if not address.startswith(("127.", "::1", "::ffff:127."))] == []


def list_listening() -> Iterator[tuple[str, str]]:
    """Yield the addresses where this machine listens, with the inodes of their sockets."""
    for name, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        for line in Path("/proc/net", name).read_text().splitlines()[1:]:
            cells = line.split()
            if cells[3] == "0A":
                words = [cells[1].split(":")[0][start : start + 8] for start in range(0, len(cells[1]) - 5, 8)]
                yield socket.inet_ntop(family, b"".join(bytes.fromhex(word)[::-1] for word in words)), cells[9]


def list_sockets(process: int) -> set[str]:
    links = [str(path.readlink()) for path in Path(f"/proc/{process}/fd").iterdir()]
    return {link.removeprefix("socket:[").removesuffix("]") for link in links if link.startswith("socket:[")}


def refuse_spark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)


def hide_java(monkeypatch: pytest.MonkeyPatch) -> None:
    allow_spark(monkeypatch)
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", "/nowhere")


def misplace_java(monkeypatch: pytest.MonkeyPatch) -> None:
    allow_spark(monkeypatch)
    monkeypatch.setenv("JAVA_HOME", "/nowhere")


def allow_spark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        pytest.param(refuse_spark, r"pip install 'imr-rationale\[spark\]'", id="no Spark"),
        pytest.param(hide_java, "there is no java on the PATH, and JAVA_HOME is not set", id="no Java"),
        pytest.param(misplace_java, r"there is no java in JAVA_HOME \(/nowhere\)", id="JAVA_HOME leads nowhere"),
    ],
)
def test_check_engine_names_what_is_missing(
    prepare: Callable[[pytest.MonkeyPatch], None], message: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    prepare(monkeypatch)
    with pytest.raises(EngineError, match=message):
        run_spark([tmp_path], tmp_path / "rows")


@pytest.mark.parametrize("master", ["nonsense", "localhost", "spark:/10.0.0.7:7077"])
def test_check_engine_refuses_what_is_no_master(master: str) -> None:
    with pytest.raises(EngineError, match=rf"unknown master '{master}'; known: local"):
        check_engine(master)


@pytest.mark.parametrize("host", ["127.0.0.1", "no-such-host.invalid"])
def test_check_engine_refuses_a_master_that_does_not_answer(
    host: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    allow_spark(monkeypatch)
    monkeypatch.setattr("shutil.which", lambda name, path=None: "/usr/bin/java")
    with pytest.raises(EngineError, match=rf"spark://{host}:\d+: the master cannot be reached"):
        check_engine(f"spark://{host}:{find_port()}")


@pytest.mark.parametrize(
    ("output", "message"),
    [
        pytest.param("", "is there already", id="the output is there"),
        pytest.param("missing/rows", "its folder is not there", id="no folder to write to"),
    ],
)
def test_run_spark_refuses_an_output(output: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=message):
        run_spark([tmp_path], tmp_path / output)


@needs_spark
def test_run_spark_names_a_model_that_is_not_there(watched: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="No such file"):
        run_spark([tmp_path], tmp_path / "rows", model=tmp_path / "no model")
    with pytest.raises(TrackingError, match="no such store"):
        run_spark([tmp_path], tmp_path / "rows", model="models:/imr-rationale@champion", tracking_uri="sqlite:///no.db")


@needs_spark
def test_run_spark_takes_a_logged_model(watched: Path, letter_file: Path, tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 'store.db'}"
    with connect(store) as mlflow:
        experiment = mlflow.create_experiment("logged", artifact_location=str(tmp_path / "artifacts"))
        with mlflow.start_run(experiment_id=experiment) as run:
            mlflow.pyfunc.log_model(name="model", **describe_pyfunc(find_champion()))
    report = run_spark([letter_file], tmp_path / "rows", model=f"runs:/{run.info.run_id}/model", tracking_uri=store)
    assert report.read == 1


@pytest.fixture(scope="module")
def pyfunc(tmp_path_factory: pytest.TempPathFactory) -> Any:
    mlflow = import_mlflow()
    place = tmp_path_factory.mktemp("logged") / "pyfunc"
    mlflow.pyfunc.save_model(place, **describe_pyfunc(find_champion()))
    return mlflow.pyfunc.load_model(str(place))


def test_pyfunc_reads_letters_as_predict_does(pyfunc: Any, make_letter_text: Callable[..., str]) -> None:
    text = make_letter_text()
    found = pyfunc.predict(
        pd.DataFrame({"text": [text, "Dear colleague,", None], "source": ["a.txt", "b.txt", "c.txt"]}),
        params={"min_certainty": 1.0},
    )
    letter, note, nothing = map(json.loads, found["rows"])
    [[row]] = predict_letters([(parse_letter(text), "a.txt")], min_certainty=1.0)
    assert letter["error"] is None
    assert letter["rows"] == [{k: json.dumps(v) if isinstance(v, (dict, list)) else v for k, v in row.items()}]
    assert "uncertain reasons" in letter["rows"][0]["warnings"]
    assert note["error"].startswith("b.txt: no Independent Medical Review letter")
    assert nothing == {"error": None, "rows": []}


def test_pyfunc_answers_a_letter_over_which_it_stumbles(
    pyfunc: Any, make_letter_text: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def parse_document(document: Document, **options: Any) -> object:
        return {}["no such layout"] if document.source == "b" else layout.parse_document(document, **options)

    monkeypatch.setattr(documents, "parse_document", parse_document)
    text = make_letter_text()
    first, second, third = (
        json.loads(row) for row in pyfunc.predict(pd.DataFrame({"text": [text] * 3, "source": ["a", "b", "c"]}))["rows"]
    )
    assert second == {"error": "b: an error of this program (KeyError)", "rows": []}
    assert first["error"] is third["error"] is None
    assert len(first["rows"]) == len(third["rows"]) > 0


def test_pyfunc_answers_rows_without_a_rationale(pyfunc: Any) -> None:
    text = "There is no evidence of red flags. Therefore, the request is not medically necessary."
    found = pyfunc.predict(pd.DataFrame({"rationale": [None, text, "", float("nan")]}))
    assert found["primary_reason"].tolist() == ["", "no_clinical_indication", "", ""]
    assert found["verdict_probability"].isna().tolist() == [True, False, True, True]


def test_pyfunc_refuses_a_table_without_its_columns(pyfunc: Any) -> None:
    with pytest.raises(ModelError, match="neither a column 'rationale' nor a column 'text'"):
        pyfunc.predict(pd.DataFrame({"summary": ["A worker."]}))
