"""Near-duplicates: the groups are those of comparing everything with everything, and what is said of them is true."""

import csv
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.csgraph import connected_components
from sklearn.feature_extraction.text import CountVectorizer

from conftest import HELDOUT, run
from imr_rationale.cli import duplicates as command
from imr_rationale.errors import SourceError
from imr_rationale.labels import OUTCOMES, REASONS
from imr_rationale.language.words import normalize_text
from imr_rationale.learning import near_duplicates
from imr_rationale.learning.corpus import AnnotatedLetter, read_corpus
from imr_rationale.learning.near_duplicates import (
    CROWD,
    LOWEST,
    MISSED,
    NEAR_DUPLICATE,
    choose_bands,
    find_near_duplicates,
    number_by_first,
    open_near_duplicates,
)
from imr_rationale.learning.render import render_pdf_text
from imr_rationale.learning.shingles import SHINGLE_WORDS, ShingleFile, find_shingles
from imr_rationale.learning.splits import group_items
from imr_rationale.serving.duplicates import find_duplicates
from imr_rationale.serving.duplicates_report import (
    EXAMPLE_CHARS,
    N_LISTED,
    N_REJECTS,
    DuplicatesReport,
    format_duplicates,
)
from imr_rationale.serving.groups import GroupMaker
from imr_rationale.serving.items_file import NO_OUTCOME, ItemsFile
from imr_rationale.serving.pairs import KEPT, MAX_WORDS, Side, mark_differences
from imr_rationale.serving.readers import ParsedItem
from imr_rationale.serving.working_folder import open_working_folder

DRUGS = ("naproxen", "gabapentin", "cyclobenzaprine", "tramadol", "lidocaine", "topiramate", "duloxetine", "baclofen")
BOILERPLATE = (
    "The file does not show that first-line medication was tried before {} was asked for, nor that it helped the worker "
    "in any way that a measure of function would show. Guidelines ask for such a trial first. Therefore, the request "
    "for {} is not medically necessary."
)
OTHER = "There is swelling of the left knee, an effusion and a positive McMurray's test, so that imaging is needed now."

Row = dict[str, Any]


def make_rationale(drug: str) -> str:
    return BOILERPLATE.format(drug, drug)


def vary(texts: Iterable[str], n_variants: int) -> list[str]:
    """Copies in which more and more words are exchanged: pairs of every similarity."""
    chance = random.Random(0)  # noqa: S311  (no secret)
    varied = []
    for text in texts:
        for k in range(n_variants + 1):
            words = text.split()
            for _ in range(k):
                words[chance.randrange(len(words))] = chance.choice(DRUGS)
            varied.append(" ".join(words))
    return varied


@pytest.fixture(scope="module")
def varied_texts(some_letters: tuple[AnnotatedLetter, ...]) -> list[str]:
    rationales = [normalize_text(item.rationale) for letter in some_letters[::2] for item in letter.items]
    return vary(rationales[:120], 4)


# ---------------------------------------------------------------- against comparing everything with everything


def find_runs(text: str) -> frozenset[tuple[str, ...]]:
    words = text.split() or ["-"]
    words = words if len(words) >= SHINGLE_WORDS else (words * SHINGLE_WORDS)[:SHINGLE_WORDS]
    return frozenset(tuple(words[i : i + SHINGLE_WORDS]) for i in range(len(words) - SHINGLE_WORDS + 1))


def find_similarity(left: str, right: str) -> float:
    a, b = find_runs(left), find_runs(right)
    return len(a & b) / len(a | b)


def group_exactly(texts: Sequence[str], threshold: float) -> list[int]:
    labels = list(range(len(texts)))
    runs = [find_runs(text) for text in texts]
    for i, j in combinations(range(len(texts)), 2):
        common = len(runs[i] & runs[j])
        if labels[i] != labels[j] and common >= threshold * (len(runs[i]) + len(runs[j]) - common):
            old, new = max(labels[i], labels[j]), min(labels[i], labels[j])
            labels = [new if label == old else label for label in labels]
    return number_by_first(np.array(labels, dtype=np.int64)).tolist() if labels else []


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7, 0.9, 1.0])
def test_find_near_duplicates_gives_the_groups_of_all_pairs(varied_texts: list[str], threshold: float) -> None:
    found = find_near_duplicates(varied_texts, threshold=threshold).tolist()
    assert found == group_exactly(varied_texts, threshold)
    assert 1 < len(set(found)) <= len(varied_texts)


