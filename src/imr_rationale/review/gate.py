"""The bars that a model must clear before it replaces the champion."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from imr_rationale.learning.bootstrap import Figure
from imr_rationale.learning.evaluate import HEADLINES
from imr_rationale.learning.evaluation import Evaluation
from imr_rationale.review.compare import Comparison

__all__ = ["Bar", "check_coverage", "check_headlines", "check_labels", "check_leak", "check_speed"]

#: every headline but those of the leak check, which has a bar of its own
GATED = tuple(name for name in HEADLINES if not name.startswith("leak."))
#: the share of the champion's items that a data set must share with it, or it cannot speak for it
SHARED = 0.9
#: another seed of the folds moves a cross-validated figure by as much
SEED_NOISE = 0.01
#: a reason that loses so much F1 has collapsed, whatever the others gain
COLLAPSE = 0.15
#: items that must carry a reason before its loss is believed, as for macro-F1
MIN_SUPPORT = 8
#: what stays tells the sentinel the outcome when its AUROC is above this, and 0.5 below its interval
LEAK_AUROC = 0.55
RESIDUAL, SENTINEL = "leak.residual_rate", "leak.sentinel_auroc"
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
        worse = {name: figure for name, figure in figures.items() if _is_worse(name, figure)}
        losses = (f"{name} {f.value:+.3f} ({f.low:+.3f} to {f.high:+.3f})" for name, f in worse.items())
        text = "; ".join(losses) or f"no headline worse on {found.n_items} items of {found.n_letters} letters"
        yield Bar(f"headlines on {found.name}", not worse, text)


def _is_worse(name: str, figure: Figure) -> bool:
    """Say whether a difference is a loss beyond noise; of an error, less is better."""
    if name.endswith("calibration_error"):
        return figure.low > 0 and figure.value > SEED_NOISE
    return figure.high < 0 and figure.value < -SEED_NOISE


def check_coverage(champion: Mapping[str, Evaluation], comparisons: Iterable[Comparison]) -> Iterator[Bar]:
    """Yield one bar a data set of the champion: the run was measured on it, and on the same items."""
    shared = {found.name: found.n_items for found in comparisons}
    for name, evaluation in champion.items():
        share = shared.get(name, 0) / len(evaluation.items)
        text = f"{shared.get(name, 0)} of the champion's {len(evaluation.items)} items"
        yield Bar(f"items of {name}", share >= SHARED, text)


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
    """Give the bar of the leak check, from the metrics that a run logged.

    A data set whose items have one outcome only has no AUROC and says nothing; one at least must say something.
    """
    names = sorted(name.removesuffix(f".{RESIDUAL}") for name in metrics if name.endswith(f".{RESIDUAL}"))
    leaks = [text for name in names for text in _list_leaks(name, metrics)]
    told = [name for name in names if f"{name}.{SENTINEL}" in metrics]
    if not told:
        leaks.append("the run has no leak check that says anything")
    return Bar("leak check", not leaks, "; ".join(leaks) or f"nothing of the verdict is left ({', '.join(told)})")


def _list_leaks(name: str, metrics: Mapping[str, float]) -> Iterator[str]:
    residual = metrics[f"{name}.{RESIDUAL}"]
    if residual > 0:
        yield f"{name}: a phrase of decision is left in {residual:.1%} of the items"
    auroc, low = metrics.get(f"{name}.{SENTINEL}", 0.5), metrics.get(f"{name}.{SENTINEL}.low", 0.5)
    if auroc > LEAK_AUROC and low > 0.5:
        yield f"{name}: what stays tells the sentinel the outcome (AUROC {auroc:.2f}, at least {low:.2f})"


def check_speed(speed: float, champion: float) -> Bar:
    """Give the bar of throughput; both in items a second, measured in one process."""
    ratio = speed / champion
    return Bar("throughput", ratio >= SPEED_SHARE, f"{speed:.0f} items/s, {ratio:.2f} of the champion's {champion:.0f}")
