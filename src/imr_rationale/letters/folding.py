"""Text in lower case that keeps its offsets, for words looked for without a regular expression."""

import string

__all__ = ["fold_case", "lower_ascii"]

# what a pattern that ignores case takes for an ASCII letter: dotted I, dotless i, long s and the Kelvin sign; of all
# letters only the first changes a text's length in lower case
FOLDED = str.maketrans("\u0130\u0131\u017f\u212a", "iisk")
LOWERED = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


def lower_ascii(text: str) -> str:
    r"""Give a text with its ASCII letters in lower case, as long as before and all others as they are.

    Examples
    --------
    >>> lower_ascii("NORCO, 5 \u212ag")
    'norco, 5 \u212ag'
    """
    return text.lower() if text.isascii() else text.translate(LOWERED)


def fold_case(text: str) -> str:
    r"""Give a text in lower case, as long as before: it holds an ASCII word where a pattern that ignores case finds it.

    Examples
    --------
    >>> fold_case("MTUS \u0130NJURY")
    'mtus injury'
    """
    return text.lower() if text.isascii() else text.translate(FOLDED).lower()
