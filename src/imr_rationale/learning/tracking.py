"""Experiment tracking: the one place (beside the code file it logs) that imports mlflow."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imr_rationale.errors import TrackingError
from imr_rationale.labels import OUTCOME_TASKS, REASONS
from imr_rationale.learning.baselines import BASELINES
from imr_rationale.learning.evaluate import HEADLINES, Figure
from imr_rationale.records import ItemText

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd
    from matplotlib.figure import Figure as Picture

    from imr_rationale.learning.curve import CurvePoint

__all__ = [
    "DEFAULT_STORE",
    "EXPERIMENT",
    "download_model",
    "log_curve",
    "log_run",
    "make_headline_table",
    "make_label_table",
    "open_run",
    "resolve_store",
    "serve_ui",
]

EXPERIMENT = "imr-rationale"
DEFAULT_STORE = "sqlite:///mlflow.db"
#: the packages that a logged model needs beside this one
REQUIREMENTS = ("imr-rationale",)


def resolve_store(option: str | None) -> str:
    """Give the tracking store: the option, else MLFLOW_TRACKING_URI, else a file in the working folder."""
    return option or os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_STORE


@contextmanager
def _connect(store: str) -> "Iterator[Any]":
    """Import mlflow without telemetry, pointed at `store`; its errors leave as `TrackingError`."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    import logging
    import warnings

    import mlflow
    from sqlalchemy.exc import SQLAlchemyError

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=UserWarning, module=r"mlflow\.")
            mlflow.set_tracking_uri(store)
            yield mlflow
    except (mlflow.exceptions.MlflowException, SQLAlchemyError, OSError) as error:
        raise TrackingError(f"{store}: {str(error).splitlines()[0]}") from error


def log_run(
    bundle: Path,
    *,
    store: str,
    params: Mapping[str, object],
    figures: Mapping[str, Figure],
    sources: Sequence[Mapping[str, str]],
    sizes: Mapping[str, Mapping[str, int]],
    table: "pd.DataFrame",
    example: ItemText,
    run_id: str | None = None,
) -> str:
    """Log one training run, with its data set, figures, tables, pictures and model.

    Parameters
    ----------
    bundle : Path
        The saved model's folder.
    sources : sequence of mapping
        `name` and `sha256` of what the model learned from.
    sizes : mapping
        Origin -> its `n_items` and `n_letters`.
    table : DataFrame
        One row an item: out-of-fold predictions beside the annotations.
    run_id : str, optional
        A run opened by `open_run`.

    Returns
    -------
    str
        The run's id.

    Raises
    ------
    TrackingError
        The store cannot be reached or refuses.
    """
    with _connect(store) as mlflow:
        mlflow.set_experiment(EXPERIMENT)
        with mlflow.start_run(run_id=run_id) as run:
            digests = {f"{source['name']}_sha256": source["sha256"] for source in sources}
            mlflow.log_params({**params, **digests})
            mlflow.log_metrics(_flatten_figures(figures))
            for (origin, rows), source in zip(table.groupby("origin"), sources, strict=True):
                columns = rows[["letter", "treatment", "outcome", "primary", "rationale"]]
                dataset = mlflow.data.from_pandas(columns, name=source["name"], digest=source["sha256"][:36])
                mlflow.log_input(dataset, context="training")
                mlflow.log_metrics({f"{origin}.{name}": float(size) for name, size in sizes[str(origin)].items()})
            mlflow.log_table(table, "tables/out_of_fold_predictions.json")
            mlflow.log_table(make_label_table(figures), "tables/reasons.json")
            mlflow.log_table(make_headline_table(figures), "tables/headlines.json")
            for name, picture in _draw_pictures(figures).items():
                mlflow.log_figure(picture, f"pictures/{name}.png")
            _log_model(mlflow, bundle, example)
            return str(run.info.run_id)


