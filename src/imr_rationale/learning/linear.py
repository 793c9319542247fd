"""Logistic regressions as the one product that prediction needs of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

__all__ = ["Floats", "Linear", "join_linear"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Linear:
    """Log-odds as a linear function.

    Attributes
    ----------
    coef : ndarray of shape (n_features, n_columns)
    intercept : ndarray of shape (n_columns,)
    """

    coef: npt.NDArray[Any]
    intercept: Floats

    def __call__(self, X: sp.csr_matrix | Floats) -> Floats:
        """Give log-odds of shape (n_rows, n_columns); those of a row do not depend on the other rows."""
        # no BLAS: it adds in another order for other numbers of rows, and its threads wait by spinning
        product = X @ self.coef if sp.issparse(X) else np.einsum("ij,kj->ik", X, np.ascontiguousarray(self.coef.T))
        return np.asarray(product + self.intercept, dtype=np.float64)


def join_linear(parts: Sequence[tuple[Linear, int]], n_features: int) -> Linear:
    """Put functions side by side; each reads the features from its offset on, as many as it knows.

    Parameters
    ----------
    parts : sequence of (Linear, offset)
    n_features : int
        Features of all.
    """
    coef = np.zeros((n_features, sum(part.coef.shape[1] for part, _ in parts)), dtype=np.float32)
    column = 0
    for part, offset in parts:
        rows, columns = part.coef.shape
        coef[offset : offset + rows, column : column + columns] = part.coef
        column += columns
    return Linear(coef, np.concatenate([part.intercept for part, _ in parts]))
