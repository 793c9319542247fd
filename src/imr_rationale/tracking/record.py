"""A run as files: written first, uploaded then, so that a store that is down loses nothing.

A record is a folder with `run.json` (parameters, tags, metrics, data sets), `artifacts/` (what a person looks at) and,
of a training run, `bundle/` (the model).
"""

import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from imr_rationale.errors import TrackingError
from imr_rationale.learning.baselines import BASELINES
from imr_rationale.learning.bootstrap import Figure
from imr_rationale.learning.evaluate import HEADLINES, measure_splits
from imr_rationale.learning.evaluation import Evaluation
from imr_rationale.learning.gold import GoldItem
from imr_rationale.review.tables import CEILING

__all__ = [
    "ARTIFACTS",
    "BUNDLE",
    "DataSource",
    "MetricPoint",
    "RunRecord",
    "describe_sources",
    "flatten_figures",
    "list_records",
    "list_steps",
    "read_commit",
    "read_record",
    "write_record",
]

RECORD_FILE = "run.json"
ARTIFACTS = "artifacts"
BUNDLE = "bundle"
#: what a data set was used for
TRAINING, FOLD, EVALUATION = "training", "cross-validation", "evaluation"


@dataclass(frozen=True, slots=True)
class DataSource:
    """A data set of a run: its digest stands for its bytes, `context` for what it was used for."""

    name: str
    digest: str
    context: str
    n_items: int
    n_letters: int


@dataclass(frozen=True, slots=True)
class MetricPoint:
    """A metric's value at a step."""

    name: str
    value: float
    step: int = 0


@dataclass(frozen=True, slots=True)
class RunRecord:
    """Everything of a run but its files.

    Attributes
    ----------
    started, ended : int
        Milliseconds since 1970.
    description : str
        Markdown that the UI shows with the run.
    parent_id : str, optional
        The run that this one belongs to.
    home : str, optional
        The model's folder, which is told the run's id.
    run_id, model_id : str, optional
        Known once the store has given them.
    """

    name: str
    started: int
    ended: int
    params: Mapping[str, Any]
    tags: Mapping[str, str]
    metrics: tuple[MetricPoint, ...]
    sources: tuple[DataSource, ...] = ()
    description: str = ""
    parent_id: str | None = None
    home: str | None = None
    example: Mapping[str, str] = field(default_factory=dict)
    run_id: str | None = None
    model_id: str | None = None


def write_record(record: RunRecord, folder: Path) -> None:
    """Write `run.json`, whole or not at all.

    Raises
    ------
    TrackingError
        The folder cannot be written.
    """
    try:
        (folder / ARTIFACTS).mkdir(parents=True, exist_ok=True)
        draft = folder / f"{RECORD_FILE}.part"
        draft.write_text(json.dumps(asdict(record), indent=1), encoding="utf-8")
        draft.replace(folder / RECORD_FILE)
    except OSError as error:
        raise TrackingError(f"{folder}: {error.strerror or error}") from error


def read_record(folder: Path) -> RunRecord:
    """Read `run.json` back.

    Raises
    ------
    TrackingError
        There is no record, or it is damaged.
    """
    try:
        data = json.loads((folder / RECORD_FILE).read_text(encoding="utf-8"))
        known = {name: data[name] for name in (part.name for part in fields(RunRecord))}
        metrics = tuple(MetricPoint(**point) for point in data["metrics"])
        sources = tuple(DataSource(**source) for source in data["sources"])
        return RunRecord(**{**known, "metrics": metrics, "sources": sources})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrackingError(f"{folder}: no record of a run ({type(error).__name__}: {error})") from error


def list_records(folder: Path) -> list[Path]:
    """Give the folders of the records that wait in `folder`, the oldest first."""
    return sorted(path.parent for path in folder.glob(f"*/{RECORD_FILE}"))


def flatten_figures(figures: Mapping[str, Figure]) -> Iterable[MetricPoint]:
    """Yield finite values of the model's figures, the headlines with their interval's ends and with the baselines.

    What a baseline or the annotators reach for one reason alone stands in the table of reasons.
    """
    for name, figure in figures.items():
        _, _, metric = name.partition(".")
        owner = metric.rpartition(".")[2] if metric.rpartition(".")[2] in {*BASELINES, CEILING} else ""
        headline = metric.removesuffix(f".{owner}") in HEADLINES
        if owner and not headline:
            continue
        ends = {".low": figure.low, ".high": figure.high} if headline and not owner else {}
        for suffix, value in {"": figure.value, **ends}.items():
            if value == value:
                yield MetricPoint(f"{name}{suffix}", value)


def list_steps(evaluation: Evaluation) -> Iterable[MetricPoint]:
    """Yield the headlines of each fold as steps of a metric of their own: "corpus_cv_fold.reasons.micro_f1"."""
    for split, figures in measure_splits(evaluation).items():
        name, _, number = split.partition(" ")
        if number.isdigit():
            for metric, value in figures.items():
                if value == value:
                    yield MetricPoint(f"{evaluation.name}_{name}.{metric}", value, int(number))


def describe_sources(evaluation: Evaluation, digest: str) -> Iterable[DataSource]:
    """Yield each split of an evaluation as a data set; one that is not split has `digest`."""
    splits: dict[str, list[GoldItem]] = {}
    for item in evaluation.items:
        splits.setdefault(item.split, []).append(item.gold)
    for split, gold in sorted(splits.items()):
        sizes = len(gold), len({item.letter for item in gold})
        if len(splits) == 1:
            yield DataSource(evaluation.name, digest, EVALUATION, *sizes)
        else:
            yield DataSource(f"{evaluation.name} {split}", _digest_gold(gold), FOLD, *sizes)


def _digest_gold(gold: Sequence[GoldItem]) -> str:
    """Give the sha256 over texts and annotations."""
    return hashlib.sha256(repr(sorted(gold, key=lambda item: (item.letter, item.item))).encode()).hexdigest()


def read_commit() -> dict[str, str]:
    """Give the commit of the code and whether its tree has changes, as tags; nothing where the code is no checkout."""
    git, here = shutil.which("git"), Path(__file__).resolve()
    if git is None:
        return {}

    def ask(*words: str) -> str | None:
        command = [git, "-C", str(here.parent), *words]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        return answer.stdout.strip() if answer.returncode == 0 else None

    if ask("ls-files", "--error-unmatch", str(here)) is None or (commit := ask("rev-parse", "HEAD")) is None:
        return {}
    changes = ask("status", "--porcelain", "--untracked-files=no", ":/src")
    return {"git_commit": commit, "git_changes": "yes" if changes else "no"}
