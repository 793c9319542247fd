"""Pictures of an evaluation: bars with intervals, and what is taken for what."""

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from imr_rationale.labels import REASONS
from imr_rationale.learning.baselines import BASELINES
from imr_rationale.learning.evaluation import Evaluation
from imr_rationale.review.tables import (
    CEILING,
    count_confusions,
    count_roles,
    make_headline_table,
    make_label_table,
)
from imr_rationale.review.weights import list_weights

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure as Picture

    from imr_rationale.learning.model import RationaleModel

__all__ = [
    "AGAINST_COLOR",
    "LINE_COLOR",
    "MODEL_COLOR",
    "OTHER_COLOR",
    "describe",
    "draw_headlines",
    "draw_label_confusion",
    "draw_labels",
    "draw_outcomes",
    "draw_role_confusion",
    "draw_weights",
]

#: colours that stay apart for colour-blind readers (Okabe and Ito, "Color Universal Design", 2008)
MODEL_COLOR, OTHER_COLOR, LINE_COLOR, AGAINST_COLOR = "#0072b2", "#d55e00", "#203040", "#009e73"
#: baseline or ceiling -> its mark
MARKERS = {"majority": "x", "rules": "s", "tfidf": "^", "metadata": "d", CEILING: "|"}
# "verdict.auroc", "reasons.calibration_error": figures that have a picture or table of their own
ELSEWHERE_RE = re.compile(r"^(?:(?:verdict|reasoning|forecast|leak)\.|.*calibration_error)")
#: features of each sign drawn for a reason; the table has more
N_DRAWN = 6


def describe(evaluation: Evaluation) -> str:
    """Name a data set with its size: "heldout: 695 items of 271 letters"."""
    sizes = evaluation.sizes
    return f"{evaluation.name}: {sizes['n_items']} items of {sizes['n_letters']} letters"


def draw_headlines(evaluation: Evaluation) -> "Picture":
    """Draw every headline of the reasons, sentences and evidence with its interval, baselines and ceiling."""
    table = make_headline_table(evaluation)
    kept = table[[ELSEWHERE_RE.match(figure) is None for figure in table["figure"]]]
    return _draw_bars(kept, "figure", "model", describe(evaluation))


def draw_labels(evaluation: Evaluation) -> "Picture":
    """Draw F1 of each reason with its interval, beside the ceiling and the baselines."""
    table = make_label_table(evaluation)
    table["reason"] = [
        f"{reason} ({count:.0f})" for reason, count in zip(table["reason"], table["annotated"], strict=True)
    ]
    return _draw_bars(table, "reason", "f1", f"F1 of each reason (items that carry it); {describe(evaluation)}")


def draw_outcomes(evaluation: Evaluation) -> "Picture":
    """Draw AUROC of the three outcome tasks side by side with the leak check."""
    table = make_headline_table(evaluation).set_index("figure")
    rows = {f"{task}.auroc": f"{task}: {text}" for task, text in TASK_TEXTS.items()}
    kept = table.loc[[name for name in rows if name in table.index]].rename(index=rows).reset_index()
    leak = [
        {"figure": text, "model": figure.value, "low": figure.low, "high": figure.high}
        for name, text in LEAK_TEXTS.items()
        if (figure := evaluation.figures.get(f"leak.{name}")) is not None
    ]
    import pandas as pd

    base = evaluation.figures["verdict.base_rate"].value
    title = f"AUROC of Overturned (base rate {base:.0%}); {describe(evaluation)}"
    picture = _draw_bars(pd.concat([kept, pd.DataFrame(leak)], ignore_index=True), "figure", "model", title)
    picture.axes[0].axvline(0.5, color=LINE_COLOR, linewidth=0.8, linestyle=":")
    return picture


TASK_TEXTS = {
    "verdict": "with the verdict's words",
    "reasoning": "without them",
    "forecast": "before the decision",
}
LEAK_TEXTS = {
    "sentinel_auroc": "leak: what stays, to the sentinel",
    "removed_auroc": "leak: what was removed, to the sentinel",
    "planted_auroc": "leak: verdicts planted back, to the sentinel",
}


