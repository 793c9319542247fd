"""Many processes read as one does: the same bytes, whatever ends a worker or the run."""

import json
import os
import random
import signal
import subprocess
import sys
import time
import uuid
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import pytest

from conftest import run
from deadly import KillAlways, KillOnce, Stumble, lose_model, tell_process
from imr_rationale.cli.options import FilesBar
from imr_rationale.errors import ModelError, SourceError
from imr_rationale.learning.corpus import AnnotatedLetter
from imr_rationale.learning.render import RENDERERS, render_pdf_text
from imr_rationale.letters import documents, layout
from imr_rationale.letters.sources import Document, holds_many
from imr_rationale.letters.tables import PRESETS, Columns
from imr_rationale.serving import chunks, workers
from imr_rationale.serving.batch import Batch, run_batch
from imr_rationale.serving.chunks import Chunk, ChunkReader, PredictRows, Result, Unread, Waiting, cut_chunks
from imr_rationale.serving.fields import prediction_fields
from imr_rationale.serving.journal import Entry
from imr_rationale.serving.report import BatchReport
from imr_rationale.serving.rows import RowMaker, list_items

#: enough that each of three workers has several chunks
CHUNK = 5
POISON = "poison.txt"


@pytest.fixture(scope="module")
def mixed(some_letters: tuple[AnnotatedLetter, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Letters of several kinds and layouts, archive, table, and what is none."""
    place = tmp_path_factory.mktemp("workers") / "letters"
    place.mkdir()
    for i, letter in enumerate(some_letters[:30]):
        (place / f"{letter.id}.txt").write_text(RENDERERS[list(RENDERERS)[i % 3]](letter), encoding="utf-8")
    with zipfile.ZipFile(place / "archive.zip", "w") as archive:
        for letter in some_letters[30:42]:
            archive.writestr(f"{letter.id}.txt", render_pdf_text(letter))
        archive.writestr("photo.jpg", b"\xff\xd8\xff\xe0")
        archive.writestr("more.csv", "Findings\nThe MRI is not medically necessary.\nNo red flags.\n")
    rows = "".join(f"EI-{i},There are no red flags {i}. It is not medically necessary.\n" for i in range(17))
    (place / "table.csv").write_text(f"ReferenceID,Findings\n{rows}")
    (place / POISON).write_text(render_pdf_text(some_letters[43]))
    (place / "a note.txt").write_text("Dear colleague,\n")
    (place / "broken.pdf").write_bytes(b"%PDF-")
    (place / "broken.zip").write_bytes(b"PK\x03\x04 no archive")
    (place / "letter that is an archive.txt").write_bytes((place / "archive.zip").read_bytes())
    return place


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "CHUNK_LETTERS", CHUNK)


def parse(folder: Path, output: Path, *, make_rows: RowMaker = list_items, n: int = 1) -> BatchReport:
    return run_batch(Batch([folder], make_rows, output, columns=Columns("Findings"), workers=n))


@pytest.fixture(scope="module")
def whole(mixed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one process makes of them."""
    output = tmp_path_factory.mktemp("whole") / "items.jsonl"
    parse(mixed, output)
    return output


def read_both(output: Path) -> tuple[bytes, bytes]:
    return output.read_bytes(), Path(f"{output}.rejects.jsonl").read_bytes()


# ---------------------------------------------------------------- the same bytes


@pytest.mark.parametrize("n", [2, 3])
def test_many_workers_write_what_one_writes(n: int, mixed: Path, whole: Path, tmp_path: Path) -> None:
    report = parse(mixed, tmp_path / "items.jsonl", n=n)
    assert read_both(tmp_path / "items.jsonl") == read_both(whole)
    assert report == parse(mixed, tmp_path / "again.jsonl")
    assert (report.files, report.rejected) == (31 + 2 * 15 + 17 + 3, 5)


def test_chunks_of_any_size_give_the_same_predictions(
    mixed: Path, tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for size in (1, 7, 64):
        monkeypatch.setattr(chunks, "CHUNK_LETTERS", size)
        run("predict", mixed, "--model", tiny_bundle, "-o", tmp_path / f"{size}.jsonl")
    assert read_both(tmp_path / "64.jsonl") == read_both(tmp_path / "7.jsonl") == read_both(tmp_path / "1.jsonl")


@pytest.mark.parametrize("options", [(), ("--deidentify",)], ids=["named", "deidentified"])
def test_predict_gives_workers_its_model(
    options: tuple[str, ...], mixed: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    args = ("predict", mixed, "--text-column", "Findings", "--model", tiny_bundle, "--min-certainty", 0.5, *options)
    run(*args, "-o", tmp_path / "one.jsonl")
    run(*args, "-o", tmp_path / "two.jsonl", "--workers", 2)
    assert read_both(tmp_path / "two.jsonl") == read_both(tmp_path / "one.jsonl")


def test_workers_load_a_model_by_its_address(mixed: Path, trained: tuple[Path, str, str], tmp_path: Path) -> None:
    folder, store, _ = trained
    run_id = json.loads((folder / "model" / "manifest.json").read_text())["run_id"]
    args = ("predict", mixed, "--tracking-uri", store, "--model", f"runs:/{run_id}/model")
    run("predict", mixed, "--model", folder / "model", "-o", tmp_path / "folder.jsonl")
    run(*args, "-o", tmp_path / "two.jsonl", "--workers", 2)
    assert read_both(tmp_path / "two.jsonl") == read_both(tmp_path / "folder.jsonl")


def test_one_worker_is_this_process_and_many_are_others_with_one_thread_each(mixed: Path, tmp_path: Path) -> None:
    batch = Batch([mixed], tell_process, tmp_path / "one.jsonl")
    run_batch(batch)
    assert {row["process"] for row in read_rows(tmp_path / "one.jsonl")} == {os.getpid()}
    run_batch(Batch([mixed], tell_process, tmp_path / "two.jsonl", workers=2))
    rows = read_rows(tmp_path / "two.jsonl")
    assert os.getpid() not in {row["process"] for row in rows}
    assert {row["threads"]["OPENBLAS_NUM_THREADS"] for row in rows} == {"1"}


def read_rows(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


# ---------------------------------------------------------------- chunks


def make_waiting(text: str, i: int = 0) -> Waiting:
    return Waiting(i, f"{i}.txt", Document(f"{i}.txt", "text", text))


def test_cut_chunks_by_letters_and_by_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "CHUNK_CHARS", 100)
    letters = [make_waiting("short", i) for i in range(CHUNK + 1)] + [make_waiting("x" * 99), make_waiting("short")]
    found = list(cut_chunks(letters, first=8))
    assert [(chunk.first, len(chunk.letters)) for chunk in found] == [(8, CHUNK), (8 + CHUNK, 2), (10 + CHUNK, 1)]


def test_chunk_reader_rejects_a_file_that_became_an_archive(mixed: Path) -> None:
    path = str(mixed / "archive.zip")
    [found] = ChunkReader(list_items)(Chunk(1, (Waiting(0, path, Unread(path, path)),)))
    assert found.entry.error == f"{path}: it changed while it was read"


def test_chunk_reader_blames_the_letter_alone(make_letter_text: Callable[..., str]) -> None:
    def refuse(letters: object) -> list[list[dict[str, object]]]:
        [(letter, source), *others] = letters  # type: ignore[misc]
        if others or source == "1.txt":
            raise SourceError(f"{source}: refused")
        return list_items([(letter, source)])

    letters = tuple(make_waiting(make_letter_text(), i) for i in range(3))
    found = ChunkReader(refuse)(Chunk(1, letters))
    assert [result.entry.error for result in found] == [None, "1.txt: refused", None]
    assert [bool(result.rows) for result in found] == [True, False, True]


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("error", [RecursionError("deep"), KeyError("CM99"), ValueError("'CM99-0000001'")], ids=repr)
def test_a_letter_over_which_the_program_stumbles_costs_itself(
    error: Exception, n: int, mixed: Path, whole: Path, tmp_path: Path
) -> None:
    output = tmp_path / "items.jsonl"
    parse(mixed, output, make_rows=Stumble(POISON, error), n=n)
    poison = str(mixed / POISON)
    assert read_rows(output) == [row for row in read_rows(whole) if row["source"] != poison]
    rejects = {row["path"]: row["error"] for row in read_rows(Path(f"{output}.rejects.jsonl"))}
    assert rejects[poison] == f"{poison}: an error of this program ({type(error).__name__})"
    assert len(rejects) == 1 + len(read_rows(Path(f"{whole}.rejects.jsonl")))


def test_a_letter_over_which_the_parser_stumbles_costs_itself(
    mixed: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def parse_document(document: Document, **options: Any) -> object:
        return {}["no such layout"] if POISON in document.source else layout.parse_document(document, **options)

    monkeypatch.setattr(documents, "parse_document", parse_document)
    parse(mixed, tmp_path / "items.jsonl")
    assert len(read_rows(tmp_path / "items.jsonl")) < len(read_rows(whole))
    assert f"{POISON}: an error of this program (KeyError)" in read_both(tmp_path / "items.jsonl")[1].decode()


@pytest.mark.parametrize("error", [MemoryError(), OSError(28, "No space left on device")], ids=repr)
def test_what_the_machine_lacks_is_no_letters_fault(error: Exception, mixed: Path, tmp_path: Path) -> None:
    with pytest.raises((MemoryError, SourceError)):
        parse(mixed, tmp_path / "items.jsonl", make_rows=Stumble(POISON, error))


@pytest.mark.parametrize("n", [1, 2])
def test_a_model_that_is_gone_is_no_letters_fault(n: int, mixed: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="gone: no such model folder"):
        parse(mixed, tmp_path / "items.jsonl", make_rows=lose_model, n=n)


def test_workers_refuse_another_model_than_at_the_beginning(mixed: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    make_rows = PredictRows(str(tiny_bundle), sha256="0" * 64)
    with pytest.raises(ModelError, match="another model than when the run began"):
        run_batch(Batch([mixed], make_rows, tmp_path / "items.jsonl", fields=prediction_fields, workers=2))


@pytest.mark.parametrize(
    ("name", "content", "columns", "expected"),
    [
        pytest.param("a.txt", b"text", True, False, id="text"),
        pytest.param("a.txt", b"PK\x03\x04", False, True, id="archive by its beginning"),
        pytest.param("a.docx", b"PK\x03\x04", False, False, id="docx"),
        pytest.param("a.csv", b"a,b", True, True, id="table"),
        pytest.param("a.csv", b"a,b", False, False, id="table without columns"),
        pytest.param("a.xls", b"\xd0\xcf\x11\xe0", True, False, id="refused"),
    ],
)
def test_holds_many_looks_into_a_file(name: str, content: bytes, columns: bool, expected: bool, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    assert holds_many(tmp_path / name, columns=PRESETS["dmhc"] if columns else None) is expected


def test_holds_many_waits_for_no_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.zip")
    assert not holds_many(tmp_path / "pipe.zip")
    assert not holds_many(tmp_path / "missing.zip")


# ---------------------------------------------------------------- handed out


class Pool:
    """A pool whose jobs are done when they are asked for; it can lose those of some letters."""

    lost = BrokenProcessPool

    def __init__(self, ahead: int, poison: frozenset[str] = frozenset()) -> None:
        self.ahead = ahead
        self.poison = poison
        self.waiting: list[tuple[Chunk, Future[list[Result]]]] = []
        self.most = 0
        self.tries: list[list[str]] = []

    def submit(self, chunk: Chunk) -> "Future[list[Result]]":
        pool = self

        class Lazy(Future[list[Result]]):
            def result(self, timeout: float | None = None) -> list[Result]:
                pool.waiting = [one for one in pool.waiting if one[1] is not self]
                names = [letter.name for letter in chunk.letters]
                pool.tries.append(names)
                if pool.poison & set(names):
                    raise BrokenProcessPool
                return [Result(Entry(letter.file, letter.name, "text")) for letter in chunk.letters]

        self.waiting.append((chunk, Lazy()))
        self.most = max(self.most, len(self.waiting))
        return self.waiting[-1][1]

    def recover(self, waiting: object) -> list[object]:
        return []

    def close(self) -> None:
        self.waiting = []


def read_with(pool: Pool, n_letters: int) -> Iterator[tuple[Chunk, list[Result]]]:
    cut = cut_chunks(make_waiting("text", i) for i in range(n_letters))
    return workers._read_with(pool, ChunkReader(list_items), cut)  # type: ignore[arg-type]


def test_chunks_are_handed_out_a_bounded_number_ahead() -> None:
    pool = Pool(ahead=4)
    found = read_with(pool, 20 * CHUNK)
    next(found)
    assert pool.most == 4
    assert [entry.entry.file for _, results in found for entry in results] == list(range(CHUNK, 20 * CHUNK))
    assert pool.most == 4


def test_a_letter_is_rejected_only_when_it_ends_its_process_alone_and_twice() -> None:
    pool = Pool(ahead=2, poison=frozenset({"7.txt"}))
    found = [result.entry for _, results in read_with(pool, 3 * CHUNK) for result in results]
    assert [entry.file for entry in found] == list(range(3 * CHUNK))
    assert [entry.error for entry in found if entry.error] == [
        "7.txt: the process that reads it ends, 2 times out of 2"
    ]
    assert [names for names in pool.tries if "7.txt" in names] == [
        *[[f"{i}.txt" for i in range(5, 10)]] * 2,
        *[["7.txt"]] * 2,
    ]


def test_no_letter_is_blamed_where_workers_end_without_any() -> None:
    class Dead(Pool):
        def submit(self, chunk: Chunk) -> "Future[list[Result]]":
            found: Future[list[Result]] = Future()
            found.set_exception(BrokenProcessPool("the exit codes are\n{SIGKILL(-9)}"))
            return found

    with pytest.raises(SourceError, match=r"workers end before they read anything \(the exit codes are \{SIGKILL"):
        list(read_with(Dead(ahead=2), 3))


# ---------------------------------------------------------------- a worker that ends


def test_a_worker_that_is_killed_once_loses_nothing(mixed: Path, whole: Path, tmp_path: Path) -> None:
    make_rows = KillOnce(POISON, tmp_path / "killed")
    parse(mixed, tmp_path / "items.jsonl", make_rows=make_rows, n=2)
    assert (tmp_path / "killed").exists()
    assert read_both(tmp_path / "items.jsonl") == read_both(whole)


def test_a_letter_that_ends_its_worker_every_time_costs_itself(mixed: Path, whole: Path, tmp_path: Path) -> None:
    output = tmp_path / "items.jsonl"
    parse(mixed, output, make_rows=KillAlways((POISON, "table.csv:3")), n=2)
    poisonous = {str(mixed / POISON), f"{mixed / 'table.csv'}:3"}
    assert read_rows(output) == [row for row in read_rows(whole) if row["source"] not in poisonous]
    rejects = read_rows(Path(f"{output}.rejects.jsonl"))
    assert {row["path"]: row["error"] for row in rejects if row["path"] in poisonous} == {
        path: f"{path}: the process that reads it ends, 2 times out of 2" for path in poisonous
    }
    assert [row for row in rejects if row["path"] not in poisonous] == read_rows(Path(f"{whole}.rejects.jsonl"))


def test_a_poisonous_letter_keeps_its_name_to_itself(mixed: Path, tmp_path: Path) -> None:
    make_rows = KillAlways(("letter 21",))
    run_batch(Batch([mixed], make_rows, tmp_path / "items.jsonl", workers=2, deidentify=True))
    rejects = read_rows(tmp_path / "items.jsonl.rejects.jsonl")
    assert {"path": "letter 21", "error": "letter 21: the process that reads it ends, 2 times out of 2"} in rejects


# ---------------------------------------------------------------- a run that is cut off

START = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from deadly import Slow
from imr_rationale.serving import chunks
from imr_rationale.serving.batch import Batch, run_batch
chunks.CHUNK_LETTERS = 3
folder, output = map(Path, sys.argv[2:4])
parts = 10 if output.suffix == "" else None
print("started", flush=True)
run_batch(Batch([folder], Slow(0.05), output, workers=2, resume=True, part_letters=parts))
"""


def start(folder: Path, output: Path, mark: str) -> "subprocess.Popen[bytes]":
    """Start a run with two workers, whose processes can be told by a mark in their environment."""
    command = [sys.executable, "-c", START, str(Path(__file__).parent), str(folder), str(output)]
    with (output.parent / "stderr").open("w") as stderr:
        return subprocess.Popen(
            command, env={**os.environ, "IMR_TEST_MARK": mark}, stderr=stderr, start_new_session=True
        )


def find_processes(mark: str) -> list[str]:
    """The processes of a run that live."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if f"IMR_TEST_MARK={mark}".encode() in (place / "environ").read_bytes():
                found.append((place / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


def wait_until_gone(mark: str, seconds: float = 15) -> list[str]:
    deadline = time.monotonic() + seconds
    while (left := find_processes(mark)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return left


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("name", ["items.jsonl", "items"])
def test_a_parent_killed_at_any_moment_resumes_and_leaves_no_process(name: str, mixed: Path, tmp_path: Path) -> None:
    parts = 10 if name == "items" else None
    run_batch(Batch([mixed], list_items, tmp_path / f"whole-{name}", part_letters=parts))
    output, moments = tmp_path / name, random.Random(name)  # noqa: S311
    rows = output / "_rows.jsonl" if parts else tmp_path / f"{name}.partial"
    n_killed, code = 0, None
    while code != 0:
        mark = uuid.uuid4().hex
        process = start(mixed, output, mark)
        if n_killed < 3:
            wait_for_rows(rows, process)
            time.sleep(moments.uniform(0, 0.5))
            process.kill()
        code = process.wait()
        assert code in {0, -signal.SIGKILL}
        n_killed += code != 0
        assert not wait_until_gone(mark)
    assert n_killed
    assert read_output(output) == read_output(tmp_path / f"whole-{name}")


def wait_for_rows(rows: Path, process: "subprocess.Popen[bytes]") -> None:
    """Wait until a run has written more rows, or another part."""
    before = look(rows)
    while look(rows) == before and process.poll() is None:
        time.sleep(0.01)


def look(path: Path) -> tuple[int, int] | None:
    try:
        return path.stat().st_size, path.stat().st_ino
    except FileNotFoundError:
        return None


def read_output(output: Path) -> dict[str, bytes]:
    """All files of an output, but for what names its folder."""
    if output.is_dir():
        return {path.name: path.read_bytes() for path in output.iterdir()}
    return dict(zip(("rows", "rejects"), read_both(output), strict=True))


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_ctrl_c_stops_the_workers_and_the_run_can_be_resumed(mixed: Path, whole: Path, tmp_path: Path) -> None:
    mark = uuid.uuid4().hex
    process = start(mixed, tmp_path / "items.jsonl", mark)
    partial = tmp_path / "items.jsonl.partial"
    wait_for_rows(partial, process)
    wait_for_rows(partial, process)
    # as a terminal does: to all of them
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(timeout=20) != 0
    assert (tmp_path / "stderr").read_text().count("Traceback") == 1, "the parent's alone"
    assert not wait_until_gone(mark)
    assert not (tmp_path / "items.jsonl").exists()
    run_batch(Batch([mixed], list_items, tmp_path / "items.jsonl", resume=True))
    run_batch(Batch([mixed], list_items, tmp_path / "whole.jsonl"))
    assert read_both(tmp_path / "items.jsonl") == read_both(tmp_path / "whole.jsonl")


# ---------------------------------------------------------------- the command


@pytest.mark.parametrize("value", ["0", "-2", "two", "1.5"])
def test_workers_must_be_a_number(value: str, mixed: Path) -> None:
    _, err = run("parse", mixed, f"--workers={value}", code=2)
    assert f"{value!r} is neither 1 or more nor auto" in err


@pytest.mark.parametrize("value", ["auto", "-1"])
def test_workers_may_be_all_cores(value: str, monkeypatch: pytest.MonkeyPatch, mixed: Path, tmp_path: Path) -> None:
    asked = []
    monkeypatch.setattr("joblib.cpu_count", lambda: asked.append(value) or 1)
    run("parse", mixed, f"--workers={value}", "-o", tmp_path / "items.jsonl")
    assert asked


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param(("--engine", "dask"), "--engine dask needs --master", id="no master"),
        pytest.param(("--master", "tcp://h:1"), "--master belongs to a cluster", id="no engine"),
        pytest.param(
            ("--engine", "dask", "--master", "tcp://h:1", "--workers", "2"), "--workers belongs to", id="workers"
        ),
        pytest.param(("--engine", "ray"), "'ray' is not one of 'local', 'dask'", id="unknown"),
    ],
)
def test_engine_needs_what_belongs_to_it(options: tuple[str, ...], message: str, mixed: Path) -> None:
    assert message in run("parse", mixed, *options, code=2)[1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param((), "--engine spark needs --master", id="no master"),
        pytest.param(("--master", "local[1]", "-o", "rows", "--resume"), "--resume is not for", id="resume"),
        pytest.param(("--master", "local[1]", "-o", "rows", "--report", "r"), "--report is not for", id="report"),
        pytest.param(("--master", "local[1]", "-o", "rows", "--deidentify"), "--deidentify is not for", id="names"),
        pytest.param(("--master", "local[1]"), "-o FOLDER/", id="standard output"),
        pytest.param(("--master", "local[1]", "--workers", "2"), "--workers belongs to", id="workers"),
    ],
)
def test_spark_takes_what_it_can_do(options: tuple[str, ...], message: str, mixed: Path) -> None:
    assert message in run("predict", mixed, "--engine", "spark", *options, code=2)[1]
    assert "'spark' is not one of" in run("parse", mixed, "--engine", "spark", code=2)[1]


def test_dask_that_is_not_installed_takes_one_line(
    mixed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    args = ("parse", mixed, "-o", tmp_path / "items.jsonl", "--engine", "dask", "--master", "tcp://127.0.0.1:1")
    _, err = run(*args, code=1)
    assert err == "imr: --engine dask needs dask: pip install 'imr-rationale[dask]'\n"


def test_an_unknown_engine_is_named(mixed: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="unknown engine 'ray'; known: local, dask"):
        run_batch(Batch([mixed], list_items, tmp_path / "items.jsonl", engine="ray"))


def test_progress_counts_files_and_letters(mixed: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    report = run_batch(
        Batch([mixed], list_items, tmp_path / "items.jsonl", workers=2),
        progress=lambda n_files, n_letters: told.append((n_files, n_letters)),
    )
    assert told == sorted(told)
    assert len(told) > 3
    assert told[-1] == (len(list(mixed.iterdir())), report.files)


def test_the_bar_shows_files_and_letters_where_a_person_watches(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with FilesBar(lambda: 200) as bar:
        bar(50, 80)
        bar(200, 1234)
    err = capsys.readouterr().err
    assert "200/200" in err
    assert "1,234 letters" in err
    with FilesBar(lambda: 1) as bar:
        bar(1, 77)
    assert "77 letters" in capsys.readouterr().err


def test_nobody_counts_files_where_nobody_watches(capsys: pytest.CaptureFixture[str]) -> None:
    with FilesBar(lambda: pytest.fail("counted")) as bar:
        bar(1, 1)
    assert capsys.readouterr().err == ""
