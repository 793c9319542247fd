"""The benchmark's letters, its judgements, and its cheapest parts at tiny sizes."""

import json
import math
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

import imr_rationale
from bench import __main__ as command
from bench import memory, parsing, predicting, processes, training
from bench.figures import CPU, WALL, Figure, Sizes, Target, judge, measure_rates
from bench.letters import list_rationales, make_letters
from bench.processes import Run, list_descendants, pin, read_cpu_seconds, run_command
from bench.readme import write_readme
from bench.table import format_table, make_report
from imr_rationale.learning.corpus import AnnotatedLetter, validate_corpus
from imr_rationale.learning.render import render_pdf_text
from imr_rationale.letters.layout import parse_letter

TINY = Sizes(
    n_rounds=1, letters=2, pdfs=1, texts=3, predicted_letters=2, latencies=1, starts=1,
    training=(), table_rows=(1, 2), rival_items=1, rival_epochs=1, seconds=60,
)  # fmt: skip
N_LETTERS = 400


@pytest.fixture(scope="module")
def letters() -> tuple[AnnotatedLetter, ...]:
    """The first letters, and the copies that are made of the same letters of the corpus."""
    return (*make_letters(N_LETTERS), *make_letters(N_LETTERS, start=1478))


def test_make_letters_parse_into_their_items(letters: tuple[AnnotatedLetter, ...]) -> None:
    for letter in letters[::8]:
        parsed = parse_letter(render_pdf_text(letter))
        assert [item.outcome for item in parsed.items] == [item.outcome for item in letter.items]
        assert parsed.case_number == letter.id


def test_make_letters_repeat_no_rationale(letters: tuple[AnnotatedLetter, ...]) -> None:
    rationales = [item.rationale for letter in letters for item in letter.items]
    assert len(set(rationales)) == len(rationales)


def test_make_letters_keep_annotations(letters: tuple[AnnotatedLetter, ...]) -> None:
    assert list(validate_corpus(letters)) == []


def test_make_letters_are_the_same_in_every_run(letters: tuple[AnnotatedLetter, ...]) -> None:
    assert next(make_letters(1, start=5)) == letters[5]


def test_make_letters_bring_new_words_and_ever_fewer_of_them() -> None:
    words = [text.split() for text in list_rationales(6_000)]
    early = {word for text in words[:1_000] for word in text}
    middle = {word for text in words[1_000:2_000] for word in text} - early
    known = {word for text in words[:5_000] for word in text}
    late = {word for text in words[5_000:] for word in text} - known
    # letters 0 to 1477 are each another letter of the corpus; 5,000 items are twice the corpus and more
    assert 0 < len(late) < len(middle) < len(early)


FLOOR = Figure("floor", "floor", 100.0, "letters/s")


@pytest.mark.parametrize(
    ("figure", "expected"),
    [
        pytest.param(Figure("a", "", 60.0, "", beside="floor", target=Target(0.6)), (0.6, "met"), id="ratio enough"),
        pytest.param(Figure("a", "", 59.0, "", beside="floor", target=Target(0.6)), (0.59, "MISSED"), id="ratio short"),
        pytest.param(
            Figure("a", "", 3.0, "", target=Target(2, at_least=False, of_ratio=False)), (math.nan, "MISSED"), id="slow"
        ),
        pytest.param(
            Figure("a", "", 2.0, "", target=Target(2, at_least=False, of_ratio=False)), (math.nan, "met"), id="fast"
        ),
        pytest.param(
            Figure("a", "", 1.0, "", beside="absent", target=Target(0.6)), (math.nan, "not measured"), id="no floor"
        ),
        pytest.param(
            Figure("a", "", math.nan, "", beside="floor", target=Target(0.6)), (math.nan, "not measured"), id="failed"
        ),
        pytest.param(Figure("a", "", 50.0, "", beside="floor"), (0.5, ""), id="no target"),
    ],
)
def test_judge_colours_no_miss_as_a_hit(figure: Figure, expected: tuple[float, str]) -> None:
    ratio, judgement = judge(figure, {"floor": FLOOR})
    assert judgement == expected[1]
    assert ratio == pytest.approx(expected[0], nan_ok=True)


def test_format_table_counts_targets_and_says_why_a_figure_is_missing() -> None:
    figures = [
        Figure("a.floor", "floor", 100.0, "letters/s"),
        Figure("a.parsed", "parsed", 10.0, "letters/s", "CPU", beside="a.floor", target=Target(0.6)),
        Figure("b.lost", "lost", math.nan, "s", note="out of memory", target=Target(1.0)),
    ]
    table = format_table(figures)
    assert [line for line in table.splitlines() if line.startswith("###")] == ["### a", "### b"]
    [row] = [line for line in table.splitlines() if line.startswith("| parsed")]
    assert [cell.strip() for cell in row.split("|")[2:-1]] == [
        "10 letters/s CPU", "100 letters/s", "0.1×", "≥ 0.6×", "MISSED",
    ]  # fmt: skip
    assert "out of memory" in table
    assert table.endswith("targets: 1 MISSED, 1 not measured")


