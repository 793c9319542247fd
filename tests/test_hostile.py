"""Files made to harm or to get lost: each is rejected by name within the limits, and the rest is read.

Every file is built when its test runs; limits are small, so that it needs no large one.
"""

import io
import json
import os
import signal
import struct
import subprocess
import sys
import threading
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conftest import run
from imr_rationale.errors import SourceError
from imr_rationale.letters import sandbox as sandbox_module
from imr_rationale.letters import sources
from imr_rationale.letters.limits import MAX_CHARS, MAX_TAGS, Limits
from imr_rationale.letters.sandbox import Sandbox, read_document
from imr_rationale.letters.sources import Document, Reject, find_files, open_documents
from imr_rationale.letters.tables import Columns

LIMITS = Limits(bytes=12_000_000, pages=50, seconds=20, memory=700_000_000)
COLUMNS = Columns("rationale")
GOOD = b"Cane: Upheld"
MakeFile = Callable[[], bytes]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """One child for all files: what a file does to it must not show in the next."""
    with Sandbox(LIMITS, columns=COLUMNS) as opened:
        yield opened


def read_all(sandbox: Sandbox, *paths: Path) -> list[Document | Reject]:
    """Read files as a chunk of them is read: the child is told of all."""
    found = list(find_files(paths))
    sandbox.expect((path, path.name) for path in found if isinstance(path, Path))
    return [
        step for path in found for step in ([path] if isinstance(path, Reject) else sandbox.read(path, name=path.name))
    ]


def assert_named(step: Document | Reject, message: str) -> None:
    assert isinstance(step, Reject), step
    assert step.error.startswith(f"{step.source}: ")
    assert message in step.error
    assert step.error.isprintable(), "one line"
    assert len(step.error) < 1_500 + 2 * len(step.source)


# --- builders


def write_zip(members: dict[str, bytes], **options: Any) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data, **options)
    return file.getvalue()


def patch_zip(data: bytes, *, flags: int = 0, method: int | None = None, size: int | None = None) -> bytes:
    """Write other flags, method or size into the headers of every member but the first."""
    changed = bytearray(data)
    for magic, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = changed.index(magic) + 4
        while (start := changed.find(magic, start)) >= 0:
            changed[start + at] |= flags
            if method is not None:
                changed[start + at + 2 : start + at + 4] = struct.pack("<H", method)
            if size is not None:
                changed[start + at + 16 : start + at + 20] = struct.pack("<I", size)
            start += 4
    return bytes(changed)


def damage_last(data: bytes) -> bytes:
    """Change a byte of the last member's packed content."""
    changed = bytearray(data)
    changed[changed.rindex(b"PK\x03\x04") + 45] ^= 0xFF
    return bytes(changed)


def overlap_members(count: int) -> bytes:
    """Write a zip whose directory names the same packed bytes many times, as D. Fifield's bomb does."""
    whole = write_zip({"good.txt": GOOD, "kernel.txt": b"ab " * 100_000})
    at = whole.rindex(b"PK\x01\x02")
    end = whole.rindex(b"PK\x05\x06")
    entry = whole[at:end]
    start = whole.index(b"PK\x01\x02")
    directory = whole[start:at] + entry * count
    tail = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, count + 1, count + 1, len(directory), start, 0)
    return whole[:start] + directory + tail


def write_pdf(*objects: bytes, root: int = 1) -> bytes:
    """Write a PDF from its objects, numbered from 1."""
    parts = [b"%PDF-1.7\n"]
    offsets = []
    for number, body in enumerate(objects, start=1):
        offsets.append(sum(map(len, parts)) if len(parts) < 3 else offsets[-1] + len(parts[-1]))
        parts.append(b"%d 0 obj\n%s\nendobj\n" % (number, body))
    start = offsets[-1] + len(parts[-1])
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    parts.append(b"xref\n0 %d\n0000000000 65535 f \n%s" % (len(objects) + 1, table))
    parts.append(b"trailer\n<< /Size %d /Root %d 0 R >>\nstartxref\n%d\n%%%%EOF" % (len(objects) + 1, root, start))
    return b"".join(parts)


def stream(data: bytes, extra: bytes = b"") -> bytes:
    return b"<< /Length %d %s >>\nstream\n%s\nendstream" % (len(data), extra, data)


CATALOG = b"<< /Type /Catalog /Pages 2 0 R >>"
PAGES = b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>"
PAGE = (
    b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << /Font << /F 5 0 R >> %s >> >>"
)
FONT = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"
SHOW = b"BT /F 12 Tf 72 700 Td (Cane: Upheld) Tj ET"


def one_page(
    *,
    catalog: bytes = CATALOG,
    pages: bytes = PAGES,
    page: bytes = PAGE % b"",
    content: bytes = stream(SHOW),
    more: Sequence[bytes] = (),
) -> bytes:
    return write_pdf(catalog, pages, page, content, FONT, *more)


def box(sides: bytes) -> bytes:
    return (PAGE % b"").replace(b"0 0 612 792", sides)


def nest_pages(depth: int) -> bytes:
    """Write a page below so many page trees."""
    trees = [b"<< /Type /Pages /Kids [%d 0 R] /Count 1 >>" % (number + 4) for number in range(2, depth)]
    return write_pdf(
        CATALOG,
        b"<< /Type /Pages /Kids [6 0 R] /Count 1 >>",
        PAGE % b"",
        stream(SHOW),
        FONT,
        *trees,
        b"<< /Kids [3 0 R] /Count 1 >>",
    )


def pack(data: bytes) -> bytes:
    return zlib.compress(data, 1)


FLATE = b"/Filter /FlateDecode"
FORM = (
    b"/Type /XObject /Subtype /Form /BBox [0 0 612 792] /Resources << /Font << /F 5 0 R >> /XObject << /X %d 0 R >> >>"
)


def chain_forms(per_form: int, depth: int) -> list[bytes]:
    """Write forms that draw the next one several times each."""
    return [stream(b"/X Do " * per_form, FORM % (7 + i)) for i in range(depth)] + [stream(SHOW, FORM % 6)]


