"""The model card: what a model is for, what it learned from, how good it is and where it ends."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from imr_rationale.learning.baselines import BASELINES
from imr_rationale.learning.evaluate import HEADLINES
from imr_rationale.review.tables import CEILING

__all__ = ["CARD", "format_card", "format_figure_table", "format_summary", "write_card"]

CARD = "card.md"
#: headlines of a card in short
BRIEF = (
    "reasons.micro_f1",
    "reasons.macro_f1",
    "primary.accuracy",
    "evidence.precision",
    "evidence.recall",
    "roles.accuracy",
    "verdict.auroc",
    "reasoning.auroc",
    "forecast.auroc",
)

INTENDED_USE = (
    "Describing decisions already made: counting reasons over many letters, finding the sentences that show them, "
    "ranking items for a reader. `certainty` says which items to leave to a reader."
)
OUT_OF_SCOPE = (
    "Approving, modifying or denying a request; scoring reviewers, physicians or attorneys; legal or medical advice; "
    "pages about one person. California Labor Code 4610 leaves denials to licensed physicians."
)
LIMITS = (
    "The outcome is the reviewer's decision, not the truth.",
    "The corpus is invented; figures on it say little about real letters.",
    "Rare and residual reasons are read poorly: see the reasons below.",
    "The forecast, from what is known before the decision, is hardly better than the base rate on real letters.",
    "Letters of other years than 2016 and 2017 and of other layouts were not measured.",
)
#: data set -> how its figures came about
DATA_TEXTS: Mapping[str, str] = MappingProxyType(
    {
        "corpus_cv": "the invented corpus, cross-validated by writer",
        "letters_cv": "real letters, cross-validated by letter, against one annotator",
        "heldout": "invented letters by other writers, not learned from",
        "real": "real letters, not learned from, the mean over annotators",
    }
)


def write_card(folder: Path, manifest: Mapping[str, Any], name: str | None = None) -> None:
    """Write the card of the model in `folder` beside it; the model is called as the folder, unless it has a name."""
    (folder / CARD).write_text(format_card(manifest, name or folder.name), encoding="utf-8")


def format_card(manifest: Mapping[str, Any], name: str) -> str:
    """Give the model card as Markdown.

    Parameters
    ----------
    manifest : mapping
        As saved beside the model.
    name : str
        What the card calls the model.
    """
    figures = manifest["figures"]
    measured = manifest["data"].get("measured", {})
    parts = [
        f"# Model card: {name}",
        "Reads decision rationales of California's Independent Medical Review: 16 reasons with the sentences that show "
        "them, a primary reason, and three outcome tasks. Linear models over n-grams and cues; nothing is downloaded.",
        f"**Intended use.** {INTENDED_USE}",
        f"**Out of scope.** {OUT_OF_SCOPE}",
        "**Learned from.** " + ", ".join(_format_source(source) for source in manifest["data"].get("learned_from", ())),
        *(_format_data(figures, data, size) for data, size in measured.items() if f"{data}.{HEADLINES[0]}" in figures),
        _format_reasons(manifest, list(measured)),
        "**Limits.**\n\n" + "\n".join(f"- {limit}" for limit in LIMITS),
        f"**Probabilities** hold at a share of Overturned of {manifest['config']['base_rate']:.0%}; "
        "`imr train --base-rate` makes models for another.",
        "**Made by.** " + _format_origin(manifest),
    ]
    return "\n\n".join(parts) + "\n"


def format_summary(metrics: Mapping[str, float], name: str, note: str = "") -> str:
    """Give the card in short, as a run's description: what for, and a few headlines on each data set.

    Parameters
    ----------
    metrics : mapping
        As a run logs them: "<data>.<task>.<metric>", with ".low" and ".high" behind.
    """
    data = sorted(key.partition(".")[0] for key in metrics if key.endswith(f".{BRIEF[0]}.low"))
    rows = [f"| figure | {' | '.join(data)} |", "| --- " * (1 + len(data)) + "|"]
    for figure in BRIEF:
        cells = [_format_interval(metrics, f"{one}.{figure}") for one in data]
        rows.append(f"| {figure} | {' | '.join(cells)} |")
    parts = [
        note,
        f"# Model card: {name}",
        f"**Intended use.** {INTENDED_USE}",
        f"**Out of scope.** {OUT_OF_SCOPE}",
        "\n".join(rows),
        "\n".join(f"- {one}: {DATA_TEXTS.get(one, 'not learned from')}" for one in data),
        f"95 % intervals. The whole card is the artifact `{CARD}`.",
    ]
    return "\n\n".join(part for part in parts if part)


def _format_interval(metrics: Mapping[str, float], name: str) -> str:
    if name not in metrics:
        return ""
    low, high = (metrics.get(f"{name}.{end}", float("nan")) for end in ("low", "high"))
    return f"{metrics[name]:.3f} ({low:.3f}–{high:.3f})"


def _format_source(source: Mapping[str, str]) -> str:
    return f"{source['name']} (sha256 {source['sha256'][:12]})"


def _format_origin(manifest: Mapping[str, Any]) -> str:
    libraries = ", ".join(f"{library} {version}" for library, version in manifest["libraries"].items())
    run = f"run {manifest['run_id']}; " if manifest.get("run_id") else ""
    sha256 = manifest["sha256"][:12]
    return f"{run}imr-rationale {manifest['package']}, cue rules {manifest['rules']}, model {sha256}, {libraries}."


def _format_data(figures: Mapping[str, Any], data: str, size: Mapping[str, int]) -> str:
    base = figures[f"{data}.verdict.base_rate"]["value"]
    about = f"{size['n_items']} items of {size['n_letters']} letters, {base:.0%} of them Overturned"
    text = DATA_TEXTS.get(data, "not learned from")
    title = f"**{data}**: {text} ({about}; 95 % intervals by bootstrap over letters)."
    return title + "\n\n" + "\n".join(format_figure_table(figures, data))


def format_figure_table(figures: Mapping[str, Any], data: str) -> Sequence[str]:
    """Give the rows of a Markdown table of the headlines of `data`, the baselines and the annotators beside them.

    Parameters
    ----------
    figures : mapping
        Of a manifest: "<data>.<task>.<metric>" -> `value`, `low`, `high`.
    """
    others = {name: name for name in BASELINES} | {CEILING: "annotators"}
    shown = [name for name in others if any(f"{data}.{figure}.{name}" in figures for figure in HEADLINES)]
    rows = [
        "| figure | model | 95 % interval | " + " | ".join(others[name] for name in shown) + " |",
        "| --- " * (3 + len(shown)) + "|",
    ]
    for name in HEADLINES:
        figure = figures.get(f"{data}.{name}")
        if figure is not None:
            cells = [_format(figures.get(f"{data}.{name}.{other}", {}).get("value")) for other in shown]
            interval = f"{_format(figure['low'])}–{_format(figure['high'])}"
            rows.append(f"| {name} | {_format(figure['value'])} | {interval} | " + " | ".join(cells) + " |")
    return rows


def _format_reasons(manifest: Mapping[str, Any], measured: Sequence[str]) -> str:
    rows = [
        "**Reasons**: from which probability on each is shown, and its F1 on each data set.",
        "",
        "| reason | threshold | " + " | ".join(measured) + " |",
        "| --- " * (2 + len(measured)) + "|",
    ]
    for reason, threshold in manifest["thresholds"].items():
        cells = [_format(manifest["figures"].get(f"{data}.reasons.f1.{reason}", {}).get("value")) for data in measured]
        rows.append(f"| {reason} | {threshold:.2f} | " + " | ".join(cells) + " |")
    return "\n".join(rows)


def _format(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
