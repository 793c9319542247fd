"""The bytes of one file -> its text; one function per kind."""

import io
import itertools
import lzma
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import PurePath
from types import MappingProxyType
from typing import IO, TYPE_CHECKING

from imr_rationale.errors import SourceError
from imr_rationale.letters.clean import clean_text, decode_bytes
from imr_rationale.letters.limits import MAX_CHARS, MAX_COMPRESSION, MAX_PAGE_POINTS, MAX_TAGS, Limits
from imr_rationale.letters.pages import find_body_lines

if TYPE_CHECKING:
    import pypdfium2
    from lxml.etree import _Element

__all__ = ["EXTRACTORS", "SUFFIXES", "ZIP_ERRORS", "check_office", "check_unpacked", "extract_text", "find_kind"]

#: PDFium's mark for a hyphen at a line's end, whose line break it takes out
PDF_HYPHEN = "\ufffe"
#: base lines further apart than this many times the usual distance hold a blank line between them
BLANK_LINE_RATIO = 1.5
#: file suffix -> kind
SUFFIXES: Mapping[str, str] = MappingProxyType(
    {
        ".txt": "text",
        ".md": "text",
        ".pdf": "pdf",
        ".html": "html",
        ".htm": "html",
        ".docx": "docx",
        ".zip": "zip",
        ".csv": "csv",
        ".jsonl": "jsonl",
        ".xlsx": "xlsx",
        ".parquet": "parquet",
    }
)
#: how a file of a kind begins, whatever its name says
MAGIC = (
    (b"%PDF-", "pdf"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"PAR1", "parquet"),
    (b"\xd0\xcf\x11\xe0", "doc"),
    (rb"{\rtf", "rtf"),
)
#: part that every Office file has and that they are written with first
OFFICE_PART = b"[Content_Types].xml"
#: Word's elements that hold settings, text that was moved away, or the same text for an older Word
WORD_SKIPPED = frozenset(("pPr", "rPr", "tblPr", "trPr", "tcPr", "sectPr", "moveFrom", "Fallback"))
#: what stands for a character without being text
WORD_MARKS: Mapping[str, str] = MappingProxyType({"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-"})
#: kinds that are known and not read
REFUSED: Mapping[str, str] = MappingProxyType(
    {"doc": "a Word 97 file: save it as .docx or .pdf", "rtf": "an RTF file: save it as .docx or .pdf"}
)
#: of a part of an Office file, read at a time
CHUNK_BYTES = 1_000_000
#: what zipfile raises on damaged, encrypted or unknown archives
ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError, OSError, ValueError, struct.error)
# "<!DOCTYPE html>", "<html lang=en>" at the beginning of a text
HTML_RE = re.compile(rb"\s{0,100}(?:<\?xml[^>]{0,200}>\s{0,100})?<(?:!doctype html|html)\b", re.IGNORECASE)


def find_kind(name: str, data: bytes) -> str:
    """Tell the kind of a file by how it begins, else by its suffix.

    Parameters
    ----------
    name : str
        Its suffix counts; a file without one that holds text is taken as text.
    data : bytes
        The first thousand bytes at least, or all of a shorter file.

    Raises
    ------
    SourceError
        The kind is unknown, or known and not read.

    Examples
    --------
    >>> find_kind("letter.txt", b"%PDF-1.7")
    'pdf'
    """
    suffix = PurePath(name).suffix.lower()
    kind = next((kind for magic, kind in MAGIC if data.startswith(magic)), None)
    if kind is not None and kind in REFUSED:
        raise SourceError(f"{name}: {REFUSED[kind]}")
    if kind == "zip" and SUFFIXES.get(suffix) in {"docx", "xlsx"}:
        return SUFFIXES[suffix]
    if kind == "zip" and suffix != ".zip" and OFFICE_PART in data:
        return "docx"
    if kind is None and suffix not in SUFFIXES and (suffix or b"\x00" in data):
        raise SourceError(f"{name}: unknown kind {suffix!r}; known: {', '.join(SUFFIXES)}")
    return kind or SUFFIXES.get(suffix) or ("html" if HTML_RE.match(data) else "text")


