"""How long one waits: for a prediction, for the model, for a command."""

import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import numpy as np

from bench.figures import CPU, WALL, Figure, Sizes, Target, summarize
from bench.letters import list_rationales, make_letters
from bench.predicting import write_folder
from bench.processes import IMR, run_command

__all__ = ["measure"]

LOAD = """
import sys, time
begun = time.perf_counter()
from imr_rationale.serving.predict import load_model
imported = time.perf_counter()
load_model()
print(imported - begun, time.perf_counter() - imported)
"""


def measure(sizes: Sizes, folder: Path) -> Iterator[Figure]:
    """Measure one prediction after load, then cold processes."""
    yield from _measure_predictions(sizes)
    yield from _measure_load(sizes)
    letter = next(write_folder(list(make_letters(1)), folder / "latency").iterdir())
    commands = {
        "latency.predict_command": ("`imr predict LETTER`, cold", [IMR, "predict", letter], 2.0),
        "latency.help_command": ("`imr --help`", [IMR, "--help"], 0.15),
    }
    found: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(sizes.starts):
        for name, (_, command, _) in commands.items():
            found[name].append(_time_command(command))
    for name, (what, _, bound) in commands.items():
        yield Figure(name, what, **summarize(found[name]), unit="s", clock=WALL, target=_at_most(bound))


def _at_most(bound: float) -> Target:
    return Target(bound, at_least=False, of_ratio=False)


def _time_command(command: list[object]) -> float:
    run = run_command(command)
    if run.code:
        raise RuntimeError(run.error)
    return run.wall


def _measure_predictions(sizes: Sizes) -> Iterator[Figure]:
    from imr_rationale import load_model, predict

    load_model()
    texts = list_rationales(sizes.latencies + 20)
    for text in texts[sizes.latencies :]:
        predict(text)
    walls, cpus = [], []
    for text in texts[: sizes.latencies]:
        begun, begun_cpu = time.perf_counter(), time.process_time()
        predict(text)
        walls.append(1000 * (time.perf_counter() - begun))
        cpus.append(1000 * (time.process_time() - begun_cpu))
    for clock, values in ((WALL, walls), (CPU, cpus)):
        for share, bound in ((50, 2.0), (99, 6.0)):
            yield Figure(
                f"latency.p{share}_{clock.lower()}", f"one `predict` after load, p{share}",
                float(np.percentile(values, share)), "ms", clock, sizes.latencies,
                target=_at_most(bound) if clock == WALL else None,
            )  # fmt: skip


def _measure_load(sizes: Sizes) -> Iterator[Figure]:
    import sys

    imports, loads = [], []
    for _ in range(sizes.starts):
        run = run_command([sys.executable, "-c", LOAD])
        if run.code:
            raise RuntimeError(run.error)
        imported, loaded = map(float, run.output.split())
        imports.append(imported)
        loads.append(loaded)
    yield Figure(
        "latency.import", "imports before the model, fresh process", **summarize(imports), unit="s", clock=WALL
    )
    yield Figure(
        "latency.load", "model load, fresh process, after imports", **summarize(loads), unit="s", clock=WALL,
        target=_at_most(0.5),
    )  # fmt: skip
    yield Figure(
        "latency.import_and_load", "imports and model load", median(map(sum, zip(imports, loads, strict=True))), "s", WALL,
        n_rounds=len(loads),
    )  # fmt: skip
