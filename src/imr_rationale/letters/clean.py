r"""Text as extracted -> text without what encodings and printers left in it.

Each function takes a text and gives a text; `clean_text` applies them all. A text without such traces comes back
unchanged.
"""

import codecs
import re
from collections.abc import Iterator

__all__ = ["clean_text", "decode_bytes", "find_encoding"]

#: enough to tell UTF-16 by its zero bytes
SAMPLE_BYTES = 2_000
#: stands for what could not be read
REPLACEMENT = "\ufffd"
# halves of a character beyond the basic plane that stand alone, "\ud83d": no file can hold them
SURROGATE_RE = re.compile("[\ud800-\udfff]")
# "treat\u00adment" inside a line, "treat\u00ad \nment" over two
SOFT_HYPHEN_RE = re.compile("\u00ad(?:[ \t]{0,9}\n)?")
# line ends of Windows, the classic Mac, Word ("\v") and Unicode
LINE_END_RE = re.compile("\r\n?|[\v\u2028\u2029]")
# no-break, en, em, figure, thin, narrow and ideographic spaces; tab and newline stay
SPACES = dict.fromkeys((0xA0, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000), " ")
#: marks without width and characters that no printed letter holds
INVISIBLE = dict.fromkeys(
    (*range(9), *range(14, 32), 0x7F, *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2070), 0xFEFF)
)
LIGATURES = {0xFB00: "ff", 0xFB01: "fi", 0xFB02: "fl", 0xFB03: "ffi", 0xFB04: "ffl", 0xFB05: "st", 0xFB06: "st"}
TRANSLATION = {**SPACES, **INVISIBLE, **LIGATURES}
# what is more than seven characters from any that is not ASCII
ASCII_RUN_RE = re.compile(r"(?<=[\x00-\x7f]{7})[\x00-\x7f]+(?=[\x00-\x7f]{7})")
# "treat-" at a line's end and "ment" on the next
HYPHENATED_RE = re.compile(r"\b([A-Za-z]{2,30})-\n([a-z]{2,30})\b")
#: a hyphen behind these may be meant: "non-diagnostic"
PREFIXES = frozenset(
    ("anti", "co", "electro", "ex", "inter", "intra", "multi", "neuro", "non", "over", "post", "pre", "psycho", "re",
     "self", "semi", "sub", "un", "under")
)  # fmt: skip
WORD_RE = re.compile(r"[A-Za-z]+(?:-[A-Za-z]+)?")


def decode_bytes(data: bytes) -> str:
    r"""Decode a text file; what no character stands for becomes U+FFFD, which `clean_text` reports.

    Examples
    --------
    >>> decode_bytes("naïve".encode("cp1252"))
    'naïve'
    """
    return data.decode(find_encoding(data), errors="replace")


def find_encoding(data: bytes, *, whole: bool = True) -> str:
    """Tell UTF-8 and UTF-16 by their byte order marks, UTF-16 also by its zero bytes, else UTF-8 or Windows-1252.

    Parameters
    ----------
    data : bytes
        A text file, or its beginning.
    whole : bool
        Where it is not, the last character may be cut.
    """
    if data.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    # without a mark: most letters are English, so every other byte is zero
    sample = data[:SAMPLE_BYTES]
    if len(sample) > 3 and sample[1::2].count(0) > 0.8 * len(sample[1::2]):
        return "utf-16-le"
    if len(sample) > 3 and sample[::2].count(0) > 0.8 * len(sample[::2]):
        return "utf-16-be"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(data, whole)
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8"


def clean_text(text: str) -> tuple[str, tuple[str, ...]]:
    r"""Repair a text; gives the text and a note on each repair or loss that a person may want to know of.

    Examples
    --------
    >>> clean_text("The \ufb01nding isn\u00e2\u20ac\u2122t\u00a0new.")
    ('The finding isn’t new.', ('mojibake repaired',))
    """
    notes: tuple[str, ...] = ()
    # to look for two characters costs a hundredth of what the expression does
    if not text.isascii() or "\r" in text or "\v" in text:
        text = LINE_END_RE.sub("\n", text)
    if not text.isascii():
        text = SURROGATE_RE.sub(REPLACEMENT, text)
        repaired = _repair_mojibake(text)
        notes = tuple(_describe(text, repaired))
        text = SOFT_HYPHEN_RE.sub("", repaired)
    return _join_hyphenated(text.translate(TRANSLATION)), notes


def _describe(text: str, repaired: str) -> Iterator[str]:
    if lost := text.count(REPLACEMENT):
        yield f"{lost} characters could not be read"
    if repaired != text:
        yield "mojibake repaired"
    if left := _find_mojibake(repaired.replace(REPLACEMENT, " ")):
        yield f"mojibake left as it is: {left!r}"


def _repair_mojibake(text: str) -> str:
    import ftfy

    # it changes nothing else, and takes milliseconds to find that out
    return ftfy.fix_encoding(text) if _find_mojibake(text) else text


def _find_mojibake(text: str) -> str | None:
    """Give the first characters that look like mojibake to ftfy: seven at most, and not all of them ASCII."""
    from ftfy.badness import BADNESS_RE

    found = BADNESS_RE.search(ASCII_RUN_RE.sub("", text))
    return found.group() if found else None


def _join_hyphenated(text: str) -> str:
    """Take a hyphen at a line's end out where the same letter prints the word without one elsewhere."""
    if "-\n" not in text:
        return text
    words = {word.lower() for word in WORD_RE.findall(text)}

    def join(match: re.Match[str]) -> str:
        first, second = match.groups()
        whole = first + second
        known = whole.lower() in words and f"{first}-{second}".lower() not in words
        return whole if known and first.lower() not in PREFIXES else match.group()

    return HYPHENATED_RE.sub(join, text)