def extract_text(name: str, data: bytes, kind: str, limits: Limits) -> tuple[str, tuple[str, ...]]:
    r"""Extract the text of a letter.

    Parameters
    ----------
    name : str
        Stands in messages.
    data : bytes
    kind : str
        One of `EXTRACTORS`.
    limits : Limits

    Returns
    -------
    text : str
        Line ends are ``\n``; the pages of a PDF stand a blank line apart.
    notes : tuple of str
        What was repaired or lost.

    Raises
    ------
    SourceError
        The file is damaged, beyond a limit, or a PDF without text.
    """
    if len(data) > limits.bytes:
        raise SourceError(f"{name}: {len(data)} bytes; at most {limits.bytes} are read")
    text = EXTRACTORS[kind](name, data, limits)
    if len(text) > MAX_CHARS:
        raise SourceError(f"{name}: {len(text)} characters of text; at most {MAX_CHARS} are read")
    cleaned, notes = clean_text(text)
    if not cleaned.strip():
        raise SourceError(f"{name}: {'PDF without text layer (a scan?)' if kind == 'pdf' else 'no text in it'}")
    return cleaned, notes


def _extract_plain(name: str, data: bytes, limits: Limits) -> str:
    return decode_bytes(data)


def _extract_pdf(name: str, data: bytes, limits: Limits) -> str:
    import pypdfium2

    try:
        with pypdfium2.PdfDocument(data) as document:
            if len(document) > limits.pages:
                raise SourceError(f"{name}: {len(document)} pages; at most {limits.pages} are read")
            return _join_pages(list(_read_pages(name, document)))
    except pypdfium2.PdfiumError as error:
        raise SourceError(f"{name}: no readable PDF ({error})") from error


def _read_pages(name: str, document: "pypdfium2.PdfDocument") -> Iterator[list[tuple[str, float]]]:
    """Yield the lines of each page, each with the distance of its base line from the one above, in points."""
    n_chars = 0
    for page in document:
        width, height = page.get_size()
        if not max(width, height) <= MAX_PAGE_POINTS:
            raise SourceError(
                f"{name}: a page of {width:.0f} by {height:.0f} points; at most {MAX_PAGE_POINTS} are read"
            )
        textpage = page.get_textpage()
        lines = textpage.get_text_range().split("\r\n")
        n_chars += sum(map(len, lines))
        if n_chars > MAX_CHARS:
            raise SourceError(f"{name}: more than {MAX_CHARS} characters of text")
        heights = list(_baselines(textpage, lines))
        drops = [0.0, *(above - below for above, below in itertools.pairwise(heights))]
        textpage.close()
        page.close()
        yield list(zip(lines, drops, strict=True))