PDFS: tuple[tuple[str, MakeFile, str | None], ...] = (
    ("a good one", one_page, None),
    ("page of 1e30 points, which PDFium takes for letter size", lambda: one_page(page=box(b"0 0 1e30 1e30")), None),
    ("page of 20 km", lambda: one_page(page=box(b"0 0 56692913 792")), "points; at most 14400"),
    ("page without extent", lambda: one_page(page=box(b"0 0 0 0")), None),
    ("page turned inside out", lambda: one_page(page=box(b"99999 99999 -99999 -99999")), "points; at most 14400"),
    ("page tree 10,000 deep", lambda: nest_pages(10_000), "Failed to load page"),
    ("page tree that is its own kid", lambda: one_page(pages=b"<< /Type /Pages /Kids [2 0 R] /Count 9 >>"), "Failed to load page"),
    ("page tree that is its own parent", lambda: one_page(pages=b"<< /Type /Pages /Parent 2 0 R /Kids [3 0 R 2 0 R] /Count 2 >>"), "Failed to load page"),
    ("object that is itself", lambda: one_page(content=b"4 0 R"), "without text"),
    ("length that is itself", lambda: one_page(content=b"<< /Length 4 0 R >>\nstream\nx\nendstream"), "without text"),
    ("form that draws itself", lambda: one_page(page=PAGE % b"/XObject << /X 6 0 R >>", content=stream(SHOW + b" /X Do"), more=[stream(b"/X Do", FORM % 6)]), None),
    ("forms that draw forms, 10**12 in all", lambda: one_page(page=PAGE % b"/XObject << /X 6 0 R >>", content=stream(SHOW + b" /X Do"), more=chain_forms(10, 12)), "more than 700 MB of memory"),
    ("stream that unpacks to 200 MB", lambda: one_page(content=stream(pack(b" " * 200_000_000), FLATE)), "without text"),
    ("stream that unpacks to 700 MB", lambda: one_page(content=stream(pack(b" " * 700_000_000), FLATE)), "more than 700 MB of memory"),
    ("a million characters too many", lambda: one_page(content=stream(pack(b"BT /F 1 Tf " + b"(abcdefghij) Tj " * 600_000 + b"ET"), FLATE)), "more than 700 MB of memory"),
    ("a million pages declared", lambda: one_page(pages=PAGES.replace(b"/Count 1", b"/Count 1000000")), "at most 50 are read"),
    ("a negative number of pages", lambda: one_page(pages=PAGES.replace(b"/Count 1", b"/Count -5")), None),
    ("100 pages", lambda: one_page(pages=b"<< /Type /Pages /Kids [%s] /Count 100 >>" % (b"3 0 R " * 100)), "100 pages; at most 50"),
    ("no pages", lambda: one_page(pages=b"<< /Type /Pages /Kids [] /Count 0 >>"), "no readable PDF"),
    ("cut in its table", lambda: one_page()[:-120], "no readable PDF"),
    ("cut in its page", lambda: one_page()[:150], "no readable PDF"),
    ("random bytes", lambda: b"%PDF-1.7\n" + bytes(zlib.crc32(b"%d" % i) & 255 for i in range(20_000)), "no readable PDF"),
    ("arrays nested 100,000 deep", lambda: one_page(content=b"[" * 100_000 + b"]" * 100_000), "without text"),
    ("dictionaries nested 100,000 deep", lambda: one_page(page=(PAGE % b"")[:-2] + b"/A " + b"<</A " * 100_000 + b"1" + b">>" * 100_000 + b">>"), None),
    ("arrays nested in the content", lambda: one_page(content=stream(b"[" * 100_000 + SHOW)), "without text"),
    ("states saved 1,000,000 times", lambda: one_page(content=stream(b"q " * 1_000_000 + SHOW)), None),
    ("JavaScript and a file to launch", lambda: one_page(catalog=CATALOG[:-2] + b"/OpenAction << /S /JavaScript /JS (app.alert\\(1\\)) /Next << /S /Launch /F (/bin/sh) >> >> >>"), None),
    ("an image of 10**10 pixels", lambda: one_page(page=PAGE % b"/XObject << /X 6 0 R >>", content=stream(SHOW + b" /X Do"), more=[stream(b"x", b"/Type /XObject /Subtype /Image /Width 100000 /Height 100000 /ColorSpace /DeviceRGB /BitsPerComponent 8")]), None),
    ("a table of 10**9 objects", lambda: one_page().replace(b"/Size 6", b"/Size 999999999"), None),
)  # fmt: skip

ENTITIES = (
    b'<!DOCTYPE x [<!ENTITY a "ha">'
    + b"".join(b'<!ENTITY %c "%s">' % (98 + i, b"&%c;" % (97 + i) * 10) for i in range(10))
    + b"]>"
)

HTMLS: tuple[tuple[str, MakeFile, str | None], ...] = (
    ("a million tags", lambda: b"<html>" + b"<b>x</b>" * 1_000_000, f"more than {MAX_TAGS} HTML tags"),
    ("tags nested 100,000 deep", lambda: b"<html><p>Cane: Upheld" + b"<div>" * 100_000, "Excessive depth"),
    ("lists nested 1,000 deep", lambda: b"<html><ul><li>" + b"<ul><li>" * 1_000 + b"x", "Excessive depth"),
    ("tables nested 300 deep", lambda: b"<html>" + b"<table><tr><td>a" * 300, "Excessive depth"),
    ("entities without end", lambda: b"<html><p>" + b"&amp;" * (MAX_CHARS - 10), None),
    ("entities that expand", lambda: ENTITIES + b"<html><p>&k;&k; Cane: Upheld", None),
    ("an attribute of 5 MB", lambda: b"<html><p class='" + b"y" * 5_000_000 + b"'>x", None),
    ("a comment of 5 MB", lambda: b"<html><!--" + b"y" * 5_000_000 + b"--><p>x", None),
    ("100,000 columns declared", lambda: b"<html><table><tr><td colspan=999999999 rowspan=999999999>x", None),
    ("unclosed tags", lambda: b"<html>Cane: Upheld" + b"<p" * 100_000, None),
    ("nothing but a tag's beginning", lambda: b"<html" + b"<" * 1_000, "no text"),
    ("zero bytes", lambda: b"<html><p>Ca\0ne\0: Up\0held", None),
    ("UTF-8 that calls itself UTF-16", lambda: b"<?xml version='1.0' encoding='utf-16'?><html><meta charset=utf-16><p>caf\xc3\xa9", None),
    ("an encoding that does not exist", lambda: b"<html><meta charset=nowhere-7><p>x", None),
    ("halves of characters", lambda: b"<html><p>a&#xD800;&#xDFFF;&#0;&#x110000;b", None),
    ("a page that loads others", lambda: b"<html><iframe src='file:///etc/passwd'></iframe><img src=x><object data=x></object><p>x", None),
    ("a base in a loop of links", lambda: b"<html><base href='//'>" + b"<a href='#'>x</a>" * 10_000, None),
)  # fmt: skip


def write_docx(**parts: bytes) -> bytes:
    """Write a Word file by its parts; `document`, `types` and `relations` replace the usual ones."""
    word = b'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
    prefix = b'<?xml version="1.0" encoding="UTF-8"?>'
    package = b"http://schemas.openxmlformats.org/package/2006/"
    office = b"http://schemas.openxmlformats.org/officeDocument/2006/relationships/"
    usual = {
        "types": prefix + b'<Types xmlns="%scontent-types"><Default Extension="rels" ContentType="application/'
        b'vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/'
        b'vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>' % package,
        "relations": prefix + b'<Relationships xmlns="%srelationships"><Relationship Id="r1" '
        b'Type="%sofficeDocument" Target="word/document.xml"/></Relationships>' % (package, office),
        "document": prefix + b"<w:document %s><w:body><w:p><w:r><w:t>Cane: Upheld</w:t></w:r></w:p></w:body></w:document>" % word,
    }  # fmt: skip
    made = {**usual, **parts}
    names = {"types": "[Content_Types].xml", "relations": "_rels/.rels", "document": "word/document.xml"}
    return write_zip({names.get(name, name): data.replace(b"%word", word) for name, data in made.items() if data})


def word_body(body: bytes, before: bytes = b"") -> bytes:
    return write_docx(document=before + b"<w:document %word><w:body>" + body + b"</w:body></w:document>")


PARAGRAPH = b"<w:p><w:r><w:t>%s</w:t></w:r></w:p>"
EXTERNAL = b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>'

