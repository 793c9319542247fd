"""The one tree of errors that this package raises on purpose."""

__all__ = [
    "AnnotationError",
    "EngineError",
    "ImrError",
    "LabelError",
    "LetterParseError",
    "ModelError",
    "SourceError",
    "TrackingError",
]


class ImrError(Exception):
    """Base of every error that this package raises on purpose; its text is one line for a person."""


class SourceError(ImrError):
    """A file cannot be turned into text: missing, too large, of an unknown kind, or damaged."""


class LetterParseError(ImrError):
    """A text is no Independent Medical Review letter."""


class LabelError(ImrError):
    """A name stands outside the label scheme."""


class AnnotationError(ImrError):
    """An annotated file breaks its format or the annotation guide."""


class ModelError(ImrError):
    """A saved model is missing, damaged, altered, or of a type that is not on the allow-list."""


class TrackingError(ImrError):
    """The tracking store cannot be reached or refuses a request."""


class EngineError(ImrError):
    """The engine that distributes the work is not installed, cannot be reached, or gave up."""
