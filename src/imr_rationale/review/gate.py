"""The bars that a model must clear before it replaces the champion."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from imr_rationale.labels import OUTCOME_TASKS
from imr_rationale.review.compare import Comparison

__all__ = ["Bar", "check_headlines", "check_labels", "check_leak", "check_speed"]

#: the higher the better; what is read with them (calibration, thresholds) is looked at, not barred
GATED = (
    "reasons.micro_f1",
    "reasons.macro_f1",
    "primary.accuracy",
    "evidence.precision",
    "evidence.recall",
    "roles.accuracy",
    "verdict_flags.accuracy",
    *(f"{task}.auroc" for task in OUTCOME_TASKS),
)
#: another seed of the folds moves a cross-validated figure by as much
SEED_NOISE = 0.01
#: a reason that loses so much F1 has collapsed, whatever the others gain
COLLAPSE = 0.15
#: items that must carry a reason before its loss is believed, as for macro-F1
MIN_SUPPORT = 8
#: what stays tells the sentinel the outcome when its AUROC is above this, and 0.5 below its interval
LEAK_AUROC = 0.55
#: share of the champion's speed that a model must keep
SPEED_SHARE = 0.8


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of the gate, whether it is cleared, and what was found."""

    name: str
    passed: bool
    text: str


def check_headlines(comparisons: Iterable[Comparison]) -> Iterator[Bar]:
    """Yield one bar a data set: no headline is worse beyond the noise of its letters and of the folds' seed."""
    for found in comparisons:
        figures = {name: found.differences[name] for name in GATED if name in found.differences}
        worse = {name: f for name, f in figures.items() if f.high < 0 and f.value < -SEED_NOISE}
        losses = (f"{name} {f.value:+.3f} ({f.low:+.3f} to {f.high:+.3f})" for name, f in worse.items())
        text = "; ".join(losses) or f"no headline worse on {found.n_items} items of {found.n_letters} letters"
        yield Bar(f"headlines on {found.name}", not worse, text)


def check_labels(comparisons: Iterable[Comparison]) -> Iterator[Bar]:
    """Yield one bar a data set: no reason collapses."""
    for found in comparisons:
        rows = found.labels
        fallen = rows[
            (rows["annotated"] >= MIN_SUPPORT) & (rows["difference"] <= -COLLAPSE) & (rows["high"] < 0)
        ].to_dict("records")
        text = "; ".join(f"{row['reason']} {row['difference']:+.3f}" for row in fallen)
        yield Bar(f"reasons on {found.name}", not fallen, text or "no reason collapses")


def check_leak(metrics: Mapping[str, float]) -> Bar:
    """Give the bar of the leak check, from the metrics that a run logged."""
    names = sorted(name.partition(".")[0] for name in metrics if name.endswith(".leak.residual_rate"))
    leaks = [
        text
        for name in names
        for text in _list_leaks(
            name,
            metrics[f"{name}.leak.residual_rate"],
            metrics.get(f"{name}.leak.sentinel_auroc", 1.0),
            metrics.get(f"{name}.leak.sentinel_auroc.low", 1.0),
        )
    ]
    if not names:
        leaks = ["the run has no leak check"]
    return Bar("leak check", not leaks, "; ".join(leaks) or f"nothing of the verdict is left ({', '.join(names)})")


def _list_leaks(name: str, residual: float, auroc: float, low: float) -> Iterator[str]:
    if residual > 0:
        yield f"{name}: a phrase of decision is left in {residual:.1%} of the items"
    if auroc > LEAK_AUROC and low > 0.5:
        yield f"{name}: what stays tells the sentinel the outcome (AUROC {auroc:.2f}, at least {low:.2f})"


def check_speed(speed: float, champion: float) -> Bar:
    """Give the bar of throughput; both in items a second, measured in one process."""
    ratio = speed / champion
    return Bar("throughput", ratio >= SPEED_SHARE, f"{speed:.0f} items/s, {ratio:.2f} of the champion's {champion:.0f}")
