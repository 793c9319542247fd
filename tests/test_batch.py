"""Folders in, one row an item out: nothing is lost, whatever cuts a run off."""

import csv
import json
import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import run
from imr_rationale.errors import SourceError
from imr_rationale.learning.corpus import AnnotatedLetter
from imr_rationale.learning.render import RENDERERS, render_pdf_text
from imr_rationale.records import Letter
from imr_rationale.serving.batch import Batch, run_batch
from imr_rationale.serving.deidentify import coarsen_dates
from imr_rationale.serving.journal import Journal
from imr_rationale.serving.report import BatchReport, format_report, write_report
from imr_rationale.serving.rows import Row, parse_rows
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
    return run_batch(Batch([folder], parse_rows, output, settings={"command": "parse"}, resume=resume))


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
from imr_rationale.serving import batch, journal, writers

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
    "before its rows": (batch._Run, "_write"),
    "before the journal": (journal.Journal, "add"),
    "after the journal": (journal.Journal, "add"),
    "before the output": (batch, "finish_output"),
    "after the output": (batch, "finish_output"),
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
    if place not in {"after the output", "before the journal goes", "after the journal goes"}:
        assert not cut.exists()
    _, err = run("parse", folder, "-o", cut, "--resume")
    assert "16 letters read" in err
    assert cut.read_bytes() == whole.read_bytes()
    rejects = [Path(f"{path}.rejects.jsonl").read_bytes() for path in (cut, whole)]
    assert rejects[0] == rejects[1]
    left = {path.name for path in tmp_path.iterdir()}
    assert not [name for name in left if name.endswith((".partial", ".journal", ".writing"))]


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

    def stop(letter: Letter, source: str) -> list[Row]:
        nonlocal n_rows
        n_rows += 1
        if n_rows > 3:
            raise KeyboardInterrupt
        return parse_rows(letter, source)

    with pytest.raises(KeyboardInterrupt):
        run_batch(Batch([folder], stop, output, settings={"command": "parse"}))


def test_resume_refuses_other_settings(folder: Path, tmp_path: Path) -> None:
    cut_off(folder, tmp_path / "items.jsonl")
    batch = Batch([folder], parse_rows, tmp_path / "items.jsonl", settings={"command": "predict"}, resume=True)
    with pytest.raises(SourceError, match="command was 'parse' when the run began and is 'predict' now"):
        run_batch(batch)


def test_resume_refuses_other_inputs(folder: Path, tmp_path: Path) -> None:
    cut_off(folder, tmp_path / "items.jsonl")
    with pytest.raises(SourceError, match="fewer files"):
        parse(folder / "2014", tmp_path / "items.jsonl", resume=True)
    (tmp_path / "another.txt").write_text("Dear colleague,")
    other = Batch([tmp_path, folder], parse_rows, tmp_path / "items.jsonl", settings={"command": "parse"}, resume=True)
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
