"""Learning curves: what more of the corpus, and each kind of its files, is worth on items not learned from."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from imr_rationale.learning.bootstrap import Figure
from imr_rationale.learning.evaluate import evaluate_predictions
from imr_rationale.learning.measure import GoldSet, predict_gold
from imr_rationale.learning.model import Config
from imr_rationale.learning.train import Progress, TrainingSet, fit_whole, take_items

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SHARES", "CurvePoint", "draw_sizes", "list_kinds", "measure_curve", "tabulate_curve"]

#: shares of the corpus' groups of letters that a curve by size is drawn at
SHARES = (0.1, 0.25, 0.5, 0.75, 1.0)
#: replicates of the bootstrap behind a point
N_BOOTSTRAP = 100


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """A model learned from part of the corpus, and its figures.

    Attributes
    ----------
    name : str
        "size" for a share of everything, "without <kind>" for everything but one kind of file.
    n_items : int
        How many items it learned from.
    figures : dict of str to Figure
        Named "<gold set>.<task>.<metric>".
    """

    name: str
    n_items: int
    figures: dict[str, Figure]


def measure_curve(
    data: TrainingSet, gold_sets: Sequence[GoldSet], config: Config, *, progress: Progress = lambda step: None
) -> Iterator[CurvePoint]:
    """Yield a point for each share of the corpus, then one for the corpus without each kind of file.

    The smaller shares are inside the larger ones; all are drawn by groups of letters.
    """
    parts = [("size", index) for index in draw_sizes(data, random_state=config.random_state)]
    parts += [(f"without {kind}", _leave_out(data, kind)) for kind in list_kinds(data)]
    for name, index in parts:
        progress(f"{name}: {len(index)} items")
        model = fit_whole(take_items(data, index), config)
        figures: dict[str, Figure] = {}
        for gold_set in gold_sets:
            found = evaluate_predictions(predict_gold(model, gold_set), gold_set.gold, n_bootstrap=N_BOOTSTRAP)
            figures |= {f"{gold_set.name}.{metric}": figure for metric, figure in found.items()}
        yield CurvePoint(name, len(index), figures)


def tabulate_curve(points: Sequence[CurvePoint], metrics: Sequence[str]) -> "pd.DataFrame":
    """Give one row a point, gold set and metric: `part`, `n_items`, `data`, `metric`, `value`, `low`, `high`."""
    import pandas as pd

    return pd.DataFrame(
        [
            {"part": point.name, "n_items": point.n_items, "data": data, "metric": metric, **asdict(figure)}
            for point in points
            for name, figure in point.figures.items()
            for data, _, metric in [name.partition(".")]
            if metric in metrics
        ]
    )


def draw_sizes(data: TrainingSet, *, random_state: int) -> Iterator[np.ndarray]:
    """Yield the items of each share of `SHARES`, drawn by groups of letters and nested."""
    groups = np.random.default_rng(random_state).permutation(np.unique(data.groups))
    for share in SHARES:
        kept = groups[: max(1, round(share * len(groups)))]
        yield np.flatnonzero(np.isin(data.groups, kept))


def list_kinds(data: TrainingSet) -> tuple[str, ...]:
    """Give the kinds of corpus files, the first word of their names, where there are two or more."""
    kinds = sorted({_take_kind(file) for file in data.files})
    return tuple(kinds) if len(kinds) > 1 else ()


def _leave_out(data: TrainingSet, kind: str) -> np.ndarray:
    return np.flatnonzero([_take_kind(file) != kind for file in data.files])


def _take_kind(file: str) -> str:
    return file.partition("_")[0]
