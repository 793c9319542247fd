"""Throughput of models, measured side by side."""

from collections.abc import Sequence
from statistics import median
from time import perf_counter

from imr_rationale.learning.model import RationaleModel
from imr_rationale.records import ItemText

__all__ = ["N_TEXTS", "measure_speeds"]

#: items that a measurement reads, and how often: about two seconds a model
N_TEXTS, N_ROUNDS = 100, 5


def measure_speeds(models: Sequence[RationaleModel], texts: Sequence[ItemText]) -> list[float]:
    """Give the items a second that each model predicts on one core, language pipeline included.

    The models take turns, so that what else the machine does falls on all of them; the median of the rounds counts.
    """
    times: list[list[float]] = [[] for _ in models]
    for model in models:
        model.predict(texts[:1])
    for _ in range(N_ROUNDS):
        for model, found in zip(models, times, strict=True):
            begun = perf_counter()
            model.predict(texts)
            found.append(perf_counter() - begun)
    return [len(texts) / median(found) for found in times]
