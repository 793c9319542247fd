"""Documents -> letters and what is made of them, many at once; one over which the program stumbles costs itself."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from imr_rationale.errors import ImrError, LetterParseError, ModelError, TrackingError
from imr_rationale.letters.layout import parse_document
from imr_rationale.letters.sources import Document
from imr_rationale.records import Letter

__all__ = ["read_documents"]

T = TypeVar("T")
#: letters with their sources -> what is made of each
Maker = Callable[[Sequence[tuple[Letter, str]]], Sequence[T]]
#: what a text that nobody foresaw can bring about in our code; errors of memory or disk are no letter's fault
MISTAKES = (ArithmeticError, AssertionError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


def read_documents(documents: Sequence[Document], make: Maker[T]) -> list[tuple[Letter, T] | ImrError]:
    """Give the letter of each document and what `make` makes of it, or why there is none.

    Raises
    ------
    ModelError, TrackingError
        What `make` works with is missing or damaged: no letter's fault.
    """
    parsed = [_parse(document) for document in documents]
    letters = [
        (letter, document.source)
        for letter, document in zip(parsed, documents, strict=True)
        if isinstance(letter, Letter)
    ]
    made = iter(_make(letters, make))
    return [_join(letter, next(made)) if isinstance(letter, Letter) else letter for letter in parsed]


def _join(letter: Letter, made: T | ImrError) -> tuple[Letter, T] | ImrError:
    return made if isinstance(made, ImrError) else (letter, made)


def _parse(document: Document) -> Letter | ImrError:
    try:
        return parse_document(document, details=False)
    except ImrError as error:
        return error
    except MISTAKES as error:
        return _explain(error, document.source)


def _make(letters: Sequence[tuple[Letter, str]], make: Maker[T]) -> list[T | ImrError]:
    if not letters:
        return []
    try:
        return [*make(letters)]
    except (ModelError, TrackingError):
        raise
    except (ImrError, *MISTAKES) as error:
        if len(letters) == 1:
            return [error if isinstance(error, ImrError) else _explain(error, letters[0][1])]
        return [found for letter in letters for found in _make([letter], make)]


def _explain(error: Exception, source: str) -> ImrError:
    """Give the error of a letter over which our code stumbled; its own words may quote the letter."""
    return LetterParseError(f"{source}: an error of this program ({type(error).__name__})")
