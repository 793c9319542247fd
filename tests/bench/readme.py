"""What the project's page says of its speed, written by the run that measured it."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.figures import Figure, judge
from bench.table import format_number
from imr_rationale.serving.markdown import replace_blocks

__all__ = ["format_plan", "format_speed", "write_readme"]

#: USD of a core for an hour, as clouds ask for general-purpose machines: assumed, not measured
PRICE = 0.05
#: items -> what that is
PLANNED = {"2.5 million (California's archive)": 2.5e6, "10 million": 1e7, "1 billion": 1e9}
CORES = (2, 64, 1024)
#: the figure that the plan is made from
RATE = "end.one_core_running"


def write_readme(figures: Sequence[Figure], machine: Mapping[str, Any], page: Path) -> None:
    """Put the tables between their marks in `page`; a plan is made where the rate of one core was measured."""
    by_name = {figure.name: figure for figure in figures}
    blocks = {"speed": format_speed(figures, machine)}
    if RATE in by_name:
        blocks["plan"] = format_plan(by_name[RATE].value)
    page.write_text(replace_blocks(page.read_text(encoding="utf-8"), blocks), encoding="utf-8")


def format_speed(figures: Sequence[Figure], machine: Mapping[str, Any]) -> str:
    """Give the figures that have a target, and what they were measured on."""
    by_name = {figure.name: figure for figure in figures}
    where = f"{machine['cores']} cores, Python {machine['python']}, {str(machine['date'])[:10]}"
    lines = [
        f"Measured by `make bench` ({where}; load {machine['load'][0]:g} at the beginning):",
        "",
        "| what | measured | beside | ratio | target | |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    return "\n".join([*lines, *(_make_row(figure, by_name) for figure in figures if figure.target)])


def _make_row(figure: Figure, figures: Mapping[str, Figure]) -> str:
    ratio, judgement = judge(figure, figures)
    other = figures.get(figure.beside)
    beside = f"{format_number(other.value)} {other.unit} ({other.what})" if other else ""
    shown = f"{format_number(ratio)}×" if other else ""
    about = ", ".join(part for part in (figure.clock, f"n = {figure.size:,}" if figure.size else "") if part)
    measured = f"{format_number(figure.value)} {figure.unit}{f' ({about})' if about else ''}"
    return f"| {figure.what} | {measured} | {beside} | {shown} | {figure.target} | {judgement.lower()} |"


def format_plan(rate: float) -> str:
    """Give hours and cost at `rate` items a second and core."""
    head = " | ".join(f"{n_cores:,} cores" for n_cores in CORES)
    lines = [
        f"At {rate:,.0f} items a second and core, and {PRICE} USD a core-hour (assumed):",
        "",
        f"| items | {head} | core-hours | cost |",
        f"| --- {'| --- ' * (len(CORES) + 2)}|",
    ]
    return "\n".join([*lines, *_make_plan(rate)])


def _make_plan(rate: float) -> Iterator[str]:
    for name, n_items in PLANNED.items():
        hours = n_items / rate / 3600
        cells = " | ".join(_format_hours(hours / n_cores) for n_cores in CORES)
        yield f"| {name} | {cells} | {hours:,.1f} | {hours * PRICE:,.2f} USD |"


def _format_hours(hours: float) -> str:
    return f"{hours * 60:.1f} min" if hours < 1 else f"{hours:,.1f} h"