def _join_pages(pages: Sequence[Sequence[tuple[str, float]]]) -> str:
    """Join pages, with a blank line between them and wherever the distance of two base lines shows one.

    PDFium drops blank lines. The usual distance is that of the whole document's closer lines: on a page of few lines
    most may stand apart.
    """
    drops = sorted(drop for page in pages for _, drop in page if drop > 0)
    limit = BLANK_LINE_RATIO * drops[len(drops) // 4] if drops else 0.0
    kept = find_body_lines([[line for line, _ in page] for page in pages])
    texts = (
        "\n".join(f"\n{line}" if drop > limit > 0 else line for line, drop in (page[i] for i in indices))
        for page, indices in zip(pages, kept, strict=True)
    )
    return "\n\n".join(texts).replace(PDF_HYPHEN, "-")


def _baselines(textpage: "pypdfium2.PdfTextPage", lines: Sequence[str]) -> Iterator[float]:
    """Yield the height of each line's first character on the page, in points from below."""
    from ctypes import byref, c_double

    from pypdfium2 import raw

    x, y = c_double(), c_double()
    page, places = textpage.raw, (byref(x), byref(y))
    find_char, find_origin = raw.FPDFText_GetCharIndexFromTextIndex, raw.FPDFText_GetCharOrigin
    last = sum(map(len, lines)) + 2 * len(lines) - 3
    # PDFium leaves characters out of the text and adds none: where the last one keeps its place, all do
    is_whole = find_char(page, last) == last
    index = 0
    for line in lines:
        find_origin(page, index if is_whole else find_char(page, index), *places)
        yield y.value
        index += len(line) + 2


def _extract_html(name: str, data: bytes, limits: Limits) -> str:
    from inscriptis import Inscriptis
    from lxml.etree import LxmlError, ParserError
    from lxml.html import HTMLParser, document_fromstring

    html = decode_bytes(data).replace("\x00", "")
    if html.count("<") > MAX_TAGS:
        raise SourceError(f"{name}: more than {MAX_TAGS} HTML tags")
    parser = HTMLParser(encoding="utf-8")
    try:
        tree = document_fromstring(html.encode(errors="replace"), parser=parser)
        # the parser passes over what is nested deeper than it goes
        for entry in parser.error_log.filter_from_fatals():
            raise SourceError(f"{name}: no readable HTML ({entry.message})")
        return str(Inscriptis(tree).get_text())
    except ParserError:  # nothing but comments
        return ""
    except (LxmlError, RecursionError, ValueError) as error:
        raise SourceError(f"{name}: no readable HTML ({type(error).__name__})") from error


def _extract_docx(name: str, data: bytes, limits: Limits) -> str:
    from docx import Document
    from docx.opc.exceptions import OpcError
    from lxml.etree import LxmlError

    check_office(name, io.BytesIO(data), limits.bytes)
    try:
        return _read_word(Document(io.BytesIO(data)).element.body)
    except (OpcError, LxmlError, LookupError, ValueError, AttributeError, TypeError, *ZIP_ERRORS) as error:
        raise SourceError(f"{name}: no readable Word file ({type(error).__name__})") from error


def _read_word(body: "_Element") -> str:
    """Give the text of a Word file in its order: paragraphs a blank line apart, a table's row on a line.

    Walks over the elements themselves: python-docx leaves out text in content controls, text boxes, tables inside
    tables and revisions that were inserted.
    """
    from lxml.etree import QName, iterwalk

    parts: list[str] = []
    depth = 0
    walk = iterwalk(body, events=("start", "end"))
    for event, element in walk:
        tag = QName(element).localname if isinstance(element.tag, str) else ""
        if event == "start" and tag in WORD_SKIPPED:
            walk.skip_subtree()
        elif event == "start":
            depth += tag == "tc"
            parts.append((element.text or "") if tag == "t" else WORD_MARKS.get(tag, ""))
        elif tag in {"p", "tr"}:
            parts.append("\n" if depth else "\n\n")
        elif tag == "tc":
            depth -= 1
            # a cell ends in a paragraph
            parts[-1:] = "\t"
    return "".join(parts)


#: kind -> function from name, bytes and limits to text
EXTRACTORS: Mapping[str, Callable[[str, bytes, Limits], str]] = MappingProxyType(
    {"text": _extract_plain, "pdf": _extract_pdf, "html": _extract_html, "docx": _extract_docx}
)


def check_unpacked(name: str, size: int, packed: int, limit: int) -> None:
    """Refuse what unpacks to more than `limit` bytes, or shrank as only a bomb does.

    Declared sizes are a bound: no more than that is unpacked.
    """
    if size > limit:
        raise SourceError(f"{name}: unpacks to {size} bytes; at most {limit} are read")
    # small files shrink by chance
    if size > 1_000_000 and size > MAX_COMPRESSION * max(packed, 1):
        raise SourceError(f"{name}: unpacks to {size // max(packed, 1)} times its size, as only a zip bomb does")


def check_office(name: str, file: IO[bytes], limit: int) -> None:
    """Refuse a .docx or .xlsx that is no archive, a bomb, or declares XML entities.

    References
    ----------
    Office Open XML (ECMA-376 part 2) forbids document type declarations; attacks by entity expansion need one.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            packed = sum(member.compress_size for member in members)
            check_unpacked(name, sum(member.file_size for member in members), packed, limit)
            for member in members:
                if member.filename.lower().endswith((".xml", ".rels")) and _declares_type(archive, member):
                    raise SourceError(f"{name}: {member.filename} declares a document type, as entity attacks do")
    except ZIP_ERRORS as error:
        raise SourceError(f"{name}: no readable Office file ({error})") from error


def _declares_type(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bool:
    rest = b""
    with archive.open(member) as part:
        # parts may be UTF-16, where every other byte is zero
        while chunk := part.read(CHUNK_BYTES).replace(b"\x00", b""):
            if b"<!DOCTYPE" in rest + chunk:
                return True
            rest = chunk[-len(b"<!DOCTYPE") :]
    return False