DOCXS: tuple[tuple[str, MakeFile, str | None], ...] = (
    ("a good one", write_docx, None),
    ("entities that expand", lambda: word_body(PARAGRAPH % b"&k;", ENTITIES), "declares a document type"),
    ("an entity that is long", lambda: word_body(PARAGRAPH % (b"&a;" * 10_000), b'<!DOCTYPE x [<!ENTITY a "%s">]>' % (b"a" * 10_000)), "declares a document type"),
    ("a file outside", lambda: word_body(PARAGRAPH % b"&e;", EXTERNAL), "declares a document type"),
    ("entities in UTF-16", lambda: write_docx(document=('<?xml version="1.0" encoding="UTF-16"?>' + EXTERNAL.decode() + "<x>&e;</x>").encode("utf-16")), "declares a document type"),
    ("entities behind a long comment", lambda: word_body(PARAGRAPH % b"&e;", b"<!--" + os.urandom(1_500_000).hex().encode() + b"-->" + EXTERNAL), "declares a document type"),
    ("entities in its relations", lambda: write_docx(relations=EXTERNAL + b"<x>&e;</x>"), "declares a document type"),
    ("relations to the web", lambda: write_docx(**{"word/_rels/document.xml.rels": b'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r9" Type="x" Target="http://192.0.2.1/x" TargetMode="External"/></Relationships>'}), None),
    ("relations that climb out", lambda: write_docx(relations=b'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="../../../../etc/passwd"/></Relationships>'), "no readable Word file"),
    ("a part in a circle", lambda: write_docx(**{"word/_rels/document.xml.rels": b'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1" Type="x" Target="document.xml"/></Relationships>'}), None),
    ("a bomb", lambda: write_docx(**{"word/media/a.png": bytes(11_000_000)}), "as only a zip bomb does"),
    ("a bomb beyond the limit", lambda: write_docx(**{"word/media/a.png": bytes(13_000_000)}), "unpacks to 13"),
    ("no content types", lambda: write_docx(types=b""), "no readable Word file"),
    ("no document", lambda: write_docx(document=b""), "no readable Word file"),
    ("no relations", lambda: write_docx(relations=b""), "no readable Word file"),
    ("no body", lambda: write_docx(document=b"<w:document %word/>"), "no readable Word file"),
    ("a damaged document", lambda: write_docx(document=b"<w:document %word><w:body>"), "no readable Word file"),
    ("an empty document", lambda: word_body(b""), "no text"),
    ("tables nested 1,000 deep", lambda: word_body(b"<w:tbl><w:tr><w:tc>" * 1_000 + PARAGRAPH % b"x" + b"</w:tc></w:tr></w:tbl>" * 1_000), "no readable Word file"),
    ("tables nested 50 deep", lambda: word_body(b"<w:tbl><w:tr><w:tc>" * 50 + PARAGRAPH % b"Cane: Upheld" + b"</w:tc></w:tr></w:tbl>" * 50), None),
    ("a cell over 10**9 columns", lambda: word_body(b'<w:tbl><w:tr><w:tc><w:tcPr><w:gridSpan w:val="999999999"/></w:tcPr>' + PARAGRAPH % b"x" + b"</w:tc></w:tr></w:tbl>"), None),
    ("a text node of 11 MB", lambda: word_body(PARAGRAPH % os.urandom(5_500_000).hex().encode()), "no readable Word file"),
    ("100,000 paragraphs", lambda: word_body(b"".join(PARAGRAPH % os.urandom(4).hex().encode() for _ in range(100_000))), None),
    ("more text than is read", lambda: word_body((PARAGRAPH % (os.urandom(9_000).hex().encode() * 4)) * 150), f"at most {MAX_CHARS}"),
)  # fmt: skip


def write_xlsx(sheet: bytes, **parts: bytes) -> bytes:
    """Write a workbook by hand whose first sheet holds the rows given as XML."""
    main = b"http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    relations = (
        b'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">%s</Relationships>'
    )
    related = b'<Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/%s" Target="%s"/>'
    made = {
        "[Content_Types].xml": b'<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        b'<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        b'<Override PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>'
        b'<Override PartName="/xl/sheet.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/></Types>',
        "_rels/.rels": relations % (related % (b"officeDocument", b"xl/workbook.xml")),
        "xl/_rels/workbook.xml.rels": relations % (related % (b"worksheet", b"sheet.xml")),
        "xl/workbook.xml": b'<workbook xmlns="%s" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships">'
        b'<sheets><sheet name="a" sheetId="1" r:id="r1"/></sheets></workbook>' % main,
        "xl/sheet.xml": sheet.replace(b"%main", b'xmlns="' + main + b'"'),
    }  # fmt: skip
    return write_zip({**made, **parts})


def rows(body: bytes, before: bytes = b"", dimension: bytes = b"A1:A2") -> bytes:
    head = b'<row r="1"><c r="A1" t="inlineStr"><is><t>rationale</t></is></c></row>'
    return b'%s<worksheet %%main><dimension ref="%s"/><sheetData>%s%s</sheetData></worksheet>' % (
        before,
        dimension,
        head,
        body,
    )


CELL = b'<row r="%d"><c r="A%d" t="inlineStr"><is><t>Cane: Upheld</t></is></c></row>'


