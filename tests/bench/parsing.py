"""Letters a second: from text and from PDF, beside reading the file and beside bare extraction."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.figures import CPU, WALL, Figure, Sizes, Target, measure_rates, summarize
from bench.letters import make_letters

if TYPE_CHECKING:
    from imr_rationale.letters.sandbox import Sandbox

__all__ = ["measure"]

UNIT = "letters/s"
ABOUT: Mapping[str, tuple[str, str, Target | None]] = {
    "read_file": ("read the text file", "", None),
    "text": ("text parsed, in process", "parse.read_file", None),
    "text_sandboxed": ("text parsed as `imr parse` does, reader process included", "parse.read_file", None),
    "pdf_bare": ("pypdfium2's bare extraction", "", None),
    "pdf_extracted": ("PDF -> text, in process", "parse.pdf_bare", None),
    "pdf": ("PDF parsed, in process", "parse.pdf_bare", Target(0.6)),
    "pdf_sandboxed": (
        "PDF parsed as `imr parse` does, reader process included",
        "parse.pdf_bare",
        Target(0.6),
    ),
}
#: what two processes do at the same time counts once here
ABOUT_WALL: Mapping[str, tuple[str, str, Target | None]] = {
    "pdf_bare_wall": ("pypdfium2's bare extraction", "", None),
    "pdf_sandboxed_wall": (
        "PDF parsed as `imr parse` does, reader process beside",
        "parse.pdf_bare_wall",
        Target(0.6),
    ),
}


def measure(sizes: Sizes, folder: Path) -> Iterator[Figure]:
    """Parse letters; no two tasks and no two rounds have one in common, as the parser remembers lines."""
    from imr_rationale.letters.sandbox import Sandbox

    with Sandbox() as sandbox:
        jobs: dict[str, Callable[[Sequence[Path]], int]] = {
            "read_file": _read_files,
            "text": _parse_texts,
            "text_sandboxed": lambda files: _parse_sandboxed(sandbox, files),
            "pdf_bare": _extract_bare,
            "pdf_extracted": _extract_pdfs,
            "pdf": _parse_pdfs,
            "pdf_sandboxed": lambda files: _parse_sandboxed(sandbox, files),
            "pdf_bare_wall": _extract_bare,
            "pdf_sandboxed_wall": lambda files: _parse_sandboxed(sandbox, files),
        }
        start = 0
        tasks = {}
        for name, job in jobs.items():
            n_letters, write = (sizes.pdfs, _write_pdfs) if "pdf" in name else (sizes.letters, _write_texts)
            files = []
            for _ in range(sizes.n_rounds):
                files.append(write(n_letters, folder, start))
                start += n_letters
            job(write(2, folder, start))  # imports, tables, the reader's start
            start += 2
            tasks[name] = _bind(job, files)
        for clock, about in ((CPU, ABOUT), (WALL, ABOUT_WALL)):
            rates = measure_rates({name: tasks[name] for name in about}, sizes.n_rounds, clock=clock)
            for name, values in rates.items():
                what, beside, target = about[name]
                size = sizes.pdfs if "pdf" in name else sizes.letters
                yield Figure(
                    f"parse.{name}",
                    what,
                    **summarize(values),
                    unit=UNIT,
                    clock=clock,
                    size=size,
                    beside=beside,
                    target=target,
                )


def _bind(job: Callable[[Sequence[Path]], int], files: Sequence[Sequence[Path]]) -> Callable[[int], int]:
    return lambda number: job(files[number])


def _write_texts(n_letters: int, folder: Path, start: int) -> list[Path]:
    from imr_rationale.learning.render import render_pdf_text

    paths = []
    for letter in make_letters(n_letters, start=start):
        paths.append(folder / f"{letter.id}.txt")
        paths[-1].write_text(render_pdf_text(letter), encoding="utf-8")
    return paths


def _write_pdfs(n_letters: int, folder: Path, start: int) -> list[Path]:
    from imr_rationale.learning.render import render_pdf

    letters = make_letters(n_letters, start=start)
    return [render_pdf(letter, folder / f"{letter.id}.pdf") for letter in letters]


def _read_files(paths: Iterable[Path]) -> int:
    return len([path.read_text(encoding="utf-8") for path in paths])


def _parse_texts(paths: Iterable[Path]) -> int:
    from imr_rationale.letters.layout import parse_letter

    return sum(bool(parse_letter(path.read_text(encoding="utf-8")).items) for path in paths)


def _parse_sandboxed(sandbox: "Sandbox", paths: Sequence[Path]) -> int:
    from imr_rationale.letters.layout import parse_document

    sandbox.expect((path, None) for path in paths)
    return sum(bool(parse_document(step).items) for path in paths for step in sandbox.read(path))


def _extract_bare(paths: Iterable[Path]) -> int:
    import pypdfium2

    n_read = 0
    for path in paths:
        with pypdfium2.PdfDocument(path.read_bytes()) as document:
            n_read += bool([page.get_textpage().get_text_range() for page in document])
    return n_read


def _extract_pdf(path: Path) -> str:
    from imr_rationale.letters.extract import extract_text
    from imr_rationale.letters.limits import Limits

    text, _ = extract_text(path.name, path.read_bytes(), "pdf", Limits())
    return text


def _extract_pdfs(paths: Iterable[Path]) -> int:
    return sum(bool(_extract_pdf(path)) for path in paths)


def _parse_pdfs(paths: Iterable[Path]) -> int:
    from imr_rationale.letters.layout import parse_letter

    return sum(bool(parse_letter(_extract_pdf(path)).items) for path in paths)
