"""The picture of a hyper-parameter search."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from imr_rationale.review.pictures import AGAINST_COLOR, LINE_COLOR, MODEL_COLOR, OTHER_COLOR

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure as Picture

__all__ = ["draw_trials"]


def draw_trials(table: "pd.DataFrame", metric: str, names: Sequence[str]) -> "Picture":
    """Draw the trials in their order with intervals, and the metric against each parameter.

    Parameters
    ----------
    table : DataFrame
        One row a trial: `trial`, `value`, `low`, `high` and the parameters `names`. The first trial is the start.
    """
    from matplotlib.figure import Figure as Picture

    columns = (len(names) + 1) // 2
    picture = Picture(figsize=(3.1 * columns, 9), layout="constrained")
    grid = picture.add_gridspec(3, columns)
    best = int(table["value"].to_numpy().argmax())
    _draw_order(picture.add_subplot(grid[0, :]), table, best, metric)
    for k, name in enumerate(names):
        axes = picture.add_subplot(grid[1 + k // columns, k % columns])
        axes.scatter(table[name], table["value"], color=MODEL_COLOR, s=18)
        axes.scatter(table[name].iloc[[0]], table["value"].iloc[[0]], color=OTHER_COLOR, marker="s")
        axes.scatter(table[name].iloc[[best]], table["value"].iloc[[best]], color=AGAINST_COLOR, marker="*", s=120)
        axes.set_xscale("log")
        axes.set_xlabel(name)
        axes.spines[["top", "right"]].set_visible(False)
    return picture


def _draw_order(axes: Any, table: "pd.DataFrame", best: int, metric: str) -> None:
    value = table["value"].to_numpy()
    errors = [value - table["low"], table["high"] - value]
    axes.errorbar(table["trial"], value, yerr=np.clip(errors, 0, None), fmt="o", color=MODEL_COLOR, elinewidth=0.8)
    axes.plot(table["trial"].iloc[0], value[0], "s", color=OTHER_COLOR, label="as it stood")
    axes.plot(table["trial"].iloc[best], value[best], "*", color=AGAINST_COLOR, markersize=14, label="best")
    axes.axhline(value[0], color=LINE_COLOR, linewidth=0.8, linestyle=":")
    axes.set_xlabel("trial")
    axes.set_title(f"{metric}, 95 % intervals: one that holds the dotted line tells no difference", loc="left")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