def write_parquet(texts: Sequence[str]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = io.BytesIO()
    pq.write_table(pa.table({"rationale": list(texts)}), file, compression="none")
    return file.getvalue()


def repack_footer(change: Callable[[bytes], bytes]) -> bytes:
    data = write_parquet(["Cane: Upheld"] * 3)
    size = struct.unpack("<I", data[-8:-4])[0]
    footer = change(data[-8 - size : -8])
    return data[: -8 - size] + footer + struct.pack("<I", len(footer)) + b"PAR1"


def quote(text: str) -> bytes:
    return json.dumps({"rationale": text}).encode() + b"\n"


FIRST = quote("Cane: Upheld")

#: the last member says what becomes of each row: None where it is read
TABLES: tuple[tuple[str, MakeFile, tuple[str | None, ...]], ...] = (
    ("t.xlsx", lambda: write_xlsx(rows(CELL % (2, 2))), (None,)),
    ("entities.xlsx", lambda: write_xlsx(rows(CELL % (2, 2), ENTITIES)), ("declares a document type",)),
    ("outside.xlsx", lambda: write_xlsx(rows(CELL % (2, 2)), **{"xl/sharedStrings.xml": EXTERNAL}), ("declares a document type",)),
    ("bomb.xlsx", lambda: write_xlsx(rows(b" " * 11_000_000)), ("as only a zip bomb does",)),
    ("huge dimension.xlsx", lambda: write_xlsx(rows(CELL % (2, 2), dimension=b"A1:XFD1048576")), (None,)),
    ("no dimension.xlsx", lambda: write_xlsx(rows(CELL % (2, 2), dimension=b"x")), (None,)),
    ("far row.xlsx", lambda: write_xlsx(rows(CELL % (2, 2) + CELL % (1048576, 1048576))), (None, None)),
    ("far column.xlsx", lambda: write_xlsx(rows(CELL % (2, 2) + b'<row r="3"><c r="XFD3"><v>1</v></c></row>')), (None, "no text in column")),
    ("no such column.xlsx", lambda: write_xlsx(rows(CELL % (2, 2) + b'<row r="3"><c r="ZZZZZZ3"><v>1</v></c></row>')), (None, "no readable workbook")),
    ("rows backwards.xlsx", lambda: write_xlsx(rows(CELL % (2, 2) + CELL % (1, 1))), (None,)),
    ("formula.xlsx", lambda: write_xlsx(rows(CELL % (2, 2) + b'<row r="3"><c r="A3" t="str"><f>"Ca"&amp;"ne"</f><v>Cane</v></c></row>')), (None, None)),
    ("formula without value.xlsx", lambda: write_xlsx(rows(CELL % (2, 2) + b'<row r="3"><c r="A3"><f>1+1</f></c><c r="B3"><v>1</v></c></row>')), (None, "no text in column")),
    ("command.xlsx", lambda: write_xlsx(rows(CELL % (2, 2) + b'<row r="3"><c r="A3" t="str"><v>=cmd|calc</v></c></row>')), (None, None)),
    ("bad number.xlsx", lambda: write_xlsx(rows(CELL % (2, 2) + b'<row r="3"><c r="A3" t="n"><v>x</v></c></row>')), (None, "no readable workbook")),
    ("bad string.xlsx", lambda: write_xlsx(rows(CELL % (2, 2) + b'<row r="3"><c r="A3" t="s"><v>99</v></c></row>')), (None, "no readable workbook")),
    ("cut.xlsx", lambda: write_xlsx(rows(CELL % (2, 2))[:-30]), ("no readable workbook",)),
    ("no sheet.xlsx", lambda: write_xlsx(b""), ("no readable workbook",)),
    ("no workbook.xlsx", lambda: write_zip({"a": b"x"}), ("no readable workbook",)),
    ("t.parquet", lambda: write_parquet(["Cane: Upheld"]), (None,)),
    ("cut.parquet", lambda: write_parquet(["Cane: Upheld"] * 100)[:-20], ("no readable Parquet",)),
    ("no magic.parquet", lambda: b"XXXX" + write_parquet(["x"])[4:-4] + b"XXXX", ("no readable Parquet",)),
    ("only magic.parquet", lambda: b"PAR1", ("no readable Parquet",)),
    ("long footer.parquet", lambda: write_parquet(["x"])[:-8] + b"\xff\xff\xff\x7fPAR1", ("no readable Parquet",)),
    ("noise in footer.parquet", lambda: repack_footer(lambda footer: footer[:20] + b"\xff" * 40 + footer[60:]), ("no readable Parquet",)),
    ("noise in data.parquet", lambda: write_parquet(["x"])[:4] + b"\xff" * 60 + write_parquet(["x"])[64:], ("no readable Parquet",)),
    ("t.csv", lambda: b"rationale\nCane: Upheld\n", (None,)),
    ("long field.csv", lambda: b"rationale\nCane\n" + b"x" * (MAX_CHARS + 1) + b"\nCane\n", (None, f"more than {MAX_CHARS} characters", None)),
    ("long quoted field.csv", lambda: b'rationale\nCane\n"' + (b"x" * (MAX_CHARS // 5 - 1) + b"\n") * 6 + b'"\nCane\n', (None, "field larger than field limit", None, None, None, None, None, "unexpected end", None)),
    ("zero bytes.csv", lambda: b"rationale\nCa\0ne\nCane\n", (None, None)),
    ("nothing but zero bytes.csv", lambda: bytes(10_000), ("no column",)),
    ("nothing but commas.csv", lambda: b"rationale\nCane\n" + b"," * (MAX_CHARS - 1) + b"\nCane\n", (None, "no text", None)),
    ("columns without end.csv", lambda: b"rationale" + b",x" * (MAX_CHARS // 2 - 10) + b"\nCane\n", (None,)),
    ("open quote.csv", lambda: b'rationale\nCane\n"Cane\nCane\n', (None, "unexpected end of data", None)),
    ("open quote in head.csv", lambda: b'"rationale\nCane\n', ("unexpected end of data",)),
    ("quotes.csv", lambda: b"rationale\nCane\n" + b'"' * (MAX_CHARS - 1) + b"\nCane\n", (None, "unexpected end of data", None)),
    ("carriage returns.csv", lambda: b"rationale\rCane\r\r\n\rCane", (None, None)),
    ("t.jsonl", lambda: FIRST, (None,)),
    ("deep.jsonl", lambda: FIRST + b"[" * 100_000 + b"\n" + FIRST, (None, "no JSON object", None)),
    ("deep object.jsonl", lambda: FIRST + b'{"rationale":' * (MAX_CHARS // 20) + b"\n" + FIRST, (None, "no JSON object", None)),
    ("huge number.jsonl", lambda: FIRST + b'{"rationale": ' + b"9" * 100_000 + b"}\n" + FIRST, (None, "no JSON object", None)),
    ("huge exponent.jsonl", lambda: FIRST + b'{"rationale": 1e999999}\n' + FIRST, (None, None, None)),
    ("long float.jsonl", lambda: FIRST + b'{"rationale": 1e308}\n' + FIRST, (None, None, None)),
    ("not a number.jsonl", lambda: FIRST + b'{"rationale": NaN}\n' + FIRST, (None, "no text in column", None)),
    ("nested.jsonl", lambda: FIRST + b'{"rationale": {"a": [1]}}\n' + FIRST, (None, None, None)),
    ("no line end.jsonl", lambda: FIRST + b'{"rationale": "' + b"x" * (2 * MAX_CHARS), (None, f"more than {MAX_CHARS} characters")),
    ("line end inside.jsonl", lambda: FIRST + b'{"rationale": "a\n' + FIRST, (None, "no JSON object", None)),
    ("half a character.jsonl", lambda: FIRST + b'{"rationale": "\\ud83d x"}\n' + FIRST, (None, None, None)),
    ("no UTF-8.jsonl", lambda: FIRST + b'{"rationale": "\xff\xfe x"}\n' + FIRST, (None, None, None)),
    ("same key.jsonl", lambda: b'{"rationale": "a", "rationale": "Cane"}\n', (None,)),
    ("no columns.jsonl", lambda: b"{}\n" + FIRST, ("no column 'rationale'; known: none",)),
)  # fmt: skip


def link_member() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("good.txt", GOOD)
        link = zipfile.ZipInfo("bad.txt")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    return file.getvalue()


def cut_member() -> bytes:
    """Write a zip whose second member's packed content ends early, as its checksum tells."""
    whole = write_zip({"good.txt": GOOD, "bad.txt": b"Cane " * 10})
    return patch_zip(whole, size=30)


#: each holds good.txt first
ZIPS: tuple[tuple[str, MakeFile, str], ...] = (
    ("a bomb", lambda: write_zip({"good.txt": GOOD, "bad.txt": bytes(11_000_000)}), "as only a zip bomb does"),
    ("a bomb beyond the limit", lambda: write_zip({"good.txt": GOOD, "bad.txt": bytes(13_000_000)}), "unpacks to 13000000 bytes; at most"),
    ("members that share their bytes", lambda: overlap_members(500), "shares its bytes with another file"),
    ("an archive inside", lambda: write_zip({"good.txt": GOOD, "bad.zip": write_zip({"a.txt": GOOD})}), "an archive inside an archive"),
    ("an archive named .txt inside", lambda: write_zip({"good.txt": GOOD, "bad.txt": write_zip({"a.txt": GOOD})}), "an archive inside an archive"),
    ("a huge size declared", lambda: patch_zip(write_zip({"good.txt": GOOD, "bad.txt": GOOD}), size=0xFFFFFFF0), "unpacks to 4294967280 bytes"),
    ("a member with a password", lambda: patch_zip(write_zip({"good.txt": GOOD, "bad.txt": GOOD}), flags=1), "needs a password"),
    ("an unknown compression", lambda: patch_zip(write_zip({"good.txt": GOOD, "bad.txt": GOOD}), method=99), "compression"),
    ("bzip2 that is none", lambda: patch_zip(write_zip({"good.txt": GOOD, "bad.txt": GOOD}), method=12), "cannot be unpacked"),
    ("LZMA that is none", lambda: patch_zip(write_zip({"good.txt": GOOD, "bad.txt": GOOD}), method=14), "cannot be unpacked"),
    ("a damaged member", lambda: damage_last(write_zip({"good.txt": GOOD, "bad.txt": os.urandom(1_000)})), "cannot be unpacked"),
    ("an absolute path", lambda: write_zip({"good.txt": GOOD, "/etc/bad.txt": GOOD}), "climbs out of the archive"),
    ("a climbing path", lambda: write_zip({"good.txt": GOOD, "../../bad.txt": GOOD}), "climbs out of the archive"),
    ("a path that climbs on its way", lambda: write_zip({"good.txt": GOOD, "a/../../bad.txt": GOOD}), "climbs out of the archive"),
    ("a path of Windows", lambda: write_zip({"good.txt": GOOD, "..\\bad.txt": GOOD}), "climbs out of the archive"),
    ("a drive", lambda: write_zip({"good.txt": GOOD, "C:/bad.txt": GOOD}), "climbs out of the archive"),
    ("no name", lambda: write_zip({"good.txt": GOOD, ".": GOOD}), "a file without name"),
    ("an empty name", lambda: write_zip({"good.txt": GOOD, "%": GOOD}).replace(b"%", b"\0"), "a file without name"),
    ("a link", link_member, "a link inside an archive is not followed"),
    ("a size too small declared", cut_member, "cannot be unpacked"),
    ("a name of two lines", lambda: write_zip({"good.txt": GOOD, "a\n\x1b[2Jb.exe": GOOD}), r"a\n\x1b[2Jb.exe"),
    ("a name of 60,000 characters", lambda: write_zip({"good.txt": GOOD, "n" * 60_000: b"\0"}), "unknown kind"),
    ("an unknown kind", lambda: write_zip({"good.txt": GOOD, "bad.exe": b"MZ"}), "unknown kind '.exe'"),
)  # fmt: skip


# --- one hostile file between two good ones


def make_cases() -> list[Any]:
    kinds = ((".pdf", PDFS), (".html", HTMLS), (".docx", DOCXS))
    return [
        pytest.param(suffix, make, message, id=f"{suffix[1:]}: {name}")
        for suffix, cases in kinds
        for name, make, message in cases
    ]


@pytest.mark.parametrize(("suffix", "make", "message"), make_cases())
def test_a_hostile_file_costs_itself(
    suffix: str, make: MakeFile, message: str | None, sandbox: Sandbox, tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_bytes(GOOD)
    (tmp_path / f"b{suffix}").write_bytes(make())
    (tmp_path / "c.txt").write_bytes(GOOD)
    first, hostile, last = read_all(sandbox, tmp_path)
    assert isinstance(first, Document)
    assert isinstance(last, Document)
    assert first.text == last.text == GOOD.decode()
    if message is None:
        assert isinstance(hostile, Document), hostile
        assert 0 < len(hostile.text) <= MAX_CHARS
    else:
        assert_named(hostile, message)


@pytest.mark.parametrize(("suffix", "make", "message"), make_cases())
def test_a_hostile_member_costs_itself(
    suffix: str, make: MakeFile, message: str | None, sandbox: Sandbox, tmp_path: Path
) -> None:
    path = tmp_path / "letters.zip"
    data = make()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (("a.txt", GOOD), (f"b{suffix}", data), ("c.txt", GOOD)):
            archive.writestr(name, content)
    first, hostile, last = read_all(sandbox, path)
    assert isinstance(first, Document)
    assert isinstance(last, Document)
    assert hostile.source == f"letters.zip/b{suffix}"
    if message is None:
        assert isinstance(hostile, Document), hostile
    else:
        assert_named(hostile, message)


@pytest.mark.parametrize(("make", "message"), [pytest.param(make, message, id=name) for name, make, message in ZIPS])
def test_a_hostile_archive_costs_its_bad_members(
    make: MakeFile, message: str, sandbox: Sandbox, tmp_path: Path
) -> None:
    (tmp_path / "a.zip").write_bytes(make())
    (tmp_path / "b.txt").write_bytes(GOOD)
    first, *hostile, last = read_all(sandbox, tmp_path)
    assert (first.source, last.source) == ("a.zip/good.txt", "b.txt")
    assert isinstance(first, Document)
    assert isinstance(last, Document)
    assert hostile
    for step in hostile:
        assert_named(step, message)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        pytest.param(lambda: write_zip({"a.txt": GOOD})[:-30], "no readable archive", id="cut"),
        pytest.param(lambda: b"PK\x03\x04" + bytes(1_000), "no readable archive", id="no directory"),
        pytest.param(lambda: write_zip({}), "an archive without files", id="empty"),
        pytest.param(lambda: write_zip({"a/": b"", ".DS_Store": b"x"}), "an archive without files", id="clutter"),
        pytest.param(lambda: make_quine(), "an archive inside an archive is not read", id="an archive of itself"),
    ],
)
def test_a_whole_archive_is_rejected(make: MakeFile, message: str, sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(make())
    (tmp_path / "b.txt").write_bytes(GOOD)
    hostile, last = read_all(sandbox, tmp_path)
    assert_named(hostile, message)
    assert isinstance(last, Document)


def make_quine() -> bytes:
    """Write archives inside archives, each with the outer one's name: who unpacks them all never ends."""
    data = write_zip({"a.zip": b"PK\x05\x06" + bytes(18)})
    for _ in range(20):
        data = write_zip({"a.zip": data})
    return data


@pytest.mark.parametrize(
    ("limit", "message"),
    [("MAX_MEMBERS", "3 files; at most 2"), ("MAX_CONTAINER_BYTES", "unpacks to 36 bytes; at most 2")],
)
def test_an_archive_of_too_much_is_rejected(
    limit: str, message: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sources, limit, 2)
    (tmp_path / "a.zip").write_bytes(write_zip({f"{i}.txt": GOOD for i in range(3)}))
    [found] = open_documents(tmp_path / "a.zip", Limits())
    assert isinstance(found, Reject)
    assert_named(found, message)


@pytest.mark.parametrize(("name", "make", "messages"), [pytest.param(*case, id=case[0]) for case in TABLES])
def test_a_hostile_table_costs_its_bad_rows(
    name: str, make: MakeFile, messages: tuple[str | None, ...], sandbox: Sandbox, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(make())
    (tmp_path / "~.txt").write_bytes(GOOD)
    *found, last = read_all(sandbox, tmp_path)
    assert isinstance(last, Document)
    assert len(found) == len(messages)
    for step, message in zip(found, messages, strict=True):
        if message is None:
            assert isinstance(step, Document), step
        else:
            assert_named(step, message)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(b"x" * (MAX_CHARS + 1), f"{MAX_CHARS + 1} characters of text; at most {MAX_CHARS}", id="too long"),
        pytest.param(b"\n" * MAX_CHARS, "no text in it", id="only line ends"),
        pytest.param(bytes(10_000), "no text in it", id="only zero bytes"),
        pytest.param(bytes(range(32)) * 100, "no text in it", id="only control characters"),
        pytest.param(b"\xff\xfe\x00", None, id="half of UTF-16"),
        pytest.param(b"\xff\xfe\x00\xd8a\x00", None, id="half of a pair"),
        pytest.param(b"\xed\xa0\x80 Cane", None, id="a surrogate in UTF-8"),
        pytest.param(b"Cane \xff\xfe\x81\xc3", None, id="no UTF-8"),
        pytest.param(b"\xf0\x9f\x98\x80" * MAX_CHARS, None, id="emoji"),
        pytest.param("ﬃ".encode() * MAX_CHARS, None, id="ligatures that grow"),
        pytest.param("â€™".encode() * (MAX_CHARS // 3), None, id="mojibake"),
        pytest.param(b"x-\n" * (MAX_CHARS // 3), None, id="hyphens"),
        pytest.param(b"\xef\xbb\xbf" * 1_000, "no text in it", id="marks"),
    ],
)
def test_a_hostile_text_costs_itself(data: bytes, message: str | None, sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(data)
    (tmp_path / "b.txt").write_bytes(GOOD)
    found, last = read_all(sandbox, tmp_path)
    assert isinstance(last, Document)
    if message is None:
        assert isinstance(found, Document)
        found.text.encode()
    else:
        assert_named(found, message)


@given(
    data=st.binary(max_size=300),
    at=st.integers(0, 500),
    suffix=st.sampled_from([".zip", ".docx", ".xlsx", ".pdf", ".html", ".csv", ".jsonl", ".parquet", ".txt"]),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_the_bytes_each_file_is_accounted_for(
    data: bytes, at: int, suffix: str, sandbox: Sandbox, tmp_path: Path
) -> None:
    """Noise written over a good file: documents or rejects, never nothing, and no child that ends."""
    made = MAKERS.get(suffix, lambda: GOOD)()
    (tmp_path / f"a{suffix}").write_bytes(made[:at] + data + made[at + len(data) :])
    found = read_all(sandbox, tmp_path / f"a{suffix}")
    assert found
    for step in found:
        assert "crash" not in getattr(step, "error", "")
        assert "cannot be read" not in getattr(step, "error", "")


MAKERS: dict[str, MakeFile] = {
    ".zip": lambda: write_zip({"a.txt": GOOD, "b.txt": GOOD}),
    ".docx": write_docx,
    ".xlsx": lambda: write_xlsx(rows(CELL % (2, 2))),
    ".pdf": one_page,
    ".parquet": lambda: write_parquet(["Cane: Upheld"]),
    ".jsonl": lambda: FIRST * 3,
}


# --- folders


@pytest.mark.parametrize(
    ("make", "message"),
    [
        pytest.param(lambda path: path.symlink_to(path), "a link that leads nowhere or to itself", id="link to itself"),
        pytest.param(lambda path: path.symlink_to("nowhere"), "a link that leads nowhere", id="link to nowhere"),
        pytest.param(
            lambda path: path.symlink_to(path.parent), "this folder was read already", id="link to its folder"
        ),
        pytest.param(lambda path: path.symlink_to(path.parent.parent), "this folder was read already", id="link up"),
        pytest.param(lambda path: path.symlink_to("/dev/zero"), "no regular file", id="device"),
        pytest.param(lambda path: path.symlink_to("/proc/self/mem"), "bad.txt: ", id="memory"),
        pytest.param(os.mkfifo, "no regular file", id="pipe"),
        pytest.param(
            lambda path: path.write_bytes(b"x") and path.rename(path.with_name("bad\udce9.txt")),
            "the name is no Unicode",
            id="name",
        ),
    ],
)
def test_what_is_no_file_is_named(
    make: Callable[[Path], object], message: str, sandbox: Sandbox, tmp_path: Path
) -> None:
    folder = tmp_path / "up" / "letters"
    folder.mkdir(parents=True)
    (folder / "a.txt").write_bytes(GOOD)
    (folder / "z.txt").write_bytes(GOOD)
    make(folder / "bad.txt")
    found = read_all(sandbox, tmp_path)
    rejects = [step for step in found if isinstance(step, Reject)]
    assert len(found) == 3
    assert len(rejects) == 1
    assert_named(rejects[0], message)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("name", ["a.txt", "closed"])
def test_what_may_not_be_read_is_named(name: str, sandbox: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(GOOD) if path.suffix else path.mkdir()
    path.chmod(0)
    try:
        [found] = read_all(sandbox, path)
    finally:
        path.chmod(0o700)
    assert_named(found, "Permission denied")


def test_a_folder_that_may_not_be_looked_into_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As the test above for root, and for what `Path.is_dir` raises."""

    def refuse(path: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "is_dir", refuse)
    [found] = find_files([tmp_path / "closed"])
    assert isinstance(found, Reject)
    assert_named(found, "Permission denied")


def test_a_file_that_vanishes_is_named(sandbox: Sandbox, tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt", "c.txt"):
        (tmp_path / name).write_bytes(GOOD)
    files = list(find_files([tmp_path]))
    (tmp_path / "b.txt").unlink()
    first, gone, last = (step for path in files if isinstance(path, Path) for step in sandbox.read(path))
    assert isinstance(first, Document)
    assert isinstance(last, Document)
    assert isinstance(gone, Reject)
    assert_named(gone, "No such file or directory")


def test_a_file_that_grows_is_not_read_beyond_the_limit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"x" * 5)
    find_kind = sources.find_kind

    def grow(name: str, data: bytes) -> str:
        monkeypatch.setattr(
            sources, "_read_document", lambda name, data, kind, limits: Reject(name, kind, str(len(data)))
        )
        return find_kind(name, data)

    class Growing(io.BytesIO):
        def seek(self, offset: int, whence: int = 0) -> int:
            return min(super().seek(offset, whence), 5)

    monkeypatch.setattr(sources, "find_kind", grow)
    monkeypatch.setattr(Path, "open", lambda self, mode: Growing(b"x" * 1_000))
    assert list(open_documents(path, Limits(bytes=10)))[-1] == Reject(str(path), "text", "11")


def test_folders_nested_deep_are_read_as_far_as_names_go(sandbox: Sandbox, tmp_path: Path) -> None:
    folder = tmp_path
    for _ in range(200):
        folder = folder / "d"
    folder.mkdir(parents=True)
    (folder / "a.txt").write_bytes(GOOD)
    [found] = read_all(sandbox, tmp_path)
    assert isinstance(found, Document)
    [found] = read_all(sandbox, Path("/" + "d/" * 5_000 + "a.txt"))
    assert isinstance(found, Reject)
    assert "name too long" in found.error.lower()


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        pytest.param("two\nlines.txt", "two\\nlines.txt", id="line end"),
        pytest.param("\x1b[2J\x07.txt", "\\x1b[2J\\x07.txt", id="terminal codes"),
        pytest.param("\u202etxt.exe", "\\u202etxt.exe", id="writing turned round"),
        pytest.param("n" * 240 + ".png", "n" * 240 + ".png", id="long"),
        pytest.param("caf\u00e9 \u4e2d.txt", "caf\u00e9 \u4e2d.txt", id="other scripts"),
        pytest.param("{'a': \"b\"} <b>.txt", "{'a': \"b\"} <b>.txt", id="quotes"),
    ],
)
def test_names_are_shown_on_one_line(name: str, shown: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"\0" if name.endswith("exe") else b"no letter")
    _, err = run("parse", tmp_path, "-o", tmp_path / "out.jsonl", code=1)
    assert "\x1b" not in err
    [reject] = map(json.loads, (tmp_path / "out.jsonl.rejects.jsonl").read_text().splitlines())
    assert reject["path"] == str(tmp_path / shown)
    assert reject["error"].startswith(str(tmp_path / shown))


def test_a_folder_given_twice_is_read_once(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(GOOD)
    first, second = read_all(sandbox, tmp_path, tmp_path)
    assert isinstance(first, Document)
    assert_named(second, "this folder was read already: a link, or given twice")


def test_parse_writes_what_no_file_can_hold(make_letter_text: Callable[..., str], tmp_path: Path) -> None:
    """Halves of characters, names that are no Unicode: all the way down to the files written."""
    path = tmp_path / "t.jsonl"
    row = {
        "rationale": "The \ud83d cane is not needed.",
        "id": "\udfff",
        "outcome": "Upheld \ud800",
        "treatment": "Cane \udc00",
    }
    path.write_text(json.dumps(row) + "\n")
    (tmp_path / "bad\udce9.jsonl").write_text(json.dumps(row) + "\n")
    columns = (
        "--text-column",
        "rationale",
        "--id-column",
        "id",
        "--outcome-column",
        "outcome",
        "--treatment-column",
        "treatment",
    )
    for suffix in (".jsonl", ".csv", ".parquet"):
        output = tmp_path / "out" / f"rows{suffix}"
        output.parent.mkdir(exist_ok=True)
        run("parse", path, tmp_path / "bad\udce9.jsonl", *columns, "-o", output)
        assert "no Unicode" in output.with_name(output.name + ".rejects.jsonl").read_text(encoding="utf-8")
    [item] = map(json.loads, (tmp_path / "out/rows.jsonl").read_text(encoding="utf-8").splitlines())
    assert item["rationale"] == "The \ufffd cane is not needed."
    assert item["treatment"] == "Cane \ufffd"
    assert "1 characters could not be read" in item["warnings"]


# --- the child


def test_time_is_limited(tmp_path: Path) -> None:
    attributes = b" ".join(b"a%d=1" % i for i in range(150_000))
    (tmp_path / "a.txt").write_bytes(GOOD)
    (tmp_path / "b.html").write_bytes(b"<html><p " + attributes + b">x")
    (tmp_path / "c.txt").write_bytes(GOOD)
    with Sandbox(Limits(seconds=1.5)) as sandbox:
        first, slow, last = read_all(sandbox, tmp_path)
    assert isinstance(first, Document)
    assert isinstance(last, Document)
    assert_named(slow, "not read within 1.5 seconds")


def patch_child(monkeypatch: pytest.MonkeyPatch, code: str, *, before: str = "") -> None:
    """Let the child run `code` when it reads a text with the word "bad", and `before` at its beginning."""
    script = (
        "import os, signal, sys, time, runpy, warnings; from imr_rationale.letters import extract\n"
        "usual = extract.EXTRACTORS\n"
        f"def read(name, data, limits):\n    if b'bad' in data:\n        {code}\n    return data.decode()\n"
        f"{before}\n"
        "extract.EXTRACTORS = {**usual, 'text': read}\n"
        "warnings.simplefilter('ignore'); runpy.run_module('imr_rationale.letters.reader', run_name='__main__')"
    )
    popen = subprocess.Popen

    def start(command: Sequence[str], **options: Any) -> "subprocess.Popen[bytes]":
        return popen([sys.executable, "-c", script, command[-1]], **options)

    monkeypatch.setattr(sandbox_module.subprocess, "Popen", start)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        pytest.param("os.kill(os.getpid(), signal.SIGKILL)", "reading it crashed (SIGKILL)", id="killed"),
        pytest.param("os.kill(os.getpid(), signal.SIGSEGV)", "reading it crashed (SIGSEGV)", id="crash"),
        pytest.param("os._exit(3)", "reading it crashed (exit code 3)", id="exit"),
        pytest.param("sys.exit(0)", "reading it crashed (exit code 0)", id="quiet exit"),
        pytest.param("raise KeyError(name)", "cannot be read (KeyError)", id="error"),
        pytest.param("return 'x' * 10 ** 10", "needs more than 700 MB of memory", id="memory"),
        pytest.param("return read(name, data, limits)", "cannot be read (RecursionError)", id="recursion"),
        pytest.param("time.sleep(60)", "not read within 2 seconds", id="sleep"),
        pytest.param("exec('while True: pass')", "not read within 2 seconds", id="loop"),
        pytest.param("os.write(os.open('made', os.O_CREAT | os.O_WRONLY), b'x')", "File too large", id="writes a file"),
        pytest.param("os.kill(os.getpid(), 40)", "reading it crashed (signal 40)", id="signal without name"),
        pytest.param("os.write(3, b'nonsense\\n' * 3)", "reading it gave no valid answer", id="nonsense"),
        pytest.param("os.write(3, b'[' * 100_000 + b'\\n')", "reading it gave no valid answer", id="nested nonsense"),
        pytest.param("os.write(3, b'[\"Document\", {\"text\": 5}]\\n')", "reading it gave no valid answer", id="half an answer"),
        pytest.param("os.write(3, b'[\"Reject\", {\"source\": 5, \"kind\": \"\", \"error\": \"\"}]\\n')", "no valid answer", id="a number for a text"),
        pytest.param("exec('while True: os.write(3, b\"x\" * 1_000_000)')", "more text than a letter can have", id="endless"),
    ],
)  # fmt: skip
def test_a_child_that_fails_costs_one_member(
    code: str, message: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    patch_child(monkeypatch, code)
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "letters.zip"
    path.write_bytes(write_zip({"a.txt": GOOD, "b.txt": b"bad", "c.txt": GOOD, "d.txt": GOOD}))
    with Sandbox(Limits(seconds=2, memory=700_000_000)) as sandbox:
        first, bad, *rest = read_all(sandbox, path)
    assert isinstance(first, Document)
    assert_named(bad, message)
    assert bad.source == "letters.zip/b.txt"
    assert [step.source for step in rest if isinstance(step, Document)] == ["letters.zip/c.txt", "letters.zip/d.txt"]


def say(step: str, /, **values: object) -> str:
    """Give code of a child that says a step."""
    frame = json.dumps([step, values]).encode() + b"\n"
    return f"os.write(3, {frame!r})"


ROW = {"source": "letters.zip/b.txt", "kind": "text", "text": "x", "notes": []}


@pytest.mark.parametrize(
    "code",
    [
        pytest.param(say("Document", **{**ROW, "text": None}), id="no text"),
        pytest.param(say("Document", **{**ROW, "source": None}), id="no source"),
        pytest.param(say("Document", **{**ROW, "kind": None}), id="no kind"),
        pytest.param(say("Document", **{**ROW, "notes": None}), id="no notes"),
        pytest.param(say("Document", **{**ROW, "notes": "a"}), id="a text for notes"),
        pytest.param(say("Document", **{**ROW, "notes": [1]}), id="a number for a note"),
        pytest.param(say("Document", **ROW, outcome=["Upheld"]), id="a list for an outcome"),
        pytest.param(say("Document", **ROW, more="x"), id="a field too many"),
        pytest.param(say("Document", **{**ROW, "source": "other.txt"}), id="another file"),
        pytest.param(say("Document", **{**ROW, "source": "letters.zip/a.txt"}), id="another member"),
        pytest.param(say("Reject", source="letters.zip/b.txt", kind="text", error=None), id="no error"),
        pytest.param(say("Opened", source="letters.zip/c.txt", kind="text"), id="opened again"),
        pytest.param(f"[{say('Opened', source='letters.zip/b.txt', kind='text')} for _ in iter(int, 1)]", id="opened for ever"),
        pytest.param("os.write(3, b'null\\n')", id="no more though opened"),
        pytest.param("os.write(3, b'[]\\n')", id="nothing"),
        pytest.param("os.write(3, b'[\"crash\", null]\\n')", id="a crash without name"),
    ],
)  # fmt: skip
def test_an_answer_that_no_honest_child_gives_is_refused(
    code: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    patch_child(monkeypatch, code)
    path = tmp_path / "letters.zip"
    path.write_bytes(write_zip({"a.txt": GOOD, "b.txt": b"bad", "c.txt": GOOD}))
    with Sandbox(Limits(seconds=20)) as sandbox:
        first, bad, last = read_all(sandbox, path)
    assert isinstance(first, Document)
    assert isinstance(last, Document)
    assert_named(bad, "reading it gave no valid answer")
    assert (bad.source, last.source) == ("letters.zip/b.txt", "letters.zip/c.txt")


def test_no_answer_at_all_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    before = "from imr_rationale.letters import sources; sources.open_documents = lambda *args, **options: []"
    patch_child(monkeypatch, "pass", before=before)
    (tmp_path / "a.txt").write_bytes(GOOD)
    with Sandbox(LIMITS) as sandbox:
        [found] = read_all(sandbox, tmp_path)
    assert_named(found, "reading it gave no valid answer")


def test_what_a_child_says_can_be_printed_and_stored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    texts = {"text": "a\ud83d\x1b[2J\n\tb", "id": "\udfff", "outcome": "Upheld\x07", "treatment": "Cane\x00"}
    row = {**texts, "source": "a.txt\x1b[2J\n\ud83d", "kind": "row\x1b", "notes": ["\x1b[2J"]}
    reject = {"source": "a.txt\n", "kind": "text", "error": "a.txt\n\x1b[2J\ud83d\u202e"}
    patch_child(monkeypatch, f"{say('Document', **row)}; {say('Reject', **reject)}; os._exit(0)")
    (tmp_path / "a.txt").write_bytes(b"bad")
    with Sandbox(LIMITS) as sandbox:
        document, reject, *_ = read_all(sandbox, tmp_path)
    assert isinstance(document, Document)
    assert (document.source, document.kind, document.notes) == (r"a.txt\x1b[2J\n\ud83d", r"row\x1b", (r"\x1b[2J",))
    assert document.text == "a\ufffd\ufffd[2J\n\tb"
    assert (document.id, document.outcome, document.treatment) == ("\ufffd", "Upheld\ufffd", "Cane\ufffd")
    assert isinstance(reject, Reject)
    assert (reject.source, reject.error) == (r"a.txt\n", r"a.txt\n\x1b[2J\ud83d\u202e")


def test_a_child_that_always_fails_is_not_started_for_ever(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sandbox_module, "MAX_FAILURES", 3)
    patch_child(monkeypatch, "os._exit(1)")
    names = ("0.txt", "bad.txt", "1.txt", *(f"bad{i}.txt" for i in range(5)))
    (tmp_path / "a.zip").write_bytes(write_zip({name: name.encode() for name in names}))
    with Sandbox(LIMITS) as sandbox:
        *found, rest = read_all(sandbox, tmp_path)
    assert [step.source.removeprefix("a.zip/") for step in found] == list(names[:6])
    assert_named(rest, "what stands behind the first 6: reading it crashed (exit code 1)")


#: whatever a reader imports, also only when it meets a file that needs it
IMPORTED = ("json", "ftfy", "docx", "lxml", "inscriptis", "pypdfium2", "openpyxl", "pyarrow", "csv", "dataclasses",
            "numpy", "pandas", "typing_extensions", "zlib", "ctypes", "encodings", "requests")  # fmt: skip


@pytest.mark.parametrize("path", [None, "", "more", os.pathsep + "more", ".", "{here}"])
def test_no_module_among_the_letters_is_imported(
    path: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    texts = {
        ".txt": "isn\u00e2\u20ac\u2122t".encode(),
        ".csv": b"rationale\nCane\n",
        **{s: make() for s, make in MAKERS.items()},
    }
    for suffix, data in {**texts, ".html": b"<html><p>Cane"}.items():
        (tmp_path / f"a{suffix}").write_bytes(data)
    for name in IMPORTED:
        (tmp_path / f"{name}.py").write_text(f"open({f'{tmp_path}/{name}.ran'!r}, 'w').close()\nraise SystemExit\n")
    monkeypatch.chdir(tmp_path)
    if path is None:
        monkeypatch.delenv("PYTHONPATH", raising=False)
    else:
        monkeypatch.setenv("PYTHONPATH", path.format(here=tmp_path))
    with Sandbox(LIMITS, columns=COLUMNS) as sandbox:
        found = [step for file in sorted(tmp_path.glob("a.*")) for step in sandbox.read(Path(file.name))]
    assert not list(tmp_path.glob("*.ran"))
    assert len(found) == 12
    assert all(isinstance(step, Document) for step in found), found


def test_what_a_library_prints_is_no_answer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    patch_child(monkeypatch, "print('[\"Reject\", {}]', flush=True); os.write(1, b'null\\n')")
    (tmp_path / "a.txt").write_bytes(b"bad")
    with Sandbox() as sandbox:
        [found] = sandbox.read(tmp_path / "a.txt")
    assert isinstance(found, Document)
    assert found.text == "bad"


def test_a_child_killed_from_outside_costs_what_it_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    patch_child(monkeypatch, "time.sleep(60)")
    path = tmp_path / "letters.zip"
    path.write_bytes(write_zip({"a.txt": GOOD, "b.txt": b"bad", "c.txt": GOOD}))
    with Sandbox(LIMITS) as sandbox:
        found = sandbox.read(path, name="letters.zip")
        assert isinstance(next(found), Document)
        assert sandbox._child is not None
        killer = threading.Timer(0.5, sandbox._child._process.kill)
        killer.start()
        bad, last = found
        killer.join()
    assert_named(bad, f"reading it crashed ({signal.SIGKILL.name})")
    assert isinstance(last, Document)


def test_a_child_killed_between_two_files_costs_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(GOOD)
    with Sandbox(LIMITS) as sandbox:
        for _ in range(2):
            [found] = sandbox.read(tmp_path / "a.txt")
            assert isinstance(found, Document)
            assert sandbox._child is not None
            sandbox._child._process.kill()
            sandbox._child._process.wait()


@pytest.mark.parametrize(
    ("code", "message"),
    [
        pytest.param("os.kill(os.getpid(), signal.SIGKILL)", "reading it crashed (SIGKILL)", id="killed"),
        pytest.param("raise KeyError(name)", "cannot be read (KeyError)", id="error"),
        pytest.param("time.sleep(60)", "not read within 2 seconds", id="sleep"),
        pytest.param("os.write(3, b'nonsense\\n' * 3)", "reading it gave no valid answer", id="nonsense"),
        pytest.param(say("Reject", source="other.txt", kind="text", error=""), "no valid answer", id="another file"),
        pytest.param(f"os.write(3, b'null\\n'); {say('Opened', source='c.txt', kind='text')}", "no valid answer", id="no answer"),
    ],
)  # fmt: skip
def test_a_file_read_ahead_costs_itself(
    code: str, message: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    patch_child(monkeypatch, code)
    for name, data in {"a": GOOD, "b": b"bad", "c": GOOD, "d": b"bad", "e": b"bad", "f": GOOD}.items():
        (tmp_path / f"{name}.txt").write_bytes(data)
    with Sandbox(Limits(seconds=2)) as sandbox:
        found = read_all(sandbox, tmp_path)
    assert [step.source for step in found] == [f"{name}.txt" for name in "abcdef"]
    assert [type(step).__name__[0] for step in found] == ["D", "R", "D", "R", "R", "D"]
    for step in found:
        if isinstance(step, Reject):
            assert_named(step, message)


def test_reading_ahead_waits_for_nobody(tmp_path: Path) -> None:
    """Requests and answers that no pipe holds; what waits to be read takes none of the time of a file."""
    folder = tmp_path / ("long" * 60) / ("name" * 60)
    folder.mkdir(parents=True)
    paths = [folder / f"{number:04}.txt" for number in range(300)]
    for path in paths:
        path.write_text(f"Cane {path.name}: Upheld" * 1_000)
    with Sandbox(Limits(seconds=2)) as sandbox:
        sandbox.expect((path, None) for path in paths)
        [first] = sandbox.read(paths[0])
        time.sleep(2.5)
        found = [first, *(step for path in paths[1:] for step in sandbox.read(path))]
    assert [step.text[:13] for step in found if isinstance(step, Document)] == [f"Cane {path.name}" for path in paths]


def test_files_may_be_read_in_another_order_than_expected(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / f"{name}.txt").write_text(f"Cane {name}: Upheld")
    with Sandbox(LIMITS) as sandbox:
        for order in ("abc", "b", "aac", "cba"):
            sandbox.expect((tmp_path / f"{name}.txt", name) for name in "aabc")
            found = [step for name in order for step in sandbox.read(tmp_path / f"{name}.txt", name=name)]
            assert [step.source for step in found] == [*order]
            assert [step.text for step in found if isinstance(step, Document)] == [
                f"Cane {name}: Upheld" for name in order
            ]


def test_a_read_that_is_broken_off_costs_no_other_file(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(write_zip({"a.txt": GOOD, "b.txt": GOOD}))
    (tmp_path / "b.txt").write_bytes(GOOD)
    with Sandbox(LIMITS) as sandbox:
        sandbox.expect((tmp_path / name, name) for name in ("a.zip", "b.txt", "b.txt"))
        broken = sandbox.read(tmp_path / "a.zip", name="a.zip")
        assert next(broken).source == "a.zip/a.txt"
        broken.close()
        for _ in range(2):
            [found] = sandbox.read(tmp_path / "b.txt", name="b.txt")
            assert isinstance(found, Document)


def test_a_child_killed_before_it_came_to_a_file_costs_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(GOOD)
    with Sandbox(LIMITS) as sandbox:
        [_] = sandbox.read(tmp_path / "a.txt")
        assert sandbox._child is not None
        sandbox._child._process.kill()
        sandbox._child._process.wait()
        sandbox.expect([(tmp_path / "a.txt", None)] * 2)
        for _ in range(2):
            [found] = sandbox.read(tmp_path / "a.txt")
            assert isinstance(found, Document)


def test_rows_behind_the_place_where_a_table_ends_badly_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = (
        "from imr_rationale.letters import tables; parse = tables._parse_object\n"
        "tables._parse_object = lambda line: os._exit(1) if 'bad' in line else parse(line)"
    )
    patch_child(monkeypatch, "pass", before=before)
    (tmp_path / "t.jsonl").write_bytes(FIRST * 2 + quote("bad") + FIRST)
    with Sandbox(LIMITS, columns=COLUMNS) as sandbox:
        first, second, rest = read_all(sandbox, tmp_path)
    assert isinstance(first, Document)
    assert isinstance(second, Document)
    assert_named(rest, "what stands behind the first 2: reading it crashed (exit code 1)")


def test_a_row_whose_text_ends_the_child_costs_itself(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    before = (
        "from imr_rationale.letters import sources; clean = sources.clean_text\n"
        "sources.clean_text = lambda text: os._exit(1) if 'bad' in text else clean(text)"
    )
    patch_child(monkeypatch, "pass", before=before)
    (tmp_path / "t.jsonl").write_bytes(FIRST * 2 + quote("bad") + FIRST)
    with Sandbox(LIMITS, columns=COLUMNS) as sandbox:
        *good, bad, last = read_all(sandbox, tmp_path)
    assert [step.source for step in good] == ["t.jsonl:1", "t.jsonl:2"]
    assert_named(bad, "reading it crashed (exit code 1)")
    assert (bad.source, last.source) == ("t.jsonl:3", "t.jsonl:4")


def test_a_reader_that_stops_half_way_gets_the_next_file(tmp_path: Path) -> None:
    (tmp_path / "many.zip").write_bytes(write_zip({f"{i}.txt": GOOD * 1_000 for i in range(100)}))
    (tmp_path / "one.txt").write_bytes(GOOD)
    with Sandbox(LIMITS) as sandbox:
        for stop in (0, 1, 50, 99):
            found = sandbox.read(tmp_path / "many.zip")
            for _ in range(stop):
                next(found)
            found.close()
            [last] = sandbox.read(tmp_path / "one.txt")
            assert isinstance(last, Document)
            assert last.text == GOOD.decode()


def test_reading_goes_on_behind_what_was_read(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(write_zip({f"{i}.txt": GOOD for i in range(5)}))
    found = sandbox.read(tmp_path / "a.zip", name="a.zip", skip=3)
    assert [step.source for step in found] == ["a.zip/3.txt", "a.zip/4.txt"]


def test_read_document_of_a_hostile_file_raises_our_error(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(overlap_members(1))
    with pytest.raises(SourceError, match="more than one letter"):
        read_document(tmp_path / "a.zip")
    (tmp_path / "b.docx").write_bytes(word_body(PARAGRAPH % b"&k;", ENTITIES))
    with pytest.raises(SourceError, match="declares a document type"):
        read_document(tmp_path / "b.docx")
