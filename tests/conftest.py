"""Fixtures: invented letters, and one tiny model a session."""

import os
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

import pytest
from click.testing import CliRunner

from imr_rationale.cli import main
from imr_rationale.learning.bundle import save_bundle
from imr_rationale.learning.corpus import AnnotatedLetter, read_corpus
from imr_rationale.learning.evaluation import name_figures
from imr_rationale.learning.model import Config, RationaleModel
from imr_rationale.learning.render import render_markdown
from imr_rationale.learning.train import TrainingResult, TrainingSet, make_training_set, train_model
from imr_rationale.tracking.server import make_command

TINY = Config(n_splits=2, n_bootstrap=40)
ROOT = Path(__file__).parents[1]
CORPUS = ROOT / "data" / "corpus"
HELDOUT = ROOT / "data" / "heldout"

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the golden records anew")


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update-golden"))


@pytest.fixture(scope="session")
def corpus() -> tuple[AnnotatedLetter, ...]:
    return read_corpus(CORPUS)


@pytest.fixture(scope="session")
def some_letters(corpus: tuple[AnnotatedLetter, ...]) -> tuple[AnnotatedLetter, ...]:
    """Letters of every file of the corpus, few enough to train on in seconds."""
    return corpus[::8]


@pytest.fixture(scope="session")
def tiny_data(some_letters: tuple[AnnotatedLetter, ...]) -> TrainingSet:
    return make_training_set(some_letters)


@pytest.fixture(scope="session")
def tiny_result(tiny_data: TrainingSet) -> TrainingResult:
    return train_model(tiny_data, TINY)


@pytest.fixture(scope="session")
def tiny_model(tiny_result: TrainingResult) -> RationaleModel:
    return tiny_result.model


@pytest.fixture(scope="session")
def tiny_bundle(tiny_result: TrainingResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    return save_bundle(
        tiny_result.model, folder, data={"learned_from": []}, figures=name_figures(tiny_result.evaluations)
    )


@pytest.fixture
def letter_file(corpus: tuple[AnnotatedLetter, ...], tmp_path: Path) -> Path:
    """A whole invented letter with more than one item."""
    letter = next(letter for letter in corpus if len(letter.items) > 1)
    path = tmp_path / f"{letter.id}.md"
    path.write_text(render_markdown(letter), encoding="utf-8")
    return path


@pytest.fixture
def make_letter_text() -> Callable[..., str]:
    """Write a short letter around one item; every part can be replaced."""

    def make(
        *,
        heading: str = "MRI of the left wrist: Upheld",
        rationale: str = "There is no evidence of a fracture. Therefore, the request is not medically necessary.",
        header: str = "Case Number:\nCM99-0000001\nDate Assigned:\n02/03/2016\nDate of Injury:\n01/02/2015\n"
        "Decision Date:\n03/01/2016\nUR Denial Date:\n01/15/2016\nPriority:\nStandard\nApplication\nReceived:\n01/20/2016",
        summary: str = "The worker is a 35-year-old female baker who twisted her left wrist.",
        claims_administrator: str = "Claims Administrator guideline: Decision based on MTUS.",
        reviewer: str = "MAXIMUS guideline: Decision based on ACOEM.",
        after: str = "",
    ) -> str:
        return (
            f"{header}\n\nHOW THE IMR FINAL DETERMINATION WAS MADE\nBy an expert.\n\n"
            "The Expert Reviewer has the following credentials:\nState(s) of Licensure: California, Texas\n"
            "Certification(s)/Specialty: Hand Surgery\n\nCLINICAL CASE SUMMARY\n"
            f"The expert reviewer developed the following clinical case summary based on a review of the case file:\n"
            f"\n{summary}\n\nIMR ISSUES, DECISIONS AND RATIONALES\n"
            "The Final Determination was based on decisions for the disputed items/services set forth below:\n\n"
            f"{heading}\n\n{claims_administrator}\n\n{reviewer}\n\nDecision rationale: {rationale}\n{after}"
        )

    return make


def run(*args: object, code: int = 0) -> tuple[str, str]:
    """Run the command `imr`; gives what it says on standard output and on stderr."""
    result = CliRunner().invoke(main, [str(arg) for arg in args], catch_exceptions=False)
    assert result.exit_code == code, result.stderr
    return result.stdout, result.stderr


@pytest.fixture(scope="session")
def trained(
    tmp_path_factory: pytest.TempPathFactory, some_letters: tuple[AnnotatedLetter, ...]
) -> tuple[Path, str, str]:
    """Train through the command line on every eighth letter; gives the folder, the store and the output."""
    folder = tmp_path_factory.mktemp("train")
    wanted = {letter.id for letter in some_letters}
    (folder / "corpus").mkdir()
    for source in CORPUS.glob("*.txt"):
        blocks = source.read_text(encoding="utf-8").split("=== letter ")[1:]
        kept = ["=== letter " + block for block in blocks if block.split("\n", 1)[0] in wanted]
        (folder / "corpus" / source.name).write_text("".join(kept), encoding="utf-8")
    (folder / "heldout").mkdir()
    unseen = (HELDOUT / "newcomers_drugs.txt").read_text(encoding="utf-8").split("=== letter ")
    (folder / "heldout" / "unseen.txt").write_text("=== letter ".join(unseen[:8]), encoding="utf-8")
    store = f"sqlite:///{folder / 'store.db'}"
    args = ("--corpus", "corpus", "--heldout", "heldout", "--folds", 2, "--bootstrap", 20, "--tracking-uri", store)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        out, _ = run("train", "-o", "model", *args)
    return folder, store, out


def find_port() -> int:
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def serve(store: str, folder: Path) -> Iterator[str]:
    """Run the server of `imr ui` with its files in `folder`; gives its address."""
    port = find_port()
    command, environment = make_command(store, port=port)
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=log)
        try:
            wait_for(f"http://127.0.0.1:{port}", process)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(timeout=30)


def wait_for(address: str, process: "subprocess.Popen[bytes]") -> None:
    begun = monotonic()
    while monotonic() - begun < 120:
        assert process.poll() is None, "the server stopped"
        try:
            with urllib.request.urlopen(f"{address}/health") as answer:  # noqa: S310
                if answer.status == 200:
                    return
        except OSError:
            sleep(0.5)
    raise AssertionError("the server does not answer")
