"""Save and load a model without pickle: arrays of numbers, and a manifest that says what they are.

A model is a folder of two files. `manifest.json` names labels, thresholds, configuration, data digests, figures,
library versions and the sha256 of `model.npz`. Loading checks that sum first and then lets in only the arrays that
a model is made of, each of its type and shape: what is read can hold no code, and needs no scikit-learn.
"""

import hashlib
import io
import json
import os
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from functools import cache
from importlib import metadata
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from imr_rationale.errors import ModelError
from imr_rationale.labels import OUTCOME_TASKS, REASONS, ROLES
from imr_rationale.language.rules import RULES_VERSION
from imr_rationale.learning.bootstrap import Figure
from imr_rationale.learning.linear import Linear
from imr_rationale.learning.model import CONTEXT, ROW_TEXTS, TASK_NGRAMS, TASK_WORDS, Config, RationaleModel
from imr_rationale.learning.ngrams import Vocabulary
from imr_rationale.learning.second_stage import N_RANK_FEATURES, N_ROLE_CONTEXT

__all__ = [
    "MANIFEST",
    "MODEL_FILE",
    "find_champion",
    "load_bundle",
    "publish_bundle",
    "read_manifest",
    "record_figures",
    "record_run",
    "save_bundle",
]

MODEL_FILE = "model.npz"
MANIFEST = "manifest.json"
#: version of the folder's format; another one is refused
FORMAT = 3
#: vocabulary -> the longest of its n-grams
VOCABULARIES: Mapping[str, int] = MappingProxyType({**ROW_TEXTS, **dict.fromkeys(TASK_WORDS.values(), TASK_NGRAMS)})
#: more than a model file may unpack to
MAX_BYTES = 1_000_000_000
LIBRARIES = ("spacy", "scikit-learn", "numpy", "scipy")


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
    payload = _pack(_list_arrays(model))
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


def _list_arrays(model: RationaleModel) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    for name in VOCABULARIES:
        vocabulary = model.vocabularies[name]
        yield f"{name}.words", np.frombuffer("\n".join(vocabulary.words).encode(), dtype=np.uint8)
        yield f"{name}.ngrams", vocabulary.ngrams
        yield f"{name}.idf", vocabulary.idf
    for name, (kind, _) in _list_regressions(model.vocabularies).items():
        yield f"{name}.coef", model.regressions[name].coef.astype(kind)
        yield f"{name}.intercept", model.regressions[name].intercept


def _list_regressions(vocabularies: Mapping[str, Vocabulary]) -> dict[str, tuple[str, tuple[int, int]]]:
    """Give regression -> type and shape of its coefficients."""
    alone = sum(len(vocabularies[name]) for name in ROW_TEXTS if name not in CONTEXT)
    whole = sum(len(vocabularies[name]) for name in ROW_TEXTS)
    return {
        "sentence_roles": ("float32", (alone, len(ROLES))),
        "sentence_verdicts": ("float32", (alone, 1)),
        "sentence_reasons": ("float32", (whole, len(REASONS))),
        **{task: ("float32", (len(vocabularies[name]), 1)) for task, name in TASK_WORDS.items()},
        "roles_in_context": ("float64", (N_ROLE_CONTEXT, len(ROLES))),
        "reasons_calibration": ("float64", (1 + len(REASONS), 1)),
        "primary": ("float64", (N_RANK_FEATURES, 1)),
        **{f"{task}_calibration": ("float64", (1, 1)) for task in OUTCOME_TASKS},
    }


def _pack(arrays: Iterable[tuple[str, npt.NDArray[Any]]]) -> bytes:
    """Write what `numpy.load` reads, as small as may be and the same each time."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, array in arrays:
            with archive.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
    return stream.getvalue()


def load_bundle(folder: Path) -> RationaleModel:
    """Read a model back.

    Raises
    ------
    ModelError
        A file is missing, the sum does not fit, the labels are others than this version's, or the model file
        holds other arrays than a model has.
    """
    manifest = read_manifest(folder)
    payload = _read_bytes(folder / MODEL_FILE)
    found = hashlib.sha256(payload).hexdigest()
    if found != manifest["sha256"]:
        raise ModelError(
            f"{folder / MODEL_FILE}: sha256 is {found[:12]}…, the manifest says {str(manifest['sha256'])[:12]}…"
        )
    vocabularies, regressions = _unpack(payload, folder / MODEL_FILE)
    try:
        config = Config(**manifest["config"])
        thresholds = tuple(float(manifest["thresholds"][reason]) for reason in REASONS)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{folder / MANIFEST}: {error!r}") from error
    model = RationaleModel(config, vocabularies, regressions, thresholds, MappingProxyType(manifest))
    # what else the first prediction would make, and of several threads each
    model.predict([])
    return model


def _unpack(payload: bytes, path: Path) -> tuple[Mapping[str, Vocabulary], Mapping[str, Linear]]:
    try:
        with zipfile.ZipFile(io.BytesIO(payload)) as archive:
            parts = _Parts(archive)
            vocabularies = {name: parts.take_vocabulary(name, max_n) for name, max_n in VOCABULARIES.items()}
            regressions = {
                name: parts.take_regression(name, kind, shape)
                for name, (kind, shape) in _list_regressions(vocabularies).items()
            }
            parts.end()
    except (
        zipfile.BadZipFile,
        zlib.error,
        OSError,
        ValueError,
        EOFError,
        MemoryError,
        NotImplementedError,
        RuntimeError,
    ) as error:
        raise ModelError(f"{path}: no model file ({type(error).__name__}: {error})") from error
    return MappingProxyType(vocabularies), MappingProxyType(regressions)


class _Parts:
    """The allow-list: arrays are taken by name, type and shape, and none may be left."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self.archive = archive
        self.left = set(archive.namelist())
        if sum(info.file_size for info in archive.infolist()) > MAX_BYTES:
            raise ValueError(f"more than {MAX_BYTES:,} bytes")

    def take_vocabulary(self, name: str, max_n: int) -> Vocabulary:
        words = tuple(self._take(f"{name}.words", "uint8", (None,)).tobytes().decode().split("\n"))
        ngrams = self._take(f"{name}.ngrams", "int32", (None, max_n))
        if not len(ngrams) or ngrams.min() < 0 or ngrams.max() > len(words):
            raise ValueError(f"{name}.ngrams: numbers of other words")
        return Vocabulary(words, ngrams, self._take(f"{name}.idf", "float32", (len(ngrams),)))

    def take_regression(self, name: str, kind: str, shape: tuple[int, int]) -> Linear:
        return Linear(self._take(f"{name}.coef", kind, shape), self._take(f"{name}.intercept", "float64", shape[1:]))

    def end(self) -> None:
        """Refuse what nobody asked for."""
        if self.left:
            raise ValueError(f"holds more than a model: {', '.join(sorted(self.left))}")

    def _take(self, name: str, kind: str, shape: tuple[int | None, ...]) -> npt.NDArray[Any]:
        file = f"{name}.npy"
        if file not in self.left:
            raise ValueError(f"no {file}")
        self.left.remove(file)
        with self.archive.open(file) as member:
            array: npt.NDArray[Any] = np.lib.format.read_array(member, allow_pickle=False)
        fits = array.ndim == len(shape) and all(n in (None, found) for n, found in zip(shape, array.shape, strict=True))
        if array.dtype != kind or not fits:
            raise ValueError(f"{file}: {array.dtype} of shape {array.shape}")
        return array


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
