"""The registered model: load it by its address, hand it to a cluster, compare runs, promote one to champion."""

import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from imr_rationale.errors import AnnotationError, EngineError, ModelError, TrackingError
from imr_rationale.learning.bootstrap import N_BOOTSTRAP
from imr_rationale.learning.bundle import MANIFEST, load_bundle
from imr_rationale.learning.evaluation import Evaluation
from imr_rationale.learning.model import RationaleModel
from imr_rationale.learning.speed import N_TEXTS, measure_speeds
from imr_rationale.records import ItemText
from imr_rationale.review.artifacts import write_table
from imr_rationale.review.card import format_summary
from imr_rationale.review.compare import Comparison, compare_evaluations, write_comparison
from imr_rationale.review.gate import Bar, check_coverage, check_headlines, check_labels, check_leak, check_speed
from imr_rationale.tracking.runs import fetch_evaluations
from imr_rationale.tracking.store import ALIAS, EXPERIMENT, UNKNOWN, connect, find_run, import_mlflow
from imr_rationale.tracking.upload import LONGEST, describe_pyfunc, log_files

__all__ = [
    "Promotion",
    "RunComparison",
    "compare_runs",
    "fetch_bundle",
    "load_logged_model",
    "make_spark_udf",
    "promote_run",
]


@dataclass(frozen=True, slots=True)
class RunComparison:
    """Two runs on each data set of which they share items; `left_out` names the others."""

    comparisons: tuple[Comparison, ...]
    left_out: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Promotion:
    """What came of a try to promote a run; `version` is None when it was refused."""

    run_id: str
    champion_id: str | None
    bars: tuple[Bar, ...]
    version: str | None


def load_logged_model(uri: str, store: str) -> RationaleModel:
    """Load a logged model by its address ("models:/imr-rationale@champion", "runs:/ID/model").

    Raises
    ------
    TrackingError
        The store does not know it.
    ModelError
        It is damaged, altered or of an unknown type.
    """
    with connect(store, must_exist=True) as mlflow:
        return _load(mlflow, uri)


def fetch_bundle(uri: str, store: str, place: Path) -> Path:
    """Download a logged model to `place`; gives the model folder in it.

    Raises
    ------
    TrackingError
        The store does not know it, or it holds no model of this package.
    """
    with connect(store, must_exist=True) as mlflow:
        return _download(mlflow, uri, place)


def make_spark_udf(spark: Any, bundle: Path, place: Path, *, min_certainty: float = 0.0) -> Callable[..., Any]:
    """Give the function of a Spark column of letters to their rows as JSON.

    The column is a struct of a `Document`'s fields, its notes as JSON. The bundle is wrapped anew, whatever was logged
    beside it: the workers run this version's code, which loads the model through the allow-list.

    Parameters
    ----------
    spark : SparkSession
    bundle : Path
        Model folder.
    place : Path
        Empty folder, which is there as long as the function is used.
    min_certainty : float

    Returns
    -------
    callable
        Its value is `{"error": text or null, "rows": [...]}`; lists and objects inside a row are JSON text again.

    Raises
    ------
    EngineError
        The function cannot be made.
    """
    mlflow = import_mlflow()
    folder = place / "pyfunc"
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=UserWarning, module=r"mlflow\.")
            warnings.filterwarnings(
                "ignore", category=FutureWarning, message="PySpark does not yet fully support pandas"
            )
            mlflow.pyfunc.save_model(folder, **describe_pyfunc(bundle))
            made: Callable[..., Any] = mlflow.pyfunc.spark_udf(
                spark, str(folder), result_type="string", env_manager="local", params={"min_certainty": min_certainty}
            )
    except (mlflow.exceptions.MlflowException, OSError) as error:
        raise EngineError(f"the model cannot be handed to Spark: {error}") from error
    return made


def _load(mlflow: Any, uri: str) -> RationaleModel:
    with tempfile.TemporaryDirectory(prefix="imr-model-") as place:
        return load_bundle(_download(mlflow, uri, Path(place)))


def _download(mlflow: Any, uri: str, place: Path) -> Path:
    folder = Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=str(place)))
    found = next(folder.rglob(MANIFEST), None)
    if found is None:
        raise TrackingError(f"{uri}: holds no imr-rationale model")
    return found.parent


def compare_runs(store: str, first: str, second: str, *, n_bootstrap: int = N_BOOTSTRAP) -> RunComparison:
    """Compare two runs on every data set that both hold, and log the comparison with the first.

    Raises
    ------
    TrackingError
        The store cannot be reached, has no such runs, or they have no item in common.
    """
    with connect(store, must_exist=True) as mlflow:
        client = mlflow.MlflowClient()
        runs = [find_run(client, name) for name in (first, second)]
        found = _compare(*(fetch_evaluations(client, run) for run in runs), n_bootstrap=n_bootstrap)
        if not found.comparisons:
            raise TrackingError(f"{first} and {second} have no item in common ({', '.join(found.left_out)})")
        _log_comparisons(client, found.comparisons, *runs)
        return found


def _compare(first: Mapping[str, Evaluation], second: Mapping[str, Evaluation], *, n_bootstrap: int) -> RunComparison:
    comparisons, left_out = [], sorted(set(first) ^ set(second))
    for name in (name for name in first if name in second):
        try:
            comparisons.append(compare_evaluations(first[name], second[name], n_bootstrap=n_bootstrap))
        except AnnotationError:
            left_out.append(name)
    return RunComparison(tuple(comparisons), tuple(left_out))


