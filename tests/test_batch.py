"""Folders in, one row an item out: nothing is lost, whatever cuts a run off."""

import csv
import json
import os
import signal
import sqlite3
import subprocess
import sys
import zipfile
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import run
from imr_rationale.errors import SourceError
from imr_rationale.learning.corpus import AnnotatedLetter
from imr_rationale.learning.render import RENDERERS, render_pdf_text
from imr_rationale.letters.limits import Limits
from imr_rationale.letters.sources import Reject
from imr_rationale.letters.tables import PRESETS
from imr_rationale.records import Letter
from imr_rationale.serving import chunks
from imr_rationale.serving.batch import Batch, run_batch
from imr_rationale.serving.deidentify import coarsen_dates, hide_source
from imr_rationale.serving.journal import Entry, Journal
from imr_rationale.serving.report import N_KINDS, BatchReport, format_report, make_report, write_report
from imr_rationale.serving.rows import Row, list_items
from imr_rationale.serving.writers import FORMULA_STARTS, neutralise

N_LETTERS = 12


@pytest.fixture(scope="session")
def folder(some_letters: tuple[AnnotatedLetter, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Letters, an archive of letters, and what is none."""
    place = tmp_path_factory.mktemp("batch") / "letters"
    (place / "2014").mkdir(parents=True)
    for letter in some_letters[:N_LETTERS]:
        (place / f"{letter.id}.txt").write_text(render_pdf_text(letter), encoding="utf-8")
    older = RENDERERS["decisions_and_rationales"](some_letters[N_LETTERS])
    (place / "2014" / "older.txt").write_text(older, encoding="utf-8")
    with zipfile.ZipFile(place / "archive.zip", "w") as archive:
        for letter in some_letters[:3]:
            archive.writestr(f"{letter.id}.txt", render_pdf_text(letter))
        archive.writestr("photo.jpg", b"\xff\xd8\xff\xe0")
    (place / "note.txt").write_text("Dear colleague,\n", encoding="utf-8")
    (place / "broken.pdf").write_bytes(b"%PDF-")
    (place / ".hidden").write_text("no letter")
    return place


def read_rows(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def parse(folder: Path, output: Path, *, resume: bool = False) -> BatchReport:
    return run_batch(Batch([folder], list_items, output, settings={"command": "parse"}, resume=resume))


def test_run_batch_accounts_for_every_file(
    folder: Path, some_letters: tuple[AnnotatedLetter, ...], tmp_path: Path
) -> None:
    report = parse(folder, tmp_path / "items.jsonl")
    letters = [*some_letters[: N_LETTERS + 1], *some_letters[:3]]
    assert (report.files, report.read, report.rejected) == (19, 16, 3)
    assert report.files == sum(read + rejected for read, rejected in report.kinds.values())
    assert report.items == sum(len(letter.items) for letter in letters) == len(read_rows(tmp_path / "items.jsonl"))
    assert report.overturned == sum(item.outcome == "Overturned" for letter in letters for item in letter.items)
    assert {name: letters for name, (letters, _) in report.layouts.items()} == {
        "final_determination": 15,
        "decisions_and_rationales": 1,
    }
    assert sum(report.outcomes.values()) == report.read
    rejects = read_rows(tmp_path / "items.jsonl.rejects.jsonl")
    assert {Path(row["path"]).name for row in rejects} == {"note.txt", "broken.pdf", "photo.jpg"}
    assert all(row["error"].startswith(row["path"]) for row in rejects)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["items.jsonl", "items.jsonl.rejects.jsonl"]


def test_run_batch_names_letters_that_stand_twice(
    folder: Path, some_letters: tuple[AnnotatedLetter, ...], tmp_path: Path
) -> None:
    report = parse(folder, tmp_path / "items.jsonl")
    for found in (report.same_case, report.same_text):
        assert (found.n_groups, found.n_letters) == (3, 6)
    name, sources = report.same_case.examples[0]
    assert name in {letter.id for letter in some_letters[:3]}
    assert {Path(source).name for source in sources} == {f"{name}.txt"}


def test_run_batch_does_not_read_its_own_output(make_letter_text: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text(make_letter_text())
    (tmp_path / "note.txt").write_text("Dear colleague,")
    for _ in range(2):
        report = parse(tmp_path, tmp_path / "items.jsonl")
        assert (report.files, report.rejected) == (2, 1)


@pytest.mark.parametrize("spelling", ["{here}/letters", "letters/../letters", "link"])
def test_run_batch_knows_its_own_files_however_they_are_spelled(
    spelling: str, make_letter_text: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("letters").mkdir()
    Path("link").symlink_to("letters")
    Path("letters/letter.txt").write_text(make_letter_text())
    Path("letters/note.txt").write_text("Dear colleague,")
    for name in ("o.jsonl.writing", "o.jsonl.rejects.jsonl.writing", "r.html.writing", "r.json.writing"):
        Path("letters", name).write_text("left behind")
    folder = Path(spelling.format(here=tmp_path))
    for _ in range(2):
        report = run_batch(Batch([folder], list_items, Path("letters/o.jsonl"), report=Path("letters/r")))
        assert (report.files, report.rejected) == (2, 1)
    assert sorted(path.name for path in Path("letters").iterdir()) == [
        "letter.txt",
        "note.txt",
        "o.jsonl",
        "o.jsonl.rejects.jsonl",
        "r.html",
        "r.json",
    ]


def test_run_batch_does_not_write_over_its_only_input(tmp_path: Path) -> None:
    (tmp_path / "imr.jsonl").write_text('{"Findings": "It is not medically necessary."}\n')
    with pytest.raises(SourceError, match="nothing to read but what this run would write"):
        run_batch(Batch([tmp_path / "imr.jsonl"], list_items, tmp_path / "imr.jsonl", columns=PRESETS["dmhc"]))
    assert (tmp_path / "imr.jsonl").read_text().startswith('{"Findings"')


def test_rejects_of_an_earlier_run_disappear(folder: Path, tmp_path: Path) -> None:
    parse(folder, tmp_path / "items.jsonl")
    parse(folder / "2014", tmp_path / "items.jsonl")
    assert [path.name for path in tmp_path.iterdir()] == ["items.jsonl"]


@pytest.mark.parametrize(("suffix", "read"), [(".csv", pd.read_csv), (".parquet", pd.read_parquet)])
def test_run_batch_writes_tables(
    suffix: str, read: Callable[[Path], pd.DataFrame], folder: Path, tmp_path: Path
) -> None:
    parse(folder, tmp_path / "items.jsonl")
    parse(folder, tmp_path / f"items{suffix}")
    rows = read_rows(tmp_path / "items.jsonl")
    table = read(tmp_path / f"items{suffix}")
    assert list(table.columns) == list(rows[0])
    assert table["rationale"].tolist() == [row["rationale"] for row in rows]
    assert table["item"].tolist() == [row["item"] for row in rows]
    assert [json.loads(cell) for cell in table["request"]] == [row["request"] for row in rows]


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_run_batch_writes_an_empty_table(suffix: str, tmp_path: Path) -> None:
    report = parse(tmp_path / "nothing.txt", tmp_path / f"items{suffix}")
    assert (report.files, report.rejected, report.absent) == (1, 1, 1)
    assert (tmp_path / f"items{suffix}").exists()


def test_csv_holds_no_formula(make_letter_text: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text(make_letter_text(heading="=HYPERLINK(1) gel: Upheld"))
    parse(tmp_path / "letter.txt", tmp_path / "items.csv")
    with (tmp_path / "items.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert "'=HYPERLINK(1) gel" in rows[1]
    assert not [cell for row in rows for cell in row if cell.startswith(FORMULA_STARTS)]


@given(st.one_of(st.text(), st.integers(), st.none()))
def test_neutralise_leaves_no_formula_and_loses_nothing(value: object) -> None:
    found = neutralise(value)
    if isinstance(value, str):
        assert not found.startswith(FORMULA_STARTS)
        assert found in (value, f"'{value}")
    else:
        assert found == value


# ---------------------------------------------------------------- cut off

STOP_AFTER = """
import os, signal, sys
from imr_rationale.cli import main
from imr_rationale.serving import batch, chunks, journal, outputs, parts, writers

chunks.CHUNK_LETTERS = 1
place, count, how = sys.argv[1], int(sys.argv[2]), getattr(signal, sys.argv[3])
seen = 0

def stop(module, name, *, before):
    whole = getattr(module, name)

    def stopping(*args, **kwargs):
        global seen
        seen += 1
        if before and seen > count:
            os.kill(os.getpid(), how)
        result = whole(*args, **kwargs)
        if not before and seen > count:
            os.kill(os.getpid(), how)
        return result

    setattr(module, name, stopping)

stop(*{
    "before its rows": (outputs.FileOutput, "write"),
    "before the journal": (journal.Journal, "add"),
    "after the journal": (journal.Journal, "add"),
    "before the output": (outputs, "finish_output"),
    "after the output": (outputs, "finish_output"),
    "before the settings": (journal.Journal, "_start"),
    "before a name": (writers.os, "fsync"),
    "before the report": (batch, "write_report"),
    "before the journal goes": (journal.Journal, "remove"),
    "after the journal goes": (journal.Journal, "remove"),
}[place], before=place.startswith("before"))
main(sys.argv[4:])
"""


def run_until(place: str, count: int, how: str, *args: object) -> "subprocess.CompletedProcess[str]":
    """Run the command in a process that kills itself at a place of the code."""
    command = [sys.executable, "-c", STOP_AFTER, place, str(count), how, *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("place", "count", "suffix"),
    [
        pytest.param("before its rows", 0, ".jsonl", id="before the first row"),
        pytest.param("before its rows", 5, ".jsonl", id="between rows"),
        pytest.param("before the journal", 0, ".jsonl", id="rows without journal, first"),
        pytest.param("before the journal", 4, ".jsonl", id="rows without journal, in an archive"),
        pytest.param("after the journal", 9, ".csv", id="journal written, csv"),
        pytest.param("after the journal", 18, ".parquet", id="after the last letter, parquet"),
        pytest.param("before the output", 0, ".csv", id="all read"),
        pytest.param("after the output", 0, ".jsonl", id="output written"),
        pytest.param("before a name", 0, ".jsonl", id="output written under another name"),
        pytest.param("before a name", 1, ".jsonl", id="rejects written under another name"),
        pytest.param("before the settings", 0, ".jsonl", id="journal opened"),
        pytest.param("before the journal goes", 0, ".parquet", id="rejects written"),
        pytest.param("after the journal goes", 0, ".jsonl", id="journal gone"),
    ],
)
def test_a_killed_run_resumes_to_the_same_bytes(
    place: str, count: int, suffix: str, folder: Path, tmp_path: Path
) -> None:
    whole, cut = tmp_path / f"whole{suffix}", tmp_path / f"cut{suffix}"
    run("parse", folder, "-o", whole)
    found = run_until(place, count, "SIGKILL", "parse", folder, "-o", cut)
    assert found.returncode == -signal.SIGKILL
    if count == 0 and place in {"before its rows", "before the output", "before a name"}:
        assert not cut.exists()
    assert not cut.exists() or cut.read_bytes() == whole.read_bytes()
    _, err = run("parse", folder, "-o", cut, "--resume")
    assert "16 letters read" in err
    assert cut.read_bytes() == whole.read_bytes()
    rejects = [Path(f"{path}.rejects.jsonl").read_bytes() for path in (cut, whole)]
    assert rejects[0] == rejects[1]
    left = {path.name for path in tmp_path.iterdir()}
    assert not [name for name in left if name.endswith((".partial", ".journal", ".writing"))]


@pytest.mark.parametrize(
    "place", ["after the output", "before the journal goes", "after the journal goes", "before the rows go"]
)
def test_a_finished_output_outlives_the_next_run(place: str, folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "items.jsonl"
    parse(folder, output)
    whole = output.read_bytes()
    if place == "before the rows go":
        os.link(output, tmp_path / "items.jsonl.partial")
    else:
        run_until(place, 0, "SIGKILL", "parse", folder, "-o", output)
    assert run_until("before its rows", 2, "SIGKILL", "parse", folder, "-o", output).returncode == -signal.SIGKILL
    assert output.read_bytes() == whole
    parse(folder, output)
    assert output.read_bytes() == whole


def test_rejects_appear_under_their_name_only_when_all_are_written(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "items.jsonl"
    parse(folder, output)
    rejects = tmp_path / "items.jsonl.rejects.jsonl"
    before = rejects.read_bytes()
    assert run_until("before a name", 1, "SIGKILL", "parse", folder, "-o", output).returncode == -signal.SIGKILL
    assert rejects.read_bytes() == before


def test_a_resumed_run_writes_its_report(folder: Path, tmp_path: Path) -> None:
    args = ("parse", folder, "-o", tmp_path / "items.jsonl", "--report", tmp_path / "report")
    assert run_until("before the report", 0, "SIGKILL", *args).returncode == -signal.SIGKILL
    assert not (tmp_path / "report.json").exists()
    run(*args, "--resume")
    assert json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["files"] == 19


def test_a_run_may_be_cut_off_many_times(folder: Path, tmp_path: Path) -> None:
    run("parse", folder, "-o", tmp_path / "whole.jsonl")
    for _ in range(3):
        found = run_until("before the journal", 4, "SIGKILL", "parse", folder, "-o", tmp_path / "cut.jsonl", "--resume")
        assert found.returncode == -signal.SIGKILL
    run("parse", folder, "-o", tmp_path / "cut.jsonl", "--resume")
    assert (tmp_path / "cut.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


def test_ctrl_c_leaves_a_valid_file_and_says_how_to_resume(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "items.jsonl"
    found = run_until("after the journal", 6, "SIGINT", "parse", folder, "-o", output)
    assert found.returncode == 130
    assert f"rows so far are in {output}.partial" in found.stderr
    assert "--resume" in found.stderr
    assert "Traceback" not in found.stderr
    assert not output.exists()
    assert read_rows(tmp_path / "items.jsonl.partial")
    run("parse", folder, "-o", output, "--resume")
    run("parse", folder, "-o", tmp_path / "whole.jsonl")
    assert output.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


def test_deidentified_letters_keep_their_numbers_when_resumed(folder: Path, tmp_path: Path) -> None:
    run("predict", folder, "-o", tmp_path / "whole.jsonl", "--deidentify")
    args = ("predict", folder, "-o", tmp_path / "cut.jsonl", "--deidentify")
    assert run_until("before the journal", 7, "SIGKILL", *args).returncode == -signal.SIGKILL
    run(*args, "--resume")
    assert (tmp_path / "cut.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


def cut_off(folder: Path, output: Path) -> None:
    """Leave a run behind that was stopped after its third letter."""
    n_rows = 0

    def stop(letters: Sequence[tuple[Letter, str]]) -> list[list[Row]]:
        nonlocal n_rows
        n_rows += 1
        if n_rows > 3:
            raise KeyboardInterrupt
        return list_items(letters)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunks, "CHUNK_LETTERS", 1)
        with pytest.raises(KeyboardInterrupt):
            run_batch(Batch([folder], stop, output, settings={"command": "parse"}))


def test_resume_refuses_other_settings(folder: Path, tmp_path: Path) -> None:
    cut_off(folder, tmp_path / "items.jsonl")
    settings = {"command": "predict", "--min-certainty": "0.0"}
    batch = Batch([folder], list_items, tmp_path / "items.jsonl", settings=settings, resume=True)
    with pytest.raises(SourceError, match="command was 'parse' when the run began and is 'predict' now"):
        run_batch(batch)


def test_resume_refuses_other_limits(folder: Path, tmp_path: Path) -> None:
    cut_off(folder, tmp_path / "items.jsonl")
    settings = {"command": "parse"}
    batch = Batch(
        [folder], list_items, tmp_path / "items.jsonl", limits=Limits(pages=3), settings=settings, resume=True
    )
    with pytest.raises(SourceError, match="limit of pages was '2000' when the run began and is '3' now"):
        run_batch(batch)


@pytest.mark.parametrize("tables", ["", "CREATE TABLE other (x)"])
def test_resume_begins_where_no_run_has_begun(tables: str, folder: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "items.jsonl.journal")) as database:
        database.execute(tables)
    assert parse(folder, tmp_path / "items.jsonl", resume=True).read == 16


def test_resume_refuses_other_inputs(folder: Path, tmp_path: Path) -> None:
    cut_off(folder, tmp_path / "items.jsonl")
    with pytest.raises(SourceError, match="fewer files"):
        parse(folder / "2014", tmp_path / "items.jsonl", resume=True)
    (tmp_path / "another.txt").write_text("Dear colleague,")
    other = Batch([tmp_path, folder], list_items, tmp_path / "items.jsonl", settings={"command": "parse"}, resume=True)
    with pytest.raises(SourceError, match="in the place of"):
        run_batch(other)


def test_resume_refuses_rows_that_were_shortened(folder: Path, tmp_path: Path) -> None:
    cut_off(folder, tmp_path / "items.jsonl")
    os.truncate(tmp_path / "items.jsonl.partial", 10)
    with pytest.raises(SourceError, match="shorter than its journal"):
        parse(folder, tmp_path / "items.jsonl", resume=True)


def test_a_run_without_resume_starts_anew(folder: Path, tmp_path: Path) -> None:
    cut_off(folder, tmp_path / "items.jsonl")
    parse(folder, tmp_path / "items.jsonl")
    parse(folder, tmp_path / "whole.jsonl")
    assert (tmp_path / "items.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


def test_two_runs_do_not_write_one_output(folder: Path, tmp_path: Path) -> None:
    journal = Journal(tmp_path / "items.jsonl.journal")
    journal.begin({})
    with pytest.raises(SourceError, match="another run writes the same output"):
        parse(folder, tmp_path / "items.jsonl")
    journal.close()


def test_a_damaged_journal_is_named(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "items.jsonl.journal").write_bytes(b"no database" * 1000)
    with pytest.raises(SourceError, match="remove it"):
        parse(folder, tmp_path / "items.jsonl", resume=True)


# ---------------------------------------------------------------- places that cannot be written


@pytest.mark.parametrize(
    ("name", "message"),
    [
        pytest.param("items.xls", "unknown kind '.xls'", id="kind"),
        pytest.param("missing/items.jsonl", "No such file or directory", id="missing folder"),
        pytest.param("file/items.jsonl", "Not a directory", id="a file as folder"),
        pytest.param("folder.jsonl", "Is a directory", id="a folder as output"),
    ],
)
def test_a_place_that_cannot_be_written_takes_one_line(name: str, message: str, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.jsonl").mkdir()
    _, err = run("parse", folder / "2014", "-o", tmp_path / name, code=1)
    assert [line for line in err.splitlines() if line.startswith("imr: ")] == err.splitlines()
    assert message in err


FULL_DISK = """
import resource, sys
from imr_rationale.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))
main(sys.argv[1:])
"""


def test_a_full_disk_takes_one_line_and_leaves_nothing_half_written(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "items.jsonl"
    command = [sys.executable, "-c", FULL_DISK, "parse", str(folder), "-o", str(output)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 1
    assert len(found.stderr.splitlines()) == 1
    assert found.stderr.startswith("imr: ")
    assert not output.exists()
    parse(folder, tmp_path / "whole.jsonl")
    run("parse", folder, "-o", output, "--resume")
    assert output.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


def test_an_input_that_is_not_there_costs_itself(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "items.jsonl"
    _, err = run("parse", folder / "2014", tmp_path / "gone.txt", "-o", output, code=1)
    assert "1 letters read" in err
    assert "No such file or directory" in err
    assert read_rows(output)


# ---------------------------------------------------------------- the command


def test_report_is_written_as_page_and_json(folder: Path, tmp_path: Path) -> None:
    _, err = run("parse", folder, "-o", tmp_path / "items.jsonl", "--report", tmp_path / "report.html")
    found = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert found["files"] == found["read"] + found["rejected"] == 19
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    for words in ("19", "decisions_and_rationales", "no readable PDF", "The same case more than once"):
        assert words in page
    assert "layouts     final_determination 15" in err
    assert "no readable PDF" in err


@pytest.mark.parametrize(
    ("name", "stem"),
    [("run.2016", "run.2016"), ("run.2016.html", "run.2016"), ("run.json", "run"), ("run", "run")],
)
def test_report_puts_its_endings_behind_the_name(name: str, stem: str, folder: Path, tmp_path: Path) -> None:
    _, err = run("parse", folder / "2014", "-o", tmp_path / "items.jsonl", "--report", tmp_path / name)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["items.jsonl", f"{stem}.html", f"{stem}.json"]
    assert f"{stem}.html" in err


@pytest.mark.parametrize(
    ("name", "message"),
    [
        pytest.param("nowhere/r", "nowhere/r.html: No such file or directory", id="missing folder"),
        pytest.param(".", "a folder; name a file", id="this folder"),
        pytest.param("..", "a folder; name a file", id="folder above"),
        pytest.param("taken", "taken.json: Is a directory", id="a folder in the way"),
        pytest.param("file/r", "Not a directory", id="a file as folder"),
    ],
)
def test_a_report_that_cannot_be_written_is_refused_before_the_run(
    name: str, message: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("taken.json").mkdir()
    Path("file").write_text("")
    _, err = run("parse", folder, "-o", "items.jsonl", "--report", name, code=1)
    [line] = err.splitlines()
    assert line.startswith("imr: ")
    assert message in line
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "taken.json"]


def test_a_report_that_fails_at_the_end_costs_itself(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = parse(folder / "2014", tmp_path / "items.jsonl")
    write_report(report, tmp_path / "report")
    before = (tmp_path / "report.html").read_bytes()

    def fail(path: Path, text: str, encoding: str) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", fail)
    with pytest.raises(SourceError, match=r"report\.html: No space left on device"):
        write_report(report, tmp_path / "report")
    assert (tmp_path / "report.html").read_bytes() == before


def make_journal(*errors: str, warnings: tuple[str, ...] = ()) -> Journal:
    """A journal of a letter for each error, and of one letter with all the warnings."""
    journal = Journal(None)
    journal.begin({})
    for i, error in enumerate(errors):
        journal.add([(Entry(i, f"{i}.txt", "text", f"{i}.txt: {error}"), ())])
    if warnings:
        journal.add([(Entry(len(errors), "read.txt", "text", layout="notice", n_items=1), warnings)])
    return journal


def name_kinds(n: int) -> list[str]:
    """Texts of n kinds, which no number tells apart."""
    return [f"kind {'a' * i}" for i in range(1, n + 1)]


def test_report_counts_the_kinds_that_it_does_not_list() -> None:
    with closing(make_journal(*name_kinds(N_KINDS + 7), *name_kinds(2))) as journal:
        report = make_report(journal)
    assert sum(group.n_letters for group in report.rejects) == report.rejected == N_KINDS + 9
    assert len(report.rejects) == N_KINDS + 1
    assert (report.rejects[-1].text, report.rejects[-1].n_letters) == ("7 other kinds", 7)
    assert f"rejects     {N_KINDS + 7 - 5} other kinds" in list(format_report(report))


def test_many_warnings_push_no_missing_field_out() -> None:
    with closing(make_journal(warnings=(*name_kinds(N_KINDS + 2), "summary not read"))) as journal:
        report = make_report(journal)
    assert [group.text for group in report.missing] == ["summary not read"]
    assert (report.warnings[-1].text, report.warnings[-1].n_letters) == ("2 other kinds", 1)


def test_report_tells_missing_fields_from_what_it_cannot_make_sense_of() -> None:
    missing = ("summary not read", "date injury not read", "item 2: outcome not read", "licensure not read")
    parts = "item 1: parts of the modified request not read"
    with closing(make_journal(warnings=(*missing, parts, "outcome 'Partly' is not read"))) as journal:
        report = make_report(journal)
    assert len(report.missing) == 5
    assert [group.text for group in report.warnings] == ["outcome 'Partly' is not read"]


def test_report_counts_each_reject_also_of_one_source() -> None:
    journal = Journal(None)
    journal.begin({})
    for i in range(2):
        journal.add([(Entry(i, "a.txt", "text", "a.txt: no text in it"), ())])
    with closing(journal):
        [group] = make_report(journal).rejects
    assert group.n_letters == 2


def test_report_escapes_what_stands_in_file_names(tmp_path: Path) -> None:
    (tmp_path / "<script>alert(1)<script>.txt").write_text("Dear Sir,")
    report = parse(tmp_path, tmp_path / "items.jsonl")
    page, _ = write_report(report, tmp_path / "report")
    assert "<script>" not in page.read_text(encoding="utf-8")


def test_format_report_says_what_is_missing(make_letter_text: Callable[..., str], tmp_path: Path) -> None:
    place = tmp_path / "letters"
    place.mkdir()
    for name in "ab":
        (place / f"{name}.txt").write_text(make_letter_text(summary=""))
    lines = list(format_report(parse(place, tmp_path / "items.jsonl")))
    assert any(line.startswith("missing     2 × summary") for line in lines)
    assert any(line.startswith("same case   2 letters in 1 groups") for line in lines)


@pytest.mark.parametrize("command", ["parse", "predict"])
def test_help_prints_the_usual_limits(command: str) -> None:
    out = " ".join(run(command, "--help")[0].split())
    usual = Limits()
    for value in (usual.bytes, usual.pages, int(usual.seconds), usual.memory // 1_000_000):
        assert f"[default: {value:,}]" in out
    assert f"[{'|'.join(PRESETS)}]" in out


def test_standard_input_is_read(folder: Path, some_letters: tuple[AnnotatedLetter, ...]) -> None:
    text = (folder / f"{some_letters[0].id}.txt").read_bytes()
    command = [sys.executable, "-c", "from imr_rationale.cli import main; main()", "parse", "-"]
    found = subprocess.run(command, input=text, capture_output=True, check=True)
    rows = [json.loads(line) for line in found.stdout.splitlines()]
    assert [row["source"] for row in rows] == ["-"] * len(some_letters[0].items)
    assert rows[0]["letter"] == some_letters[0].id


TABLE = (
    "ReferenceID,Determination,TreatmentCategory,Findings\n"
    'EI10-1,Upheld Decision of Health Plan,Rehab,"There are no red flags. The request is not medically necessary."\n'
    'EI10-2,Overturned Decision of Health Plan,Rehab,"Nature of Statutory Criteria/Case Summary: A 40-year-old woman '
    'asked for a brace. Findings: The brace is medically necessary."\n'
)


def test_predict_reads_the_rationales_of_a_table(tmp_path: Path) -> None:
    (tmp_path / "imr.csv").write_text(TABLE)
    out, _ = run("predict", tmp_path / "imr.csv", "--preset", "dmhc")
    rows = [json.loads(line) for line in out.splitlines()]
    assert [(row["letter"], row["outcome"]["heading"]) for row in rows] == [
        ("EI10-1", "Upheld"),
        ("EI10-2", "Overturned"),
    ]
    assert rows[0]["reasons"][0]["label"] == "no_clinical_indication"
    out, _ = run("parse", tmp_path / "imr.csv", "--preset", "dmhc")
    rows = [json.loads(line) for line in out.splitlines()]
    assert rows[1]["rationale"] == "The brace is medically necessary."
    assert (rows[1]["age"], rows[1]["sex"]) == (40, "female")
    assert rows[0]["warnings"] == []


def test_predict_takes_columns_by_name(tmp_path: Path) -> None:
    (tmp_path / "imr.csv").write_text(TABLE)
    out, _ = run("predict", tmp_path / "imr.csv", "--text-column", "Findings")
    assert [json.loads(line)["letter"] for line in out.splitlines()] == ["imr.csv:1", "imr.csv:2"]
    _, err = run("predict", tmp_path / "imr.csv", "--text-column", "Reasons", code=1)
    assert "no column 'Reasons'; known: ReferenceID, Determination" in err
    run("predict", tmp_path / "imr.csv", "--id-column", "ReferenceID", code=2)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("on 01/12/2016.", "on xx/xx/2016.", id="slashes"),
        pytest.param("on 1-2-16.", "on x-x-16.", id="two digits"),
        pytest.param("2016-01-12", "2016-xx-xx", id="iso"),
        pytest.param("in 03/2016", "in xx/2016", id="month and year"),
        pytest.param("August 29, 2012", "xxxxxx xx, 2012", id="month by name"),
        pytest.param("29 Aug. 2012", "xx xxx. 2012", id="day first"),
        pytest.param("August of 2012", "xxxxxx of 2012", id="month of year"),
        pytest.param("on May 3rd", "on xxx xxx", id="no year"),
        pytest.param("CM15-0106031", "CMxx-xxxxxxx", id="case number"),
        pytest.param("JANUARY 12, 2016; MAY 5, 2016", "xxxxxxx xx, 2016; xxx x, 2016", id="capitals"),
        pytest.param("may 5, 2016; january 12", "xxx x, 2016; xxxxxxx xx", id="small letters"),
        pytest.param("January\n12,  2016", "xxxxxxx\nxx,  2016", id="line break"),
        pytest.param("January 12 and 15, 2016", "xxxxxxx xx and xx, 2016", id="two days of a month"),
        pytest.param("12.05.2015, 2016.01.12", "xx.xx.2015, 2016.xx.xx", id="dots"),
        pytest.param("12-Jan-2016, 12Jan2016, 12JAN16", "xx-xxx-2016, xxxxx2016, xxxxx16", id="glued"),
        pytest.param("2016-01-12T10:00, 20160112", "2016-xx-xxT10:00, 2016xxxx", id="machines"),
        pytest.param("on 1/12; dated 02/01; DOS: 1/2", "on x/xx; dated xx/xx; DOS: x/x", id="led by a word"),
        pytest.param("visits on 2/4, 2/25 and 3/18/2016", "visits on x/x, x/xx and x/xx/2016", id="list"),
        pytest.param("1/12 to 2/15/2016; 1/12/16 - 2/15", "x/xx to x/xx/2016; x/xx/16 - x/xx", id="range"),
        pytest.param("on the 12th of January", "on the xxxx of xxxxxxx", id="day of month"),
        pytest.param("the 5th of May; 12 of March", "the xxx of xxx; xx of xxxxx", id="day of May"),
        pytest.param("CM15 0106031 CM150106031", "CMxx xxxxxxx CMxxxxxxxxx", id="case number spelled otherwise"),
        pytest.param("cm15-0106031_1", "cmxx-xxxxxxx_1", id="case number of a file"),
        pytest.param("may 5 visits; MTUS 9792.24.2", "may 5 visits; MTUS 9792.24.2", id="words and sections"),
        pytest.param("on 1/12 pain fell from 8/10 to 4/10", "on x/xx pain fell from 8/10 to 4/10", id="scores"),
        pytest.param("on 4/10 pain, on 5/5 strength, L4/5", "on 4/10 pain, on 5/5 strength, L4/5", id="strength"),
        pytest.param("seen on 1/12, 7/10 in intensity", "seen on x/xx, 7/10 in intensity", id="score behind a date"),
        pytest.param("motion 80/80/85; on 10/325 mg", "motion 80/80/85; on 10/325 mg", id="degrees"),
        pytest.param("12 marked, 3 novel, 5 decreased", "12 marked, 3 novel, 5 decreased", id="words like months"),
        pytest.param("12 visits may help; 4/10 pain; in 2015", "12 visits may help; 4/10 pain; in 2015", id="none"),
        pytest.param("L4-5, 10/325 mg", "L4-5, 10/325 mg", id="levels and doses"),
    ],
)
def test_coarsen_dates_keeps_years_and_lengths(text: str, expected: str) -> None:
    assert coarsen_dates(text) == expected
    assert len(coarsen_dates(text)) == len(text)


def test_predict_deidentifies(make_letter_text: Callable[..., str], tmp_path: Path) -> None:
    rationale = "There is no evidence of a fracture on 01/12/2016. The request is not medically necessary."
    (tmp_path / "CM99-0000001.txt").write_text(
        make_letter_text(rationale=rationale, heading="MRI, DOS 2/3/2016: Upheld")
    )
    out, _ = run("predict", tmp_path / "CM99-0000001.txt", "--deidentify")
    assert "0000001" not in out
    row = json.loads(out)
    assert (row["letter"], row["source"], row["treatment"]) == ("letter 1", None, "MRI, DOS x/x/2016")
    (evidence,) = row["reasons"][0]["evidence"]
    assert evidence["text"] == "There is no evidence of a fracture on xx/xx/2016."
    assert evidence["end_char"] - evidence["start_char"] == len(evidence["text"])


def test_hide_source_strikes_out_what_an_error_quotes() -> None:
    source = "CM15  0106031.zip/Jane Doe.txt"
    found = hide_source(Reject(source, "file", "CM15 0106031.zip/Jane Doe.txt: unknown kind '.Doe'; known: .txt"), 4)
    assert found == Reject("letter 4", "file", "letter 4: unknown kind …; known: .txt")


@pytest.mark.parametrize("kind", ["two files", "no letter", "damaged", "missing", "member", "row"])
def test_deidentify_names_no_file_anywhere(kind: str, make_letter_text: Callable[..., str], tmp_path: Path) -> None:
    folder, name = tmp_path / "Jane Doe", "CM99-9000009"
    folder.mkdir()
    letter = make_letter_text(summary="")
    for copy in (name, f"{name}_1"):
        (folder / f"{copy}.txt").write_text(letter.replace("CM99-0000001", name))
    for path, content in {
        "no letter": (f"{name}.md", b"Dear Sir,"),
        "damaged": (f"{name}.pdf", b"%PDF-"),
        "row": (f"{name}.csv", f'Findings,ReferenceID\n"{name} is open,{name}\n'.encode()),
    }.items():
        if path == kind:
            (folder / content[0]).write_bytes(content[1])
    if kind == "member":
        with zipfile.ZipFile(folder / f"{name}.zip", "w") as archive:
            archive.writestr(f"{name}.jpg", b"\xff\xd8")
    inputs = [folder, folder / f"{name}.gone.txt"] if kind == "missing" else [folder]
    columns = ("--text-column", "Findings") if kind == "row" else ()
    args = ("predict", *inputs, *columns, "-o", tmp_path / "o.jsonl", "--report", tmp_path / "r", "--deidentify")
    _, err = run(*args, code=1 if kind == "missing" else 0)
    written = [path for path in tmp_path.iterdir() if path.is_file()]
    assert len(written) == (3 if kind == "two files" else 4)
    for text in (err, *(path.read_text(encoding="utf-8") for path in written)):
        assert not [word for word in ("9000009", "Doe", "gone") if word in text]
    report = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    letters = {row["letter"] for row in read_rows(tmp_path / "o.jsonl")}
    [(case, sources)] = report["same_case"]["examples"]
    assert (case, set(sources)) == ("case 1", letters)
    if kind != "two files":
        [reject] = read_rows(tmp_path / "o.jsonl.rejects.jsonl")
        assert {*letters, reject["path"]} == {"letter 1", "letter 2", "letter 3"}


def test_deidentify_leaves_no_name_in_an_unfinished_run(folder: Path, tmp_path: Path) -> None:
    args = ("predict", folder, "-o", tmp_path / "cut.jsonl", "--deidentify")
    run_until("before the journal", 7, "SIGKILL", *args)
    names = [path.stem.encode() for path in folder.iterdir() if path.stem.startswith("CM")]
    left = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert not [name for name in names if name in left]
