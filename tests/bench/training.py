"""Time and memory of training one model, and of a whole `imr train`.

``python -m bench.training N_ITEMS`` trains in a process of its own and prints a JSON object after each step, so that
what came before a step that fails is known.
"""

import json
import math
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from bench.figures import CPU, WALL, Figure, Sizes, Target
from bench.letters import CORPUS, make_letters
from bench.processes import IMR, Run, list_descendants, read_cpu_seconds, read_peak, run_command

__all__ = ["measure"]

#: address space that a training may take: a step that wants more fails alone, not with the machine
MAX_MEMORY = 14_000_000_000
#: the whole run learns from every so-manieth letter of the corpus, some 500 items
EVERY = 7
STEPS = {"prepare": "features and near-duplicate groups", "fit": "fit of one model"}
#: what the issue asks of 100,000 items
TARGET_ITEMS, TARGET_SECONDS, TARGET_GIGABYTES = 100_000, 180, 4
#: cost an item at one size against the size before; "linear", with room for noise
LINEAR = 1.2


def measure(sizes: Sizes, folder: Path) -> Iterator[Figure]:
    """Train at each size in a process of its own, then run `imr train` once.

    On two cores: the threads of linear algebra wait by spinning, and beside other work that costs a multiple.
    """
    costs: dict[int, float] = {}
    for n_items in sizes.training:
        command = [sys.executable, "-m", "bench.training", n_items]
        run = run_command(command, n_cores=2, watch=True, seconds=sizes.seconds)
        steps = {step["step"]: step for step in map(json.loads, run.output.splitlines())}
        yield from _report(n_items, run, steps)
        costs[n_items] = sum(step["cpu"] for step in steps.values()) / n_items if set(steps) == set(STEPS) else math.nan
    for before, after in zip(sizes.training, sizes.training[1:], strict=False):
        yield Figure(
            f"train.{after}.growth", f"cost an item at {after:,} against {before:,}", costs[after] / costs[before], "×",
            CPU, after, target=Target(LINEAR, at_least=False, of_ratio=False),
        )  # fmt: skip
    yield from _measure_command(folder, sizes)


def _report(n_items: int, run: Run, steps: dict[str, dict[str, float]]) -> Iterator[Figure]:
    aimed = n_items == TARGET_ITEMS
    why = run.error.strip().splitlines()[-1:] or [f"stopped after {run.wall:.0f} s"]
    note = "" if len(steps) == len(STEPS) else why[0]
    for name, what in STEPS.items():
        cpu, lost = (steps[name]["cpu"], "") if name in steps else (math.nan, note)
        yield Figure(f"train.{n_items}.{name}", f"{n_items:,} items: {what}", cpu, "s", CPU, n_items, note=lost)
    target = Target(TARGET_SECONDS, at_least=False, of_ratio=False) if aimed else None
    whole = math.nan if note else sum(step["wall"] for step in steps.values())
    yield Figure(
        f"train.{n_items}.seconds",
        f"{n_items:,} items: both steps, on two cores",
        whole,
        "s",
        WALL,
        n_items,
        target=target,
        note=note,
    )
    target = Target(TARGET_GIGABYTES, at_least=False, of_ratio=False) if aimed else None
    peak = max(run.peak, *(step["peak"] for step in steps.values()), 0) / 1e9
    yield Figure(
        f"train.{n_items}.memory", f"{n_items:,} items: peak memory", math.nan if note else peak, "GB", size=n_items,
        target=target, note=note and f"{note}; {peak:.1f} GB until then",
    )  # fmt: skip


def _measure_command(folder: Path, sizes: Sizes) -> Iterator[Figure]:
    """Run `imr train` as it is, cross-validation, baselines, pictures and tracking included."""
    corpus = folder / "corpus"
    corpus.mkdir()
    n_items = 0
    for file in CORPUS.glob("*.txt"):
        letters = file.read_text(encoding="utf-8").split("=== letter ")[1::EVERY]
        n_items += sum(letter.count("--- item") for letter in letters)
        (corpus / file.name).write_text("".join(f"=== letter {letter}" for letter in letters), encoding="utf-8")
    command = [
        IMR,
        "train",
        "--corpus",
        corpus,
        "-o",
        folder / "model",
        "--tracking-uri",
        f"sqlite:///{folder}/train.db",
    ]
    run = run_command(command, watch=True, folder=folder, seconds=sizes.seconds)
    note = "" if run.code == 0 else (run.error.strip().splitlines() or ["stopped"])[-1]
    about = f"`imr train` of {n_items} items, with cross-validation and tracking"
    yield Figure("train.command", about, math.nan if note else run.wall, "s", WALL, n_items, note=note)
    yield Figure("train.command_cpu", about, math.nan if note else run.cpu, "s", CPU, n_items, note=note)
    yield Figure("train.command_memory", f"{about}: peak memory", run.peak / 1e9, "GB", size=n_items, note=note)


def main() -> None:
    """Train on so many items, each step timed."""
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
    train(int(sys.argv[1]))


def train(n_items: int) -> None:
    """Do what `imr train` does for its last model, but for the calibration, which folds would be needed for."""
    import numpy as np

    from imr_rationale.learning.fit import fit_model
    from imr_rationale.learning.model import Config
    from imr_rationale.learning.train import make_training_set

    letters = []
    for letter in make_letters(n_items):
        letters.append(replace(letter, items=letter.items[:n_items]))
        n_items -= len(letters[-1].items)
        if not n_items:
            break
    step = _Step()
    data = make_training_set(letters)
    step.end("prepare")
    fit_model(data.features, data.targets, data.groups, np.ones(len(data)), Config(), writers=data.writers)
    step.end("fit")


class _Step:
    """A clock for one step after the other."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        self.wall, self.cpu = time.perf_counter(), read_cpu_seconds()

    def end(self, name: str) -> None:
        wall, cpu = time.perf_counter() - self.wall, read_cpu_seconds() - self.cpu
        # of all processes, as if each had its peak at the same time and none shared a page
        peak = sum(map(read_peak, (os.getpid(), *list_descendants(os.getpid()))))
        print(json.dumps({"step": name, "wall": wall, "cpu": cpu, "peak": peak}), flush=True)  # noqa: T201
        self.begin()


if __name__ == "__main__":
    main()