def log_curve(
    points: "Sequence[CurvePoint]", *, store: str, params: Mapping[str, object], sources: Sequence[Mapping[str, str]]
) -> str:
    """Log a learning curve as one run: metrics by number of items, a table, and two pictures.

    Returns
    -------
    str
        The run's id.

    Raises
    ------
    TrackingError
        The store cannot be reached or refuses.
    """
    from imr_rationale.learning.curve import tabulate_curve

    with _connect(store) as mlflow:
        mlflow.set_experiment(EXPERIMENT)
        with mlflow.start_run(run_name=f"learning curve ({points[-1].n_items} items)") as run:
            mlflow.log_params({**params, **{f"{source['name']}_sha256": source["sha256"] for source in sources}})
            table = tabulate_curve(points, HEADLINES)
            for row in table[table["part"] == "size"].to_dict("records"):
                if row["value"] == row["value"]:
                    mlflow.log_metric(f"{row['data']}.{row['metric']}", row["value"], step=row["n_items"])
            mlflow.log_table(table, "tables/learning_curve.json")
            for name, picture in _draw_curves(table).items():
                mlflow.log_figure(picture, f"pictures/{name}.png")
            return str(run.info.run_id)


#: what a learning curve is drawn of
CURVE_METRICS = ("reasons.micro_f1", "reasons.macro_f1", "primary.accuracy", "evidence.precision", "roles.accuracy")


def _draw_curves(table: "pd.DataFrame") -> "dict[str, Picture]":
    """Draw quality by size of the corpus, and what leaving out a kind of file costs."""
    from matplotlib.figure import Figure as Picture

    names = sorted(table["data"].unique())
    pictures = {}
    for kind in ("by_size", "without_a_kind"):
        picture = Picture(figsize=(6.5 * len(names), 4.5), layout="constrained")
        for axes, data in zip(picture.subplots(1, len(names), squeeze=False)[0], names, strict=True):
            part = table[table["data"] == data]
            (_draw_sizes if kind == "by_size" else _draw_parts)(axes, part)
            axes.set_title(data)
        pictures[f"learning_curve_{kind}"] = picture
    return pictures


def _draw_sizes(axes: Any, table: "pd.DataFrame") -> None:
    for metric in CURVE_METRICS:
        rows = table[(table["part"] == "size") & (table["metric"] == metric)].sort_values("n_items")
        axes.plot(rows["n_items"], rows["value"], marker="o", label=metric)
        axes.fill_between(rows["n_items"], rows["low"], rows["high"], alpha=0.12)
    axes.set_xlabel("items learned from")
    axes.legend(fontsize="small", frameon=False)


def _draw_parts(axes: Any, table: "pd.DataFrame") -> None:
    rows = table[table["metric"] == CURVE_METRICS[0]]
    whole = rows[rows["part"] == "size"].sort_values("n_items")["value"].iloc[-1]
    parts = rows[rows["part"] != "size"].iloc[::-1]
    axes.barh(parts["part"], parts["value"] - whole, color="#4878a8")
    axes.axvline(0, color="#203040", linewidth=0.8)
    axes.set_xlabel(f"change of {CURVE_METRICS[0]}; all files: {whole:.3f}")


def open_run(store: str, *, name: str) -> str:
    """Open a run and give its id, so that the saved model can name the run that made it.

    Raises
    ------
    TrackingError
        The store cannot be reached or refuses.
    """
    with _connect(store) as mlflow:
        mlflow.set_experiment(EXPERIMENT)
        with mlflow.start_run(run_name=name) as run:
            return str(run.info.run_id)


def _log_model(mlflow: Any, bundle: Path, example: ItemText) -> None:
    import pandas as pd

    inputs = pd.DataFrame(
        [
            {
                "rationale": example.rationale,
                "treatment": example.treatment or "",
                "summary": example.summary or "",
                "claims_administrator_guideline": example.claims_administrator_guideline or "",
            }
        ]
    )
    outputs = pd.DataFrame(
        [{"reasons": "", "primary_reason": "", **{f"{task}_probability": 0.5 for task in OUTCOME_TASKS}}]
    )
    mlflow.pyfunc.log_model(
        name="model",
        python_model=str(Path(__file__).with_name("pyfunc.py")),
        artifacts={"bundle": str(bundle)},
        signature=mlflow.models.infer_signature(inputs, outputs),
        input_example=inputs,
        pip_requirements=list(REQUIREMENTS),
    )


