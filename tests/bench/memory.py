"""Peak memory of a batch run over many items against one over few, for each of its processes."""

import json
import math
from collections.abc import Iterator
from pathlib import Path

from bench.figures import WALL, Figure, Sizes, Target
from bench.letters import make_letters
from bench.processes import IMR, Run, run_command

__all__ = ["measure"]

#: many against few, and gigabytes a process
FLAT, MAX_GIGABYTES = 1.2, 1.0
PROCESSES = {"parent": "the command itself", "child": "its largest child"}


def measure(sizes: Sizes, folder: Path) -> Iterator[Figure]:
    """Predict a table of few rows and one of many, every row another rationale."""
    few, many = sizes.table_rows
    for n_workers in (1, 2):
        before = ""
        for n_rows in (few, many):
            table = _write_table(n_rows, folder / f"{n_rows}.jsonl")
            run = _predict(table, folder, n_workers, sizes.seconds)
            name = f"memory.{n_rows}.workers{n_workers}"
            yield from _report(run, n_rows, n_workers, name, before)
            before = name


def _report(run: Run, n_rows: int, n_workers: int, name: str, before: str) -> Iterator[Figure]:
    note = "" if run.code == 0 else (run.error.strip().splitlines() or ["stopped"])[-1]
    with_workers = f", {n_workers} worker{'s' * (n_workers > 1)}"
    for part, about in PROCESSES.items():
        peak = run.peak if part == "parent" else run.peak_child
        what = f"{n_rows:,} rows{with_workers}: peak memory of {about}"
        value = math.nan if note else peak / 1e9
        yield Figure(
            f"{name}.{part}", what, value, "GB", size=n_rows, note=note,
            target=Target(MAX_GIGABYTES, at_least=False, of_ratio=False),
        )  # fmt: skip
        if before:
            what = f"{n_rows:,} rows{with_workers}: growth of {about}"
            yield Figure(
                f"{name}.{part}_growth", what, value, "GB", size=n_rows, beside=f"{before}.{part}", note=note,
                target=Target(FLAT, at_least=False),
            )  # fmt: skip
    rate = math.nan if note else n_rows / run.wall
    yield Figure(f"{name}.rate", f"{n_rows:,} rows{with_workers}: rate", rate, "items/s", WALL, n_rows, note=note)


def _write_table(n_rows: int, path: Path) -> Path:
    if path.exists():
        return path
    with path.open("w", encoding="utf-8") as file:
        n_written = 0
        for letter in make_letters(n_rows):
            for item in letter.items[: n_rows - n_written]:
                row = {"text": item.rationale, "treatment": item.treatment, "outcome": item.outcome}
                file.write(json.dumps(row) + "\n")
                n_written += 1
            if n_written == n_rows:
                break
    return path


def _predict(table: Path, folder: Path, n_workers: int, seconds: float) -> Run:
    columns = ["--text-column", "text", "--treatment-column", "treatment", "--outcome-column", "outcome"]
    output = folder / "table.out.jsonl"
    command = [IMR, "predict", table, "-o", output, "--workers", n_workers, *columns]
    run = run_command(command, watch=True, seconds=seconds)
    output.unlink(missing_ok=True)
    return run
