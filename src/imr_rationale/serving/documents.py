"""Documents -> letters -> rows, many at once; one over which the program stumbles costs itself."""

from collections.abc import Callable, Sequence

from imr_rationale.errors import ImrError, LetterParseError, ModelError, TrackingError
from imr_rationale.letters.layout import parse_document
from imr_rationale.letters.sources import Document
from imr_rationale.records import Letter
from imr_rationale.serving.rows import Row

__all__ = ["RowMaker", "read_documents"]

#: letters with their sources -> the rows of each; it is pickled for other processes
RowMaker = Callable[[Sequence[tuple[Letter, str]]], list[list[Row]]]
#: what a text that nobody foresaw can bring about in our code; errors of memory or disk are no letter's fault
MISTAKES = (ArithmeticError, AssertionError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


def read_documents(documents: Sequence[Document], make_rows: RowMaker) -> list[tuple[Letter, list[Row]] | ImrError]:
    """Give the letter of each document with its rows, or why it has none.

    Raises
    ------
    ModelError, TrackingError
        What the rows are made with is missing or damaged: no letter's fault.
    """
    parsed = [_parse(document) for document in documents]
    letters = [
        (letter, document.source)
        for letter, document in zip(parsed, documents, strict=True)
        if isinstance(letter, Letter)
    ]
    rows = iter(_make_rows(letters, make_rows))
    return [_join(letter, next(rows)) if isinstance(letter, Letter) else letter for letter in parsed]


def _join(letter: Letter, rows: list[Row] | ImrError) -> tuple[Letter, list[Row]] | ImrError:
    return rows if isinstance(rows, ImrError) else (letter, rows)


def _parse(document: Document) -> Letter | ImrError:
    try:
        return parse_document(document, details=False)
    except ImrError as error:
        return error
    except MISTAKES as error:
        return _explain(error, document.source)


def _make_rows(letters: Sequence[tuple[Letter, str]], make_rows: RowMaker) -> list[list[Row] | ImrError]:
    if not letters:
        return []
    try:
        return [*make_rows(letters)]
    except (ModelError, TrackingError):
        raise
    except (ImrError, *MISTAKES) as error:
        if len(letters) == 1:
            return [error if isinstance(error, ImrError) else _explain(error, letters[0][1])]
        return [found for letter in letters for found in _make_rows([letter], make_rows)]


def _explain(error: Exception, source: str) -> ImrError:
    """Give the error of a letter over which our code stumbled; its own words may quote the letter."""
    return LetterParseError(f"{source}: an error of this program ({type(error).__name__})")