def _draw_bars(table: "pd.DataFrame", name: str, value: str, title: str) -> "Picture":
    """Draw one bar a row with its interval, and a mark for each baseline and the ceiling."""
    from matplotlib.figure import Figure as Picture

    rows = table.iloc[::-1]
    picture = Picture(figsize=(9, 1.4 + 0.34 * len(rows)), layout="constrained")
    axes = picture.subplots()
    places = np.arange(len(rows))
    errors = [(rows[value] - rows["low"]).clip(lower=0), (rows["high"] - rows[value]).clip(lower=0)]
    axes.barh(places, rows[value], xerr=errors, color=MODEL_COLOR, ecolor=LINE_COLOR, label="model, 95 % interval")
    for other in (*BASELINES, CEILING):
        if other in rows and rows[other].notna().any():
            color, size = (AGAINST_COLOR, 160) if other == CEILING else (OTHER_COLOR, 30)
            label = "annotators" if other == CEILING else other
            axes.scatter(rows[other], places, marker=MARKERS[other], color=color, s=size, zorder=3, label=label)
    axes.set_yticks(places, rows[name])
    axes.set_xlim(0, 1)
    axes.set_title(title, fontsize="medium", loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="upper center", bbox_to_anchor=(0.4, -0.1 - 0.5 / len(rows)), ncols=6, frameon=False)
    return picture


def draw_role_confusion(evaluation: Evaluation) -> "Picture":
    """Draw the annotators' role of a sentence against the model's, as shares of the annotators' role."""
    return _draw_matrix(count_roles(evaluation), "annotators", "model", f"Roles of sentences; {describe(evaluation)}")


def draw_label_confusion(evaluation: Evaluation) -> "Picture":
    """Draw which reason is shown where another was missed."""
    title = f"Reasons missed, by the reasons shown instead (items); {describe(evaluation)}"
    return _draw_matrix(count_confusions(evaluation), "missed", "shown instead", title)


def _draw_matrix(counts: "pd.DataFrame", rows: str, columns: str, title: str) -> "Picture":
    """Draw counts, coloured by their share of the row."""
    from matplotlib.figure import Figure as Picture

    values = counts.to_numpy(dtype=float)
    shares = values / np.maximum(values.sum(axis=1, keepdims=True), 1e-9)
    side = 2.6 + 0.48 * len(counts)
    picture = Picture(figsize=(side + 1.5, side), layout="constrained")
    axes = picture.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for i, j in np.ndindex(*values.shape):
        if values[i, j]:
            color = "white" if shares[i, j] > 0.6 else LINE_COLOR
            axes.text(j, i, f"{values[i, j]:.0f}" if values[i, j] >= 0.95 else "<1", ha="center", va="center",
                      color=color, fontsize=7)  # fmt: skip
    axes.set_xticks(range(len(counts.columns)), counts.columns, rotation=60, ha="right", fontsize=8)
    axes.set_yticks(range(len(counts.index)), counts.index, fontsize=8)
    axes.set_xlabel(columns)
    axes.set_ylabel(rows)
    axes.set_title(title, fontsize="medium", loc="left")
    return picture


def draw_weights(model: "RationaleModel") -> "Picture":
    """Draw the strongest features for and against each reason."""
    from matplotlib.figure import Figure as Picture

    table = list_weights(model)
    picture = Picture(figsize=(18, 20), layout="constrained")
    for axes, reason in zip(picture.subplots(4, 4).flat, REASONS, strict=True):
        rows = table[(table["reason"] == reason) & (table["rank"].abs() <= N_DRAWN)].sort_values("log_odds")
        _draw_weights(axes, rows)
        axes.set_title(reason, fontsize="medium")
    picture.suptitle("What speaks for and against each reason: log-odds that a feature adds in a sentence")
    return picture


def _draw_weights(axes: Any, rows: "pd.DataFrame") -> None:
    names = [
        feature if block == "words" else f"{feature} [{block}]"
        for block, feature in zip(rows["block"], rows["feature"], strict=True)
    ]
    colors = [MODEL_COLOR if value > 0 else OTHER_COLOR for value in rows["log_odds"]]
    axes.barh(range(len(rows)), rows["log_odds"], color=colors)
    axes.set_yticks(range(len(rows)), [name[:44].replace("$", r"\$") for name in names], fontsize=7)
    axes.axvline(0, color=LINE_COLOR, linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
