"""Rationales a second through the language pipeline and the model; items a second from letters to JSON Lines."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from bench.figures import CPU, WALL, Figure, Sizes, Target, measure_rates, summarize
from bench.letters import list_rationales, make_item_texts, make_letters
from bench.processes import IMR, Run, run_command

if TYPE_CHECKING:
    from spacy.language import Language

    from imr_rationale.learning.corpus import AnnotatedLetter

__all__ = ["measure_end_to_end", "measure_pipeline", "write_folder"]

RATIONALES, ITEMS = "rationales/s", "items/s"
#: what the issue asks for: of the bare tokenizer's rate, and of one core with two
SHARE_OF_TOKENIZER, TWO_CORES = 0.2, 1.7
#: texts of the long pass for each of the others; the number of a letter that no other part reads
LONG, FAR = 20, 5_000_000
PIPELINE: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "bare_cold": ("bare blank tokenizer, empty vocabulary", ""),
        "docs_cold": ("Doc pipeline, empty vocabulary", "pipeline.bare_cold"),
        "bare_warm": ("bare blank tokenizer, same texts again", ""),
        "docs_warm": ("Doc pipeline, same texts again", "pipeline.bare_warm"),
        "bare_long": (f"bare blank tokenizer, empty vocabulary, {LONG} times as many texts", ""),
        "features": ("Doc pipeline and features, new texts", "pipeline.bare_long"),
        "predict": ("texts -> predictions, in process, new texts", "pipeline.bare_long"),
    }
)


def measure_pipeline(sizes: Sizes, folder: Path) -> Iterator[Figure]:
    """Measure each stage on texts that it has not seen.

    Cold means an empty vocabulary at the beginning, then a single pass over distinct texts: what an archive is to a
    tokenizer, and the floor that is held against. Warm means that it saw these very texts before. A long pass shows
    what cold comes to when most words have been seen.
    """
    from imr_rationale.language.pipeline import make_docs, make_nlp
    from imr_rationale.learning.features import make_features
    from imr_rationale.serving.predict import load_model

    model = load_model()
    n, rounds = sizes.texts, range(sizes.n_rounds)
    texts = [list_rationales(n, start=i * n) for i in rounds]
    items = [make_item_texts(2 * n, start=(len(rounds) + i) * n) for i in rounds]
    many = list_rationales(LONG * n, start=2 * len(rounds) * n)
    model.predict(make_item_texts(20, start=FAR))
    bare: list[Language] = []

    def renew(number: int) -> None:
        bare[:] = [make_bare(), make_bare()]
        make_nlp.cache_clear()
        make_nlp()

    tasks = {
        "bare_cold": lambda i: sum(1 for _ in bare[0].pipe(texts[i])),
        "docs_cold": lambda i: sum(1 for _ in make_docs(texts[i])),
        "bare_warm": lambda i: sum(1 for _ in bare[0].pipe(texts[i])),
        "docs_warm": lambda i: sum(1 for _ in make_docs(texts[i])),
        "features": lambda i: sum(1 for _ in make_features(items[i][:n])),
        "predict": lambda i: len(model.predict(items[i][n:])),
        "bare_long": lambda i: sum(1 for _ in bare[1].pipe(many)),
    }
    rates = measure_rates(tasks, sizes.n_rounds, prepare=renew)
    for name, (what, beside) in PIPELINE.items():
        size = len(many) if name == "bare_long" else n
        yield Figure(
            f"pipeline.{name}", what, **summarize(rates[name]), unit=RATIONALES, clock=CPU, size=size, beside=beside
        )


def make_bare() -> "Language":
    """Build spaCy's tokenizer alone."""
    import spacy

    nlp = spacy.blank("en")
    nlp.max_length = 10_000_000
    return nlp


