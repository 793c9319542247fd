"""Read why medical treatment is refused or granted in Independent Medical Review letters."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imr_rationale.errors import ImrError
    from imr_rationale.letters.layout import parse_letter
    from imr_rationale.records import Item, Letter, Prediction
    from imr_rationale.serving.predict import load_model, predict, predict_letter, predict_letters

__all__ = [
    "ImrError",
    "Item",
    "Letter",
    "Prediction",
    "load_model",
    "parse_letter",
    "predict",
    "predict_letter",
    "predict_letters",
]

_HOMES = {
    "ImrError": "errors",
    "Item": "records",
    "Letter": "records",
    "Prediction": "records",
    "load_model": "serving.predict",
    "parse_letter": "letters.layout",
    "predict": "serving.predict",
    "predict_letter": "serving.predict",
    "predict_letters": "serving.predict",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for: the command line's help must not wait for spaCy."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