def _flatten_figures(figures: Mapping[str, Figure]) -> dict[str, float]:
    """Give finite values, and the interval's ends of the headlines as ".low" and ".high"."""
    metrics = {name: figure.value for name, figure in figures.items()}
    for name, figure in figures.items():
        if name.split(".", 1)[1] in HEADLINES:
            metrics |= {f"{name}.low": figure.low, f"{name}.high": figure.high}
    return {name: value for name, value in metrics.items() if value == value}


def make_headline_table(figures: Mapping[str, Figure], data: str = "corpus_cv") -> "pd.DataFrame":
    """Give one row a headline: value, interval and the baselines beside it."""
    import pandas as pd

    return pd.DataFrame(
        [
            {
                "figure": name,
                "model": figures[f"{data}.{name}"].value,
                "low": figures[f"{data}.{name}"].low,
                "high": figures[f"{data}.{name}"].high,
                **{
                    baseline: figures[key].value
                    for baseline in BASELINES
                    if (key := f"{data}.{name}.{baseline}") in figures
                },
            }
            for name in HEADLINES
            if f"{data}.{name}" in figures
        ]
    )


def make_label_table(figures: Mapping[str, Figure], data: str = "corpus_cv") -> "pd.DataFrame":
    """Give one row a reason: F1, interval and the baselines beside it."""
    import pandas as pd

    rows = []
    for reason in REASONS:
        key = f"{data}.reasons.f1.{reason}"
        baselines = {name: figures[f"{key}.{name}"].value for name in BASELINES if f"{key}.{name}" in figures}
        rows.append(
            {
                "reason": reason,
                "f1": figures[key].value,
                "low": figures[key].low,
                "high": figures[key].high,
                **baselines,
            }
        )
    return pd.DataFrame(rows)


def _draw_pictures(figures: Mapping[str, Figure]) -> "dict[str, Picture]":
    labels = make_label_table(figures)
    headlines = make_headline_table(figures)
    outcomes = headlines[headlines["figure"].str.endswith(".auroc")]
    return {
        "reasons_f1": _draw_bars(labels, "reason", "f1", "F1 (cross-validated on the invented corpus)"),
        "outcomes_auroc": _draw_bars(outcomes, "figure", "model", "AUROC (cross-validated on the invented corpus)"),
    }


def _draw_bars(table: "pd.DataFrame", name: str, value: str, title: str) -> "Picture":
    """Draw one bar a row with its interval, and a mark for each baseline."""
    from matplotlib.figure import Figure as Picture

    rows = table.iloc[::-1]
    picture = Picture(figsize=(9, 1.2 + 0.36 * len(rows)), layout="constrained")
    axes = picture.subplots()
    places = range(len(rows))
    errors = [(rows[value] - rows["low"]).clip(lower=0), (rows["high"] - rows[value]).clip(lower=0)]
    axes.barh(places, rows[value], xerr=errors, color="#4878a8", ecolor="#203040", label="model, 95 % interval")
    for baseline, marker in zip((b for b in BASELINES if b in rows), "ox^+", strict=False):
        axes.scatter(rows[baseline], places, marker=marker, color="#c44e52", zorder=3, label=baseline)
    axes.set_yticks(places, rows[name])
    axes.set_xlim(0, 1)
    axes.set_xlabel(title)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4, frameon=False)
    return picture


def download_model(uri: str, store: str) -> Path:
    """Fetch a logged model's folder by its address ("models:/imr-rationale@champion", "runs:/ID/model").

    Raises
    ------
    TrackingError
        The store does not know it.
    """
    with _connect(store) as mlflow:
        target = Path(tempfile.mkdtemp(prefix="imr-model-"))
        folder = Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=str(target)))
        found = next(folder.rglob("manifest.json"), None)
    if found is None:
        shutil.rmtree(target, ignore_errors=True)
        raise TrackingError(f"{uri}: holds no imr-rationale model")
    return found.parent


def serve_ui(store: str, *, port: int) -> int:
    """Serve the review UI on 127.0.0.1 until it is stopped; gives its exit code."""
    environment = {
        **os.environ,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", store]
    command += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    return subprocess.run(command, env=environment, check=False).returncode  # noqa: S603