def measure_end_to_end(sizes: Sizes, folder: Path) -> Iterator[Figure]:
    """Run `imr predict` over a folder of letters, on one core and on two, beside the bare tokenizer.

    Without process start means: less what a run over one letter takes.
    """
    letters = list(make_letters(sizes.predicted_letters))
    files, single = write_folder(letters, folder / "letters"), write_folder(letters[:1], folder / "one")
    texts = [item.rationale for letter in letters for item in letter.items]
    n_items, n_more = len(texts), len(texts) - len(letters[0].items)
    runs: dict[str, list[Run]] = {"one": [], "start": [], "two": [], "start_two": []}
    floors: dict[str, list[float]] = {"cold": [], "warm": []}
    for _ in range(sizes.n_rounds):
        for name, rate in _run_tokenizer(texts).items():
            floors[name].append(rate)
        runs["one"].append(predict_folder(files, folder, 1, n_cores=1))
        runs["start"].append(predict_folder(single, folder, 1, n_cores=1))
        runs["two"].append(predict_folder(files, folder, 2))
        runs["start_two"].append(predict_folder(single, folder, 2))
    for name, about in (("cold", "empty vocabulary"), ("warm", "same texts again")):
        what = f"bare blank tokenizer, {about}"
        yield Figure(f"end.tokenizer_{name}", what, **summarize(floors[name]), unit=RATIONALES, clock=CPU, size=n_items)
    start = median(run.cpu for run in runs["start"])
    yield from _report_one([n_items / run.cpu for run in runs["one"]], "with process start", n_items)
    yield from _report_one([n_more / (run.cpu - start) for run in runs["one"]], "without process start", n_items)
    yield from _report_two(runs, n_items, n_more)
    rates = [n_items / run.cpu for run in runs["two"]]
    what = "letters -> JSON Lines, two workers, with process start"
    yield Figure(
        "end.two_workers_cpu", what, **summarize(rates), unit=ITEMS, clock=CPU, size=n_items, beside="end.one_core"
    )


def _run_tokenizer(texts: Sequence[str]) -> dict[str, float]:
    """Give the tokenizer's rate with an empty vocabulary, then on the same texts again."""
    nlp = make_bare()
    task = {name: lambda _: sum(1 for _ in nlp.pipe(texts)) for name in ("cold", "warm")}
    return {name: rates[0] for name, rates in measure_rates(task, 1).items()}


def _report_one(rates: Sequence[float], about: str, n_items: int) -> Iterator[Figure]:
    """Give the rate of one core, against the floor in both its forms where the process' start is left out."""
    options: dict[str, Any] = {**summarize(rates), "unit": ITEMS, "clock": CPU, "size": n_items}
    what = f"letters -> JSON Lines, one core, {about}"
    if about == "with process start":
        yield Figure("end.one_core", what, beside="end.tokenizer_cold", **options)
        return
    for name, floor in (("end.one_core_running", "cold"), ("end.one_core_running_against_warm", "warm")):
        target = Target(SHARE_OF_TOKENIZER)
        yield Figure(name, f"{what}, floor {floor}", beside=f"end.tokenizer_{floor}", target=target, **options)


def _report_two(runs: Mapping[str, Sequence[Run]], n_items: int, n_more: int) -> Iterator[Figure]:
    """Give the rates of one core and of two workers by the clock on the wall."""
    options: dict[str, Any] = {"unit": ITEMS, "clock": WALL, "size": n_items}
    for about, suffix in (("with process start", ""), ("without process start", "_running")):
        name = f"end.one_core{suffix}_wall"
        rates = _rate_by_wall(runs["one"], runs["start"] if suffix else (), n_more if suffix else n_items)
        yield Figure(name, f"letters -> JSON Lines, one core, {about}", **summarize(rates), **options)
        what = f"letters -> JSON Lines, two workers, {about}"
        against = {"beside": name, "target": Target(TWO_CORES) if suffix else None}
        rates = _rate_by_wall(runs["two"], runs["start_two"] if suffix else (), n_more if suffix else n_items)
        yield Figure(f"end.two_workers{suffix}", what, **summarize(rates), **options, **against)


def _rate_by_wall(runs: Sequence[Run], starts: Sequence[Run], n_items: int) -> list[float]:
    """Give rates without what a run over one letter takes, where such runs are given."""
    start = median(run.wall for run in starts) if starts else 0.0
    return [n_items / (run.wall - start) for run in runs]


def write_folder(letters: Sequence["AnnotatedLetter"], folder: Path) -> Path:
    """Write letters as text files into a folder of their own."""
    from imr_rationale.learning.render import render_pdf_text

    folder.mkdir()
    for letter in letters:
        (folder / f"{letter.id}.txt").write_text(render_pdf_text(letter), encoding="utf-8")
    return folder


def predict_folder(files: Path, folder: Path, n_workers: int, *, n_cores: int | None = None) -> Run:
    """Run `imr predict` over a folder.

    Raises
    ------
    RuntimeError
        It failed.
    """
    run = run_command([IMR, "predict", files, "-o", folder / "out.jsonl", "--workers", n_workers], n_cores=n_cores)
    if run.code:
        raise RuntimeError(run.error)
    return run
