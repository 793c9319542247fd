"""What others build on: public names, one-way imports, documents that are true."""

import ast
import importlib
import json
import pkgutil
import re
import shlex
from pathlib import Path

import pytest

import imr_rationale
from conftest import ROOT
from imr_rationale.cli import main
from imr_rationale.serving.markdown import make_blocks, replace_blocks

SOURCE = ROOT / "src" / "imr_rationale"
MODULES = sorted(name for _, name, _ in pkgutil.walk_packages(imr_rationale.__path__, "imr_rationale."))
#: in the order of the flow: a module imports only from its own room and those before it
ROOMS = ("errors", "labels", "records", "letters", "language", "learning", "review", "tracking", "serving", "cli")


@pytest.mark.parametrize("name", [name for name in MODULES if not name.endswith("pyfunc")])
def test_all_is_sorted_and_complete(name: str) -> None:
    module = importlib.import_module(name)
    if Path(str(module.__file__)).name == "__init__.py":
        return
    tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
    defined = {
        node.name
        for node in tree.body
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_")
    }
    assert len(set(module.__all__)) == len(module.__all__)
    assert all(hasattr(module, public) for public in module.__all__)
    used = {word for path in SOURCE.rglob("*.py") for word in re.findall(r"\w+", path.read_text(encoding="utf-8"))}
    assert defined - set(module.__all__) <= used


def test_package_exports_at_most_ten_names() -> None:
    assert imr_rationale.__all__ == sorted(imr_rationale.__all__)
    assert len(imr_rationale.__all__) <= 10
    assert all(getattr(imr_rationale, name) for name in imr_rationale.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        imr_rationale.nothing  # noqa: B018


def imported(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
        elif isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
    return names


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_go_one_way(path: Path) -> None:
    parts = path.relative_to(SOURCE).parts
    if parts == ("__init__.py",):
        return
    room = ROOMS.index(parts[0].removesuffix(".py"))
    for name in imported(path):
        if name.startswith("imr_rationale."):
            assert ROOMS.index(name.split(".")[1]) <= room, f"{path} imports {name}"


def test_mlflow_is_imported_in_one_room() -> None:
    found = {
        path.parent.name
        for path in SOURCE.rglob("*.py")
        if any(name.split(".")[0] == "mlflow" for name in imported(path))
    }
    assert found == {"tracking"}


@pytest.mark.parametrize("name", ["README.md", "data/README.md", "models/README.md"])
def test_tables_of_documents_are_current(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert replace_blocks(text, make_blocks(ROOT / "data", ROOT / "models")) == text, "run: make readme"


README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_readme_python_runs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(ROOT)
    assert blocks("python")
    for block in blocks("python"):
        exec(compile(block, "README.md", "exec"), {})  # noqa: S102
    assert "prior_therapy_sufficient" in capsys.readouterr().out


def test_readme_json_agrees_with_a_prediction() -> None:
    (row,) = [json.loads(block) for block in blocks("json")]
    (found,) = imr_rationale.predict_letter(ROOT / "data" / "letters" / f"{row['letter']}.md")
    assert found.primary_reason == row["primary_reason"]
    assert found.outcome.heading == row["outcome"]["heading"]
    text = row["reasons"][0]["evidence"][0]["text"].removesuffix(" …")
    assert found.reasons[0].evidence[0].text.startswith(text)


def test_readme_commands_exist() -> None:
    lines = [line for block in blocks("sh") for line in block.splitlines() if line]
    targets = set(re.findall(r"^([\w./-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for line in lines:
        words = shlex.split(line, comments=True)
        if words[0] == "make":
            assert words[1] in targets
        else:
            assert words[0] in {".venv/bin/imr", ".venv-cluster/bin/imr"}
            options = {option for parameter in main.commands[words[1]].params for option in parameter.opts} | {"--help"}
            assert {word for word in words[2:] if word.startswith("-")} <= options


def test_requirements_are_hashed_and_name_no_address() -> None:
    for name in ("requirements.txt", "requirements-dev.txt", "requirements-cluster.txt"):
        text = (ROOT / name).read_text()
        assert "://" not in text
        for block in re.split(r"\n(?=[a-z])", text.split("\n", 2)[2]):
            assert "--hash=sha256:" in block, block.split("\n")[0]


def test_champion_is_small_enough_to_ship() -> None:
    files = list((ROOT / "models" / "champion").iterdir())
    assert {path.name for path in files} == {"card.md", "manifest.json", "model.npz"}
    assert sum(path.stat().st_size for path in files) < 5_000_000
