"""Two models on the same items: what one does better, what it does worse, and which items turned."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from imr_rationale.errors import AnnotationError
from imr_rationale.labels import NONE_STATED, REASONS
from imr_rationale.learning.bootstrap import N_BOOTSTRAP, Figure
from imr_rationale.learning.evaluate import HEADLINES, compare_predictions
from imr_rationale.learning.evaluation import EvaluatedItem, Evaluation
from imr_rationale.learning.gold import fold_words
from imr_rationale.review.artifacts import save_picture, write_table
from imr_rationale.review.pictures import AGAINST_COLOR, LINE_COLOR, MODEL_COLOR, OTHER_COLOR

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure as Picture

__all__ = ["Comparison", "compare_evaluations", "draw_differences", "tabulate_differences", "write_comparison"]

Pair = tuple[EvaluatedItem, EvaluatedItem]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two evaluations on the items that both hold.

    Attributes
    ----------
    name : str
        Of the data set.
    n_items, n_letters, n_left_out : int
        What was compared; items of one evaluation that the other does not hold, or holds with another text or other
        annotations.
    differences : mapping of str to Figure
        First less second, with the interval of a bootstrap that draws the same letters for both.
    labels : DataFrame
        One row a reason: `reason`, `annotated`, `difference` (of F1), `low`, `high`, `won` and `lost` (items).
    flips : DataFrame
        One row an item that either model reads better: `id`, `outcome`, `annotated`, `first`, `second`, `gained`,
        `lost`, `primary`, `first_primary`, `second_primary`, `treatment`. What was gained or lost are reasons.
    """

    name: str
    n_items: int
    n_letters: int
    n_left_out: int
    differences: Mapping[str, Figure]
    labels: "pd.DataFrame"
    flips: "pd.DataFrame"


def compare_evaluations(first: Evaluation, second: Evaluation, *, n_bootstrap: int = N_BOOTSTRAP) -> Comparison:
    """Compare two evaluations on the items that both hold.

    Raises
    ------
    AnnotationError
        They have no item in common.
    """
    pairs = _pair_items(first, second)
    if not pairs:
        raise AnnotationError(f"{first.name}: no item in common")
    gold = [one.gold for one, _ in pairs]
    differences = compare_predictions(
        [one.prediction for one, _ in pairs], [other.prediction for _, other in pairs], gold, n_bootstrap=n_bootstrap
    )
    return Comparison(
        name=first.name,
        n_items=len(pairs),
        n_letters=len({item.letter for item in gold}),
        n_left_out=len(first.items) + len(second.items) - 2 * len(pairs),
        differences=differences,
        labels=_tabulate_labels(pairs, differences),
        flips=_list_flips(pairs),
    )


def _pair_items(first: Evaluation, second: Evaluation) -> list[Pair]:
    others = {(item.gold.letter, item.gold.item): item for item in second.items}
    pairs = [(item, others.get((item.gold.letter, item.gold.item))) for item in first.items]
    return [(one, other) for one, other in pairs if other is not None and _is_same(one, other)]


def _is_same(one: EvaluatedItem, other: EvaluatedItem) -> bool:
    same_text = fold_words(one.gold.text) == fold_words(other.gold.text)
    return same_text and one.gold.annotations == other.gold.annotations


def _list_right(item: EvaluatedItem, reason: str) -> float:
    """Give the share of the annotators that the model agrees with about a reason."""
    shown = reason in _list_shown(item)
    return sum((reason in a.reasons) == shown for a in item.gold.annotations) / len(item.gold.annotations)


def _list_shown(item: EvaluatedItem) -> list[str]:
    return [reason.label for reason in item.prediction.reasons] if item.prediction else []


def _tabulate_labels(pairs: list[Pair], differences: Mapping[str, Figure]) -> "pd.DataFrame":
    import pandas as pd

    rows = []
    for reason in REASONS:
        gains = [_list_right(one, reason) - _list_right(other, reason) for one, other in pairs]
        figure = differences[f"reasons.f1.{reason}"]
        annotated = sum(reason in a.reasons for one, _ in pairs for a in one.gold.annotations)
        row = {"reason": reason, "annotated": annotated / len(pairs[0][0].gold.annotations)}
        row |= {"difference": figure.value, "low": figure.low, "high": figure.high}
        rows.append({**row, "won": sum(gain > 0 for gain in gains), "lost": sum(gain < 0 for gain in gains)})
    return pd.DataFrame(rows)


