"""A file -> its text; one bounded function per kind."""

import codecs
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from imr_rationale.errors import SourceError

if TYPE_CHECKING:
    import pypdfium2

__all__ = ["MAX_BYTES", "MAX_PAGES", "READERS", "find_files", "read_text"]

#: the longest letter seen has 27 kB of text and 300 kB of PDF; far above that is no letter
MAX_BYTES = 50_000_000
#: the longest letter seen has 13 pages
MAX_PAGES = 2_000
#: what is handed on is at most this long, whatever the file's kind
MAX_CHARS = 5_000_000
#: PDFium's mark for a hyphen at a line's end, whose line break it takes out
PDF_HYPHEN = "\ufffe"
#: base lines further apart than this many times the usual distance hold a blank line between them
BLANK_LINE_RATIO = 1.5


def _read_plain(path: Path) -> str:
    data = path.read_bytes()
    for mark, encoding in (
        (codecs.BOM_UTF8, "utf-8-sig"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if data.startswith(mark):
            return data.decode(encoding, errors="replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def _read_pdf(path: Path) -> str:
    import pypdfium2

    try:
        with pypdfium2.PdfDocument(path) as document:
            if len(document) > MAX_PAGES:
                raise SourceError(f"{path}: {len(document)} pages; at most {MAX_PAGES} are read")
            text = _join_pages([_read_page(page) for page in document])
    except pypdfium2.PdfiumError as error:
        raise SourceError(f"{path}: no readable PDF ({error})") from error
    if not text.strip():
        raise SourceError(f"{path}: PDF without text layer (a scan?)")
    return text


def _read_page(page: "pypdfium2.PdfPage") -> list[tuple[str, float]]:
    """Give the lines of a page, each with the distance of its base line from the one above, in points."""
    textpage = page.get_textpage()
    lines = textpage.get_text_range().split("\r\n")
    heights = list(_baselines(textpage, lines))
    drops = [0.0, *(above - below for above, below in itertools.pairwise(heights))]
    return list(zip(lines, drops, strict=True))


def _join_pages(pages: Sequence[Sequence[tuple[str, float]]]) -> str:
    """Join pages, with a blank line between them and wherever the distance of two base lines shows one.

    PDFium drops blank lines. The usual distance is that of the whole document's closer lines: on a page of few lines
    most may stand apart.
    """
    drops = sorted(drop for page in pages for _, drop in page if drop > 0)
    limit = BLANK_LINE_RATIO * drops[len(drops) // 4] if drops else 0.0
    texts = ("\n".join(f"\n{line}" if drop > limit > 0 else line for line, drop in page) for page in pages)
    return "\n\n".join(texts).replace(PDF_HYPHEN, "-")


def _baselines(textpage: "pypdfium2.PdfTextPage", lines: Sequence[str]) -> Iterator[float]:
    """Yield the height of each line's first character on the page, in points from below."""
    from ctypes import byref, c_double

    from pypdfium2 import raw

    x, y = c_double(), c_double()
    index = 0
    for line in lines:
        raw.FPDFText_GetCharOrigin(
            textpage, raw.FPDFText_GetCharIndexFromTextIndex(textpage, index), byref(x), byref(y)
        )
        yield y.value
        index += len(line) + 2


#: file suffix -> reader
READERS: Mapping[str, Callable[[Path], str]] = MappingProxyType(
    {".txt": _read_plain, ".md": _read_plain, ".pdf": _read_pdf}
)


def read_text(path: Path) -> str:
    r"""Read the text of a letter.

    Parameters
    ----------
    path : Path
        A .txt, .md or .pdf file.

    Returns
    -------
    str
        Line ends are ``\n``; the pages of a PDF stand a blank line apart.

    Raises
    ------
    SourceError
        The file is missing, of an unknown kind, too large, damaged, or a PDF without text.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise SourceError(f"{path}: unknown kind {path.suffix!r}; known: {', '.join(READERS)}")
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise SourceError(f"{path}: {size} bytes; at most {MAX_BYTES} are read")
        text = reader(path)
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror or error}") from error
    if len(text) > MAX_CHARS:
        raise SourceError(f"{path}: {len(text)} characters of text; at most {MAX_CHARS} are read")
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "")


def find_files(paths: Sequence[Path]) -> Iterator[Path]:
    """Yield the files to read: each path itself, and below a folder every file of a known kind, sorted."""
    for path in paths:
        if path.is_dir():
            yield from sorted(file for file in path.rglob("*") if file.suffix.lower() in READERS and file.is_file())
        else:
            yield path
