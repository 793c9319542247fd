"""A whole training run: read, train, measure, save, record, upload."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from imr_rationale.errors import ImrError, ModelError, TrackingError
from imr_rationale.learning.bundle import publish_bundle, read_manifest, save_bundle
from imr_rationale.learning.corpus import AnnotatedLetter, digest_files, read_corpus
from imr_rationale.learning.evaluation import Evaluation, name_figures
from imr_rationale.learning.measure import GoldSet, measure_model, read_gold_folder
from imr_rationale.learning.model import Config, RationaleModel
from imr_rationale.learning.speed import N_TEXTS, measure_speeds
from imr_rationale.learning.standoff import join_letters, read_annotations
from imr_rationale.learning.train import TrainingSet, make_training_set, train_model
from imr_rationale.review.card import write_card
from imr_rationale.tracking.record import BUNDLE, TRAINING, DataSource, list_records
from imr_rationale.tracking.runs import TrainingFacts, write_training_record
from imr_rationale.tracking.store import resolve_store
from imr_rationale.tracking.upload import lock_record, upload_record

__all__ = [
    "TrainingInputs",
    "TrainingOutcome",
    "count_steps",
    "make_place",
    "read_inputs",
    "resume_tracking",
    "run_training",
    "track",
]

#: folder beside the models in which records wait for their store
UNTRACKED = "untracked"


@dataclass(frozen=True)
class TrainingInputs:
    """What a run learns from and is measured on."""

    data: TrainingSet
    sources: tuple[DataSource, ...]
    unseen: GoldSet | None
    digests: dict[str, str]


@dataclass(frozen=True, slots=True)
class TrainingOutcome:
    """What came of a run: its figures, and the run's id or why it was not tracked and where it waits.

    Attributes
    ----------
    seconds, tracking_seconds : float
        The whole run, and what pictures, tables and the tracking store took of it.
    """

    evaluations: tuple[Evaluation, ...]
    run_id: str | None
    failure: ImrError | None
    seconds: float
    tracking_seconds: float


def read_inputs(
    corpus: Path, *, letters: Path | None = None, annotations: Path | None = None, heldout: Path | None = None
) -> TrainingInputs:
    """Read what a run learns from, and what it is measured on besides.

    Raises
    ------
    AnnotationError
        Something cannot be read.
    """
    invented = read_corpus(corpus)
    sources = [_describe(corpus.name, digest_files(corpus), invented)]
    real: Sequence[AnnotatedLetter] = ()
    if letters is not None and annotations is not None:
        import hashlib

        real = join_letters(read_annotations(annotations), letters)
        digest = hashlib.sha256(annotations.read_bytes()).hexdigest()
        sources.append(_describe(annotations.name, digest, real))
    unseen = read_gold_folder(heldout) if heldout else None
    digests = {"corpus_cv": sources[0].digest, "letters_cv": sources[-1].digest}
    if unseen is not None and heldout is not None:
        digests[unseen.name] = digest_files(heldout)
    return TrainingInputs(make_training_set(invented, real), tuple(sources), unseen, digests)


def _describe(name: str, digest: str, letters: Sequence[AnnotatedLetter]) -> DataSource:
    return DataSource(name, digest, TRAINING, sum(len(letter.items) for letter in letters), len(letters))


def count_steps(inputs: TrainingInputs, config: Config) -> int:
    """Give the number of steps that `run_training` tells."""
    return 2 * config.n_splits + (7 if inputs.unseen else 5)


def run_training(
    inputs: TrainingInputs,
    config: Config,
    output: Path,
    store: str,
    *,
    note: str = "",
    parent_id: str | None = None,
    progress: Callable[[str], None] = lambda step: None,
) -> TrainingOutcome:
    """Train, measure, save the model to `output`, and track the run; a store that fails stops nothing.

    Raises
    ------
    AnnotationError
        There is too little to learn from.
    ModelError
        The model cannot be saved; told before the training where the folder cannot be made.
    """
    started = time.time()
    data = inputs.data
    _make_folder(output)  # said before minutes of training
    result = train_model(data, config, progress=progress)
    evaluations = result.evaluations
    if inputs.unseen is not None:
        measured = measure_model(result.model, inputs.unseen, data, n_bootstrap=config.n_bootstrap, progress=progress)
        evaluations = (*evaluations, measured)
    progress("save model")
    record = make_place(output)
    with lock_record(record):
        _save_model(result.model, evaluations, inputs, record / BUNDLE, output)
        (speed,) = measure_speeds([result.model], data.texts[:N_TEXTS])
        facts = TrainingFacts(
            output.name, output, data.texts[0], started, inputs.sources, inputs.digests, speed, note, parent_id
        )
        progress("pictures and tables")
        trained = time.time()
        write_training_record(record, result.model, evaluations, facts)
        progress("track run")
        run_id = failure = None
        try:
            run_id = track(record, store, output)
        except ImrError as error:
            failure = error
    ended = time.time()
    return TrainingOutcome(evaluations, run_id, failure, ended - started, ended - trained)


def _make_folder(folder: Path) -> Path:
    """Make a folder, or say in one line why it cannot be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ModelError(f"{folder}: {error.strerror or error}") from error
    return folder


def _save_model(
    model: RationaleModel, evaluations: Sequence[Evaluation], inputs: TrainingInputs, bundle: Path, output: Path
) -> None:
    """Save the model into the run's record, and publish it in `output`."""
    learned_from = [{"name": source.name, "sha256": source.digest} for source in inputs.sources]
    sizes = {evaluation.name: evaluation.sizes for evaluation in evaluations}
    learned = {"learned_from": learned_from, "measured": sizes}
    save_bundle(model, bundle, data=learned, figures=name_figures(evaluations))
    publish_bundle(bundle, output)
    write_card(output, read_manifest(output))


def track(record: Path, store: str, output: Path) -> str:
    """Upload a record that waits beside `output`; gives the run's id.

    Raises
    ------
    TrackingError
        The store cannot be reached or refuses; the message says where the record waits and how to upload it.
    """
    try:
        return upload_record(record, store)
    except TrackingError as error:
        again = f"imr train --resume-tracking -o {output}"
        again += f" --tracking-uri {store}" if store != resolve_store(None) else ""
        raise TrackingError(f"{error}; nothing is lost, the run waits in {record}: {again}") from error


def make_place(output: Path) -> Path:
    """Give a folder of its own for a record, also when another run writes to the same output."""
    import tempfile

    prefix = f"{time.strftime('%Y%m%dT%H%M%S')}-{output.name}-"
    return Path(tempfile.mkdtemp(prefix=prefix, dir=_make_folder(output.parent / UNTRACKED)))


def resume_tracking(output: Path, store: str) -> Iterator[str | TrackingError]:
    """Upload every run that waits beside `output`, the oldest first.

    Yields
    ------
    str or TrackingError
        The run's id, or why it still waits; the others are uploaded all the same.
    """
    for folder in list_records(output.parent / UNTRACKED):
        try:
            yield upload_record(folder, store)
        except TrackingError as error:
            yield error
