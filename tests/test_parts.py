"""A folder of Parquet parts: whole ones stay, the rest is made again, and all of them are one table."""

import hashlib
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import run
from imr_rationale.errors import SourceError
from imr_rationale.letters.tables import Columns
from imr_rationale.serving import outputs, parts
from imr_rationale.serving.batch import Batch, _write, run_batch
from imr_rationale.serving.chunks import Chunk, Result, Unread, Waiting
from imr_rationale.serving.fields import item_fields, prediction_fields
from imr_rationale.serving.journal import Entry, Journal
from imr_rationale.serving.outputs import FileOutput
from imr_rationale.serving.parts import FolderOutput
from imr_rationale.serving.report import BatchReport
from imr_rationale.serving.rows import list_items
from imr_rationale.serving.writers import write_parquet

N_LETTERS = 23
PART = 5


@pytest.fixture
def folder(make_letter_text: Callable[..., str], tmp_path: Path) -> Path:
    """Letters, the first ones without age, dates and summary; every seventh file is none."""
    place = tmp_path / "letters"
    place.mkdir()
    for i in range(N_LETTERS):
        bare = {"header": "", "summary": "", "claims_administrator": ""} if i < 2 * PART else {}
        text = "Dear colleague," if i % 7 == 6 else make_letter_text(rationale=f"There is no fracture {i}.", **bare)
        (place / f"{i:02}.txt").write_text(text)
    return place


def parse(folder: Path, output: Path, *, resume: bool = False, part: int = PART) -> BatchReport:
    settings = {"command": "parse"}
    return run_batch(Batch([folder], list_items, output, settings=settings, resume=resume, part_letters=part))


def list_parts(output: Path) -> list[str]:
    return sorted(path.name for path in output.glob("part-*"))


def read_manifest(output: Path) -> dict[str, object]:
    return json.loads((output / "_manifest.json").read_text(encoding="utf-8"))


def test_parts_are_one_table(folder: Path, tmp_path: Path) -> None:
    report = parse(folder, tmp_path / "items")
    run("parse", folder, "-o", tmp_path / "items.jsonl")
    run("parse", folder, "-o", tmp_path / "items.parquet")
    rows = [json.loads(line) for line in (tmp_path / "items.jsonl").read_text(encoding="utf-8").splitlines()]
    table = pd.read_parquet(tmp_path / "items")
    assert table["rationale"].tolist() == [row["rationale"] for row in rows]
    assert list(table.columns) == list(rows[0])
    pd.testing.assert_frame_equal(table, pd.read_parquet(tmp_path / "items.parquet"))
    assert pq.read_table(tmp_path / "items").num_rows == report.items == len(rows)


def test_parts_have_the_types_of_the_fields_whichever_are_missing(folder: Path, tmp_path: Path) -> None:
    parse(folder, tmp_path / "items")
    schemas = [pq.read_schema(path) for path in sorted((tmp_path / "items").glob("part-*"))]
    assert len(schemas) == 5
    assert all(schema == schemas[0] for schema in schemas)
    assert (str(schemas[0].field("age").type), str(schemas[0].field("date_injury").type)) == ("int64", "string")
    first = pd.read_parquet(tmp_path / "items" / "part-00000.parquet")
    assert first["date_injury"].isna().all()


