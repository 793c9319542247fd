"""What was measured, what it is held against, and whether that is enough."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from bench.processes import read_cpu_seconds

__all__ = ["CPU", "WALL", "Figure", "Sizes", "Target", "judge", "measure_rates", "summarize"]

CPU, WALL = "CPU", "wall"


@dataclass(frozen=True, slots=True)
class Target:
    """A bound of the issue, on the ratio to `Figure.beside` or on the value itself."""

    bound: float
    at_least: bool = True
    of_ratio: bool = True

    def __str__(self) -> str:
        sign = "≥" if self.at_least else "≤"
        return f"{sign} {self.bound:g}{'×' if self.of_ratio else ''}"


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure.

    Attributes
    ----------
    name : str
        "<section>.<what>", the same in every run.
    value : float
        nan where it could not be measured; `note` says why.
    unit, clock : str
        What it counts, and by which clock: "CPU" sums all processes, "wall" is what a user waits for.
    size, n_rounds : int
        Letters, items, texts … of one round, and rounds behind the median.
    beside : str
        The name of the floor or rival that it is held against.
    low, high : float
        Smallest and largest round.
    """

    name: str
    what: str
    value: float
    unit: str
    clock: str = ""
    size: int = 0
    n_rounds: int = 1
    beside: str = ""
    target: Target | None = None
    note: str = ""
    low: float = math.nan
    high: float = math.nan


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much a run measures."""

    n_rounds: int
    letters: int
    pdfs: int
    texts: int
    predicted_letters: int
    latencies: int
    starts: int
    training: tuple[int, ...]
    table_rows: tuple[int, int]
    rival_items: int
    rival_epochs: int
    seconds: float


def judge(figure: Figure, figures: Mapping[str, Figure]) -> tuple[float, str]:
    """Give the ratio to what the figure is held against (nan without any), and "met", "MISSED", "not measured" or ""."""
    other = figures.get(figure.beside)
    ratio = figure.value / other.value if other and other.value else math.nan
    if figure.target is None:
        return ratio, ""
    value = ratio if figure.target.of_ratio else figure.value
    if math.isnan(value):
        return ratio, "not measured"
    met = value >= figure.target.bound if figure.target.at_least else value <= figure.target.bound
    return ratio, "met" if met else "MISSED"


def measure_rates(
    tasks: Mapping[str, Callable[[int], int]],
    n_rounds: int,
    *,
    prepare: Callable[[int], None] = lambda number: None,
    clock: str = CPU,
) -> dict[str, list[float]]:
    """Give how many a second each task did in each round.

    The tasks take turns, as what else the machine does is to fall on all of them.

    Parameters
    ----------
    tasks : mapping of str to callable
        Number of the round -> how many were done.
    prepare : callable
        Called before each round, outside the time that is taken.
    clock : {"CPU", "wall"}
        Seconds of computing, of all processes, or seconds that a user waits.
    """
    read_clock = read_cpu_seconds if clock == CPU else time.perf_counter
    rates: dict[str, list[float]] = {name: [] for name in tasks}
    for number in range(n_rounds):
        prepare(number)
        for name, task in tasks.items():
            begun = read_clock()
            n_done = task(number)
            rates[name].append(n_done / max(read_clock() - begun, 1e-9))
    return rates


def summarize(values: Sequence[float]) -> dict[str, float | int]:
    """Give median, ends and number of rounds, as a `Figure` takes them."""
    return {"value": median(values), "low": min(values), "high": max(values), "n_rounds": len(values)}
