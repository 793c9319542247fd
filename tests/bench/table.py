"""Figures as a table and as JSON."""

import json
import math
import platform
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import Any

from bench.figures import Figure, Sizes, judge
from imr_rationale.tracking.record import read_commit

__all__ = ["describe_machine", "format_number", "format_table", "make_report", "write_report"]

HEAD = ("what", "measured", "floor or rival", "ratio", "target", "is it?")
LONGEST_NOTE = 60
PACKAGES = ("imr-rationale", "spacy", "scikit-learn", "numpy", "scipy", "pypdfium2", "google-re2", "joblib", "mlflow")


def format_table(figures: Sequence[Figure]) -> str:
    """Give the figures as Markdown, a table a section, and last how many targets are met."""
    by_name = {figure.name: figure for figure in figures}
    rows = {figure.name: _make_row(figure, by_name) for figure in figures}
    widths = [max(len(row[i]) for row in (HEAD, *rows.values())) for i in range(len(HEAD))]
    lines = []
    for section, members in groupby(figures, key=lambda figure: figure.name.partition(".")[0]):
        lines += ["", f"### {section}", "", _set_row(HEAD, widths), _set_row(["-" * width for width in widths], widths)]
        lines += [_set_row(rows[figure.name], widths) for figure in members]
    judgements = Counter(row[-1] for row in rows.values() if row[-1])
    counts = ", ".join(f"{count} {judgement}" for judgement, count in sorted(judgements.items()))
    return "\n".join([*lines[1:], "", f"targets: {counts or 'none'}"])


def _set_row(cells: Sequence[str], widths: Sequence[int]) -> str:
    return f"| {' | '.join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))} |"


def _make_row(figure: Figure, figures: Mapping[str, Figure]) -> tuple[str, ...]:
    ratio, judgement = judge(figure, figures)
    other = figures.get(figure.beside)
    measured = (
        figure.note
        if math.isnan(figure.value)
        else f"{format_number(figure.value)} {figure.unit} {figure.clock}".strip()
    )
    return (
        figure.what,
        measured,
        f"{format_number(other.value)} {other.unit}" if other else "",
        "" if math.isnan(ratio) else f"{format_number(ratio)}×",
        str(figure.target or ""),
        judgement,
    )


def format_number(value: float) -> str:
    """Give three digits that count."""
    if math.isnan(value):
        return "–"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def describe_machine() -> dict[str, Any]:
    """Give what a figure depends on: machine, versions, commit."""
    import os

    cpu = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "date": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "python": sys.version.split()[0],
        "system": platform.platform(),
        "processor": cpu[0].partition(": ")[2] if cpu else platform.processor(),
        "cores": os.cpu_count(),
        "load": [round(value, 2) for value in os.getloadavg()],
        **read_commit(),
        "packages": {name: version(name) for name in PACKAGES},
    }


def make_report(figures: Sequence[Figure], machine: Mapping[str, Any], sizes: Sizes) -> dict[str, Any]:
    """Give everything as JSON knows it: nan is null, a target is text beside its bound."""
    by_name = {figure.name: figure for figure in figures}
    return {"machine": dict(machine), "sizes": asdict(sizes), "figures": [_describe(one, by_name) for one in figures]}


def _describe(figure: Figure, figures: Mapping[str, Figure]) -> dict[str, Any]:
    ratio, judgement = judge(figure, figures)
    plain = {**asdict(figure), "ratio": ratio, "target": str(figure.target or ""), "judgement": judgement}
    return {
        key: None if isinstance(value, float) and math.isnan(value) else value
        for key, value in plain.items()
        if value != ""
    }


def write_report(report: Mapping[str, Any], path: Path) -> None:
    """Write the report as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