FLIP_COLUMNS = (
    "id outcome annotated first second gained lost primary first_primary second_primary treatment".split()  # noqa: SIM905
)


def _list_flips(pairs: list[Pair]) -> "pd.DataFrame":
    import pandas as pd

    rows = [_describe_flip(one, other) for one, other in pairs]
    return pd.DataFrame([row for row in rows if row], columns=FLIP_COLUMNS)


def _describe_flip(one: EvaluatedItem, other: EvaluatedItem) -> dict[str, object]:
    gains = {reason: _list_right(one, reason) - _list_right(other, reason) for reason in REASONS}
    primaries = [(i.prediction.primary_reason if i.prediction else None) or NONE_STATED for i in (one, other)]
    wanted = sorted({a.primary for a in one.gold.annotations})
    if not any(gains.values()) and (primaries[0] in wanted) == (primaries[1] in wanted):
        return {}
    annotated = sorted({reason for a in one.gold.annotations for reason in a.reasons})
    return {
        "id": f"{one.gold.letter}/{one.gold.item}",
        "outcome": one.gold.outcome,
        "annotated": ", ".join(annotated),
        "first": ", ".join(_list_shown(one)),
        "second": ", ".join(_list_shown(other)),
        "gained": ", ".join(reason for reason, gain in gains.items() if gain > 0),
        "lost": ", ".join(reason for reason, gain in gains.items() if gain < 0),
        "primary": ", ".join(wanted),
        "first_primary": primaries[0],
        "second_primary": primaries[1],
        "treatment": one.text.treatment if one.text else None,
    }


def tabulate_differences(comparison: Comparison) -> "pd.DataFrame":
    """Give one row a headline: `figure`, `difference`, `low`, `high`, and whether zero is outside the interval."""
    import pandas as pd

    return pd.DataFrame(
        [
            {
                "figure": name,
                "difference": figure.value,
                "low": figure.low,
                "high": figure.high,
                "tells": figure.low > 0 or figure.high < 0,
            }
            for name in HEADLINES
            if (figure := comparison.differences.get(name)) is not None
        ]
    )


def draw_differences(comparison: Comparison, first: str, second: str) -> "Picture":
    """Draw each headline's difference with its interval."""
    from matplotlib.figure import Figure as Picture

    rows = tabulate_differences(comparison).iloc[::-1]
    picture = Picture(figsize=(9, 1.4 + 0.32 * len(rows)), layout="constrained")
    axes = picture.subplots()
    for place, row in enumerate(rows.to_dict("records")):
        color = LINE_COLOR if not row["tells"] else AGAINST_COLOR if row["difference"] > 0 else OTHER_COLOR
        if row["figure"].endswith("calibration_error") and row["tells"]:
            color = AGAINST_COLOR if row["difference"] < 0 else OTHER_COLOR
        axes.plot([row["low"], row["high"]], [place, place], color=color)
        axes.plot(row["difference"], place, "o", color=color)
    axes.axvline(0, color=MODEL_COLOR, linewidth=0.8)
    axes.set_yticks(range(len(rows)), rows["figure"])
    axes.set_xlabel(f"{first} less {second}; green better, orange worse, dark: the items cannot tell")
    axes.set_title(f"{comparison.name}: {comparison.n_items} items of {comparison.n_letters} letters", loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    return picture


def write_comparison(comparison: Comparison, folder: Path, first: str, second: str) -> None:
    """Write the tables and the picture of a comparison into `folder`, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    write_table(tabulate_differences(comparison), folder / "differences.json")
    write_table(comparison.labels, folder / "reasons.json")
    write_table(comparison.flips, folder / "flips.json")
    save_picture(draw_differences(comparison, first, second), folder / "differences.png")
