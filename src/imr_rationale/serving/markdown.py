"""The tables of the project's Markdown files: produced from model, labels and corpus, never typed.

``python -m imr_rationale.serving.markdown FILE...`` writes every block between
``<!-- NAME: begin -->`` and ``<!-- NAME: end -->`` anew.
"""

import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from imr_rationale.labels import DESCRIPTIONS, POLARITY, REASONS, ROLES
from imr_rationale.learning.bundle import MANIFEST
from imr_rationale.learning.corpus import AnnotatedLetter, read_corpus
from imr_rationale.learning.evaluate import HEADLINES
from imr_rationale.review.card import CARD, format_card, format_figure_table

__all__ = ["format_counts", "format_figures", "format_models", "format_reasons", "make_blocks", "replace_blocks"]

#: (name of the model, prefix of its figures) -> how the table is introduced
TABLES: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        (
            "embedded",
            "real",
        ): "**The embedded model on real letters**, every distinct rationale once, the mean of the "
        "figures against each annotator; `annotators` is one annotator against the other",
        (
            "champion",
            "letters_cv",
        ): "**The champion on real letters**, cross-validated, every distinct rationale once, against one annotator",
        (
            "embedded",
            "heldout",
        ): "**The embedded model on the held-out part of the invented corpus**, other writers, nothing tuned",
        (
            "embedded",
            "corpus_cv",
        ): "**The embedded model on the invented corpus**, cross-validated by writer, every distinct rationale once",
    }
)


def format_figures(manifests: Mapping[str, Mapping[str, Any]]) -> str:
    """Give one Markdown table for each model and data set that the manifests have figures of.

    Parameters
    ----------
    manifests : mapping
        Name of a model -> its manifest.
    """
    parts = []
    for (model, data), about in TABLES.items():
        figures = manifests.get(model, {}).get("figures", {})
        if f"{data}.{HEADLINES[0]}" in figures:
            base = figures[f"{data}.verdict.base_rate"]["value"]
            size = manifests[model]["data"]["measured"][data]
            sizes = f"{size['n_items']} items of {size['n_letters']} letters, {base:.0%} of them Overturned"
            parts.append(f"{about} ({sizes}).\n\n" + "\n".join(format_figure_table(figures, data)))
    return "\n\n".join(parts)


def format_reasons() -> str:
    """Give the label scheme as a Markdown table."""
    signs = {-1: "−", 0: "±", 1: "+"}
    rows = [f"| `{name}` | {signs[POLARITY[name]]} | {DESCRIPTIONS[name]} |" for name in REASONS]
    return "\n".join(["| reason | | the reviewer's ground |", "| --- | --- | --- |", *rows])


def format_counts(letters: Sequence[AnnotatedLetter]) -> str:
    """Give the corpus' size by file, and in how many items each reason stands, as Markdown tables."""
    items = [(letter.file, item) for letter in letters for item in letter.items]
    sentences = [sentence for _, item in items for sentence in item.sentences]
    roles = Counter(sentence.role for sentence in sentences)
    shares = ", ".join(f"{name} {roles[code] / len(sentences):.0%}" for code, name in ROLES.items())
    overturned = sum(item.outcome == "Overturned" for _, item in items)
    files = Counter(name for name, _ in items)
    reasons = Counter(reason for _, item in items for reason in item.reasons)
    return "\n".join(
        [
            f"{len(letters)} letters, {len(items)} items ({overturned} Overturned), {len(sentences)} sentences:",
            f"{shares}.",
            "",
            "| file | items |",
            "| --- | --- |",
            *(f"| {name} | {count} |" for name, count in sorted(files.items())),
            "",
            "| reason | items |",
            "| --- | --- |",
            *(f"| `{name}` | {reasons[name]} |" for name in REASONS),
        ]
    )


def format_models(manifests: Mapping[str, Mapping[str, Any]]) -> str:
    """Give one Markdown row a model: what it learned from, what it was measured on, the version of its cue rules."""
    rows = ["| model | learned from (sha256) | measured on (items of letters) | cue rules |", "| --- " * 4 + "|"]
    for name, manifest in manifests.items():
        learned = ", ".join(
            f"{source['name']} ({source['sha256'][:12]})" for source in manifest["data"]["learned_from"]
        )
        measured = ", ".join(
            f"{data} ({size['n_items']} of {size['n_letters']})" for data, size in manifest["data"]["measured"].items()
        )
        rows.append(f"| {name} | {learned} | {measured} | version {manifest['rules']} |")
    return "\n".join(rows)


def replace_blocks(text: str, blocks: Mapping[str, str]) -> str:
    """Put each block between its marks in a Markdown text; blocks whose marks are not there are passed over."""
    for name, block in blocks.items():
        before, begin, rest = text.partition(f"<!-- {name}: begin -->")
        _, end, after = rest.partition(f"<!-- {name}: end -->")
        if begin and end:
            text = f"{before}{begin}\n{block}\n{end}{after}"
    return text


def make_blocks(data: Path, models: Path) -> dict[str, str]:
    """Make every block: name -> Markdown."""
    manifests = {name: _read(models / name / MANIFEST) for name in ("champion", "embedded")}
    return {
        "figures": format_figures(manifests),
        "models": format_models({name: manifest for name, manifest in manifests.items() if manifest}),
        "reasons": format_reasons(),
        "counts": "\n\n".join(
            f"**`{name}`**: {format_counts(read_corpus(data / name))}" for name in ("corpus", "heldout")
        ),
    }


def _read(manifest: Path) -> Mapping[str, Any]:
    return json.loads(manifest.read_text(encoding="utf-8")) if manifest.is_file() else {}


if __name__ == "__main__":
    for folder in (Path("models/champion"), Path("models/embedded")):
        (folder / CARD).write_text(format_card(_read(folder / MANIFEST), folder.name), encoding="utf-8")
    made = make_blocks(Path("data"), Path("models"))
    for name in sys.argv[1:]:
        file = Path(name)
        file.write_text(replace_blocks(file.read_text(encoding="utf-8"), made), encoding="utf-8")
