"""Save and load a model without pickle: a skops file, and a manifest that says what is in it.

A model is a folder of two files. `manifest.json` names labels, thresholds, configuration, data digests, figures,
library versions and the sha256 of `model.skops`. Loading checks that sum first and then lets in only the types
of `TRUSTED_TYPES`.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from importlib import metadata
from pathlib import Path
from types import MappingProxyType
from typing import Any
from zipfile import BadZipFile

from sklearn.feature_extraction.text import TfidfVectorizer

from imr_rationale.errors import ModelError
from imr_rationale.labels import OUTCOME_TASKS, REASONS, ROLES
from imr_rationale.language.rules import RULES_VERSION
from imr_rationale.learning.bootstrap import Figure
from imr_rationale.learning.estimators import make_vectorizer
from imr_rationale.learning.model import ROW_TEXTS, Config, RationaleModel

__all__ = [
    "MANIFEST",
    "MODEL_FILE",
    "TRUSTED_TYPES",
    "find_champion",
    "load_bundle",
    "publish_bundle",
    "read_manifest",
    "record_figures",
    "record_run",
    "save_bundle",
]

MODEL_FILE = "model.skops"
MANIFEST = "manifest.json"
#: version of the folder's format; another one is refused
FORMAT = 2
#: beside what skops trusts by itself, the only type that a model file may hold
TRUSTED_TYPES = ("imr_rationale.learning.estimators.StackedLogisticRegression",)
ESTIMATORS = (
    *ROW_TEXTS,
    "sentence_roles",
    "roles_in_context",
    "sentence_verdicts",
    "sentence_reasons",
    "reasons_calibration",
    "primary",
    *(f"{task}_words" for task in OUTCOME_TASKS),
    *(f"{task}_calibration" for task in OUTCOME_TASKS),
    *OUTCOME_TASKS,
)
LIBRARIES = ("spacy", "scikit-learn", "numpy", "scipy", "skops")


def save_bundle(
    model: RationaleModel,
    folder: Path,
    *,
    data: Mapping[str, object],
    figures: Mapping[str, Figure],
) -> Path:
    """Write a model to `folder`, which is made; files of the same name there are replaced.

    Raises
    ------
    ModelError
        The folder cannot be written.
    """
    import skops.io

    parts = {name: _pack(estimator) for name, estimator in model.estimators.items()}
    payload = skops.io.dumps(parts, compression=8, compresslevel=9)
    manifest = {
        "format": FORMAT,
        "package": metadata.version("imr-rationale"),
        "sha256": hashlib.sha256(payload).hexdigest(),
        "run_id": None,
        "reasons": list(REASONS),
        "roles": list(ROLES),
        "thresholds": dict(zip(REASONS, model.thresholds, strict=True)),
        "config": model.config.to_params(),
        "rules": RULES_VERSION,
        "data": dict(data),
        "figures": {name: _round_figure(figure) for name, figure in figures.items()},
        "libraries": {name: metadata.version(name) for name in LIBRARIES},
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _replace(folder / MODEL_FILE, payload)
    except OSError as error:
        raise ModelError(f"{folder}: {error.strerror or error}") from error
    _write_manifest(folder / MANIFEST, manifest)
    return folder


def publish_bundle(source: Path, folder: Path) -> None:
    """Copy a saved model to `folder`, which is made; of two runs that publish there at once, one model stays whole.

    Raises
    ------
    ModelError
        The folder cannot be written.
    """
    from filelock import FileLock

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f".{folder.name}.lock")):
            for name in (MODEL_FILE, MANIFEST):
                _replace(folder / name, (source / name).read_bytes())
    except OSError as error:
        raise ModelError(f"{folder}: {error.strerror or error}") from error


def record_figures(folder: Path, data: str, figures: Mapping[str, Figure], *, n_items: int, n_letters: int) -> None:
    """Add figures measured on `data` to a saved model's manifest, in place of earlier ones on the same data.

    Raises
    ------
    ModelError
        The model cannot be loaded, or its manifest not written.
    """
    manifest = dict(load_bundle(folder).manifest)
    kept = {name: figure for name, figure in manifest["figures"].items() if not name.startswith(f"{data}.")}
    manifest["figures"] = kept | {name: _round_figure(figure) for name, figure in figures.items()}
    measured = {**manifest["data"].get("measured", {}), data: {"n_items": n_items, "n_letters": n_letters}}
    manifest["data"] = {**manifest["data"], "measured": measured}
    _write_manifest(folder / MANIFEST, manifest)


def record_run(folder: Path, run_id: str) -> None:
    """Write into a saved model's manifest which run made it.

    Raises
    ------
    ModelError
        The manifest cannot be read or written.
    """
    _write_manifest(folder / MANIFEST, {**read_manifest(folder), "run_id": run_id})


def _write_manifest(path: Path, manifest: Mapping[str, Any]) -> None:
    try:
        _replace(path, (json.dumps(manifest, indent=1) + "\n").encode())
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror or error}") from error


def _replace(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, also while another run writes it."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.part")
    draft.write_bytes(content)
    draft.replace(path)


def _round_figure(figure: Figure) -> dict[str, float | None]:
    return {key: round(value, 6) if value == value else None for key, value in asdict(figure).items()}


def _pack(estimator: Any) -> Any:
    """Write a vectorizer as its terms in one string: as a dictionary, loading them takes seconds."""
    if not isinstance(estimator, TfidfVectorizer):
        return estimator
    return {
        "terms": "\n".join(estimator.get_feature_names_out()),
        "idf": estimator.idf_,
        "ngram_range": list(estimator.ngram_range),
    }


def _unpack(part: Any) -> Any:
    if not isinstance(part, dict):
        return part
    low, high = part["ngram_range"]
    vectorizer = make_vectorizer(part["terms"].split("\n"), (low, high))
    vectorizer.idf_ = part["idf"]
    return vectorizer


def load_bundle(folder: Path) -> RationaleModel:
    """Read a model back.

    Raises
    ------
    ModelError
        A file is missing, the sum does not fit, the labels are others than this version's, or the model file
        holds a type outside the allow-list.
    """
    manifest = read_manifest(folder)
    payload = _read_bytes(folder / MODEL_FILE)
    found = hashlib.sha256(payload).hexdigest()
    if found != manifest["sha256"]:
        raise ModelError(
            f"{folder / MODEL_FILE}: sha256 is {found[:12]}…, the manifest says {str(manifest['sha256'])[:12]}…"
        )
    estimators = _load_estimators(payload, folder / MODEL_FILE)
    try:
        config = Config(**manifest["config"])
        thresholds = tuple(float(manifest["thresholds"][reason]) for reason in REASONS)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{folder / MANIFEST}: {error!r}") from error
    return RationaleModel(config, estimators, thresholds, MappingProxyType(manifest))


def _load_estimators(payload: bytes, path: Path) -> Mapping[str, object]:
    import skops.io
    from skops.io.exceptions import UntrustedTypesFoundException

    try:
        unknown = set(skops.io.get_untrusted_types(data=payload)) - set(TRUSTED_TYPES)
        if unknown:
            raise ModelError(f"{path}: holds types that are not on the allow-list: {', '.join(sorted(unknown))}")
        parts = skops.io.loads(payload, trusted=list(TRUSTED_TYPES))
        estimators = {name: _unpack(part) for name, part in parts.items()}
    except UntrustedTypesFoundException as error:
        raise ModelError(f"{path}: holds types that are not on the allow-list: {error}") from error
    except (BadZipFile, OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise ModelError(f"{path}: no model file ({type(error).__name__}: {error})") from error
    if set(estimators) != set(ESTIMATORS):
        raise ModelError(f"{path}: holds other parts than {', '.join(ESTIMATORS)}")
    return MappingProxyType(estimators)


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror or error}") from error


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read what a saved model's manifest says.

    Raises
    ------
    ModelError
        It is missing, or not of this format and these labels.
    """
    path = folder / MANIFEST
    try:
        manifest = json.loads(_read_bytes(path))
    except ValueError as error:
        raise ModelError(f"{path}: no JSON ({error})") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT or "sha256" not in manifest:
        raise ModelError(f"{path}: not a manifest of format {FORMAT}")
    if manifest.get("reasons") != list(REASONS) or manifest.get("roles") != list(ROLES):
        raise ModelError(f"{path}: its labels are not those of this version")
    return manifest


@cache
def find_champion() -> Path:
    """Give the folder of the bundled champion: inside the installed package, or the checkout's models/.

    Raises
    ------
    ModelError
        Neither is there.
    """
    package = Path(__file__).resolve().parents[1]
    places = (package / "champion", package.parents[1] / "models" / "champion")
    for place in places:
        if (place / MANIFEST).is_file():
            return place
    raise ModelError(f"no bundled model in {' or '.join(str(place) for place in places)}; train one with 'imr train'")
