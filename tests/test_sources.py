"""Files in, text out; what cannot be read is refused with one line that names it."""

from pathlib import Path

import pytest

from imr_rationale.errors import SourceError
from imr_rationale.learning.corpus import AnnotatedLetter
from imr_rationale.learning.render import render_pdf
from imr_rationale.letters import sources
from imr_rationale.letters.sources import find_files, read_text

TEXT = "Naïve café – “quoted”\nsecond line\n"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(TEXT.encode(), TEXT, id="utf-8"),
        pytest.param(TEXT.encode("utf-8-sig"), TEXT, id="utf-8 with mark"),
        pytest.param(TEXT.encode("utf-16"), TEXT, id="utf-16"),
        pytest.param(TEXT.encode("cp1252"), TEXT, id="windows-1252"),
        pytest.param(TEXT.replace("\n", "\r\n").encode(), TEXT, id="crlf"),
        pytest.param(b"a\x00b", "ab", id="nul"),
    ],
)
def test_read_text_decodes(data: bytes, expected: str, tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_bytes(data)
    assert read_text(path) == expected


def test_read_text_keeps_blank_lines_and_hyphens_of_a_pdf(corpus: tuple[AnnotatedLetter, ...], tmp_path: Path) -> None:
    text = read_text(render_pdf(corpus[0], tmp_path / "letter.pdf"))
    assert "\n\nDecision rationale:" in text
    assert "\r" not in text
    assert "\ufffe" not in text


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        pytest.param("letter.doc", b"x", "unknown kind '.doc'", id="kind"),
        pytest.param("letter.pdf", b"%PDF-1.4 nothing", "no readable PDF", id="damaged pdf"),
        pytest.param("letter.pdf", b"", "no readable PDF", id="empty pdf"),
        pytest.param("missing.txt", None, "No such file", id="missing"),
    ],
)
def test_read_text_refuses(name: str, data: bytes | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(SourceError, match=message) as caught:
        read_text(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_read_text_refuses_a_scan(tmp_path: Path) -> None:
    from reportlab.pdfgen.canvas import Canvas

    path = tmp_path / "scan.pdf"
    canvas = Canvas(str(path))
    canvas.rect(100, 100, 200, 200)
    canvas.showPage()
    canvas.save()
    with pytest.raises(SourceError, match="without text layer"):
        read_text(path)


def test_read_text_refuses_what_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MAX_BYTES", 3)
    path = tmp_path / "letter.txt"
    path.write_bytes(b"four")
    with pytest.raises(SourceError, match="4 bytes; at most 3"):
        read_text(path)


def test_find_files_sorts_and_passes_other_kinds_over(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("b.txt", "a.md", "sub/c.PDF", "notes.docx"):
        (tmp_path / name).write_bytes(b"")
    found = list(find_files([tmp_path, tmp_path / "notes.docx"]))
    assert [path.name for path in found] == ["a.md", "b.txt", "c.PDF", "notes.docx"]
