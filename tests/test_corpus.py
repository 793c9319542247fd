"""The embedded corpus is sound, and the reader names what is wrong with another."""

import hashlib
from collections import Counter
from pathlib import Path

import pytest

from conftest import CORPUS, HELDOUT, ROOT
from imr_rationale.errors import AnnotationError
from imr_rationale.labels import REASONS
from imr_rationale.language.words import normalize_text
from imr_rationale.learning.corpus import AnnotatedLetter, digest_files, read_corpus, read_corpus_file, validate_corpus
from imr_rationale.learning.splits import group_items

GOOD = """=== letter CM99-0000001
style: terse
era: 2016-2017
specialty: Hand Surgery
age: 35
sex: -
summary: A baker twisted her wrist.
--- item
treatment: MRI of the wrist
category: Diagnostic Testing
outcome: Upheld
ca_guideline: MTUS.
reviewer_guideline: ACOEM.
primary: no_clinical_indication
G 0 - | ACOEM asks for red flags.
F 0 no_clinical_indication,insufficient_documentation | None was found, and no exam was sent.
C 1 - | Not medically necessary.
"""


def write(tmp_path: Path, text: str) -> Path:
    (tmp_path / "file.txt").write_text(text, encoding="utf-8")
    return tmp_path


def test_embedded_corpus_is_valid(corpus: tuple[AnnotatedLetter, ...]) -> None:
    assert list(validate_corpus(corpus)) == []
    assert {letter.id[:4] for letter in corpus} == {"CM99"}
    assert len([item for letter in corpus for item in letter.items]) >= 2000
    counts = Counter(reason for letter in corpus for item in letter.items for reason in item.reasons)
    assert min(counts[reason] for reason in REASONS) >= 150


def test_heldout_letters_are_other_writers_and_share_no_text_with_the_corpus(
    corpus: tuple[AnnotatedLetter, ...],
) -> None:
    heldout = read_corpus(HELDOUT)
    n_corpus, n_heldout = (sum(len(letter.items) for letter in letters) for letters in (corpus, heldout))
    assert n_heldout >= 0.15 * (n_corpus + n_heldout)
    assert not {letter.file for letter in corpus} & {letter.file for letter in heldout}
    pairs = [(letter.id, item.rationale) for letter in (*corpus, *heldout) for item in letter.items]
    groups = group_items([letter for letter, _ in pairs], [normalize_text(text) for _, text in pairs])
    assert not set(groups[:n_corpus]) & set(groups[n_corpus:])


def test_embedded_corpus_fits_its_checksums() -> None:
    listed = dict(line.split("  ")[::-1] for line in (ROOT / "data" / "SHA256SUMS").read_text().splitlines())
    files = [*CORPUS.glob("*.txt"), *HELDOUT.glob("*.txt")]
    found = {f"{path.parent.name}/{path.name}": hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    assert found == listed, "run: make checksums"


def test_read_corpus_gives_offsets_and_reasons(tmp_path: Path) -> None:
    (letter,) = read_corpus(write(tmp_path, GOOD))
    (item,) = letter.items
    assert (letter.id, letter.age, letter.sex, letter.file) == ("CM99-0000001", 35, None, "file")
    assert item.reasons == {"no_clinical_indication", "insufficient_documentation"}
    assert [item.rationale[s.start_char : s.end_char] for s in item.sentences] == [s.text for s in item.sentences]
    assert [s.verdict for s in item.sentences] == [False, False, True]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        pytest.param("F 0", "X 0", r":16: expected 'ROLE VERDICT", id="role"),
        pytest.param("C 1", "C 2", r":17: expected 'ROLE VERDICT", id="verdict"),
        pytest.param("| None", "  None", r"expected one of treatment", id="no bar"),
        pytest.param("no_clinical_indication,", "no_reason,", r":16: unknown reason 'no_reason'", id="reason"),
        pytest.param("outcome: Upheld", "outcome: Denied", r"unknown outcome 'Denied'", id="outcome"),
        pytest.param("category: Diagnostic Testing\n", "", r"missing category", id="missing key"),
        pytest.param("age: 35", "age: old", r"whole number or '-'", id="age"),
        pytest.param("=== letter CM99-0000001", "=== letter", r":1: expected '=== letter ID'", id="no id"),
        pytest.param("=== letter CM99-0000001", "hello\n=== letter CM99-0000001", r":1: text before", id="preamble"),
        pytest.param("primary: no_clinical_indication", "primary: safety_risk", r"primary 'safety_risk' is not among", id="primary"),
        pytest.param("primary: no_clinical_indication", "primary: none_stated", r"primary is 'none_stated' but", id="none stated"),
        pytest.param("Diagnostic Testing", "Imaging", r"unknown category 'Imaging'", id="category"),
        pytest.param("style: terse", "style: odd", r"unknown style 'odd'", id="style"),
        pytest.param("C 1 -", "C 1 safety_risk", r"a sentence of role C carries a reason", id="reason on C"),
    ],
)  # fmt: skip
def test_read_corpus_names_the_mistake(old: str, new: str, message: str, tmp_path: Path) -> None:
    assert old in GOOD
    with pytest.raises(AnnotationError, match=message):
        read_corpus(write(tmp_path, GOOD.replace(old, new)))


def test_read_corpus_refuses_an_id_that_stands_twice(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match="id stands twice"):
        read_corpus(write(tmp_path, GOOD + "\n" + GOOD))


def test_read_corpus_refuses_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match="no annotated file"):
        read_corpus(tmp_path)


def test_digest_files_changes_with_a_byte_and_a_name(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    first = digest_files(tmp_path)
    write(tmp_path, GOOD + "\n")
    second = digest_files(tmp_path)
    (tmp_path / "file.txt").rename(tmp_path / "other.txt")
    assert len({first, second, digest_files(tmp_path)}) == 3


def test_read_corpus_file_counts_items_in_order() -> None:
    letters = read_corpus_file(CORPUS / "formulaic_rehab.txt")
    assert all([item.number for item in letter.items] == list(range(1, len(letter.items) + 1)) for letter in letters)