def group_by_self_join(letters: Sequence[str], texts: Sequence[str]) -> list[int]:
    """How training grouped items before: all pairs at once, which only small corpora have the memory for."""
    lengthened = [" ".join((text.split() * 5)[:5]) if len(text.split()) < SHINGLE_WORDS else text for text in texts]
    vectorizer = CountVectorizer(token_pattern=r"\S+", lowercase=False, ngram_range=(5, 5), binary=True)
    shingles = vectorizer.fit_transform(lengthened)
    shared = (shingles @ shingles.T).tocoo()
    sizes = np.asarray(shingles.sum(axis=1)).ravel()
    near = shared.data >= 0.5 * (sizes[shared.row] + sizes[shared.col] - shared.data)
    _, letter_index = np.unique(letters, return_inverse=True)
    same = sp.coo_matrix((np.ones(len(letters)), (np.arange(len(letters)), letter_index))).tocsr()
    links = sp.coo_matrix((near[near], (shared.row[near], shared.col[near])), shape=shared.shape) + same @ same.T
    return number_by_first(connected_components(links, directed=False)[1].astype(np.int64)).tolist()


def test_group_items_gives_the_groups_of_the_exact_self_join(
    corpus: tuple[AnnotatedLetter, ...], varied_texts: list[str]
) -> None:
    items = [(letter.id, normalize_text(item.rationale)) for letter in corpus for item in letter.items]
    items += [(letter.id, normalize_text(item.rationale)) for letter in read_corpus(HELDOUT) for item in letter.items]
    items += [(f"varied {i}", text) for i, text in enumerate(varied_texts)]
    letters, texts = zip(*items, strict=True)
    found = group_items(letters, texts).tolist()
    assert found == group_by_self_join(letters, texts)
    assert len(set(found)) < len(set(letters))


# few words, so that runs are shared by chance and by copies
SHORT_TEXTS = st.lists(st.lists(st.sampled_from("abc"), max_size=9).map(" ".join), max_size=12)


@settings(max_examples=60, deadline=None)
@given(SHORT_TEXTS, st.sampled_from([0.3, 0.5, 0.8, 1.0]))
def test_find_near_duplicates_joins_no_pair_that_is_apart(texts: list[str], threshold: float) -> None:
    found = find_near_duplicates(texts, threshold=threshold).tolist()
    exact = group_exactly(texts, threshold)
    # each of the groups is inside one of the exact ones
    assert len(set(zip(found, exact, strict=True))) == len(set(found))
    # the nearer a pair, the less can it be missed: this far above the threshold once in ten million times at most
    sure = [
        (i, j) for i, j in combinations(range(len(texts)), 2) if find_similarity(texts[i], texts[j]) > threshold + 0.25
    ]
    assert all(found[i] == found[j] for i, j in sure)
    assert all(found[i] == found[j] for i, j in combinations(range(len(texts)), 2) if texts[i] == texts[j])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(max_size=40), max_size=8))
def test_find_shingles_counts_distinct_runs(texts: list[str]) -> None:
    values, sizes = find_shingles(texts)
    assert sizes.tolist() == [len(find_runs(text)) for text in texts]
    assert len(values) == sizes.sum()


def test_shingle_file_counts_what_pairs_share(varied_texts: list[str], tmp_path: Path) -> None:
    texts = varied_texts[:100]
    left, right = np.triu_indices(100, 1)
    with ShingleFile(tmp_path / "shingles") as shingles:
        shingles.add(texts[:30])
        shingles.add(texts[30:])
        common = shingles.count_common(left, right)
    runs = [find_runs(text) for text in texts]
    assert common.tolist() == [len(runs[i] & runs[j]) for i, j in zip(left, right, strict=True)]


@pytest.mark.parametrize(
    ("n_shared", "threshold", "is_near"),
    [
        pytest.param(10, 0.5, True, id="exactly at the threshold"),
        pytest.param(10, 0.501, False, id="just below it"),
        pytest.param(9, 0.5, False, id="one run less"),
        pytest.param(20, 1.0, True, id="the same text"),
        pytest.param(19, 1.0, False, id="nearly the same text where all is asked for"),
        pytest.param(6, 0.3, True, id="at the lowest threshold"),
    ],
)
def test_find_near_duplicates_at_the_threshold(n_shared: int, threshold: float, is_near: bool) -> None:
    words = [f"word{i}" for i in range(24)]
    # 20 runs, and the first of them
    texts = [" ".join(words), " ".join(words[: n_shared + 4])]
    assert find_near_duplicates(texts, threshold=threshold).tolist() == [0, 0 if is_near else 1]


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        pytest.param([], [], id="nothing"),
        pytest.param([""], [0], id="one empty text"),
        pytest.param(["", "a", "  ", "a"], [0, 1, 0, 1], id="empty texts, equal words"),
        pytest.param(["a b", "b a", "a b a b a"], [0, 1, 0], id="a short text is repeated to one run"),
        pytest.param(["a b c d e"] * 3, [0, 0, 0], id="exact duplicates"),
        pytest.param(["é ü", "e u", "é ü"], [0, 1, 0], id="other letters"),
        pytest.param(["\ud800 x", "\ud800 x"], [0, 0], id="half a character"),
    ],
)
def test_find_near_duplicates_of_short_texts(texts: list[str], expected: list[int]) -> None:
    assert find_near_duplicates(texts).tolist() == expected


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_groups_do_not_depend_on_the_order(varied_texts: list[str], seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(varied_texts))
    usual = find_near_duplicates(varied_texts)
    mixed = find_near_duplicates([varied_texts[i] for i in order])
    assert number_by_first(usual[order]).tolist() == mixed.tolist()