def test_manifest_tells_what_each_part_holds(folder: Path, tmp_path: Path) -> None:
    report = parse(folder, tmp_path / "items")
    manifest = read_manifest(tmp_path / "items")
    assert manifest["complete"] is True
    assert (manifest["letters"], manifest["rows"]) == (report.files, report.items) == (N_LETTERS, N_LETTERS - 3)
    assert [part["letters"] for part in manifest["parts"]] == [PART] * 4 + [3]
    assert [part["name"] for part in manifest["parts"]] == list_parts(tmp_path / "items")
    for part in manifest["parts"]:
        path = tmp_path / "items" / part["name"]
        assert part["rows"] == pq.read_metadata(path).num_rows
        assert part["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert manifest["settings"]["command"] == "parse"
    assert manifest["fields"]["item"] == "int"
    names = {path.name for path in (tmp_path / "items").iterdir()}
    assert names - set(list_parts(tmp_path / "items")) == {"_manifest.json", "_rejects.jsonl"}
    assert len((tmp_path / "items" / "_rejects.jsonl").read_text().splitlines()) == 3


@pytest.mark.parametrize(
    ("command", "fields"),
    [pytest.param("parse", item_fields, id="parse"), pytest.param("predict", prediction_fields, id="predict")],
)
def test_fields_are_those_of_the_rows(
    command: str, fields: Callable[[], dict[str, type]], letter_file: Path, folder: Path, tmp_path: Path
) -> None:
    run(command, letter_file, folder, "-o", tmp_path / "rows.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text(encoding="utf-8").splitlines()]
    for row in rows:
        assert list(row) == list(fields())
        for name, value in row.items():
            kind = str if isinstance(value, (list, dict)) else type(value)
            assert value is None or kind is fields()[name], name
    assert {int, str} <= set(fields().values())


def test_write_parquet_refuses_a_value_of_another_type(tmp_path: Path) -> None:
    (tmp_path / "rows").write_text('{"item": "one"}\n')
    with pytest.raises(ValueError, match="item|one|int"):
        write_parquet(tmp_path / "rows", tmp_path / "out.parquet", {"item": int})


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_table_without_rows_has_its_columns(suffix: str, tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("Dear colleague,")
    run("parse", tmp_path / "note.txt", "-o", tmp_path / f"items{suffix}", code=1)
    read = pd.read_csv if suffix == ".csv" else pd.read_parquet
    assert list(read(tmp_path / f"items{suffix}").columns) == list(item_fields())


def test_a_folder_without_letters_is_a_table_without_rows(tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    run("parse", tmp_path / "letters", "-o", f"{tmp_path / 'items'}/", code=1)
    assert list_parts(tmp_path / "items") == ["part-00000.parquet"]
    assert pd.read_parquet(tmp_path / "items").empty


# ---------------------------------------------------------------- cut off

STOP_IN = """
import os, signal, sys
from imr_rationale.cli import main
from imr_rationale.serving import batch, chunks, journal, parts
chunks.CHUNK_LETTERS = 3
place, count = sys.argv[1], int(sys.argv[2])
seen = 0

def stop(owner, name, *, before):
    whole = getattr(owner, name)

    def stopping(*args, **kwargs):
        global seen
        seen += 1
        if before and seen > count:
            os.kill(os.getpid(), signal.SIGKILL)
        result = whole(*args, **kwargs)
        if not before and seen > count:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, stopping)

stop(*{
    "before rows": (parts.FolderOutput, "write"),
    "before the journal": (journal.Journal, "add"),
    "after the journal": (journal.Journal, "add"),
    "before a part": (parts, "write_parquet"),
    "after a part": (parts, "write_parquet"),
    "before a part is noted": (journal.Journal, "add_part"),
    "after a part is noted": (journal.Journal, "add_part"),
    "before a manifest": (parts.FolderOutput, "_write_manifest"),
    "before the rejects": (parts, "write_rejects"),
    "after the rejects": (parts, "write_rejects"),
    "before the report": (batch, "make_report"),
    "before the end": (parts.FolderOutput, "clean"),
}[place], before=place.startswith("before"))
main(sys.argv[3:])
"""


def stop_in(place: str, count: int, *args: object) -> None:
    command = [sys.executable, "-c", STOP_IN, place, str(count), *map(str, args)]
    assert subprocess.run(command, capture_output=True, check=False).returncode == -signal.SIGKILL


def read_all(output: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in output.iterdir()}


@pytest.mark.parametrize(
    ("place", "count"),
    [
        ("before rows", 0),
        ("before rows", 3),
        ("before the journal", 2),
        ("after the journal", 1),
        ("after the journal", 3),
        ("before a part", 0),
        ("before a part", 4),
        ("after a part", 1),
        ("before a part is noted", 2),
        ("after a part is noted", 1),
        ("after a part is noted", 4),
        ("before a manifest", 0),
        ("before a manifest", 3),
        ("before the rejects", 0),
        ("after the rejects", 0),
        ("before the report", 0),
        ("before the end", 0),
    ],
)
def test_a_killed_run_resumes_by_part(place: str, count: int, folder: Path, tmp_path: Path) -> None:
    cut, options = tmp_path / "cut", ("--part-letters", PART)
    run("parse", folder, "-o", f"{tmp_path / 'whole'}/", *options)
    stop_in(place, count, "parse", folder, "-o", f"{cut}/", *options)
    noted = [part["name"] for part in read_manifest(cut)["parts"]] if (cut / "_manifest.json").exists() else []
    before = {name: (cut / name).stat().st_ino for name in noted}
    if list_parts(cut):
        assert pd.read_parquet(cut)["letter"].notna().any(), "parts so far are a table"
    run("parse", folder, "-o", f"{cut}/", *options, "--resume")
    assert read_all(cut) == read_all(tmp_path / "whole")
    assert {name: (cut / name).stat().st_ino for name in noted} == before, "finished parts are not written again"


class StoppedError(Exception):
    pass


@contextmanager
def stopping(moment: int) -> Iterator[None]:
    """End in an error before or behind some write: rows and journal, part and journal, know different things."""
    n_calls = 0

    def stop() -> None:
        nonlocal n_calls
        n_calls += 1
        if n_calls == moment:
            raise StoppedError

    def watch(whole: Callable[..., object]) -> Callable[..., object]:
        def write(*args: object) -> object:
            stop()
            result = whole(*args)
            stop()
            return result

        return write

    with pytest.MonkeyPatch.context() as patch, suppress(StoppedError):
        for owner, name in WRITES:
            patch.setattr(owner, name, watch(getattr(owner, name)))
        yield


WRITES = (
    (outputs.PartialRows, "write"),
    (Journal, "add"),
    (Journal, "add_part"),
    (parts, "write_parquet"),
    (parts, "write_rejects"),
    (outputs, "finish_output"),
    (outputs, "write_rejects"),
)
#: how many letters a run has, and rows of each; those of 9 are rejected
LETTERS = st.lists(st.sampled_from([0, 1, 2, 9]), max_size=25)


def write_letters(output: FileOutput | FolderOutput, letters: Sequence[int], n_chunk: int) -> None:
    """Write the rows of letters as a run does, behind those that the journal knows."""
    batch = Batch([], list_items)
    with output.open({}, resume=True) as journal:
        first = journal.count_entries()
        for start in range(first, len(letters), n_chunk):
            numbers = range(start, min(start + n_chunk, len(letters)))
            chunk = Chunk(start + 1, tuple(Waiting(i, f"{i}.txt", Unread("", f"{i}.txt")) for i in numbers))
            _write(batch, output, journal, chunk, [make_result(i, letters[i]) for i in numbers])
        output.finish()
        output.clean()


def make_result(i: int, n_rows: int) -> Result:
    if n_rows == 9:
        return Result(Entry(i, f"{i}.txt", "text", error=f"{i}.txt: not read"))
    rows = "".join(json.dumps({"letter": f"é {i}", "item": item}) + "\n" for item in range(n_rows))
    return Result(Entry(i, f"{i}.txt", "text", n_items=n_rows), (f"{i} warns",), rows)


@settings(max_examples=30, deadline=None)
@given(LETTERS, st.integers(1, 8), st.integers(1, 8), st.lists(st.integers(1, 30), max_size=3), st.booleans())
def test_a_run_that_is_stopped_anywhere_resumes_to_the_same_bytes(
    letters: list[int], n_chunk: int, part: int, moments: list[int], is_folder: bool
) -> None:
    with tempfile.TemporaryDirectory() as place:
        made = []
        for name, stops in (("whole", []), ("cut", moments)):
            folder = Path(place, name)
            folder.mkdir()
            for moment in [*stops, 0]:
                # what a write that was cut short leaves
                for rows in (*folder.glob("*/_rows.jsonl"), *folder.glob("*.partial")):
                    with rows.open("ab") as file:
                        file.write(b'{"letter": "\xc3')
                fields = {"letter": str, "item": int}
                output = FolderOutput(folder / "rows", fields, part)
                with stopping(moment):
                    write_letters(output if is_folder else FileOutput(folder / "rows.csv", fields), letters, n_chunk)
            made.append({path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()})
    assert made[0] == made[1]


def test_a_run_without_resume_starts_anew_where_one_was_cut_off(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "items"
    stop_in("before a part", 3, "parse", folder, "-o", f"{output}/", "--part-letters", PART)
    assert len(list_parts(output)) == 3
    parse(folder, output, part=100)
    assert list_parts(output) == ["part-00000.parquet"]
    assert read_manifest(output)["letters"] == N_LETTERS


def test_resume_refuses_a_part_that_was_altered(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "items"
    args = ("parse", folder, "-o", f"{output}/", "--part-letters", PART)
    stop_in("before a part", 3, *args)
    part = output / "part-00001.parquet"
    part.write_bytes(part.read_bytes()[:-1] + b"x")
    _, err = run(*args, "--resume", code=1)
    assert err == f"imr: --resume: {part} is not what was written; start without --resume\n"


def test_resume_refuses_parts_of_another_size(folder: Path, tmp_path: Path) -> None:
    args = ("parse", folder, "-o", f"{tmp_path / 'items'}/")
    stop_in("before a part", 1, *args, "--part-letters", PART)
    _, err = run(*args, "--part-letters", 6, "--resume", code=1)
    assert "--part-letters was '5' when the run began and is '6' now" in err


# ---------------------------------------------------------------- places


def test_a_finished_folder_is_not_written_over(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "items"
    parse(folder, output)
    before = read_all(output)
    for resume in (False, True):
        with pytest.raises(SourceError, match="items: holds a finished run; remove it or name another folder"):
            parse(folder, output, resume=resume)
    assert read_all(output) == before


@pytest.mark.parametrize(
    ("name", "message"),
    [
        pytest.param("letters", "letters: holds 00.txt, which no run left", id="the letters"),
        pytest.param("letters/00.txt", "Not a directory", id="a file"),
        pytest.param("missing/items", "No such file or directory", id="missing folder"),
    ],
)
def test_a_folder_that_is_not_for_parts_takes_one_line(name: str, message: str, folder: Path, tmp_path: Path) -> None:
    _, err = run("parse", folder, "-o", f"{tmp_path / name}/", code=1)
    [line] = err.splitlines()
    assert line.startswith("imr: ")
    assert message in line
    assert len(list(folder.iterdir())) == N_LETTERS


def test_an_output_without_ending_is_told_of_parts(folder: Path, tmp_path: Path) -> None:
    _, err = run("parse", folder, "-o", tmp_path / "items", code=1)
    assert f"{tmp_path / 'items'}/ for a folder of Parquet parts" in err


def test_a_run_does_not_read_its_own_parts(folder: Path, tmp_path: Path) -> None:
    (folder / "items").mkdir()
    columns = Columns("rationale")
    batch = Batch([folder], list_items, folder / "items", columns=columns, part_letters=PART, report=folder / "r")
    assert run_batch(batch).files == N_LETTERS
