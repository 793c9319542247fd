"""Measure, print a table, write JSON and log a run: ``make bench``, or ``python -m bench`` from tests/."""

import cProfile
import io
import pstats
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import click

from bench import latency, memory, parsing, predicting, rivals, training
from bench.figures import Figure, Sizes
from bench.letters import make_letters
from bench.readme import write_readme
from bench.table import describe_machine, format_table, make_report, write_report

#: section -> what measures it; those that share the machine's warmth stand together
SECTIONS: Mapping[str, Callable[[Sizes, Path], Iterator[Figure]]] = MappingProxyType(
    {
        "parse": parsing.measure,
        "pipeline": predicting.measure_pipeline,
        "end": predicting.measure_end_to_end,
        "latency": latency.measure,
        "rivals": rivals.measure,
        "train": training.measure,
        "memory": memory.measure,
    }
)
QUICK = Sizes(
    n_rounds=3, letters=150, pdfs=60, texts=300, predicted_letters=250, latencies=500, starts=3,
    training=(500, 2_000), table_rows=(2_000, 10_000), rival_items=1_000, rival_epochs=1, seconds=300,
)  # fmt: skip
USUAL = Sizes(
    n_rounds=5, letters=400, pdfs=150, texts=1_000, predicted_letters=1_000, latencies=1_000, starts=5,
    training=(500, 10_000, 100_000), table_rows=(10_000, 100_000), rival_items=3_660, rival_epochs=3, seconds=1_800,
)  # fmt: skip
FULL = Sizes(
    n_rounds=7, letters=1_000, pdfs=400, texts=3_000, predicted_letters=5_000, latencies=2_000, starts=9,
    training=(500, 10_000, 100_000), table_rows=(10_000, 1_000_000), rival_items=3_660, rival_epochs=5, seconds=14_400,
)  # fmt: skip


@click.command()
@click.option("--only", metavar="A,B", help=f"Sections to measure: {', '.join(SECTIONS)}.")
@click.option("--quick", "sizes", flag_value="quick", help="A few minutes, small sizes.")
@click.option("--full", "sizes", flag_value="full", help="Hours: a million items, 100,000 to learn from.")
@click.option("--output", type=click.Path(path_type=Path), default=Path(".bench/bench.json"), show_default=True)
@click.option(
    "--profile", is_flag=True, help="Print where the time of letters -> JSON Lines goes, and measure nothing."
)
@click.option("--no-tracking", is_flag=True, help="Log no MLflow run.")
@click.option("--readme", type=click.Path(path_type=Path), help="Write what was measured into this page, too.")
def main(
    only: str | None, sizes: str | None, output: Path, profile: bool, no_tracking: bool, readme: Path | None
) -> None:
    """Measure speed and memory, in one run so that ratios hold on a noisy machine."""
    chosen = {"quick": QUICK, "full": FULL}.get(sizes or "", USUAL)
    names = only.split(",") if only else list(SECTIONS)
    if unknown := set(names) - set(SECTIONS):
        raise click.UsageError(f"--only {', '.join(sorted(unknown))}: known are {', '.join(SECTIONS)}")
    if profile:
        click.echo(profile_predict(chosen))
        return
    started, machine = time.time(), describe_machine()
    figures = measure(names, chosen)
    click.echo(format_table(figures))
    write_report(make_report(figures, machine, chosen), output)
    if readme:
        write_readme(figures, machine, readme)
    click.echo(f"\nfigures   {output}")
    if not no_tracking:
        click.echo(f"run       {_track(figures, machine, output, started)}")


def measure(names: list[str], sizes: Sizes) -> list[Figure]:
    """Measure the sections one after the other, each in a folder of its own that is removed.

    What runs in this process is kept to one thread: rates are those of one core, and threads of linear algebra that
    wait by spinning count as computing. Commands run as a user's do.
    """
    from threadpoolctl import threadpool_limits

    import imr_rationale.serving.predict  # noqa: F401  (limits hold for what is loaded)

    figures: list[Figure] = []
    for name, section in SECTIONS.items():
        if name in names:
            begun = time.time()
            with threadpool_limits(1), tempfile.TemporaryDirectory() as folder:
                figures += section(sizes, Path(folder))
            click.echo(f"{name}: {time.time() - begun:.0f} s", err=True)
    return figures


def _track(figures: list[Figure], machine: dict[str, object], output: Path, started: float) -> str:
    from bench.track import log_benchmark
    from imr_rationale.tracking.store import resolve_store

    store = resolve_store(None)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "bench.json").write_bytes(output.read_bytes())
        (Path(folder) / "bench.md").write_text(format_table(figures) + "\n", encoding="utf-8")
        return f"{log_benchmark(figures, machine, Path(folder), store, started)} in {store}"


def profile_predict(sizes: Sizes) -> str:
    """Give the functions that take the most time of `imr predict FOLDER`; the reading process is not among them."""
    from imr_rationale.cli import main as imr

    profile, text = cProfile.Profile(), io.StringIO()
    with tempfile.TemporaryDirectory() as folder:
        files = predicting.write_folder(list(make_letters(sizes.predicted_letters)), Path(folder) / "letters")
        command = ["predict", str(files), "-o", str(Path(folder) / "out.jsonl")]
        profile.runcall(imr, command, standalone_mode=False)
    pstats.Stats(profile, stream=text).strip_dirs().sort_stats("tottime").print_stats(30)
    return text.getvalue()


if __name__ == "__main__":
    main()
