"""Text in lower case that keeps its offsets, for words looked for without a regular expression."""

__all__ = ["fold_case"]

# what a pattern that ignores case takes for an ASCII letter: dotted I, dotless i, long s and the Kelvin sign; of all
# letters only the first changes a text's length in lower case
FOLDED = str.maketrans("\u0130\u0131\u017f\u212a", "iisk")


def fold_case(text: str) -> str:
    r"""Give a text in lower case, as long as before: it holds an ASCII word where a pattern that ignores case finds it.

    Examples
    --------
    >>> fold_case("MTUS \u0130NJURY")
    'mtus injury'
    """
    return text.lower() if text.isascii() else text.translate(FOLDED).lower()
