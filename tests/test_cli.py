"""The command as a person meets it."""

import hashlib
import json
import pickle
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import pytest

from conftest import ROOT, run
from imr_rationale.cli import main
from imr_rationale.language.rules import RULES, RULES_VERSION
from imr_rationale.learning.corpus import AnnotatedLetter
from imr_rationale.learning.curve import SHARES

LETTERS = ROOT / "data" / "letters"


@pytest.mark.parametrize("command", [None, *main.commands])
def test_help_names_every_option(command: str | None) -> None:
    out, _ = run(*([command] if command else []), "--help")
    assert "Usage:" in out
    options = main.commands[command].params if command else []
    for option in options:
        if option.opts[0].startswith("-"):
            assert option.opts[-1] in out
            assert getattr(option, "help", None)


def test_help_imports_nothing_heavy() -> None:
    import subprocess
    import sys

    code = (
        "import sys, click.testing, imr_rationale.cli as c; click.testing.CliRunner().invoke(c.main, ['--help']);"
        "print(sorted({'spacy', 'sklearn', 'mlflow', 'pandas', 'numpy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_predict_writes_json_lines(tmp_path: Path) -> None:
    output = tmp_path / "p.jsonl"
    _, err = run("predict", LETTERS, "-o", output)
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    assert len(rows) == 3
    assert "2 letters read, 3 items written" in err
    out, _ = run("predict", LETTERS, "-o", "-")
    assert out == output.read_text()


def test_parse_writes_json_lines() -> None:
    out, _ = run("parse", LETTERS / "CM99-9000001.md")
    row = json.loads(out)
    first = "letter source item treatment outcome claims_administrator_guideline reviewer_guideline rationale"
    assert list(row)[:10] == [*first.split(), "start_char", "end_char"]
    assert row["date_injury"] == "2013-11-17"
    assert (row["age"], row["sex"]) == (44, "male")


def test_a_refused_file_is_named_and_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("Dear Sir,")
    out, err = run("parse", LETTERS / "CM99-9000001.md", tmp_path / "note.txt")
    assert len(out.splitlines()) == 1
    assert "note.txt" in err


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        pytest.param(("parse", "missing.txt"), 1, "missing.txt: No such file", id="missing file"),
        pytest.param(("parse", "."), 1, "no letter found", id="empty folder"),
        pytest.param(("predict", "x.txt", "--model", "nowhere"), 1, "imr: nowhere: no such model folder", id="model"),
        pytest.param(("train", "--corpus", "nowhere"), 1, "imr: nowhere: no annotated file", id="corpus"),
        pytest.param(("evaluate", "nowhere.jsonl", "--letters", "."), 1, "imr: nowhere.jsonl: No such file", id="gold"),
        pytest.param(("parse",), 2, "Missing argument", id="usage"),
        pytest.param(("train", "--folds", "1"), 2, "--folds", id="range"),
        pytest.param(("train", "--letters", "."), 2, "--letters and --annotations go together", id="letters alone"),
    ],
)
def test_errors_are_one_line(
    args: tuple[str, ...], code: int, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    out, err = run(*args, code=code)
    assert out == ""
    assert message in err
    assert "Traceback" not in err
    if code == 1:
        lines = [line for line in err.splitlines() if line.startswith("imr: ")]
        assert len(lines) == 1


def test_train_prints_figures_beside_baselines_and_what_to_do_next(trained: tuple[Path, str, str]) -> None:
    _, store, out = trained
    assert "reasons.micro_f1" in out
    assert "majority     rules     tfidf  metadata" in out
    assert f"ui --tracking-uri {store}" in out
    assert "predict data/letters --model model" in out


def test_evaluate_prints_and_records_figures(
    trained: tuple[Path, str, str], corpus: tuple[AnnotatedLetter, ...], tmp_path: Path
) -> None:
    from imr_rationale.learning.render import render_markdown

    folder, _, _ = trained
    letter = next(letter for letter in corpus if len(letter.items) > 2)
    (tmp_path / f"{letter.id}.md").write_text(render_markdown(letter), encoding="utf-8")
    gold = tmp_path / "gold.jsonl"
    with gold.open("w", encoding="utf-8") as file:
        for item in letter.items:
            sentences = [
                {"text": s.text, "role": s.role, "verdict": s.verdict, "reasons": s.reasons} for s in item.sentences
            ]
            annotators = {"A": {"primary": item.primary, "sentences": sentences}}
            row = {"letter": letter.id, "item": item.number, "outcome": item.outcome, "annotators": annotators}
            file.write(json.dumps(row) + "\n")
    shutil.copytree(folder / "model", tmp_path / "model")
    args = ("evaluate", gold, "--letters", tmp_path, "--corpus", folder / "corpus", "--model", tmp_path / "model")
    out, _ = run(*args)
    assert f"{len(letter.items)} distinct rationales of 1 letters" in out
    out, _ = run(*args, "--json", "--record")
    figures = json.loads(out)
    assert figures["real.verdict_flags.accuracy"]["value"] > 0.5
    recorded = json.loads((tmp_path / "model" / "manifest.json").read_text())
    assert recorded["figures"]["real.reasons.micro_f1"]["value"] == pytest.approx(
        figures["real.reasons.micro_f1"]["value"], abs=1e-6
    )
    assert recorded["data"]["measured"]["real"] == {"n_items": len(letter.items), "n_letters": 1}


def test_evaluate_compares_two_models_on_a_folder(trained: tuple[Path, str, str]) -> None:
    folder, _, _ = trained
    model = folder / "model"
    out, _ = run("evaluate", folder / "heldout", "--corpus", folder / "corpus", "--model", model, "--against", model)
    assert "difference to" in out
    assert "+0.000   +0.000 to +0.000" in out
    assert "*" not in out.split("difference to")[1].split("\n", 1)[1]


def test_evaluate_needs_the_letters_of_a_file(tmp_path: Path, trained: tuple[Path, str, str]) -> None:
    (tmp_path / "gold.jsonl").write_text("{}")
    _, err = run("evaluate", tmp_path / "gold.jsonl", "--model", trained[0] / "model", code=1)
    assert "--letters" in err


def test_train_measures_on_what_is_held_out(trained: tuple[Path, str, str]) -> None:
    folder, _, out = trained
    assert "letters that nothing was learned from" in out
    figures = json.loads((folder / "model" / "manifest.json").read_text())["figures"]
    assert "heldout.reasons.micro_f1" in figures
    assert "heldout.forecast.auroc.metadata" in figures
    assert figures["heldout.leak.residual_rate"]["value"] == 0


def test_rules_lists_every_rule(trained: tuple[Path, str, str]) -> None:
    corpus = trained[0] / "corpus"
    out, _ = run("rules", "--corpus", corpus, "--examples")
    assert out.startswith(f"cue rules, version {RULES_VERSION}, on {corpus}")
    for rule in RULES:
        assert rule.name in out
        assert rule.positive in out
    rows = [json.loads(line) for line in run("rules", "--corpus", corpus, "--json")[0].splitlines()]
    assert [row["rule"]["reason"] for row in rows] == [rule.reason for rule in RULES]
    assert all(row["version"] == RULES_VERSION for row in rows)


def test_curve_tracks_one_run_with_a_step_a_size(trained: tuple[Path, str, str], tmp_path: Path) -> None:
    folder, _, _ = trained
    store = f"sqlite:///{tmp_path}/curve.db"
    (tmp_path / "corpus").mkdir()
    for file in (folder / "corpus").glob("*.txt"):
        if file.name.startswith(("prose", "frames", "formulaic")):
            (tmp_path / "corpus" / file.name).write_bytes(file.read_bytes())
    args = ("curve", folder / "heldout", "--corpus", tmp_path / "corpus", "--folds", 2, "--tracking-uri", store)
    out, _ = run(*args)
    assert "heldout micro-F1" in out
    assert "without prose" in out
    with sqlite3.connect(tmp_path / "curve.db") as connection:
        query = "select step from metrics where key = 'heldout.reasons.micro_f1' order by step"
        steps = [step for (step,) in connection.execute(query)]
    connection.close()
    assert len(steps) == len(SHARES)
    assert steps == sorted(set(steps))


def test_verify_says_what_it_checked(trained: tuple[Path, str, str]) -> None:
    folder, store, _ = trained
    for model in ((), (folder / "model",)):
        out, _ = run("verify", *model)
        assert [line.split()[0] for line in out.splitlines()] == ["sum", "parts", "labels", "predicts"]
    run_id = json.loads((folder / "model" / "manifest.json").read_text())["run_id"]
    out, _ = run("verify", f"runs:/{run_id}/model", "--tracking-uri", store)
    assert json.loads((folder / "model" / "manifest.json").read_text())["sha256"] in out


def test_verify_refuses_a_changed_byte(trained: tuple[Path, str, str], tmp_path: Path) -> None:
    shutil.copytree(trained[0] / "model", tmp_path / "m")
    file = tmp_path / "m" / "model.npz"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    _, err = run("verify", tmp_path / "m", code=1)
    assert err.startswith(f"imr: {file}: sha256 is ")


@pytest.mark.parametrize("dump", [pickle.dump, joblib.dump], ids=["pickle", "joblib"])
def test_verify_refuses_a_pickle_whose_sum_fits(
    dump: Callable[[object, Any], object], trained: tuple[Path, str, str], tmp_path: Path
) -> None:
    shutil.copytree(trained[0] / "model", tmp_path / "m")
    file, manifest = tmp_path / "m" / "model.npz", tmp_path / "m" / "manifest.json"
    with file.open("wb") as stream:
        dump({"words": [1, 2]}, stream)
    fitting = {**json.loads(manifest.read_text()), "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
    manifest.write_text(json.dumps(fitting))
    _, err = run("verify", tmp_path / "m", code=1)
    assert err.startswith(f"imr: {file}: no model file")


def test_verify_warns_of_other_versions(trained: tuple[Path, str, str], tmp_path: Path) -> None:
    shutil.copytree(trained[0] / "model", tmp_path / "m")
    manifest = tmp_path / "m" / "manifest.json"
    found = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**found, "libraries": {**found["libraries"], "numpy": "1.0"}}))
    _, err = run("verify", tmp_path / "m")
    assert err.startswith("imr: made with numpy 1.0, here is ")