def test_groups_do_not_depend_on_the_order_in_a_crowd(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few large buckets, in which leaders alone are compared: it matters which texts lead."""
    monkeypatch.setattr(near_duplicates, "CROWD", 2)
    monkeypatch.setattr(near_duplicates, "choose_bands", lambda threshold: (3, 1))
    chance = random.Random(0)  # noqa: S311  (no secret)
    texts = []
    for _ in range(300):
        rate = chance.uniform(0, 0.12)
        texts.append(" ".join(f"x{chance.random()}" if chance.random() < rate else f"w{k}" for k in range(80)))
    groups = find_near_duplicates(texts).tolist()
    turned = find_near_duplicates(texts[::-1]).tolist()[::-1]
    assert 1 < len(set(groups)) < len(texts)
    assert len(set(zip(groups, turned, strict=True))) == len(set(groups)) == len(set(turned))


def test_groups_do_not_depend_on_how_texts_are_added(varied_texts: list[str], tmp_path: Path) -> None:
    with open_near_duplicates(tmp_path) as found:
        for start in range(0, len(varied_texts), 37):
            found.add(varied_texts[start : start + 37])
        assert found.group().tolist() == find_near_duplicates(varied_texts).tolist()


def test_a_block_of_near_identical_texts_costs_few_comparisons(tmp_path: Path) -> None:
    n_texts = 3_000
    texts = [f"{make_rationale('naproxen')} item number{i} of this kind" for i in range(n_texts)]
    with open_near_duplicates(tmp_path) as found:
        found.add(texts)
        assert set(found.group().tolist()) == {0}
        # all pairs would be 4.5 million
        assert n_texts - 1 <= found.n_compared <= 3 * n_texts


def test_a_crowd_that_is_far_apart_costs_few_comparisons_a_text(tmp_path: Path) -> None:
    # a long opening that all share brings them together, a longer rest of their own keeps them apart
    opening = " ".join(f"opening{i}" for i in range(30))
    texts = [f"{opening} " + " ".join(f"own{i}x{k}" for k in range(40)) for i in range(400)]
    with open_near_duplicates(tmp_path) as found:
        found.add(texts)
        assert len(set(found.group().tolist())) == len(texts)
        assert found.n_counted <= found.n_compared
        assert found.n_compared <= choose_bands(NEAR_DUPLICATE)[0] * CROWD * len(texts)


@pytest.mark.parametrize("threshold", [LOWEST, 0.4, 0.5, 0.75, 0.9, 0.99])
def test_choose_bands_misses_few_pairs_at_the_threshold(threshold: float) -> None:
    bands, rows = choose_bands(threshold)
    assert (1 - threshold**rows) ** bands <= MISSED


# ---------------------------------------------------------------- the command


def make_item(i: int, rationale: str | None, **changes: Any) -> Row:
    letter = f"CM99-{i:07}"
    row = {"letter": letter, "source": f"letters/{letter}.txt", "item": 1, "treatment": "x", "outcome": "Upheld"}
    return {**row, "rationale": rationale, **changes}


def make_prediction(i: int, primary: str | None, *more: str, **changes: Any) -> Row:
    letter = f"CM99-{i:07}"
    reasons = [{"label": label, "probability": 0.9, "evidence": []} for label in (primary, *more) if label]
    row = {"letter": letter, "source": f"letters/{letter}.txt", "item": 1, "reasons": reasons}
    return {**row, "primary_reason": primary, **changes}


def write_rows(path: Path, rows: Iterable[Row | str]) -> Path:
    lines = (row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def read_rows(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def group(tmp_path: Path) -> Callable[..., tuple[list[Row], DuplicatesReport]]:
    """Group items, with predictions where there are any; gives what was written and the report."""

    def find(items: Iterable[Row | str], predictions: Iterable[Row | str] = ()) -> tuple[list[Row], DuplicatesReport]:
        parsed = write_rows(tmp_path / "items.jsonl", items)
        predicted = write_rows(tmp_path / "predictions.jsonl", predictions)
        output = tmp_path / "groups.jsonl"
        # nothing is written to the stream where there is an output
        found = find_duplicates([parsed], output, None, predictions=[predicted] if predictions else [])  # type: ignore[arg-type]
        return read_rows(output), found

    return find


Find = Callable[..., tuple[list[Row], DuplicatesReport]]


def test_groups_say_what_was_decided_and_why(group: Find) -> None:
    items = [
        make_item(0, OTHER),
        make_item(1, make_rationale("naproxen")),
        make_item(2, make_rationale("tramadol"), outcome="Overturned"),
        make_item(3, OTHER, outcome=None),
        make_item(4, make_rationale("naproxen").replace(" ", "\n")),
        make_item(5, "No file."),
    ]
    predictions = [
        make_prediction(4, "guideline_not_met", "not_recommended"),
        make_prediction(1, "conservative_care_not_exhausted"),
        make_prediction(2, None, "guideline_not_met"),
        make_prediction(0, "clinical_indication_present"),
    ]
    [first, second], report = group(items, predictions)
    members = first.pop("members")
    assert first == {
        "group": 1,
        "n_items": 3,
        "n_letters": 3,
        "n_texts": 2,
        "n_exact": 2,
        "n_copied": 2,
        "n_predicted": 3,
        "outcomes": {"Upheld": 2, "Overturned": 1, "unknown": 0},
        "primary_reasons": {"guideline_not_met": 1, "conservative_care_not_exhausted": 1},
        "reasons": {"guideline_not_met": 2, "not_recommended": 1, "conservative_care_not_exhausted": 1},
        "opposite": True,
        "differing": True,
        "example": make_rationale("naproxen"),
    }
    assert members[0] == {
        "letter": "CM99-0000001",
        "source": "letters/CM99-0000001.txt",
        "item": 1,
        "outcome": "Upheld",
        "primary_reason": "conservative_care_not_exhausted",
        "reasons": ["conservative_care_not_exhausted"],
    }
    assert [(member["primary_reason"], member["reasons"]) for member in members[1:]] == [
        (None, ["guideline_not_met"]),
        ("guideline_not_met", ["guideline_not_met", "not_recommended"]),
    ]
    assert [member["reasons"] for member in second["members"]] == [["clinical_indication_present"], None]
    assert (second["opposite"], second["differing"], second["n_predicted"]) == (False, False, 1)
    assert second["outcomes"] == {"Upheld": 1, "Overturned": 0, "unknown": 1}
    assert (report.opposite.n_groups, report.differing.n_groups, report.unpredicted) == (1, 1, 2)


ANY_TEXT = st.text(st.characters(), max_size=20)  # half characters too


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(ANY_TEXT, ANY_TEXT, st.sampled_from([None, *OUTCOMES]), ANY_TEXT), max_size=6))
def test_items_file_gives_back_what_was_put_in(rows: list[tuple[str, str, Any, str]]) -> None:
    with tempfile.TemporaryDirectory() as place, ItemsFile(Path(place, "items")) as items:
        for number, (letter, source, outcome, rationale) in enumerate(rows):
            items.add(ParsedItem(letter, source, number, outcome, rationale), rationale)
        for number, (letter, source, outcome, rationale) in enumerate(rows):
            member, text = items.read(number)
            expected = {"letter": letter, "source": source, "item": number, "outcome": outcome}
            assert json.loads(member) == {key: _write(value) for key, value in expected.items()}
            assert text == _write(rationale)
        assert items.list_distinct().tolist() == list(range(len(rows)))
        assert items.outcomes.tolist() == [NO_OUTCOME if row[2] is None else OUTCOMES.index(row[2]) for row in rows]


def _write(value: Any) -> Any:
    return value.encode(errors="replace").decode() if isinstance(value, str) else value


def test_largest_groups_come_first_then_as_they_appear(group: Find) -> None:
    texts = [f"{word} said this and {word} said that and nothing else of {word}" for word in "abcd"]
    order = [0, 1, 2, 1, 0, 2, 1, 3]
    groups, _ = group([make_item(i, texts[k]) for i, k in enumerate(order)])
    assert [(one["group"], one["n_items"], one["example"]) for one in groups] == [
        (1, 3, texts[1]),
        (2, 2, texts[0]),
        (3, 2, texts[2]),
    ]
    assert [member["letter"][-1] for member in groups[0]["members"]] == ["1", "3", "6"]


def test_report_counts_items_by_size_and_kind(group: Find) -> None:
    same = [make_item(i, make_rationale("naproxen")) for i in range(7)]
    near = [make_item(10 + i, make_rationale(drug)) for i, drug in enumerate(DRUGS[1:6])]
    within = [make_item(20, OTHER, item=1), make_item(20, f"{OTHER} Yes.", item=2)]
    _, report = group([*same, *near, *within, make_item(30, "No file."), make_item(31, None), make_item(32, " \n")])
    assert (report.items, report.letters, report.empty, report.unpredicted) == (15, 14, 2, None)
    two, ten = report.boilerplate
    assert (two.smallest, two.n_groups, two.n_items, two.share) == (2, 2, 14, 14 / 15)
    assert (two.n_exact, two.n_near, two.n_within, two.n_across) == (7, 7, 2, 12)
    assert (ten.smallest, ten.n_groups, ten.n_items, ten.share) == (10, 1, 12, 12 / 15)
    assert (ten.n_exact, ten.n_near, ten.n_within, ten.n_across) == (7, 5, 0, 12)
    assert (two.n_copied, ten.n_copied) == (7, 7)
    assert [(size.sizes, size.n_groups, size.n_items) for size in report.sizes if size.n_items] == [
        ("1", 1, 1),
        ("2", 1, 2),
        ("10–19", 1, 12),
    ]


def test_report_tells_copies_in_another_letter_from_those_within_one(group: Find) -> None:
    within = [make_item(0, OTHER, item=item) for item in (1, 2, 3)]
    across = [make_item(i, make_rationale("naproxen"), item=item) for i, item in ((1, 1), (1, 2), (2, 1))]
    near = [make_item(3, make_rationale("tramadol"), item=item) for item in (1, 2)]
    groups, report = group([*within, *across, *near, make_item(4, "No file.")])
    assert [(one["n_items"], one["n_exact"], one["n_copied"]) for one in groups] == [(5, 5, 3), (3, 3, 0)]
    assert [line for line in format_duplicates(report) if line.startswith(("boilerplate", "grouped"))] == [
        "boilerplate 55.6% of the items stand in another letter too, 33.3% word for word",
        "grouped     88.9% in 2 groups of 2 or more, within a letter or across; 0.0% in 0 groups of 10 or more",
    ]


def read_side(side: Side) -> tuple[int, str | None, str | None, str]:
    """What differs in brackets."""
    pieces = (f"[{piece.text}]" if piece.differs else piece.text for piece in side.pieces)
    return side.member, side.outcome, side.primary_reason, " ".join(pieces)


def test_report_sets_opposite_outcomes_and_differing_reasons_side_by_side(group: Find) -> None:
    granted = make_rationale("naproxen").replace("is not medically necessary", "is medically necessary")
    items = [
        make_item(0, make_rationale("tramadol")),
        make_item(1, make_rationale("naproxen")),
        make_item(2, f"On 03/04/2016: {make_rationale('lidocaine')}"),
        make_item(3, granted, outcome="Overturned"),
        make_item(4, make_rationale("baclofen"), outcome=None),
    ]
    primaries = ["guideline_met", "not_recommended", "not_recommended", None, "guideline_met"]
    groups, report = group(items, [make_prediction(i, primary) for i, primary in enumerate(primaries)])
    assert len(groups) == 1
    ([opposite], [differing]) = report.opposite.pairs, report.differing.pairs
    shown = make_rationale("naproxen").split()
    assert (opposite.left.member, opposite.right.member) == (2, 4)
    assert opposite.similarity == pytest.approx(
        find_similarity(normalize_text(make_rationale("naproxen")), normalize_text(granted))
    )
    assert read_side(opposite.left)[1:3] == ("Upheld", "not_recommended")
    assert read_side(opposite.left)[3].endswith("the request for naproxen is [not] medically necessary.")
    assert read_side(opposite.right)[1:3] == ("Overturned", None)
    assert read_side(opposite.right)[3].startswith(" ".join(shown[:20]))
    assert "[" not in read_side(opposite.right)[3]
    assert {(side.primary_reason, side.member) for side in (differing.left, differing.right)} <= {
        ("guideline_met", 1),
        ("guideline_met", 5),
        ("not_recommended", 2),
        ("not_recommended", 3),
    }
    assert differing.left.primary_reason == "not_recommended" != differing.right.primary_reason
    assert "[naproxen]" in read_side(differing.left)[3]
    assert report.largest.pairs == ()


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        pytest.param("", "", ("", ""), id="nothing"),
        pytest.param("Not necessary.", "not necessary", ("Not necessary.", "not necessary"), id="few words"),
        pytest.param("a b c d", "a b c", ("a b c [d]", "a b c"), id="more of one"),
        pytest.param(
            "a b c x d e y f g h",
            "a b c z d e f g h",
            ("a b c [x d e y] f g h", "a b c [z d e] f g h"),
            id="few between two",
        ),
        pytest.param(
            "one of 1.5 mg now", "one of 15 mg now", ("one of [1.5] mg now", "one of [15] mg now"), id="numbers"
        ),
    ],
)
def test_mark_differences(left: str, right: str, expected: tuple[str, str]) -> None:
    found = tuple(read_side(Side(1, None, None, pieces))[3] for pieces in mark_differences(left, right))
    assert found == expected


def test_mark_differences_shows_the_ends_of_what_is_long() -> None:
    long = [f"w{i}" for i in range(3 * KEPT)]
    first, last = mark_differences(" ".join([*long, "x"]), " ".join(long))[0]
    assert first.text.split() == [*long[:KEPT], "…", *long[-KEPT:]]
    assert (last.text, last.differs) == ("x", True)
    (cut,), _ = mark_differences("x " * 2 * MAX_WORDS, "")
    assert len(cut.text.split()) == MAX_WORDS + 1


def test_an_item_that_is_there_twice_is_no_duplicate(group: Find, tmp_path: Path) -> None:
    copy = "copies/CM99-0000001.pdf"
    items = [
        make_item(0, OTHER),
        make_item(1, make_rationale("naproxen")),
        make_item(1, make_rationale("naproxen").replace(" ", "  "), source=copy),
        make_item(1, make_rationale("naproxen"), item=2),
        make_item(2, make_rationale("naproxen")),
        make_item(0, OTHER),
        make_item(1, make_rationale("tramadol"), source="corrected.pdf"),
    ]
    predictions = [make_prediction(1, "guideline_not_met", source=source) for source in (copy, items[1]["source"])]
    [found], report = group(items, predictions)
    assert [(member["source"], member["item"]) for member in found["members"]] == [
        ("letters/CM99-0000001.txt", 1),
        ("letters/CM99-0000001.txt", 2),
        ("letters/CM99-0000002.txt", 1),
        ("corrected.pdf", 1),
    ]
    assert (report.items, report.repeated, report.letters, report.unpredicted) == (5, 2, 3, 4)
    assert report.boilerplate[0].n_items == 4
    assert "left out    0 without a rationale, 2 that were there before" in format_duplicates(report)


def test_report_lists_the_largest_groups_with_the_beginning_of_a_text(group: Find) -> None:
    texts = [f"{chr(97 + k) * 6} " * 200 for k in range(N_LISTED + 5)]
    groups, report = group([make_item(i, text) for i, text in enumerate(texts * 2)])
    assert len(groups) == report.largest.n_groups == N_LISTED + 5
    assert [one.group for one in report.largest.examples] == list(range(1, N_LISTED + 1))
    assert all(len(one.example) == EXAMPLE_CHARS + 1 for one in report.largest.examples)
    assert groups[0]["example"] == texts[0]


def test_report_prints_no_exact_date(group: Find) -> None:
    text = f"Seen on 01/12/2016 by CM16-0123456. {OTHER} {'x' * (EXAMPLE_CHARS - len(OTHER) - 46)} on 03/14/2017."
    groups, report = group([make_item(0, text), make_item(1, text)])
    (example,) = report.largest.examples
    assert example.example.startswith("Seen on xx/xx/2016 by CMxx-xxxxxxx.")
    assert "03" not in example.example[-8:]
    assert groups[0]["example"] == text


def test_texts_without_a_word_of_ours_are_not_one_group(group: Find) -> None:
    groups, _ = group([make_item(0, "необходимо"), make_item(1, "не показано"), make_item(2, "необходимо")])
    assert [[member["letter"][-1] for member in one["members"]] for one in groups] == [["0", "2"]]


@pytest.fixture(scope="module")
def letters(some_letters: tuple[AnnotatedLetter, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Letters of the corpus, and some of them again under another number and with every outcome turned round."""
    folder = tmp_path_factory.mktemp("duplicates") / "letters"
    folder.mkdir()
    for letter in some_letters[:12]:
        text = render_pdf_text(letter)
        (folder / f"{letter.id}.txt").write_text(text, encoding="utf-8")
        if letter in some_letters[:4]:
            turned = text.replace(": Upheld", ": ⇅").replace(": Overturned", ": Upheld").replace(": ⇅", ": Overturned")
            twin = letter.id.replace("CM99", "CM98")
            (folder / f"{twin}.txt").write_text(turned.replace(letter.id, twin), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def outputs(letters: Path, tiny_bundle: Path) -> Path:
    """What `imr parse` and `imr predict` wrote for the letters, in each kind."""
    folder = letters.parent
    for name in ("jsonl", "csv", "parquet"):
        run("parse", letters, "-o", folder / f"items.{name}")
        run("predict", letters, "-o", folder / f"predictions.{name}", "--model", tiny_bundle)
    run("parse", letters, "-o", f"{folder}/items/", "--part-letters", 5)
    run("predict", letters, "-o", f"{folder}/predictions/", "--part-letters", 5, "--model", tiny_bundle)
    return folder


def test_duplicates_of_letters(outputs: Path, some_letters: tuple[AnnotatedLetter, ...], tmp_path: Path) -> None:
    output = tmp_path / "groups.jsonl"
    out, err = run(
        "duplicates", outputs / "items.jsonl", "--predictions", outputs / "predictions.jsonl", "-o", output,
        "--report", tmp_path / "report",
    )  # fmt: skip
    assert out == ""
    groups = read_rows(output)
    n_twins = sum(len(letter.items) for letter in some_letters[:4])
    twins = [one for one in groups if one["n_letters"] > 1]
    assert sum(one["n_items"] for one in twins) >= 2 * n_twins
    assert all(one["opposite"] for one in twins)
    predicted = {(row["source"], row["item"]): row for row in read_rows(outputs / "predictions.jsonl")}
    for member in (member for one in groups for member in one["members"]):
        row = predicted[member["source"], member["item"]]
        labels = {reason["label"] for reason in row["reasons"]}
        assert member["reasons"] == [label for label in REASONS if label in labels]
        assert (member["primary_reason"], member["letter"]) == (row["primary_reason"], row["letter"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["groups.jsonl", "report.html", "report.json"]
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert report["opposite"]["n_groups"] == len(twins)
    assert f"opposite    {len(twins)} group" in err
    assert str(tmp_path / "report.html") in err


@pytest.mark.parametrize(
    ("items", "predictions"),
    [
        pytest.param("items.csv", "predictions.csv", id="csv"),
        pytest.param("items.parquet", "predictions.parquet", id="parquet"),
        pytest.param("items", "predictions", id="folders of parts"),
    ],
)
def test_duplicates_of_every_kind_of_file_are_the_same(
    outputs: Path, items: str, predictions: str, tmp_path: Path
) -> None:
    groups = [tmp_path / "first.jsonl", tmp_path / "second.jsonl"]
    for parsed, predicted, output in (("items.jsonl", "predictions.jsonl", groups[0]), (items, predictions, groups[1])):
        _, err = run("duplicates", outputs / parsed, "--predictions", outputs / predicted, "-o", output)
        assert "not read" not in err
        assert "predictions none" not in err
    assert groups[0].read_bytes() == groups[1].read_bytes() != b""


def test_duplicates_reads_cells_that_csv_marked(tmp_path: Path) -> None:
    rationale = "- no sign of red flags on examination of the spine today"
    with (tmp_path / "items.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(make_item(0, "")))
        writer.writeheader()
        writer.writerow(make_item(0, f"'{rationale}", source="'=letter", outcome=""))
    write_rows(tmp_path / "items.jsonl", [make_item(1, rationale)])
    run("duplicates", tmp_path / "items.csv", tmp_path / "items.jsonl", "-o", tmp_path / "groups.jsonl")
    [found] = read_rows(tmp_path / "groups.jsonl")
    assert (found["example"], found["n_exact"]) == (rationale, 2)
    assert (found["members"][0]["source"], found["members"][0]["outcome"]) == ("=letter", None)


def test_duplicates_to_standard_output(tmp_path: Path) -> None:
    rows = [make_item(i, make_rationale(drug)) for i, drug in enumerate(DRUGS)]
    out, err = run("duplicates", write_rows(tmp_path / "items.jsonl", rows))
    assert json.loads(out)["n_items"] == len(DRUGS)
    assert "boilerplate 100.0% of the items stand in another letter too, 0.0% word for word" in err
    assert (
        "grouped     100.0% in 1 group of 2 or more, within a letter or across; 0.0% in 0 groups of 10 or more" in err
    )
    assert [path.name for path in tmp_path.iterdir()] == ["items.jsonl"]


def test_threshold_decides_what_is_near(tmp_path: Path) -> None:
    words = [f"w{chr(97 + i)}" for i in range(14)]
    items = write_rows(tmp_path / "items.jsonl", [make_item(0, " ".join(words)), make_item(1, " ".join(words[:10]))])
    assert run("duplicates", items, "--threshold", 0.6)[0].count("\n") == 1
    assert run("duplicates", items, "--threshold", 0.61)[0] == ""
    assert "0.3<=x<=1" in run("duplicates", items, "--threshold", 0.2, code=2)[1]


def test_options_say_what_the_library_says() -> None:
    assert (command.LOWEST, command.USUAL) == (LOWEST, NEAR_DUPLICATE)


def test_damaged_rows_cost_themselves(tmp_path: Path) -> None:
    same = make_rationale("naproxen")
    items = write_rows(
        tmp_path / "items.jsonl",
        [
            make_item(0, same),
            '{"letter": "CM99',
            make_item(1, same, item="second"),
            make_item(2, same, outcome="Partly"),
            {**make_item(3, same), "rationale": 7},
            make_item(4, same, outcome={"heading": "Upheld"}),
            make_item(5, same, letter=None, source=None),
            "[]",
            make_item(6, same),
        ],
    )
    predictions = write_rows(
        tmp_path / "predictions.jsonl",
        [
            make_prediction(0, "nonsense"),
            make_prediction(6, "not_recommended", reasons="{"),
            make_prediction(6, "guideline_not_met"),
            make_prediction(6, "not_recommended"),
        ],
    )
    out, err = run("duplicates", items, "--predictions", predictions, "--report", tmp_path / "report")
    members = json.loads(out)["members"]
    # of one that is predicted twice the first counts
    assert [(member["letter"][-1], member["reasons"]) for member in members] == [
        ("0", None),
        ("6", ["guideline_not_met"]),
    ]
    lines = [line for line in err.splitlines() if line.startswith("not read")]
    assert [line.split(": ", 2)[1] for line in lines[:-1]] == ["row 2", "row 3", "row 4", "row 5", "row 6"]
    assert "no JSON object" in lines[0]
    assert "item 'second' is no number" in lines[1]
    assert "unknown outcome 'Partly'; known: Upheld, Overturned" in lines[2]
    assert "an item of imr predict" in lines[4]
    assert lines[-1] == "not read    4 others"
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert (report["rejected"], len(report["rejects"])) == (9, N_REJECTS)
    assert "predictions none for 1 of the items" in err


def test_a_damaged_file_costs_itself(tmp_path: Path) -> None:
    items = write_rows(tmp_path / "items.jsonl", [make_item(i, OTHER) for i in range(2)])
    (tmp_path / "damaged.parquet").write_bytes(b"PAR1")
    out, err = run("duplicates", tmp_path / "damaged.parquet", items)
    assert json.loads(out)["n_items"] == 2
    assert f"not read    {tmp_path / 'damaged.parquet'}: no readable Parquet" in err


def test_a_file_whose_name_is_no_unicode_is_named_in_the_report(tmp_path: Path) -> None:
    items = tmp_path / os.fsdecode(b"items \xff.jsonl")
    write_rows(items, [make_item(0, OTHER), "[]"])
    run("duplicates", items, "--report", tmp_path / "report")
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert report["rejects"] == [f"{tmp_path}/items \\udcff.jsonl: row 2: no JSON object: '[]'"]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        pytest.param(["none.jsonl"], "none.jsonl: No such file", id="missing items"),
        pytest.param(["letter.pdf"], "unknown kind '.pdf'; known: .jsonl, .csv, .parquet", id="unknown kind"),
        pytest.param(["empty"], "empty: no file of items", id="folder without items"),
        pytest.param(["blank.jsonl"], "no item with a rationale", id="no rationale"),
        pytest.param(["texts.jsonl"], "no column 'rationale'", id="another table"),
        pytest.param(["predictions.jsonl"], "ITEMS are what imr parse writes", id="predictions as items"),
        pytest.param(["items.jsonl", "--predictions", "items.jsonl"], "no column 'reasons'", id="items as predictions"),
        pytest.param(["items.jsonl", "--predictions", "none.csv"], "none.csv: No such file", id="missing predictions"),
        pytest.param(["items.jsonl", "-o", "groups.csv"], "unknown kind '.csv'; known: .jsonl", id="kind of output"),
        pytest.param(
            ["items.jsonl", "-o", "no/groups.jsonl"], "No such file or directory", id="no folder for the output"
        ),
        pytest.param(["items.jsonl", "-o", "items.jsonl"], "would take the place of", id="output over its input"),
        pytest.param(
            ["items.jsonl", "--report", "no/report"], "No such file or directory", id="no folder for the report"
        ),
    ],
)
def test_duplicates_refuses_in_one_line(
    args: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    write_rows(Path("items.jsonl"), [make_item(0, OTHER)])
    write_rows(Path("blank.jsonl"), [make_item(0, None), make_item(1, " ")])
    write_rows(Path("texts.jsonl"), [{"text": OTHER}])
    write_rows(Path("predictions.jsonl"), [{**make_prediction(0, "guideline_met"), "rationale": OTHER, "outcome": {}}])
    before = {path: path.read_bytes() for path in tmp_path.glob("*.*")}
    out, err = run("duplicates", *args, code=1)
    [line] = err.splitlines()
    assert line.startswith("imr: ")
    assert message in line
    assert out == ""
    assert {path: path.read_bytes() for path in tmp_path.glob("*.*")} == before


def test_what_a_killed_run_left_does_not_stay(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from imr_rationale.serving.working_folder import *\n"
        "with open_working_folder(Path(sys.argv[1])) as folder:\n"
        "    (folder / 'shingles').write_text('left'); (folder / 'items').mkdir(); os._exit(9)"
    )
    output = tmp_path / "groups.jsonl"
    assert subprocess.run([sys.executable, "-c", code, str(output)]).returncode == 9
    assert (tmp_path / "groups.jsonl.working" / "files" / "shingles").exists()
    with open_working_folder(output) as folder:
        assert list(folder.iterdir()) == []
    assert list(tmp_path.iterdir()) == []


def test_two_runs_do_not_share_a_working_folder(tmp_path: Path) -> None:
    output = tmp_path / "groups.jsonl"
    with open_working_folder(output) as folder:
        (folder / "mine").touch()
        with pytest.raises(SourceError, match="another run writes the same output"), open_working_folder(output):
            pass
        assert (folder / "mine").exists()
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_is_full_leaves_the_old_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    items = write_rows(tmp_path / "items.jsonl", [make_item(i, OTHER) for i in range(2)])
    output = tmp_path / "groups.jsonl"
    output.write_text("before")

    def fail(*args: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(GroupMaker, "format", fail)
    with pytest.raises(SourceError, match=r"groups\.jsonl: No space left on device"):
        find_duplicates([items], output, None)  # type: ignore[arg-type]
    assert output.read_text() == "before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["groups.jsonl", "items.jsonl"]


def test_page_escapes_what_stands_in_letters(tmp_path: Path) -> None:
    texts = (OTHER, OTHER, f"{OTHER} <u>medically necessary")
    rows = [make_item(i, f"<script>alert(1)</script> {text}") for i, text in enumerate(texts)]
    rows[2]["outcome"] = "Overturned"
    items = write_rows(tmp_path / "<b>items.jsonl", [*rows, '"<i>'])
    run("duplicates", items, "--report", tmp_path / "report")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; There is swelling" in page
    assert "&lt;b&gt;items.jsonl" in page
    assert "<mark>&lt;u&gt;medically" in page
    assert "<i>" not in page
    assert "http" not in page