def test_make_report_is_plain_json() -> None:
    report = make_report([Figure("a.lost", "lost", math.nan, "s", note="no such option")], {"cores": 2}, TINY)
    [figure] = json.loads(json.dumps(report, allow_nan=False))["figures"]
    assert figure["value"] is None
    assert figure["note"] == "no such option"


def test_measure_rates_take_turns_and_count_no_preparation() -> None:
    done: list[str] = []

    def spin(name: str, n: int) -> int:
        done.append(name)
        return len([random.random() for _ in range(n)])  # noqa: S311

    rates = measure_rates(
        {"some": lambda i: spin(f"some {i}", 200_000), "more": lambda i: spin(f"more {i}", 400_000)},
        2,
        prepare=lambda i: done.append(f"prepare {spin('', 2_000_000) and i}"),
    )
    assert [name for name in done if name] == ["prepare 0", "some 0", "more 0", "prepare 1", "some 1", "more 1"]
    assert min(map(min, rates.values())) > max(map(max, rates.values())) / 5


def test_measure_rates_counts_waiting_by_the_clock_on_the_wall() -> None:
    [[computing], [waiting]] = (measure_rates({"sleep": _sleep}, 1, clock=clock)["sleep"] for clock in (CPU, WALL))
    assert computing > 20 > waiting


def _sleep(number: int) -> int:
    time.sleep(0.1)
    return 1


SPIN = "import time\nwhile time.process_time() < 0.4: pass"
NESTED = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {SPIN!r}]); x = bytearray(80_000_000)\n"


def test_run_command_sums_computing_and_watches_memory_of_the_tree() -> None:
    begun = read_cpu_seconds()
    run = run_command([sys.executable, "-c", NESTED + SPIN], watch=True)
    assert run.code == 0, run.error
    assert 0.8 < run.cpu < 3
    assert read_cpu_seconds() - begun >= run.cpu
    assert run.peak > 80_000_000 > run.peak_child > 1_000_000


def test_run_command_measures_the_package_that_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONPATH", raising=False)
    code = "import bench, imr_rationale; print(imr_rationale.__file__)"
    run = run_command([sys.executable, "-c", code], folder=tmp_path)
    assert run.output.strip() == imr_rationale.__file__, run.error


def test_run_command_stops_what_takes_too_long() -> None:
    run = run_command([sys.executable, "-c", "import time; print('begun', flush=True); time.sleep(60)"], seconds=1)
    assert run.code < 0
    assert run.wall < 30
    assert run.output == "begun\n"


def test_read_cpu_seconds_count_children_that_live() -> None:
    import os
    import subprocess
    import time

    begun = read_cpu_seconds()
    with subprocess.Popen([sys.executable, "-c", f"{SPIN}\nprint(flush=True); input()"], stdin=-1, stdout=-1) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert child.pid in list_descendants(os.getpid())
        assert read_cpu_seconds() - begun > 0.35
        child.communicate(b"\n")
    assert time.process_time() < read_cpu_seconds()


def test_pin_is_undone() -> None:
    import os

    before = os.sched_getaffinity(0)
    with pin(1):
        assert len(os.sched_getaffinity(0)) == 1
    assert os.sched_getaffinity(0) == before


def test_parsing_measure_reads_every_letter(tmp_path: Path) -> None:
    figures = list(parsing.measure(TINY, tmp_path))
    assert [figure.name.partition(".")[2] for figure in figures] == [*parsing.ABOUT, *parsing.ABOUT_WALL]
    assert all(figure.value > 0 for figure in figures)


def test_measure_pipeline_gives_every_stage(tmp_path: Path) -> None:
    figures = {figure.name: figure for figure in predicting.measure_pipeline(TINY, tmp_path)}
    assert list(figures) == [f"pipeline.{name}" for name in predicting.PIPELINE]
    # the whole of it cannot be faster than its first step
    assert figures["pipeline.bare_warm"].value > figures["pipeline.docs_warm"].value > 0


def answer(command_line: list[object], **options: object) -> Run:
    """Stand for `imr predict`: 0.5 s to start, then 100 items a second a worker."""
    text = " ".join(map(str, command_line))
    workers = 2 if "--workers 2" in text else 1
    n_items = 1 if "/one" in text else 5
    return Run(0, 0.5 + n_items / 100 / workers, 0.5 + n_items / 100, 10, 5, "--workers", "")


