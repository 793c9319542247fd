"""Text in lower case that keeps its offsets, for words looked for without a regular expression."""

import re
import string
from typing import NamedTuple

__all__ = ["Phrase", "fold_case", "lower_ascii"]

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


class Phrase(NamedTuple):
    """A pattern, and words of which every match holds one: most texts hold none and need not be searched."""

    pattern: re.Pattern[str]
    words: tuple[str, ...]

    def may_stand_in(self, folded: str) -> bool:
        """Say whether a text in lower case holds one of the words."""
        for word in self.words:  # noqa: SIM110 - twice as fast as any()
            if word in folded:
                return True
        return False

    def search(self, folded: str) -> re.Match[str] | None:
        """Search a text that is in lower case itself, or whose case does not count."""
        return self.pattern.search(folded) if self.may_stand_in(folded) else None
