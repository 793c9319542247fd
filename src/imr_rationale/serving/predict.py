"""One text or one letter -> predictions."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import overload

from imr_rationale.errors import ModelError
from imr_rationale.learning.bundle import find_champion, load_bundle
from imr_rationale.learning.model import RationaleModel
from imr_rationale.letters.layout import parse_letter, read_letter
from imr_rationale.records import Item, ItemText, Letter, Prediction
from imr_rationale.serving.rows import Row, name_letter

__all__ = ["load_model", "predict", "predict_items", "predict_letter", "predict_letters", "prediction_to_dict"]

_LOCK = threading.Lock()
_LOADED: dict[str, RationaleModel] = {}


def load_model(source: str | Path | None = None, *, tracking_uri: str | None = None) -> RationaleModel:
    """Load a model, once a process.

    Parameters
    ----------
    source : path or str, optional
        A model folder, or an address in the tracking store such as "models:/imr-rationale@champion". The
        bundled champion when left out.
    tracking_uri : str, optional
        The tracking store of such an address; MLFLOW_TRACKING_URI or ./mlflow.db when left out.

    Raises
    ------
    ModelError
        There is no such model, or it is damaged, altered or of an unknown type.
    TrackingError
        The tracking store does not know the address.
    """
    name = str(source if source is not None else find_champion())
    if name.startswith(("models:/", "runs:/")):
        from imr_rationale.tracking.registry import load_logged_model
        from imr_rationale.tracking.store import resolve_store

        store = resolve_store(tracking_uri)
        return _load_once(f"{name} in {store}", lambda: load_logged_model(name, store))
    return _load_once(name, lambda: _load_folder(Path(name)))


def _load_once(key: str, load: Callable[[], RationaleModel]) -> RationaleModel:
    with _LOCK:
        if key not in _LOADED:
            _LOADED[key] = load()
        return _LOADED[key]


def _load_folder(folder: Path) -> RationaleModel:
    if not folder.is_dir():
        raise ModelError(f"{folder}: no such model folder")
    return load_bundle(folder)


@overload
def predict(texts: str, *, model: RationaleModel | None = None) -> Prediction: ...
@overload
def predict(texts: list[str] | tuple[str, ...], *, model: RationaleModel | None = None) -> list[Prediction]: ...
def predict(
    texts: str | list[str] | tuple[str, ...], *, model: RationaleModel | None = None
) -> Prediction | list[Prediction]:
    """Read decision rationales.

    Parameters
    ----------
    texts : str, or list or tuple of str
        Rationale texts, one an item.
    model : RationaleModel, optional
        As `load_model` gives it; the bundled champion when left out.

    Returns
    -------
    Prediction or list of Prediction
        One prediction for a `str`, else one for each text, in order. The forecast is None: it reads what
        stands outside the rationale.

    Examples
    --------
    >>> found = predict("There is no evidence of red flags. The request is not medically necessary.")
    >>> found.outcome.verdict.label
    'Upheld'
    """
    fitted = model or load_model()
    if isinstance(texts, str):
        return fitted.predict([ItemText(texts)])[0]
    return fitted.predict([ItemText(text) for text in texts])


def predict_letter(path_or_text: str | Path, *, model: RationaleModel | None = None) -> list[Prediction]:
    """Read a letter, one prediction for each disputed item.

    Parameters
    ----------
    path_or_text : Path or str
        A file (.txt .md .html .pdf .docx), or the text of a letter: a `str` with a line break is taken as text.
    model : RationaleModel, optional

    Raises
    ------
    SourceError
        The file cannot be read.
    LetterParseError
        The text is no Independent Medical Review letter.
    """
    if isinstance(path_or_text, str) and "\n" in path_or_text:
        return predict_items(parse_letter(path_or_text, details=False), model=model)
    path = Path(path_or_text)
    return predict_items(read_letter(path), source=str(path), model=model)


def predict_items(
    letter: Letter, *, source: str | None = None, model: RationaleModel | None = None, min_certainty: float = 0.0
) -> list[Prediction]:
    """Read the items of a parsed letter; an item without rationale gets an empty prediction and a warning.

    Parameters
    ----------
    letter : Letter
    source : str, optional
        Where the letter stands; every prediction names it.
    model : RationaleModel, optional
        The bundled champion when left out.
    min_certainty : float
        Items whose reasons are less certain get a warning: leave them to a reader.
    """
    return _predict_items([(letter, source)], model, min_certainty)


def _predict_items(
    letters: Sequence[tuple[Letter, str | None]], model: RationaleModel | None, min_certainty: float
) -> list[Prediction]:
    places = [(letter, item, source) for letter, source in letters for item in letter.items]
    texts = [
        ItemText(item.rationale or "", item.treatment, letter.summary, item.claims_administrator_guideline)
        for letter, item, _ in places
    ]
    found = (model or load_model()).predict(texts)
    return [
        _place(prediction, *place, min_certainty=min_certainty) for prediction, place in zip(found, places, strict=True)
    ]


def predict_letters(
    letters: Sequence[tuple[Letter, str]], *, model: RationaleModel | None = None, min_certainty: float = 0.0
) -> list[list[Row]]:
    """Read many letters at once, which costs less than one after the other; rows do not depend on their company.

    Parameters
    ----------
    letters : sequence of (Letter, source)
    model : RationaleModel, optional
    min_certainty : float

    Returns
    -------
    list of list of Row
        For each letter one JSON object for each of its disputed items.
    """
    found = iter(_predict_items([(letter, source) for letter, source in letters], model, min_certainty))
    return [[prediction_to_dict(next(found)) for _ in letter.items] for letter, _ in letters]


def _place(
    prediction: Prediction, letter: Letter, item: Item, source: str | None, *, min_certainty: float
) -> Prediction:
    """Say where a prediction stands; warn of an uncertain one, and when the verdict contradicts the heading."""
    verdict = prediction.outcome.verdict
    warnings = [*letter.warnings, *item.warnings]
    if verdict and item.outcome and verdict.label != item.outcome:
        warnings.append(
            f"item {item.number}: the heading says {item.outcome}, the rationale reads {verdict.label} "
            f"(probability of Overturned {verdict.probability:.2f})"
        )
    if prediction.certainty is not None and prediction.certainty < min_certainty:
        warnings.append(f"item {item.number}: uncertain reasons (certainty {prediction.certainty:.2f})")
    return replace(
        prediction,
        outcome=replace(prediction.outcome, heading=item.outcome),
        letter=name_letter(letter, source),
        source=source,
        item=item.number,
        treatment=item.treatment,
        warnings=tuple(warnings),
    )


def prediction_to_dict(prediction: Prediction) -> Row:
    """Give the JSON object of one disputed item, in the order of its fields."""
    outcome = prediction.outcome
    return {
        "letter": prediction.letter,
        "source": prediction.source,
        "item": prediction.item,
        "treatment": prediction.treatment,
        "outcome": {
            "heading": outcome.heading,
            **{
                task: {"label": found.label, "probability": found.probability} if found else None
                for task in ("verdict", "reasoning", "forecast")
                for found in [getattr(outcome, task)]
            },
        },
        "reasons": [
            {
                "label": reason.label,
                "probability": reason.probability,
                "evidence": [
                    {"start_char": e.start_char, "end_char": e.end_char, "text": e.text} for e in reason.evidence
                ],
            }
            for reason in prediction.reasons
        ],
        "primary_reason": prediction.primary_reason,
        "certainty": prediction.certainty,
        "warnings": list(prediction.warnings),
    }
