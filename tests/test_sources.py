"""Files in, documents out: every kind, encoding and table; what cannot be read is refused by one line that names it."""

import codecs
import csv
import html
import io
import json
import zipfile
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from ftfy.badness import BADNESS_RE, MOJIBAKE_CATEGORIES
from hypothesis import given, settings
from hypothesis import strategies as st

from imr_rationale.errors import SourceError
from imr_rationale.learning.corpus import AnnotatedLetter
from imr_rationale.learning.printed import LAYOUTS, can_print
from imr_rationale.learning.render import render_layout, render_markdown, render_pdf
from imr_rationale.letters import sources
from imr_rationale.letters.clean import _find_mojibake, clean_text, decode_bytes
from imr_rationale.letters.extract import find_kind
from imr_rationale.letters.layout import parse_document, parse_letter, read_letter
from imr_rationale.letters.limits import MAX_CHARS, Limits
from imr_rationale.letters.sandbox import Sandbox, read_document
from imr_rationale.letters.sources import Document, Reject, find_files, index_files, open_documents
from imr_rationale.letters.tables import PRESETS, Columns
from imr_rationale.records import Letter

TEXT = "Naïve café – “quoted”\nsecond line\n"
COLUMNS = Columns("rationale", id="number", outcome="outcome", treatment="treatment")


def fold(text: str | None) -> str:
    return " ".join((text or "").split())


def get_items(letter: Letter) -> list[tuple[str, str | None, str]]:
    return [(fold(item.treatment), item.outcome, fold(item.rationale)) for item in letter.items]


@pytest.fixture(scope="session")
def letter(corpus: tuple[AnnotatedLetter, ...]) -> AnnotatedLetter:
    """An invented letter that every layout can hold, with more than one item if there is any such."""
    able = [letter for letter in corpus if all(can_print(letter, layout) for layout in LAYOUTS)]
    return max(able, key=lambda letter: len(letter.items))


def open_file(path: Path, *, columns: Columns | None = None, limits: Limits | None = None) -> list[Document | Reject]:
    """Read a file in this process: the sandbox has tests of its own."""
    steps = open_documents(path, limits or Limits(), columns=columns)
    return [step for step in steps if not isinstance(step, sources.Opened)]


# --- one letter, every kind of file


def write_html(text: str) -> str:
    """Write a letter in markdown as a page: a table for the header, bold labels, lists, script and style."""
    head, *paragraphs = text.split("\n\n")
    rows = ("".join(f"<td>{cell}</td>" for cell in line.split("\t")) for line in head.split("\n"))
    body = "\n".join(write_paragraph(paragraph) for paragraph in paragraphs)
    return (
        "<!DOCTYPE html><html><head><title>Letter</title><style>p { content: 'Decision rationale:' }</style>"
        "<script>document.write('Cane: Upheld')</script></head><body><!-- Stick: Upheld -->"
        f"<table>{''.join(f'<tr>{row}</tr>' for row in rows)}</table>"
        f"<ul><li>Application</li><li>Records</li></ul>\n{body}</body></html>"
    )


def write_paragraph(paragraph: str) -> str:
    if paragraph.startswith("### "):
        return f"<h3>{paragraph[4:]}</h3>"
    label, bold, rest = paragraph.removeprefix("**").partition("**")
    return f"<p><b>{html.escape(label)}</b>{html.escape(rest)}</p>" if bold else f"<p>{html.escape(paragraph)}</p>"


def write_docx(text: str, path: Path) -> None:
    from docx import Document as Word

    head, *paragraphs = text.replace("<b>", "").replace("</b>", "").split("\n\n")
    word = Word()
    lines = [line.split("\t") for line in head.split("\n")]
    table = word.add_table(len(lines), 4)
    for row, cells in zip(table.rows, lines, strict=True):
        for cell, value in zip(row.cells, cells, strict=False):
            cell.text = value
    for paragraph in paragraphs:
        if paragraph.startswith("### "):
            word.add_heading(paragraph[4:], 3)
            continue
        label, bold, rest = paragraph.removeprefix("**").partition("**")
        added = word.add_paragraph()
        added.add_run(label).bold = bool(bold)
        added.add_run(rest)
    word.save(str(path))


