r"""Text as extracted -> text without what encodings and printers left in it.

Each function takes a text and gives a text; `clean_text` applies them all. A text without such traces comes back
unchanged.
"""

import re

__all__ = ["clean_text", "decode_bytes"]

REPLACEMENT = "\ufffd"
# "treat\u00admen" at a line's end or inside a word
SOFT_HYPHEN_RE = re.compile("\u00ad\n?")
# no-break, en, em, figure, thin, narrow and ideographic spaces; tab and newline stay
SPACES = dict.fromkeys((0xA0, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000), " ")
#: marks without width and characters that no printed letter holds
INVISIBLE = dict.fromkeys((*range(9), 11, *range(14, 32), 0x7F, 0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF))
LIGATURES = {0xFB00: "ff", 0xFB01: "fi", 0xFB02: "fl", 0xFB03: "ffi", 0xFB04: "ffl", 0xFB05: "st", 0xFB06: "st"}
TRANSLATION = {**SPACES, **INVISIBLE, **LIGATURES}
# "treat-" at a line's end and "ment" on the next
HYPHENATED_RE = re.compile(r"\b([A-Za-z]{2,30})-\n([a-z]{2,30})\b")
#: a hyphen behind these may be meant: "non-diagnostic"
PREFIXES = frozenset(
    ("anti", "co", "electro", "ex", "inter", "intra", "multi", "neuro", "non", "over", "post", "pre", "psycho", "re",
     "self", "semi", "sub", "un", "under")
)  # fmt: skip
WORD_RE = re.compile(r"[A-Za-z]+(?:-[A-Za-z]+)?")


def decode_bytes(data: bytes) -> tuple[str, tuple[str, ...]]:
    r"""Decode a text file; gives the text and a note on what went wrong.

    UTF-8 and UTF-16 by their byte order marks, UTF-16 also by its zero bytes, UTF-8 where it is valid, Windows-1252
    elsewhere.

    Examples
    --------
    >>> decode_bytes("naïve".encode("cp1252"))
    ('naïve', ())
    """
    encoding = _find_encoding(data)
    text = data.decode(encoding, errors="replace")
    lost = text.count(REPLACEMENT)
    return text, (f"{lost} bytes are no {encoding}",) if lost else ()


def _find_encoding(data: bytes) -> str:
    if data.startswith(b"\xef\xbb\xbf"):
        return "utf-8-sig"
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    # without a mark: most letters are English, so every other byte is zero
    sample = data[:2000]
    if len(sample) > 3 and sample[1::2].count(0) > 0.8 * len(sample[1::2]):
        return "utf-16-le"
    if len(sample) > 3 and sample[::2].count(0) > 0.8 * len(sample[::2]):
        return "utf-16-be"
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8"


def clean_text(text: str) -> tuple[str, tuple[str, ...]]:
    r"""Repair a text; gives the text and a note on each repair that a person may want to know of.

    Examples
    --------
    >>> clean_text("The \ufb01nding isn\u00e2\u20ac\u2122t\u00a0new.")
    ('The finding isn’t new.', ('mojibake repaired',))
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    notes = []
    if not text.isascii():
        repaired = _repair_mojibake(text)
        if repaired != text:
            notes.append("mojibake repaired")
        text = SOFT_HYPHEN_RE.sub("", repaired)
    return _join_hyphenated(text.translate(TRANSLATION)), tuple(notes)


def _repair_mojibake(text: str) -> str:
    import ftfy

    return ftfy.fix_encoding(text)


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
