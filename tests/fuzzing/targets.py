"""Longer fuzzing than the test suite's: ``make fuzz``, or ``python tests/fuzzing/targets.py TARGET -max_total_time=60``.

Coverage-guided (libFuzzer through atheris), bounded, seeded with invented letters. A finding stops the run; its input
belongs into ``tests/fuzzing/findings/TARGET``, which the test suite runs for ever after.
"""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

__all__ = ["FINDINGS", "TARGETS", "write_seeds"]

FINDINGS = Path(__file__).parent / "findings"
ROOT = Path(__file__).parents[2]


def check_parse(data: bytes) -> None:
    """Parse any text: only our own errors, and offsets that index the text."""
    from imr_rationale.errors import ImrError
    from imr_rationale.letters.layout import parse_letter

    text = data.decode("utf-8", errors="replace")
    try:
        letter = parse_letter(text)
    except ImrError:
        return
    assert letter.text == text
    for number, item in enumerate(letter.items, start=1):
        assert item.number == number
        assert 0 <= item.start_char <= item.end_char <= len(text)
        if item.rationale_start_char is not None:
            assert item.rationale is not None
            assert 0 <= item.rationale_start_char <= item.rationale_end_char <= len(text)
        check_structure(item)


def check_structure(item: object) -> None:
    """Hold every offset of what was found inside an item against its text."""
    from imr_rationale.records import Found, Item

    assert isinstance(item, Item)
    treatment = item.treatment or ""
    request = item.request
    single = (
        request.category,
        request.quantity,
        request.frequency,
        request.duration,
        request.dose,
        request.side,
        request.timing,
    )
    for found in (*filter(None, single), *request.regions, *request.dates_of_service):
        assert isinstance(found, Found)
        assert 0 <= found.start_char < found.end_char <= len(treatment)
    for line, basis in (
        (item.claims_administrator_guideline, item.claims_administrator_basis),
        (item.reviewer_guideline, item.reviewer_basis),
    ):
        for citation in basis.citations:
            assert (line or "")[citation.start_char : citation.end_char] == citation.text


def check_sources(data: bytes) -> None:
    """Read any bytes as every kind of file: documents or rejects, and nothing else."""
    import tempfile

    from imr_rationale.letters.limits import Limits
    from imr_rationale.letters.sources import Document, Opened, Reject, open_documents
    from imr_rationale.letters.tables import PRESETS

    if not data:
        return
    suffixes = (".txt", ".html", ".docx", ".zip", ".csv", ".jsonl", ".xlsx", ".parquet", ".pdf")
    suffix = suffixes[data[0] % len(suffixes)]
    limits = Limits(bytes=1_000_000, pages=50)
    with tempfile.NamedTemporaryFile(suffix=suffix) as file:
        file.write(data[1:])
        file.flush()
        steps = list(open_documents(Path(file.name), limits, columns=PRESETS["dmhc"]))
    assert steps
    for step, following in zip(steps, [*steps[1:], None], strict=True):
        assert isinstance(step, (Document, Opened, Reject))
        # what the sandbox demands of its child
        assert step.source.startswith(file.name)
        assert not isinstance(step, Opened) or isinstance(following, (Document, Reject))


def check_predict(data: bytes) -> None:
    """Predict any rationale: evidence that stands in it, probabilities that are some."""
    from imr_rationale import predict

    text = data.decode("utf-8", errors="replace")[:20_000]
    found = predict(text)
    assert found.rationale == text
    for reason in found.reasons:
        assert 0 <= reason.probability <= 1
        for evidence in reason.evidence:
            assert text[evidence.start_char : evidence.end_char] == evidence.text
    assert found.primary_reason in {None, *(reason.label for reason in found.reasons)}


#: name -> function that raises when its input shows a fault
TARGETS: Mapping[str, Callable[[bytes], None]] = {
    "parse": check_parse,
    "sources": check_sources,
    "predict": check_predict,
}


def write_seeds(target: str, folder: Path) -> None:
    """Write what a target starts from: letters of every layout, files of every kind, rationales."""
    from imr_rationale.learning.corpus import read_corpus
    from imr_rationale.learning.printed import can_print
    from imr_rationale.learning.render import RENDERERS, render_pdf

    letters = read_corpus(ROOT / "data" / "corpus")[::250]
    seeds: list[bytes] = [path.read_bytes() for path in (FINDINGS / target).glob("*")]
    for letter in letters:
        texts = [
            render(letter)
            for name, render in RENDERERS.items()
            if name != "professional_review" or can_print(letter, name)
        ]
        if target == "parse":
            seeds += [text.encode() for text in texts]
        elif target == "predict":
            seeds += [item.rationale.encode() for item in letter.items]
        else:
            pdf = render_pdf(letter, folder / "seed.pdf")
            seeds += [b"\x00" + texts[0].encode(), b"\x08" + pdf.read_bytes(), *write_files(texts[0], folder)]
    for i, seed in enumerate(seeds):
        (folder / f"seed-{i}").write_bytes(seed)


def write_files(text: str, folder: Path) -> list[bytes]:
    """Give a letter as a file of each kind, the byte that chooses its suffix first."""
    import io
    import zipfile

    import docx
    import pandas as pd

    document = docx.Document()
    for line in text.splitlines():
        document.add_paragraph(line)
    document.save(str(folder / "seed.docx"))
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("letter.txt", text)
    table = pd.DataFrame(
        {"ReferenceID": [1], "Findings": [text], "Determination": ["Upheld"], "TreatmentCategory": ["Rehab"]}
    )
    table.to_parquet(folder / "seed.parquet")
    table.to_excel(folder / "seed.xlsx", index=False)
    return [
        b"\x01<html><body><p>" + text.encode() + b"</p></body></html>",
        b"\x02" + (folder / "seed.docx").read_bytes(),
        b"\x03" + archive.getvalue(),
        b"\x04" + table.to_csv(index=False).encode(),
        b"\x05" + table.to_json(orient="records", lines=True).encode(),
        b"\x06" + (folder / "seed.xlsx").read_bytes(),
        b"\x07" + (folder / "seed.parquet").read_bytes(),
    ]


def main() -> None:
    """Fuzz one target with the options of libFuzzer."""
    import tempfile

    import atheris

    target = sys.argv[1]
    with atheris.instrument_imports(include=["imr_rationale"]):
        import imr_rationale.letters.layout
        import imr_rationale.letters.sources

        if target == "predict":
            import imr_rationale.serving.predict  # noqa: F401

        # what is only imported when it is needed
        TARGETS[target](b"The cane is not medically necessary.")
    with tempfile.TemporaryDirectory() as folder:
        seeds = Path(folder)
        write_seeds(target, seeds)
        for name in ("seed.pdf", "seed.docx", "seed.parquet", "seed.xlsx"):
            (seeds / name).unlink(missing_ok=True)
        options = [f"-artifact_prefix={target}-", "-rss_limit_mb=6000", "-timeout=60", *sys.argv[2:], str(seeds)]
        atheris.Setup([sys.argv[0], *options], TARGETS[target])
        atheris.Fuzz()


if __name__ == "__main__":
    main()
