"""Curves: precision against recall, calibration, quality by certainty, quality by size of the corpus."""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score, precision_recall_curve

from imr_rationale.labels import OUTCOME_TASKS, REASONS
from imr_rationale.learning.evaluation import Evaluation
from imr_rationale.review.pictures import LINE_COLOR, MODEL_COLOR, OTHER_COLOR, describe
from imr_rationale.review.tables import collect_scores

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure as Picture

__all__ = ["draw_calibration", "draw_certainty", "draw_learning_curves", "draw_precision_recall"]

#: bins of a calibration curve, as of the expected calibration error
N_BINS = 10
#: what a learning curve is drawn of
CURVE_METRICS = ("reasons.micro_f1", "reasons.macro_f1", "primary.accuracy", "evidence.precision", "roles.accuracy")


def draw_precision_recall(evaluation: Evaluation) -> "Picture":
    """Draw precision against recall of each reason, with the point where the model stands and the base rate."""
    from matplotlib.figure import Figure as Picture

    y_true, scores = collect_scores(evaluation)
    thresholds = np.array([item.thresholds for item in evaluation.items for _ in item.gold.annotations])
    picture = Picture(figsize=(13, 13), layout="constrained")
    for j, (axes, reason) in enumerate(
        zip(picture.subplots(4, 4, sharex=True, sharey=True).flat, REASONS, strict=True)
    ):
        _draw_precision_recall(axes, y_true[:, j], scores[:, j], scores[:, j] >= thresholds[:, j])
        axes.set_title(reason, fontsize="small")
    picture.supxlabel("recall")
    picture.supylabel("precision")
    picture.suptitle(f"{describe(evaluation)}; dot: the model's threshold, dotted: base rate")
    return picture


def _draw_precision_recall(
    axes: Any, y_true: npt.NDArray[np.bool_], scores: npt.NDArray[np.float64], shown: npt.NDArray[np.bool_]
) -> None:
    axes.set_xlim(0, 1.02)
    axes.set_ylim(0, 1.02)
    if not y_true.any():
        axes.text(0.5, 0.5, "never annotated", ha="center")
        return
    precision, recall, _ = precision_recall_curve(y_true, scores)
    axes.step(recall, precision, where="post", color=MODEL_COLOR)
    axes.axhline(y_true.mean(), color=LINE_COLOR, linewidth=0.8, linestyle=":")
    hits = (y_true & shown).sum()
    axes.plot(hits / y_true.sum(), hits / max(shown.sum(), 1), "o", color=OTHER_COLOR)
    axes.text(0.04, 0.06, f"average precision {average_precision_score(y_true, scores):.2f}", fontsize=8)


def draw_calibration(evaluation: Evaluation) -> "Picture":
    """Draw how often what has a probability comes true, for all reasons together and each outcome task."""
    from matplotlib.figure import Figure as Picture

    y_true, scores = collect_scores(evaluation)
    parts = {"reasons": (y_true.ravel(), scores.ravel())}
    overturned = np.array([item.gold.outcome == "Overturned" for item in evaluation.items])
    for task in OUTCOME_TASKS:
        found = [getattr(item.prediction.outcome, task) if item.prediction else None for item in evaluation.items]
        known = np.array([one is not None for one in found])
        if known.any():
            parts[task] = (overturned[known], np.array([one.probability for one in found if one is not None]))
    picture = Picture(figsize=(4.2 * len(parts), 4.6), layout="constrained")
    for axes, (name, (truth, proba)) in zip(np.ravel(picture.subplots(1, len(parts))), parts.items(), strict=True):
        _draw_reliability(axes, truth, proba)
        axes.set_title(name)
    picture.suptitle(f"{describe(evaluation)}; bars: 95 % interval (Wilson), grey: share of the predictions")
    return picture


def _draw_reliability(axes: Any, y_true: npt.NDArray[np.bool_], proba: npt.NDArray[np.float64]) -> None:
    from scipy.stats import binomtest

    bins = np.minimum((proba * N_BINS).astype(int), N_BINS - 1)
    axes.bar(np.arange(N_BINS) / N_BINS, np.bincount(bins, minlength=N_BINS) / len(bins), width=1 / N_BINS,
             align="edge", color="#d9dee4")  # fmt: skip
    axes.plot([0, 1], [0, 1], color=LINE_COLOR, linewidth=0.8, linestyle=":")
    for b in np.unique(bins):
        members = bins == b
        rate = float(y_true[members].mean())
        interval = binomtest(int(y_true[members].sum()), int(members.sum())).proportion_ci(method="wilson")
        error = [[max(rate - interval.low, 0)], [max(interval.high - rate, 0)]]
        axes.errorbar(proba[members].mean(), rate, yerr=error, fmt="o", color=MODEL_COLOR, capsize=2)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_xlabel("probability")
    axes.set_ylabel("share that is so")


def draw_certainty(evaluation: Evaluation) -> "Picture":
    """Draw micro-F1 of the reasons over the most certain share of the items."""
    from matplotlib.figure import Figure as Picture

    y_true, scores = collect_scores(evaluation)
    items = [(item, annotation) for item in evaluation.items for annotation in item.gold.annotations]
    thresholds = np.array([item.thresholds for item, _ in items])
    certainty = [(item.prediction.certainty if item.prediction else None) or 0.0 for item, _ in items]
    order = np.argsort(-np.array(certainty), kind="stable")
    y_true, y_pred = y_true[order], (scores >= thresholds)[order]
    hits = 2 * (y_true & y_pred).sum(axis=1).cumsum()
    f1 = hits / np.maximum((y_true.sum(axis=1) + y_pred.sum(axis=1)).cumsum(), 1)
    share = np.arange(1, len(order) + 1) / len(order)
    picture = Picture(figsize=(7, 4.5), layout="constrained")
    axes = picture.subplots()
    start = len(order) // 20  # the first few items jump about
    axes.plot(share[start:], f1[start:], color=MODEL_COLOR)
    axes.axhline(0.9, color=LINE_COLOR, linewidth=0.8, linestyle=":")
    axes.set_xlim(0, 1)
    axes.set_xlabel("share of the items, the most certain first")
    axes.set_ylabel("micro-F1 of their reasons")
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(describe(evaluation), fontsize="medium", loc="left")
    return picture


def draw_learning_curves(table: "pd.DataFrame") -> "dict[str, Picture]":
    """Draw quality by size of the corpus, and what leaving out a kind of file costs.

    Parameters
    ----------
    table : DataFrame
        As `tabulate_curve` gives it.
    """
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
    axes.barh(parts["part"], parts["value"] - whole, color=MODEL_COLOR)
    axes.axvline(0, color=LINE_COLOR, linewidth=0.8)
    axes.set_xlabel(f"change of {CURVE_METRICS[0]}; all files: {whole:.3f}")