@pytest.mark.parametrize("suffix", [".txt", ".md", ".html", ".htm", ".docx", ".pdf", ".TXT", ""])
def test_every_kind_of_file_gives_the_same_letter(suffix: str, letter: AnnotatedLetter, tmp_path: Path) -> None:
    text = render_markdown(letter)
    path = tmp_path / f"letter{suffix}"
    if suffix == ".docx":
        write_docx(text, path)
    elif suffix == ".pdf":
        render_pdf(letter, path)
    else:
        path.write_text(write_html(text) if suffix.startswith(".htm") else text, encoding="utf-8")
    found, expected = read_letter(path), parse_letter(text)
    assert get_items(found) == get_items(expected)
    assert (found.case_number, found.dates, found.priority) == (
        expected.case_number,
        expected.dates,
        expected.priority,
    )
    assert found.warnings == ()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_pdf_gives_the_items_of_its_text(layout: str, letter: AnnotatedLetter, tmp_path: Path) -> None:
    found = read_letter(render_pdf(letter, tmp_path / "letter.pdf", layout=layout))
    assert get_items(found) == get_items(parse_letter(render_layout(letter, layout)))
    assert found.items


def write_archive(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def write_members(letter: AnnotatedLetter, folder: Path) -> dict[str, bytes]:
    """Write a letter in every kind; gives name -> bytes."""
    text = render_markdown(letter)
    write_docx(text, folder / "word.docx")
    render_pdf(letter, folder / "print.pdf")
    return {
        "plain.txt": text.encode(),
        "sub/marked.md": text.encode("utf-16"),
        "sub/deep/page.html": write_html(text).encode(),
        "word.docx": (folder / "word.docx").read_bytes(),
        "sub/print.pdf": (folder / "print.pdf").read_bytes(),
    }


def test_archives_and_folders_give_the_letters_inside(letter: AnnotatedLetter, tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    members = write_members(letter, tmp_path / "made")
    tree = tmp_path / "tree"
    for name, data in members.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes(data)
    archive = write_archive(tmp_path / "letters.zip", {**members, "__MACOSX/._plain.txt": b"x", ".DS_Store": b"x"})
    expected = get_items(parse_letter(render_markdown(letter)))
    with Sandbox() as sandbox:
        zipped = list(sandbox.read(archive))
        files = [step for path in find_files([tree]) for step in sandbox.read(path)]
    assert [step.source for step in zipped] == [f"{archive}/{name}" for name in members]
    assert sorted(step.source for step in files) == sorted(str(tree / name) for name in members)
    for step in (*zipped, *files):
        assert isinstance(step, Document)
        assert get_items(parse_document(step)) == expected


def test_read_document_refuses_an_archive_of_two(letter: AnnotatedLetter, tmp_path: Path) -> None:
    path = write_archive(tmp_path / "two.zip", {"a.txt": b"a", "b.txt": b"b"})
    with pytest.raises(SourceError, match=r"two\.zip: more than one letter"):
        read_document(path)
    assert read_document(write_archive(tmp_path / "one.zip", {"a.txt": b"a"})).source == f"{tmp_path}/one.zip/a.txt"


def test_read_document_refuses_a_folder(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no regular file"):
        read_document(tmp_path)


# --- encodings and what printers leave


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(TEXT.encode(), TEXT, id="utf-8"),
        pytest.param(TEXT.encode("utf-8-sig"), TEXT, id="utf-8 with mark"),
        pytest.param(codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le"), TEXT, id="utf-16 little with mark"),
        pytest.param(codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"), TEXT, id="utf-16 big with mark"),
        pytest.param(TEXT.encode("utf-16-le"), TEXT, id="utf-16 little"),
        pytest.param(TEXT.encode("utf-16-be"), TEXT, id="utf-16 big"),
        pytest.param(TEXT.encode("cp1252"), TEXT, id="windows-1252"),
        pytest.param(TEXT.replace("\n", "\r\n").encode(), TEXT, id="crlf"),
        pytest.param(TEXT.replace("\n", "\r").encode(), TEXT, id="cr"),
        pytest.param(b"a\x00b", "ab", id="nul"),
        pytest.param("Naïve".encode().decode("cp1252").encode(), "Naïve", id="mojibake"),
    ],
)
def test_read_document_decodes(data: bytes, expected: str, tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_bytes(data)
    assert read_document(path).text == expected


@pytest.mark.parametrize(
    ("text", "expected", "notes"),
    [
        pytest.param("plain text", "plain text", (), id="nothing to repair"),
        pytest.param("“It’s” 37° ± 2 µg – naïve", "“It’s” 37° ± 2 µg – naïve", (), id="right characters stay"),
        pytest.param("isnâ€™t â€“ new", "isn’t – new", ("mojibake repaired",), id="mojibake"),
        pytest.param("isnâ€™t – naïve", "isn’t – naïve", ("mojibake repaired",), id="mojibake beside right characters"),
        pytest.param("cafÃƒÂ©", "café", ("mojibake repaired",), id="mojibake twice"),
        pytest.param("worse â„ ¢â€", "worse â„ ¢â€", ("mojibake left as it is: '¢â'",), id="mojibake beyond repair"),
        pytest.param("a\ufffdb", "a\ufffdb", ("1 characters could not be read",), id="lost before"),
        pytest.param("a\ud800b\udc00", "a\ufffdb\ufffd", ("2 characters could not be read",), id="lone surrogates"),
        pytest.param("ﬁnding eﬀect oﬃce baﬄe", "finding effect office baffle", (), id="ligatures"),
        pytest.param("treat\u00adment", "treatment", (), id="soft hyphen"),
        pytest.param("treat\u00ad\nment and treat\u00ad \nment", "treatment and treatment", (), id="at a line's end"),
        pytest.param("treat-\nment; treatment", "treatment; treatment", (), id="hyphenated line end"),
        pytest.param("evidence-\nbased", "evidence-\nbased", (), id="hyphen that may be meant"),
        pytest.param("non-\nunion nonunion", "non-\nunion nonunion", (), id="hyphen behind a prefix"),
        pytest.param("10\u00a0mg\u202f#60\u2009x\u3000y", "10 mg #60 x y", (), id="no-break and thin spaces"),
        pytest.param("a\u200bb\ufeffc\u2060d\u202ee", "abcde", (), id="no width"),
        pytest.param("a\x07b\x1bc\x7f", "abc", (), id="control characters"),
        pytest.param("a\tb\x0cc", "a\tb\x0cc", (), id="tab and page break stay"),
        pytest.param("a\x0bb\u2028c\u2029d", "a\nb\nc\nd", (), id="other line ends"),
        pytest.param("• one\n▪ two\n\uf0b7 three", "• one\n▪ two\n\uf0b7 three", (), id="bullets stay"),
    ],
)
def test_clean_text(text: str, expected: str, notes: tuple[str, ...]) -> None:
    assert clean_text(text) == (expected, notes)
    assert clean_text(expected)[0] == expected


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_find_mojibake_gives_what_ftfy_finds_in_the_whole_text(data: st.DataObject) -> None:
    letters = st.one_of(*(st.from_regex(f"[{chars}]", fullmatch=True) for chars in MOJIBAKE_CATEGORIES.values()))
    pieces = st.one_of(letters, st.sampled_from("ÃÂГўВЂВâ€™ŒØ√± a.\nZ"), st.text("ab .\n-", min_size=5, max_size=40))
    text = "".join(data.draw(st.lists(pieces, max_size=12)))
    found = BADNESS_RE.search(text)
    assert _find_mojibake(text) == (found and found.group())


def test_decode_bytes_marks_what_no_character_stands_for() -> None:
    assert decode_bytes(b"caf\xe9 \x81") == "café \ufffd"


def test_what_was_repaired_is_a_warning(make_letter_text: Callable[..., str], tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_text(make_letter_text(summary="The worker isnâ€™t well."), encoding="utf-8")
    found = read_letter(path)
    assert found.summary == "The worker isn’t well."
    assert "mojibake repaired" in found.warnings


def make_pages(text: str, *, head: str = "", foot: str = "", lines: int = 12) -> list[list[str]]:
    body = text.split("\n")
    pages = [body[start : start + lines] for start in range(0, len(body), lines)]
    return [
        [head.format(i, len(pages)), "", *page, "", foot.format(i, len(pages))] for i, page in enumerate(pages, start=1)
    ]


RUNNING = [
    pytest.param("", "", id="none"),
    pytest.param("", "{0}", id="number"),
    pytest.param("", "Page {0} of {1}", id="page of"),
    pytest.param("Final Determination Letter for IMR Case Number CM99-0000001", "{0}", id="running header"),
]
#: known to no pattern: only a PDF tells its pages
OTHER_RUNNING = [pytest.param("Acme Review Services", "Letter of 2016, page {0}", id="other header and footer")]


@pytest.mark.parametrize(("head", "foot"), RUNNING)
def test_running_headers_of_a_text_are_dropped(
    head: str, foot: str, make_letter_text: Callable[..., str], tmp_path: Path
) -> None:
    text = make_letter_text(rationale="The request is for an MRI\nof the wrist.\nIt is\nnot necessary.")
    path = tmp_path / "letter.txt"
    path.write_text("\n\f\n".join("\n".join(page) for page in make_pages(text, head=head, foot=foot)))
    assert get_items(read_letter(path)) == get_items(parse_letter(text))


@pytest.mark.parametrize(("head", "foot"), [*RUNNING, *OTHER_RUNNING])
def test_running_headers_of_a_pdf_are_dropped(
    head: str, foot: str, make_letter_text: Callable[..., str], tmp_path: Path
) -> None:
    text = make_letter_text(rationale="The request is for an MRI\nof the wrist.\nIt is\nnot necessary.")
    path = write_pdf(tmp_path / "letter.pdf", make_pages(text, head=head, foot=foot))
    assert get_items(read_letter(path)) == get_items(parse_letter(text))


def write_pdf(path: Path, pages: Sequence[Sequence[str]], **options: Any) -> Path:
    from reportlab.pdfgen.canvas import Canvas

    canvas = Canvas(str(path), **options)
    for page in pages:
        text = canvas.beginText(60, 760)
        for line in page:
            text.textLine(line)
        canvas.drawText(text)
        canvas.showPage()
    canvas.save()
    return path


def test_a_pdf_keeps_blank_lines_and_hyphens(letter: AnnotatedLetter, tmp_path: Path) -> None:
    text = read_document(render_pdf(letter, tmp_path / "letter.pdf")).text
    assert "\n\nDecision rationale:" in text
    assert "\r" not in text
    assert "\ufffe" not in text


def test_a_word_file_keeps_all_of_its_text(tmp_path: Path) -> None:
    from docx import Document as Word
    from docx.oxml import parse_xml
    from docx.oxml.ns import nsdecls

    word = Word()
    cell = word.add_table(1, 2).cell(0, 0)
    cell.text = "outer"
    cell.add_table(1, 1).cell(0, 0).text = "inner"
    run = "<w:r><w:t>{}</w:t></w:r>"
    for body in (
        f"<w:sdt {nsdecls('w')}><w:sdtContent><w:p>{run.format('control')}</w:p></w:sdtContent></w:sdt>",
        f"<w:p {nsdecls('w')}><w:pPr><w:tabs><w:tab w:val='left'/></w:tabs></w:pPr><w:ins>{run.format('new')}</w:ins>"
        "<w:r><w:tab/><w:t>tab</w:t><w:br/></w:r><w:del><w:r><w:delText>old</w:delText></w:r></w:del>"
        f"<w:moveFrom>{run.format('moved')}</w:moveFrom><w:smartTag>{run.format('smart')}</w:smartTag></w:p>",
    ):
        word.element.body.append(parse_xml(body))
    word.save(str(tmp_path / "letter.docx"))
    assert read_document(tmp_path / "letter.docx").text.split() == ["outer", "inner", "control", "new", "tab", "smart"]


# --- kinds


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        pytest.param("a.txt", b"x", "text", id="text"),
        pytest.param("a.MD", b"x", "text", id="capitals"),
        pytest.param("a", b"x", "text", id="no suffix"),
        pytest.param("a.txt", b"%PDF-1.7", "pdf", id="a PDF named .txt"),
        pytest.param("a.pdf", b"not", "pdf", id="damaged"),
        pytest.param("a", b"<!DOCTYPE html><p>", "html", id="HTML without suffix"),
        pytest.param("a.txt", b"<html>", "text", id="a suffix counts"),
        pytest.param("a.docx", b"PK\x03\x04", "docx", id="docx"),
        pytest.param("a.txt", b"PK\x03\x04.." + b"[Content_Types].xml", "docx", id="a docx named .txt"),
        pytest.param("a.xlsx", b"PK\x03\x04.." + b"[Content_Types].xml", "xlsx", id="xlsx"),
        pytest.param("a.zip", b"PK\x03\x04.." + b"[Content_Types].xml", "zip", id="a docx named .zip"),
        pytest.param("a.csv", b"PAR1", "parquet", id="a Parquet named .csv"),
    ],
)
def test_find_kind(name: str, data: bytes, kind: str) -> None:
    assert find_kind(name, data) == kind


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        pytest.param("letter.doc", b"x", "unknown kind '.doc'; known: .txt, .md, .pdf", id="kind"),
        pytest.param("letter.doc", b"\xd0\xcf\x11\xe0\xa1\xb1", "a Word 97 file: save it as .docx or .pdf", id="doc"),
        pytest.param("letter.rtf", rb"{\rtf1 x}", "an RTF file: save it as .docx or .pdf", id="rtf"),
        pytest.param("letter.txt", rb"{\rtf1 x}", "an RTF file", id="rtf named .txt"),
        pytest.param("picture.png", b"\x89PNG", "unknown kind '.png'", id="picture"),
        pytest.param("letter", b"\x00\x01", "unknown kind ''", id="bytes without suffix"),
        pytest.param("letter.pdf", b"%PDF-1.4 nothing", "no readable PDF", id="damaged pdf"),
        pytest.param("letter.pdf", b"", "no readable PDF", id="empty pdf"),
        pytest.param("letter.txt", b"", "no text in it", id="empty text"),
        pytest.param("letter.txt", b" \n\t", "no text in it", id="blank text"),
        pytest.param("letter.html", b"<!-- Cane -->", "no text in it", id="HTML comment"),
        pytest.param("letter.docx", b"PK\x03\x04", "no readable Office file", id="damaged docx"),
        pytest.param("letter.docx", b"text", "no readable Office file", id="docx without archive"),
        pytest.param("letter.zip", b"PK\x03\x04", "no readable archive", id="damaged zip"),
        pytest.param("letter.zip", b"PK\x05\x06" + bytes(18), "an archive without files", id="empty zip"),
        pytest.param("table.csv", b"a,b\n", "a table; say which column holds the rationales", id="table"),
        pytest.param("missing.txt", None, "No such file", id="missing"),
    ],
)
def test_read_document_refuses(name: str, data: bytes | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(SourceError, match=message) as caught:
        read_document(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_pdf_without_text_is_named_a_scan(tmp_path: Path) -> None:
    from reportlab.pdfgen.canvas import Canvas

    path = tmp_path / "scan.pdf"
    canvas = Canvas(str(path))
    canvas.rect(100, 100, 200, 200)
    canvas.showPage()
    canvas.save()
    with pytest.raises(SourceError, match=r"without text layer \(a scan\?\)"):
        read_document(path)


def test_a_pdf_with_a_password_is_named(tmp_path: Path) -> None:
    path = write_pdf(tmp_path / "locked.pdf", [["text"]], encrypt="secret")
    with pytest.raises(SourceError, match=r"locked\.pdf: .*password"):
        read_document(path)


@pytest.mark.parametrize(
    ("name", "limits", "message"),
    [
        pytest.param("letter.txt", Limits(bytes=3), "letter.txt: 4 bytes; at most 3 are read", id="bytes"),
        pytest.param("letter.zip", Limits(bytes=3), "a.txt: unpacks to 4 bytes; at most 3 are read", id="unpacked"),
        pytest.param("letter.pdf", Limits(pages=1), "letter.pdf: 2 pages; at most 1 are read", id="pages"),
        pytest.param("long.txt", Limits(), f"{MAX_CHARS + 1} characters of text; at most {MAX_CHARS}", id="characters"),
        pytest.param("long.csv", Limits(), f"long.csv:1: no readable row (a line of more than {MAX_CHARS}", id="line"),
    ],
)
def test_limits_are_named(name: str, limits: Limits, message: str, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_bytes(b"four")
    write_archive(tmp_path / "letter.zip", {"a.txt": b"four"})
    write_pdf(tmp_path / "letter.pdf", [["one"], ["two"]])
    (tmp_path / "long.txt").write_bytes(b"x" * (MAX_CHARS + 1))
    (tmp_path / "long.csv").write_bytes(b"rationale\n" + b"x" * (MAX_CHARS + 1))
    [found] = open_file(tmp_path / name, limits=limits, columns=Columns("rationale"))
    assert isinstance(found, Reject)
    assert message in found.error


# --- folders


def test_find_files_sorts_and_passes_clutter_over(tmp_path: Path) -> None:
    for name in (
        "b.txt",
        "a.md",
        "sub/c.PDF",
        "notes.docx",
        "x.png",
        ".hidden",
        "~$notes.docx",
        "Thumbs.db",
        ".git/a.txt",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    found = list(find_files([tmp_path, tmp_path / "notes.docx"]))
    names = [path.name for path in found if isinstance(path, Path)]
    assert names == ["a.md", "b.txt", "notes.docx", "c.PDF", "x.png", "notes.docx"]


def test_find_files_keeps_what_is_missing(tmp_path: Path) -> None:
    assert list(find_files([tmp_path / "missing.txt"])) == [tmp_path / "missing.txt"]


def test_index_files_takes_the_first_of_equal_names(tmp_path: Path) -> None:
    for name in ("a.txt", "b.md", "sub/a.pdf", "sub/c.pdf"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert index_files(tmp_path) == {
        "a": tmp_path / "a.txt",
        "b": tmp_path / "b.md",
        "c": tmp_path / "sub/c.pdf",
    }


# --- tables

ROWS = (
    {"number": "7", "outcome": "Upheld", "treatment": "MRI of the knee", "rationale": "It isn’t “needed”; see\nabove."},
    {"number": "8", "outcome": "Overturned", "treatment": "Cane, 1", "rationale": "It is\tneeded."},
)
WANTED = [(row["number"], row["outcome"], row["treatment"], row["rationale"]) for row in ROWS]


def write_csv(rows: Sequence[dict[str, Any]], delimiter: str = ",") -> str:
    file = io.StringIO()
    writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


def write_xlsx(rows: Sequence[dict[str, Any]]) -> bytes:
    from openpyxl import Workbook

    file = io.BytesIO()
    workbook = Workbook()
    for row in (list(rows[0]), *(list(row.values()) for row in rows)):
        workbook.active.append(row)
    workbook.save(file)
    return file.getvalue()


def write_parquet(rows: Sequence[dict[str, Any]], **types: Any) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {name: pa.array([row[name] for row in rows], types.get(name)) for name in rows[0]}
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file)
    return file.getvalue()


def write_jsonl(rows: Sequence[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def make_tables() -> Iterator[Any]:
    import pyarrow as pa

    text = write_csv(ROWS)
    yield pytest.param("t.csv", text.encode(), id="csv")
    for delimiter in ";\t|":
        yield pytest.param("t.csv", write_csv(ROWS, delimiter).encode(), id=f"csv {delimiter!r}")
    for encoding in ("utf-8-sig", "cp1252", "utf-16", "utf-16-le"):
        yield pytest.param("t.csv", text.encode(encoding), id=f"csv {encoding}")
    yield pytest.param("t.csv", text.replace("\r\n", "\n").encode(), id="csv unix")
    yield pytest.param("t.csv", text.replace("\r\n", "\r\n\r\n").encode(), id="csv blank lines")
    yield pytest.param("t.csv", text.replace("needed.\r\n", "needed.,,\r\n").encode(), id="csv empty cells too many")
    yield pytest.param("t.xlsx", write_xlsx(ROWS), id="xlsx")
    yield pytest.param(
        "t.xlsx", write_xlsx([{**row, "number": float(row["number"])} for row in ROWS]), id="xlsx number"
    )
    yield pytest.param("t.xlsx", write_xlsx([ROWS[0], dict.fromkeys(ROWS[0]), ROWS[1]]), id="xlsx empty row")
    yield pytest.param("t.parquet", write_parquet(ROWS), id="parquet")
    yield pytest.param("t.csv", write_parquet(ROWS), id="parquet named .csv")
    for kind in (pa.binary(), pa.large_string(), pa.dictionary(pa.int8(), pa.string())):
        rows = [{**row, "outcome": row["outcome"].encode() if kind == pa.binary() else row["outcome"]} for row in ROWS]
        yield pytest.param("t.parquet", write_parquet(rows, outcome=kind), id=f"parquet {kind}")
    yield pytest.param("t.jsonl", write_jsonl(ROWS), id="jsonl")
    yield pytest.param("t.jsonl", write_jsonl(ROWS).decode().encode("utf-16"), id="jsonl utf-16")
    yield pytest.param("t.jsonl", b"\n" + write_jsonl(ROWS).replace(b"\n", b"\r\n\r\n"), id="jsonl blank lines")
    yield pytest.param("t.jsonl", write_jsonl(ROWS).strip(), id="jsonl without last line end")


@pytest.mark.parametrize(("name", "data"), list(make_tables()))
def test_tables_give_their_rows(name: str, data: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    archive = write_archive(tmp_path / "t.zip", {name: data, "a.txt": b"text"})
    found = open_file(tmp_path / name, columns=COLUMNS)
    assert [step.source for step in found] == [f"{tmp_path / name}:1", f"{tmp_path / name}:2"]
    zipped = open_file(archive, columns=COLUMNS)
    assert [step.source for step in zipped] == [f"{archive}/{name}:1", f"{archive}/{name}:2", f"{archive}/a.txt"]
    for steps in (found, zipped[:2]):
        rows = [(step.id, step.outcome, step.treatment, step.text) for step in steps if isinstance(step, Document)]
        assert rows == WANTED


GOOD = "7,Upheld,MRI,First.\n"
LAST = "9,Upheld,Cane,Last.\n"
HEAD = "number,outcome,treatment,rationale\n"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        pytest.param(
            "t.csv", HEAD + GOOD + "8,Upheld,Cane,\n" + LAST, "no text in column 'rationale'", id="empty cell"
        ),
        pytest.param("t.csv", HEAD + GOOD + "8,Upheld\n" + LAST, "no text in column 'rationale'", id="short row"),
        pytest.param("t.csv", HEAD + GOOD + "8,Upheld,Cane,a, b\n" + LAST, "5 cells under 4 columns", id="long row"),
        pytest.param("t.csv", HEAD + GOOD + '8,Upheld,Cane,"open\n' + LAST, "unexpected end", id="quote never closed"),
        pytest.param("t.csv", HEAD + GOOD + '8,Upheld,Cane,"a"b\n' + LAST, "',' expected after", id="quote inside"),
        pytest.param(
            "t.jsonl",
            '{"number": 7, "outcome": "Upheld", "treatment": "MRI", "rationale": "First."}\n'
            '{"number": 8, "outcome": \n{"number": 9, "rationale": "Last."}',
            "no JSON object (Expecting value",
            id="damaged line",
        ),
        pytest.param(
            "t.jsonl",
            '{"number": 7, "outcome": "Upheld", "treatment": "MRI", "rationale": "First."}\n'
            '[1]\n{"number": 9, "rationale": "Last."}',
            "no JSON object: '[1]'",
            id="line without object",
        ),
    ],
)
def test_a_bad_row_costs_itself(name: str, text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(text)
    first, bad, last = open_file(path, columns=COLUMNS)
    assert isinstance(first, Document)
    assert isinstance(last, Document)
    assert (first.text, last.text) == ("First.", "Last.")
    assert isinstance(bad, Reject)
    assert bad.source == f"{path}:2"
    assert message in bad.error


@pytest.mark.parametrize(
    ("name", "data"),
    [
        pytest.param("t.csv", b"a;b\n1;2\n", id="csv"),
        pytest.param("t.csv", b"\xef\xbb\xbfa,b\n", id="csv without rows"),
        pytest.param("t.jsonl", b'{"a": 1, "b": 2}\n', id="jsonl"),
        pytest.param("t.xlsx", write_xlsx([{"a": 1, "b": 2}]), id="xlsx"),
        pytest.param("t.parquet", write_parquet([{"a": 1, "b": 2}]), id="parquet"),
    ],
)
def test_a_missing_column_costs_the_table_and_names_the_known(name: str, data: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    [found] = open_file(tmp_path / name, columns=Columns("rationale"))
    assert isinstance(found, Reject)
    assert found.error == f"{tmp_path / name}: no column 'rationale'; known: a, b"


def test_a_row_may_leave_out_what_is_not_its_text(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_bytes(write_jsonl([{"rationale": "First."}, *ROWS]))
    found = [step for step in open_file(path, columns=COLUMNS) if isinstance(step, Document)]
    rows = [(step.id, step.outcome, step.treatment, step.text) for step in found]
    assert rows == [(None, None, None, "First."), *WANTED]


def test_a_column_that_no_row_has_is_named(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_bytes(write_jsonl([{"rationale": "First."}, {"rationale": "Last."}]))
    *found, missing = open_file(path, columns=Columns("rationale", id="nmber", outcome="outcome"))
    assert [step.text for step in found if isinstance(step, Document)] == ["First.", "Last."]
    assert isinstance(missing, Reject)
    assert missing.error == f"{path}: no row has a column 'nmber', 'outcome'"


def test_a_long_cell_is_cut_and_noted(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    row = {**ROWS[0], "treatment": "x" * (sources.MAX_CELL + 1), "number": "7" * sources.MAX_CELL}
    path.write_bytes(write_jsonl([row]))
    [found] = open_file(path, columns=COLUMNS)
    assert isinstance(found, Document)
    assert found.treatment == "x" * sources.MAX_CELL
    assert found.notes == ("treatment cut at 10000 characters",)


@pytest.mark.parametrize("data", [b"", b"\n", b"a\n\n"])
def test_an_empty_table_is_named(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(data)
    [found] = open_file(tmp_path / "t.csv", columns=Columns("rationale"))
    assert isinstance(found, Reject)
    assert "no column 'rationale'; known: " in found.error


@pytest.mark.parametrize(
    ("name", "data"),
    [
        pytest.param("t.csv", b"rationale\n\n", id="csv"),
        pytest.param("t.jsonl", b"\n", id="jsonl"),
        pytest.param("t.xlsx", write_xlsx([{"rationale": None}]), id="xlsx"),
        pytest.param("t.parquet", write_parquet([{"rationale": "x"}])[:0] + b"", id="nothing"),
    ],
)
def test_a_table_without_rows_is_named(name: str, data: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    [found] = open_file(tmp_path / name, columns=Columns("rationale"))
    assert isinstance(found, Reject)
    assert found.error.startswith(f"{tmp_path / name}: ")


def test_a_missing_number_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "t.parquet").write_bytes(write_parquet([{"rationale": float("nan")}]))
    [found] = open_file(tmp_path / "t.parquet", columns=Columns("rationale"))
    assert isinstance(found, Reject)
    assert "no text in column 'rationale'" in found.error


def test_cells_are_cleaned_and_losses_noted(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"rationale": "isn\\u00e2\\u20ac\\u2122t \\ud800", "number": "\\udfff"}\n')
    [found] = open_file(path, columns=Columns("rationale", id="number"))
    assert isinstance(found, Document)
    assert (found.text, found.id) == ("isn’t \ufffd", "\ufffd")
    assert found.notes == ("1 characters could not be read", "mojibake repaired")


def test_rows_may_be_skipped(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("rationale\n" + "".join(f"r{i}\n" for i in range(1, 6)))
    steps = open_documents(path, Limits(), columns=Columns("rationale"), skip=3)
    assert [step.text for step in steps if isinstance(step, Document)] == ["r4", "r5"]


DMHC = (
    "ReferenceID",
    "ReportYear",
    "DiagnosisCategory",
    "TreatmentCategory",
    "Determination",
    "Type",
    "AgeRange",
    "Findings",
)


@pytest.mark.parametrize(
    ("determination", "outcome"),
    [
        pytest.param("Upheld Decision of Health Plan", "Upheld", id="upheld"),
        pytest.param("Overturned Decision of Health Plan", "Overturned", id="overturned"),
        pytest.param("Partially Overturned", None, id="in part"),
        pytest.param("", None, id="none"),
    ],
)
def test_preset_dmhc(determination: str, outcome: str | None, tmp_path: Path) -> None:
    cells = (
        "MN16-22345",
        "2016",
        "Orth/Musculoskeletal",
        "Pharmacy/Prescription Drugs",
        determination,
        "Medical",
        "41-50",
    )
    findings = (
        "Nature of Statutory Criteria/Case Summary: A 48-year-old female has asked for a drug. "
        "Findings: The drug is not needed. Therefore, it is not medically necessary."
    )
    path = tmp_path / "dmhc.csv"
    path.write_text(write_csv([dict(zip(DMHC, (*cells, findings), strict=True))]), encoding="utf-8")
    [found] = open_file(path, columns=PRESETS["dmhc"])
    assert isinstance(found, Document)
    parsed = parse_document(found)
    [item] = parsed.items
    assert (item.outcome, item.treatment) == (outcome, "Pharmacy/Prescription Drugs")
    assert item.rationale == "The drug is not needed. Therefore, it is not medically necessary."
    assert (parsed.case_number, parsed.age, parsed.sex) == ("MN16-22345", 48, "female")
    assert bool(item.warnings) == (determination == "Partially Overturned")


def test_standard_input_is_a_table_where_columns_are_named(tmp_path: Path) -> None:
    path = tmp_path / "input"
    for data in (write_csv(ROWS).encode(), write_jsonl(ROWS)):
        path.write_bytes(data)
        found = [
            step for step in open_documents(path, Limits(), name="-", columns=COLUMNS) if isinstance(step, Document)
        ]
        assert [step.text for step in found] == [row["rationale"] for row in ROWS]
        assert [step.source for step in found] == ["-:1", "-:2"]


def test_large_tables_keep_their_order(tmp_path: Path) -> None:
    rows = [{"rationale": f"r{i}"} for i in range(1000)]
    for name, data in (
        ("t.parquet", write_parquet(rows)),
        ("t.jsonl", write_jsonl(rows)),
        ("t.xlsx", write_xlsx(rows)),
    ):
        (tmp_path / name).write_bytes(data)
        found = open_file(tmp_path / name, columns=Columns("rationale"))
        numbers = [int(step.text[1:]) for step in found if isinstance(step, Document)]
        assert len(numbers) == 1000
        assert all(one < other for one, other in pairwise(numbers))