def test_measure_end_to_end_leaves_out_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predicting, "run_command", answer)
    five = [replace(letter, items=letter.items[:1]) for letter in make_letters(5)]
    monkeypatch.setattr(predicting, "make_letters", lambda n: five)
    figures = {figure.name: figure for figure in predicting.measure_end_to_end(TINY, tmp_path)}
    assert figures["end.one_core_running"].value == pytest.approx(100)
    assert figures["end.one_core"].value == pytest.approx(5 / 0.55)
    ratio, judgement = judge(figures["end.two_workers_running"], figures)
    assert (round(ratio, 2), judgement) == (2.0, "met")


def test_memory_measure_holds_many_rows_against_few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[list[str]] = []

    def run(command_line: list[object], **options: object) -> Run:
        table = Path(str(command_line[2]))
        if table.exists():
            rows.append([json.loads(line)["text"] for line in table.read_text().splitlines()])
        return Run(0, 1.0, 1.0, 500_000_000 * len(rows[-1]) if rows else 0, 1_000, "", "")

    monkeypatch.setattr(memory, "run_command", run)
    monkeypatch.setattr(predicting, "run_command", run)
    figures = {figure.name: figure for figure in memory.measure(TINY, tmp_path)}
    assert rows == [list_rationales(1), list_rationales(2)] * 2
    assert judge(figures["memory.2.workers1.parent_growth"], figures) == (2.0, "MISSED")
    assert judge(figures["memory.2.workers1.parent"], figures)[1] == "met"


def test_training_measure_reports_the_steps_before_the_one_that_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = [json.dumps({"step": step, "wall": 1.0, "cpu": 1.0, "peak": 10**9}) for step in ("prepare",)]
    lost = Run(1, 2.0, 2.0, 2 * 10**9, 0, "\n".join(steps), "Traceback\nMemoryError: too much\n")
    monkeypatch.setattr(training, "run_command", lambda *args, **options: lost)
    sizes = replace(TINY, training=(100_000,))
    figures = {figure.name: figure for figure in training.measure(sizes, tmp_path)}
    assert figures["train.100000.prepare"].value == 1.0
    assert math.isnan(figures["train.100000.fit"].value)
    assert judge(figures["train.100000.seconds"], figures)[1] == "not measured"
    assert "MemoryError" in figures["train.100000.seconds"].note


def test_train_prints_a_line_a_step() -> None:
    run = run_command([sys.executable, "-m", "bench.training", 60])
    steps = [json.loads(line) for line in run.output.splitlines()]
    assert [step["step"] for step in steps] == list(training.STEPS), run.error
    assert all(step["peak"] > 50_000_000 for step in steps)


def test_main_writes_table_figures_and_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def section(sizes: Sizes, folder: Path) -> Iterator[Figure]:
        yield FLOOR
        yield Figure("a.parsed", "parsed", 60.0, "letters/s", beside="floor", target=Target(0.6))

    monkeypatch.setattr(command, "SECTIONS", {"a": section})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/store.db")
    result = CliRunner().invoke(command.main, ["--only", "a", "--output", "out/bench.json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "targets: 1 met" in result.output
    assert json.loads((tmp_path / "out" / "bench.json").read_text())["figures"][1]["judgement"] == "met"

    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{tmp_path}/store.db")
    [run] = client.search_runs([client.get_experiment_by_name("imr-rationale-bench").experiment_id])
    assert run.data.metrics == {"floor": 100.0, "a.parsed": 60.0, "a.parsed.ratio": 0.6, "a.parsed.met": 1.0}
    assert {file.path for file in client.list_artifacts(run.info.run_id)} == {"bench.json", "bench.md"}


def test_main_refuses_an_unknown_section() -> None:
    result = CliRunner().invoke(command.main, ["--only", "parse,speed"])
    assert result.exit_code == 2
    assert "speed: known are parse" in result.output


def test_imr_is_the_command_of_this_interpreter() -> None:
    assert Path(processes.IMR).is_file()


def test_write_readme_puts_figures_and_plan_between_their_marks(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    blocks = "\n".join(f"<!-- {name}: begin -->\nold\n<!-- {name}: end -->" for name in ("speed", "plan"))
    page.write_text(f"# Title\n{blocks}\nend\n", encoding="utf-8")
    machine = {"cores": 2, "python": "3.11.7", "date": "2026-01-02T03:04:05", "load": [0.5]}
    floor = Figure("end.floor", "the floor", 4000.0, "items/s")
    one = Figure("end.one_core_running", "one core", 1000.0, "items/s", beside="end.floor", target=Target(0.2))
    write_readme([floor, one], machine, page)
    text = page.read_text(encoding="utf-8")
    assert "old" not in text
    assert "| one core | 1,000 items/s | 4,000 items/s (the floor) | 0.25× | ≥ 0.2× | met |" in text
    # 10 million at 1,000 a second and core: 2.8 core-hours
    assert "| 10 million | 1.4 h | 2.6 min | 0.2 min | 2.8 | 0.14 USD |" in text