def _log_comparisons(client: Any, comparisons: tuple[Comparison, ...], first: Any, second: Any) -> None:
    with tempfile.TemporaryDirectory() as place:
        for comparison in comparisons:
            write_comparison(comparison, Path(place) / comparison.name, first.info.run_name, second.info.run_name)
        if comparisons:
            log_files(client, first.info.run_id, Path(place), f"compared_with_{second.info.run_id[:8]}")


def promote_run(store: str, run: str, *, force: str | None = None, n_bootstrap: int = N_BOOTSTRAP) -> Promotion:
    """Register a run's model and make it the champion, if it clears every bar of the gate.

    Parameters
    ----------
    force : str, optional
        Why the run is promoted whatever the bars say; kept as a tag.

    Raises
    ------
    TrackingError
        The store cannot be reached, or the run logged no model.
    """
    with connect(store, must_exist=True) as mlflow:
        client = mlflow.MlflowClient()
        found = find_run(client, run)
        champion = _find_champion(client)
        bars, model = _check_run(mlflow, client, found, champion, n_bootstrap)
        passed = all(bar.passed for bar in bars)
        version = None
        if passed or (force and model is not None):
            reason = "passed" if passed else f"forced: {force}"
            version = _register(mlflow, client, found, reason)
        _note_promotion(client, found.info.run_id, bars, version, force)
        return Promotion(found.info.run_id, champion.info.run_id if champion else None, tuple(bars), version)


def _find_champion(client: Any) -> Any:
    """Give the champion's run, None where there is no champion yet."""
    from mlflow.exceptions import MlflowException

    try:
        return client.get_run(client.get_model_version_by_alias(EXPERIMENT, ALIAS).run_id)
    except MlflowException as error:
        if error.error_code in UNKNOWN:
            return None
        raise


def _check_run(
    mlflow: Any, client: Any, run: Any, champion: Any, n_bootstrap: int
) -> tuple[list[Bar], RationaleModel | None]:
    """Give every bar, and the run's model where it verifies."""
    bars = [check_leak(run.data.metrics)]
    try:
        model = _load(mlflow, f"runs:/{run.info.run_id}/model")
    except ModelError as error:
        return [Bar("bundle", False, str(error)), *bars], None
    bars.insert(0, Bar("bundle", True, f"sha256 {str(model.manifest['sha256'])[:12]}, all types on the allow-list"))
    if champion is None:
        return [*bars, Bar("champion", True, "there is none yet, nothing to compare with")], model
    if champion.info.run_id == run.info.run_id:
        return [*bars, Bar("champion", True, "the run is the champion")], model
    evaluations, others = (fetch_evaluations(client, found) for found in (run, champion))
    comparisons = _compare(evaluations, others, n_bootstrap=n_bootstrap).comparisons
    _log_comparisons(client, comparisons, run, champion)
    bars += [*check_coverage(others, comparisons), *check_headlines(comparisons), *check_labels(comparisons)]
    return [*bars, _race(mlflow, champion, model, _take_texts(evaluations))], model


def _race(mlflow: Any, champion: Any, model: RationaleModel, texts: list[ItemText]) -> Bar:
    """Measure both models in turns in this process."""
    try:
        other = _load(mlflow, f"runs:/{champion.info.run_id}/model")
    except ModelError as error:
        return Bar("throughput", True, f"the champion cannot be loaded by this version ({error})")
    return check_speed(*measure_speeds([model, other], texts))


def _take_texts(evaluations: Mapping[str, Evaluation]) -> list[ItemText]:
    texts = [item.text for found in evaluations.values() for item in found.items if item.text is not None]
    return texts[:: max(1, len(texts) // N_TEXTS)][:N_TEXTS]


def _register(mlflow: Any, client: Any, run: Any, reason: str) -> str:
    run_id = run.info.run_id
    known = client.search_model_versions(f"name='{EXPERIMENT}' and run_id='{run_id}'")
    with redirect_stderr(StringIO()):  # mlflow tells there what is told at the end
        version = known[0] if known else mlflow.register_model(f"runs:/{run_id}/model", EXPERIMENT)
    client.set_model_version_tag(EXPERIMENT, version.version, "promotion", reason[:LONGEST])
    summary = format_summary(run.data.metrics, run.info.run_name, run.data.tags.get("note", ""))
    client.update_model_version(EXPERIMENT, version.version, description=summary[:LONGEST])
    client.set_registered_model_alias(EXPERIMENT, ALIAS, version.version)
    return str(version.version)


def _note_promotion(client: Any, run_id: str, bars: list[Bar], version: str | None, force: str | None) -> None:
    """Write the bars and what came of them into the run."""
    import pandas as pd

    failed = [bar.name for bar in bars if not bar.passed]
    told = f"version {version}" if version else f"refused: {', '.join(failed)}"
    told = f"{told}, forced: {force}" if version and failed else told
    client.set_tag(run_id, "promotion", told[:LONGEST])
    rows = [{"bar": bar.name, "cleared": "yes" if bar.passed else "no", "found": bar.text} for bar in bars]
    with tempfile.TemporaryDirectory() as place:
        write_table(pd.DataFrame(rows), Path(place) / f"bars_{time.strftime('%Y%m%dT%H%M%S')}.json")
        log_files(client, run_id, Path(place), "promotion")
