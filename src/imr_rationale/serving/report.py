"""A model's figures as Markdown, and the README's block of them: produced, never typed.

``python -m imr_rationale.serving.report README.md`` writes the block anew from the bundled champion's manifest.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from imr_rationale.errors import ModelError
from imr_rationale.learning.baselines import BASELINES
from imr_rationale.learning.bundle import find_champion, load_bundle
from imr_rationale.learning.evaluate import HEADLINES

__all__ = ["format_figures", "replace_block"]

BEGIN, END = "<!-- figures: begin (make readme) -->", "<!-- figures: end -->"
#: prefix of a figure's name -> how the table is introduced
ABOUT: Mapping[str, str] = {
    "corpus_cv": "**On the invented corpus**, cross-validated, folds apart by letter and near-duplicate text",
    "real": "**On real letters** that the model did not learn from, every distinct rationale once; the mean of the "
    "figures against each annotator, `annotators` is one annotator against the other",
}


def format_figures(manifest: Mapping[str, Any]) -> str:
    """Give one Markdown table for each data set that the manifest has figures of."""
    figures = manifest["figures"]
    parts = []
    for data, about in ABOUT.items():
        if f"{data}.{HEADLINES[0]}" in figures:
            base = figures[f"{data}.verdict.base_rate"]["value"]
            sizes = manifest["data"].get("measured", {}).get(data, {})
            size = f" ({sizes['n_items']} items of {sizes['n_letters']} letters)" if sizes else ""
            parts.append(f"{about}{size}. {base:.0%} are Overturned.\n\n" + "\n".join(_format_table(figures, data)))
    return "\n\n".join(parts)


def _format_table(figures: Mapping[str, Any], data: str) -> Sequence[str]:
    others = {name: name for name in BASELINES} | {"ceiling": "annotators"}
    shown = [name for name in others if f"{data}.{HEADLINES[0]}.{name}" in figures]
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


def _format(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def replace_block(text: str, block: str) -> str:
    """Put `block` between the marks of a Markdown text.

    Raises
    ------
    ModelError
        The text has no marks.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ModelError(f"no block between {BEGIN!r} and {END!r}")
    return f"{before}{begin}\n{block}\n{end}{after}"


if __name__ == "__main__":
    readme = Path(sys.argv[1])
    manifest = load_bundle(find_champion()).manifest
    readme.write_text(replace_block(readme.read_text(encoding="utf-8"), format_figures(manifest)), encoding="utf-8")
