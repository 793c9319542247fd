"""Labels without words, joined with their letters; a letter that is missing or changed is refused."""

import hashlib
import json
from pathlib import Path

import pytest

from conftest import ROOT
from imr_rationale.errors import AnnotationError
from imr_rationale.learning.corpus import AnnotatedLetter
from imr_rationale.learning.render import render_pdf_text
from imr_rationale.learning.standoff import fold_space, join_letters, read_annotations
from imr_rationale.learning.train import make_training_set

EMBEDDED = ROOT / "data" / "annotations" / "cm16-cm17.jsonl"


@pytest.fixture
def letters(some_letters: tuple[AnnotatedLetter, ...]) -> tuple[AnnotatedLetter, ...]:
    return some_letters[:3]


@pytest.fixture
def folder(letters: tuple[AnnotatedLetter, ...], tmp_path: Path) -> Path:
    place = tmp_path / "letters"
    place.mkdir()
    for letter in letters:
        (place / f"{letter.id}.txt").write_text(render_pdf_text(letter), encoding="utf-8")
    return place


@pytest.fixture
def annotations(letters: tuple[AnnotatedLetter, ...], tmp_path: Path) -> Path:
    path = tmp_path / "annotations.jsonl"
    rows = [
        {
            "letter": letter.id,
            "item": item.number,
            "sha1": hashlib.sha1(item.rationale.encode(), usedforsecurity=False).hexdigest(),
            "primary": item.primary,
            "sentences": [
                {
                    "start_char": s.start_char,
                    "end_char": s.end_char,
                    "role": s.role,
                    "verdict": s.verdict,
                    "reasons": s.reasons,
                }
                for s in item.sentences
            ],
        }
        for letter in letters
        for item in letter.items
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_join_letters_gives_back_the_annotated_letters(
    letters: tuple[AnnotatedLetter, ...], folder: Path, annotations: Path
) -> None:
    joined = {letter.id: letter for letter in join_letters(read_annotations(annotations), folder)}
    assert set(joined) == {letter.id for letter in letters}
    for letter in letters:
        for found, gold in zip(joined[letter.id].items, letter.items, strict=True):
            assert found.rationale == fold_space(gold.rationale)
            assert (found.outcome, found.primary, found.sentences) == (gold.outcome, gold.primary, gold.sentences)
    data = make_training_set((), tuple(joined.values()))
    assert set(data.origins) == {"letters"}


def test_join_letters_names_missing_letters(
    letters: tuple[AnnotatedLetter, ...], folder: Path, annotations: Path
) -> None:
    (folder / f"{letters[0].id}.txt").unlink()
    with pytest.raises(AnnotationError, match=f"1 annotated letters are missing: {letters[0].id}"):
        join_letters(read_annotations(annotations), folder)


def test_join_letters_refuses_changed_texts(
    letters: tuple[AnnotatedLetter, ...], folder: Path, annotations: Path
) -> None:
    path = folder / f"{letters[1].id}.txt"
    path.write_text(path.read_text(encoding="utf-8").replace("Decision rationale: ", "Decision rationale: So "))
    with pytest.raises(AnnotationError, match=f"{letters[1].id} item 1 holds another text"):
        join_letters(read_annotations(annotations), folder)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"role": "F"', '"role": "X"'),
        ('"sha1"', '"md5"'),
        ('"primary": "', '"primary": "no_'),
        ('"start_char": 0', '"start_char": null'),
    ],
)
def test_read_annotations_names_the_line(old: str, new: str, annotations: Path) -> None:
    text = annotations.read_text(encoding="utf-8")
    assert old in text
    annotations.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(AnnotationError, match=r"annotations.jsonl:\d+: no stand-off annotation"):
        read_annotations(annotations)


def test_embedded_annotations_hold_no_word_of_the_letters() -> None:
    allowed = {"letter", "item", "sha1", "primary", "sentences"}
    for line in EMBEDDED.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        assert set(row) == allowed
        assert all(set(s) == {"start_char", "end_char", "role", "verdict", "reasons"} for s in row["sentences"])
    assert len(read_annotations(EMBEDDED)) == 240
