"""Figures with the interval of a bootstrap over letters, because items of one letter are not independent."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["N_BOOTSTRAP", "Figure", "Measure", "bootstrap_figures"]

#: replicates of the bootstrap; 2.5th and 97.5th percentile are then good to about 0.005
N_BOOTSTRAP = 500

#: indices of items -> named values
Measure = Callable[[npt.NDArray[np.int64]], dict[str, float]]


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float


def bootstrap_figures(
    measure: Measure, letters: Sequence[str], n_bootstrap: int, random_state: int
) -> dict[str, Figure]:
    """Measure all items, and give each figure the 95 % interval of a bootstrap that draws whole letters.

    Parameters
    ----------
    measure : callable
        Indices of items -> named values; a value that a draw cannot have is nan.
    letters : sequence of str
        The letter of each item.
    """
    names, inverse = np.unique(letters, return_inverse=True)
    members = [np.flatnonzero(inverse == k) for k in range(len(names))]
    values = measure(np.arange(len(letters)))
    rng = np.random.default_rng(random_state)
    draws = [
        measure(np.concatenate([members[k] for k in rng.integers(len(names), size=len(names))]))
        for _ in range(n_bootstrap)
    ]
    return {name: _make_figure(value, [draw[name] for draw in draws]) for name, value in values.items()}


def _make_figure(value: float, draws: Sequence[float]) -> Figure:
    known = [draw for draw in draws if np.isfinite(draw)]
    low, high = np.percentile(known, [2.5, 97.5]) if known else (float("nan"), float("nan"))
    return Figure(float(value), float(low), float(high))
