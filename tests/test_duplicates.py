"""Near-duplicate rationales: grouped as an exact comparison groups them, and told of by outcome and reason."""

import json
import random
import subprocess
import sys
from collections.abc import Callable, Sequence
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
from imr_rationale.errors import SourceError
from imr_rationale.labels import REASONS
from imr_rationale.language.words import normalize_text
from imr_rationale.learning import near_duplicates
from imr_rationale.learning.corpus import AnnotatedLetter, read_corpus
from imr_rationale.learning.near_duplicates import choose_bands, find_near_duplicates, open_near_duplicates
from imr_rationale.learning.render import render_pdf_text
from imr_rationale.learning.shingles import SHINGLE_WORDS, ShingleFile, find_shingles, make_slices
from imr_rationale.learning.splits import group_items
from imr_rationale.serving.duplicates import Search, find_duplicates
from imr_rationale.serving.duplicates_report import DuplicatesReport, format_duplicates, mark_differences
from imr_rationale.serving.readers import find_row_files
from imr_rationale.serving.working_folder import open_working_folder


def group_exactly(texts: Sequence[str], threshold: float = 0.5, letters: Sequence[str] | None = None) -> list[int]:
    """Compare each with each: the words that count are counted one by one."""
    words = [text.split() or ["-"] for text in texts]
    longer = [" ".join(one if len(one) >= 5 else (one * 5)[:5]) for one in words]
    runs = CountVectorizer(token_pattern=r"\S+", lowercase=False, ngram_range=(5, 5), binary=True).fit_transform(longer)
    shared = (runs @ runs.T).tocoo()
    sizes = np.asarray(runs.sum(axis=1)).ravel()
    near = shared.data >= threshold * (sizes[shared.row] + sizes[shared.col] - shared.data)
    links = sp.coo_matrix((near[near], (shared.row[near], shared.col[near])), shape=shared.shape).tocsr()
    if letters is not None:
        same = np.asarray(letters)[:, None] == np.asarray(letters)[None, :]
        links = links + sp.csr_matrix(same)
    return [int(label) for label in connected_components(links, directed=False)[1]]


def make_texts(n_bases: int, n_each: int, share: float, *, seed: int = 0, n_words: int = 80) -> list[str]:
    """Write texts that share no run of words but with those of their base; up to `share` of their words exchanged."""
    chance = random.Random(seed)  # noqa: S311
    texts = []
    for base in range(n_bases):
        words = [f"b{base}w{chance.randrange(400)}" for _ in range(n_words)]
        for _ in range(n_each):
            rate = chance.uniform(0, share)
            texts.append(" ".join(f"x{chance.random()}" if chance.random() < rate else word for word in words))
    chance.shuffle(texts)
    return texts


# ---------------------------------------------------------------- groups


def test_group_items_gives_what_comparing_each_with_each_gives(corpus: tuple[AnnotatedLetter, ...]) -> None:
    pairs = [(letter.id, item.rationale) for letter in (*corpus, *read_corpus(HELDOUT)) for item in letter.items]
    letters, texts = [letter for letter, _ in pairs], [normalize_text(text) for _, text in pairs]
    groups = group_items(letters, texts)
    assert groups.tolist() == group_exactly(texts, letters=letters)
    assert 1 < len(set(groups.tolist())) < len(set(letters))
    assert find_near_duplicates(texts).tolist() == group_exactly(texts)


@pytest.mark.parametrize(
    ("n_bases", "n_each", "share"),
    [
        pytest.param(40, 20, 0.05, id="close"),
        pytest.param(40, 20, 0.15, id="about the threshold"),
        pytest.param(1, 500, 0.12, id="one crowd about the threshold"),
        pytest.param(300, 1, 0.0, id="nothing alike"),
    ],
)
def test_find_near_duplicates_gives_what_comparing_each_with_each_gives(
    n_bases: int, n_each: int, share: float
) -> None:
    texts = make_texts(n_bases, n_each, share)
    assert find_near_duplicates(texts).tolist() == group_exactly(texts)


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.8, 1.0])
def test_find_near_duplicates_holds_any_threshold(threshold: float) -> None:
    texts = make_texts(20, 12, 0.1, seed=3)
    assert find_near_duplicates(texts, threshold=threshold).tolist() == group_exactly(texts, threshold)


def words_of(*numbers: int) -> str:
    return " ".join(f"w{number}" for number in numbers)


@pytest.mark.parametrize(
    ("left", "right", "together"),
    [
        # eight runs each, of which they share m: m / (16 - m)
        pytest.param(words_of(*range(17)), words_of(*range(12)), True, id="8 of 13"),
        pytest.param(words_of(*range(20)), words_of(*range(12)), True, id="8 of 16: at the threshold"),
        pytest.param(words_of(*range(21)), words_of(*range(12)), False, id="8 of 17: below"),
        pytest.param("", "", True, id="empty"),
        pytest.param("", "denied", False, id="empty and not"),
        pytest.param("denied", "denied denied", True, id="short, repeated"),
        pytest.param("not necessary", "necessary not", False, id="short, turned round"),
        pytest.param("a b c d", "a b c d a", True, id="four words, made five"),
        pytest.param("denied", "denied " * 30, True, id="one run over and over"),
    ],
)
def test_find_near_duplicates_at_the_edges(left: str, right: str, together: bool) -> None:
    first, second = find_near_duplicates([left, right]).tolist()
    assert (first == second) == together
    assert find_near_duplicates([left, right]).tolist() == group_exactly([left, right])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.sampled_from("abcd"), max_size=14).map(" ".join), min_size=1, max_size=12), st.randoms())
def test_groups_do_not_depend_on_the_order(texts: list[str], chance: random.Random) -> None:
    groups = find_near_duplicates(texts).tolist()
    assert groups == group_exactly(texts)
    order = list(range(len(texts)))
    chance.shuffle(order)
    turned = find_near_duplicates([texts[i] for i in order]).tolist()
    pairs = {(groups[i], turned[k]) for k, i in enumerate(order)}
    assert len(pairs) == len(set(groups)) == len(set(turned))


def test_groups_do_not_depend_on_the_order_in_a_crowd(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few large buckets, in which leaders alone are compared: it matters which texts lead."""
    monkeypatch.setattr(near_duplicates, "CROWD", 2)
    monkeypatch.setattr(near_duplicates, "choose_bands", lambda threshold: (3, 1))
    texts = make_texts(2, 150, 0.12)
    groups = find_near_duplicates(texts).tolist()
    turned = find_near_duplicates(texts[::-1]).tolist()[::-1]
    assert len(set(zip(groups, turned, strict=True))) == len(set(groups)) == len(set(turned))


def test_no_texts_are_no_groups() -> None:
    assert find_near_duplicates([]).tolist() == []


@pytest.mark.parametrize("n_texts", [750, 1500, 3000])
def test_a_block_of_near_identical_texts_costs_a_comparison_a_text(n_texts: int, tmp_path: Path) -> None:
    words = [f"w{k}" for k in range(100)]
    texts = [" ".join([*words[: i % 100], f"drug{i}", *words[i % 100 :]]) for i in range(n_texts)]
    with open_near_duplicates(tmp_path) as found:
        found.add(texts)
        assert set(found.group().tolist()) == {0}
        assert found.n_compared < 3 * n_texts
        assert found.n_counted <= found.n_compared


@pytest.mark.parametrize("n_texts", [500, 1000])
def test_a_crowd_of_texts_that_are_apart_costs_leaders_alone(
    n_texts: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All share a part too small to be near-duplicates, and stand in one bucket again and again."""
    monkeypatch.setattr(near_duplicates, "CROWD", 8)
    shared = [f"w{k}" for k in range(60)]
    texts = [" ".join([*shared, *(f"t{i}n{k}" for k in range(40))]) for i in range(n_texts)]
    with open_near_duplicates(tmp_path) as found:
        found.add(texts)
        assert len(set(found.group().tolist())) == n_texts
        n_bands, _ = choose_bands(0.5)
        assert found.n_compared <= n_bands * (1 + 8) * n_texts


def test_texts_added_piece_by_piece_are_grouped_as_a_whole(tmp_path: Path) -> None:
    texts = make_texts(10, 10, 0.1)
    with open_near_duplicates(tmp_path) as found:
        for start in range(0, 100, 7):
            found.add(texts[start : start + 7])
        assert found.group().tolist() == group_exactly(texts)


@pytest.mark.parametrize("threshold", [0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0])
def test_choose_bands_misses_few_pairs_at_the_threshold(threshold: float) -> None:
    bands, rows = choose_bands(threshold)
    assert (1 - threshold**rows) ** bands <= 0.002
    assert bands * rows <= 512


# ---------------------------------------------------------------- shingles


@given(st.lists(st.text("abc ", max_size=40), min_size=1, max_size=6))
def test_find_shingles_counts_distinct_runs(texts: list[str]) -> None:
    def count(text: str) -> int:
        words = text.split() or ["-"]
        words = words if len(words) >= SHINGLE_WORDS else (words * 5)[:5]
        return len({tuple(words[k : k + 5]) for k in range(len(words) - 4)})

    values, sizes = find_shingles(texts)
    assert sizes.tolist() == [count(text) for text in texts]
    assert len(values) == sizes.sum()
    assert (values < 1 << 63).all()


def test_find_shingles_tells_exchanged_and_turned_words_apart() -> None:
    values, _ = find_shingles(["a b c d e", "b a c d e", "a b c e d", "e d c b a", "a b c d f", "a a a a a"])
    assert len(set(values.tolist())) == 6


def test_shingle_file_counts_what_texts_share(tmp_path: Path) -> None:
    texts = ["a b c d e f", "b c d e f g", "x", "a b c d e f"]
    with ShingleFile(tmp_path / "shingles") as shingles:
        shingles.add(texts[:2])
        shingles.add(texts[2:])
        assert shingles.sizes.tolist() == [2, 2, 1, 2]
        assert shingles.count_common(np.array([0, 0, 0, 1]), np.array([1, 2, 3, 0])).tolist() == [1, 0, 2, 1]
        assert shingles.count_common(np.array([], dtype=np.int64), np.array([], dtype=np.int64)).tolist() == []


@given(st.lists(st.integers(0, 9), max_size=30), st.integers(1, 12))
def test_make_slices_covers_everything_once(sizes: list[int], limit: int) -> None:
    slices = list(make_slices(np.array(sizes, dtype=np.int64), limit))
    assert [k for piece in slices for k in range(piece.start, piece.stop)] == list(range(len(sizes)))
    assert all(sum(sizes[piece]) <= limit or piece.stop - piece.start == 1 for piece in slices)


# ---------------------------------------------------------------- the search

SAME = "There is no evidence of red flags on the examination of the neck that would call for imaging at this time."
NEAR = SAME + " Therefore, the request is not medically necessary."
OTHER = "The worker has had twelve visits of therapy and gained strength, so that further visits are well supported."


def make_item(
    letter: str = "CM99-0000001", item: int = 1, rationale: str | None = SAME, **other: Any
) -> dict[str, Any]:
    row = {"letter": letter, "source": f"{letter}.txt", "item": item, "outcome": "Upheld", "rationale": rationale}
    return {**row, **other}


def make_prediction(letter: str = "CM99-0000001", item: int = 1, reasons: Sequence[str] = ()) -> dict[str, Any]:
    found = [{"label": label, "probability": 0.9, "evidence": []} for label in reasons]
    primary = reasons[0] if reasons else None
    return {"letter": letter, "source": f"{letter}.txt", "item": item, "reasons": found, "primary_reason": primary}


@pytest.fixture
def search(tmp_path: Path) -> Callable[..., tuple[list[dict[str, Any]], DuplicatesReport]]:
    """Search rows for duplicates; gives the groups and the report."""

    def find(
        items: Sequence[dict[str, Any]], predictions: Sequence[dict[str, Any]] | None = None, **options: Any
    ) -> tuple[list[dict[str, Any]], DuplicatesReport]:
        rows = {"items": items, "predictions": predictions or []}
        for name, found in rows.items():
            (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in found))
        given_too = [tmp_path / "predictions.jsonl"] if predictions is not None else []
        output = tmp_path / "groups.jsonl"
        report = find_duplicates(Search([tmp_path / "items.jsonl"], given_too, output, **options))
        return [json.loads(line) for line in output.read_text().splitlines()], report

    return find


def make_words(number: int) -> str:
    """Give words that no other number has; digits would all be read as numbers."""
    return " ".join(f"{chr(97 + number)}q{chr(97 + k)}" for k in range(20))


Found = Callable[..., tuple[list[dict[str, Any]], DuplicatesReport]]


def test_find_duplicates_writes_groups_with_their_members(search: Found) -> None:
    groups, report = search(
        [
            make_item("L1", rationale=OTHER),
            make_item("L2", rationale=SAME),
            make_item("L3", rationale=NEAR),
            make_item("L4", rationale=SAME),
            make_item("L4", 2, rationale="Something else that nobody else ever said about any of these requests."),
            make_item("L5", rationale=OTHER),
        ]
    )
    assert [(group["group"], group["n_items"], group["n_letters"], group["n_texts"]) for group in groups] == [
        (1, 3, 3, 2),
        (2, 2, 2, 1),
    ]
    assert [member["letter"] for member in groups[0]["members"]] == ["L2", "L3", "L4"]
    assert groups[0]["members"][0] == {
        "letter": "L2",
        "source": "L2.txt",
        "item": 1,
        "outcome": "Upheld",
        "reasons": None,
    }
    assert groups[0]["example"] == SAME
    assert groups[0]["counterexample"] is None
    assert report.n_predicted is None
    assert report.twins == {
        "same_text_elsewhere": 4,
        "near_elsewhere": 1,
        "same_text_own_letter": 0,
        "near_own_letter": 0,
        "alone": 1,
    }
    assert report.share == pytest.approx(5 / 6)
    assert report.sizes == (("1", 1, 1), ("2", 1, 2), ("3–4", 1, 3))


def test_repeats_in_one_letter_are_no_boilerplate(search: Found) -> None:
    _, report = search(
        [make_item("L1", 1), make_item("L1", 2), make_item("L1", 3, rationale=NEAR), make_item("L2", rationale=OTHER)]
    )
    assert report.boilerplate == 0
    assert (report.twins["same_text_own_letter"], report.twins["near_own_letter"]) == (2, 1)
    assert report.in_groups == 3


def test_large_and_wide_groups_are_counted_apart(search: Found) -> None:
    _, report = search(
        [make_item(f"L{k // 2}", k) for k in range(12)] + [make_item(f"M{k}", rationale=OTHER) for k in range(11)]
    )
    assert (report.in_groups, report.in_large_groups, report.in_wide_groups) == (23, 23, 11)


def test_opposite_outcomes_are_found_and_shown_side_by_side(search: Found) -> None:
    turned = SAME + " Therefore, the request is medically necessary."
    groups, report = search(
        [
            make_item("L1", rationale=NEAR),
            make_item("L2", rationale=turned, outcome="Overturned"),
            make_item("L3", rationale=NEAR),
            make_item("L4", rationale=NEAR, outcome=None),
            make_item("L5", rationale=OTHER),
            make_item("L6", rationale=OTHER, outcome="Overturned"),
            make_item("L7", rationale=OTHER, outcome="Overturned"),
        ]
    )
    first, second = groups
    assert first["outcomes"] == {"unknown": 1, "Upheld": 2, "Overturned": 1}
    assert first["opposite_outcomes"]
    assert not first["opposite_same_text"]
    assert (first["example"], first["counterexample"]) == (NEAR, turned)
    assert second["opposite_same_text"]
    assert second["example"] == second["counterexample"] == OTHER
    assert (report.opposite.n_groups, report.opposite_same_text.n_groups) == (2, 1)
    assert any("both outcomes in 2 of the groups, under one text in 1" in line for line in format_duplicates(report))


def test_differing_reasons_are_found(search: Found) -> None:
    a, b = "no_clinical_indication", "guideline_not_met"
    items = [
        *(make_item(f"L{k}") for k in range(3)),
        *(make_item(f"M{k}", rationale=OTHER) for k in range(3)),
        make_item("N1", rationale="All of this is said by nobody else in any letter that was ever read."),
    ]
    # in another order than the items
    predictions = [
        make_prediction("M2", reasons=[a]),
        make_prediction("M0", reasons=[a]),
        make_prediction("L2", reasons=[b, a]),
        make_prediction("L1", reasons=[a]),
        make_prediction("L0", reasons=[a]),
        make_prediction("X9", reasons=[b]),
    ]
    (first, second), report = search(items, predictions)
    assert first["differing_reasons"]
    assert first["differing_primary_reasons"]
    assert (first["reasons"], first["primary_reasons"]) == ({a: 3, b: 1}, {a: 2, b: 1})
    assert [member["reasons"] for member in first["members"]] == [[a], [a], [a, b]]
    assert not second["differing_reasons"]
    assert (second["n_predicted"], second["reasons"]) == (2, {a: 2})
    assert second["members"][1]["reasons"] is None
    assert report.differing.n_groups == 1
    assert (report.n_predicted, report.n_stray) == (5, 1)
    assert any("2 items have none; 1 predictions fit no item" in line for line in format_duplicates(report))


def test_items_without_reasons_have_none_stated(search: Found) -> None:
    (group,), _ = search(
        [make_item("L1"), make_item("L2")], [make_prediction("L1"), make_prediction("L2", reasons=[REASONS[15]])]
    )
    assert group["primary_reasons"] == {"none_stated": 1, REASONS[15]: 1}
    assert [member["reasons"] for member in group["members"]] == [[], [REASONS[15]]]


def test_items_without_a_rationale_are_counted_and_left_out(search: Found) -> None:
    items = [make_item("L1"), make_item("L2", rationale=None), make_item("L3", rationale=" -- "), make_item("L4")]
    groups, report = search(items, [make_prediction(row["letter"]) for row in items])
    assert [member["letter"] for member in groups[0]["members"]] == ["L1", "L4"]
    assert (report.n_items, report.n_without, report.n_stray) == (2, 2, 0)


def test_groups_are_ordered_by_size_then_first_appearance(search: Found) -> None:
    texts = [make_words(k) for k in range(5)]
    items = [make_item(f"L{n}-{k}", rationale=texts[k]) for n in range(2) for k in range(5)]
    groups, _ = search([*items, make_item("Z", rationale=texts[3])])
    assert [group["members"][0]["letter"] for group in groups] == ["L0-3", "L0-0", "L0-1", "L0-2", "L0-4"]


def test_damaged_rows_cost_themselves_alone(search: Found, tmp_path: Path) -> None:
    good = [json.dumps(make_item(f"L{k}")) for k in range(3)]
    bad = ["{broken", "[1]", json.dumps(make_item(item="one")), json.dumps(make_item(outcome="Partly"))]
    mixed = [good[0], bad[0], good[1], *bad[1:], json.dumps(make_item(rationale=7)), good[2]]
    (tmp_path / "items.jsonl").write_text("\n".join(mixed))
    (tmp_path / "p.jsonl").write_text(
        json.dumps(make_prediction("L0")) + "\n" + json.dumps(make_prediction("L1", reasons=["prior_therapy"]))
    )
    output = tmp_path / "groups.jsonl"
    report = find_duplicates(Search([tmp_path / "items.jsonl"], [tmp_path / "p.jsonl"], output))
    assert (report.n_items, report.n_rejected, report.n_predicted) == (3, 6, 1)
    rejects = [json.loads(line) for line in (tmp_path / "groups.jsonl.rejects.jsonl").read_text().splitlines()]
    places = [row["path"].removeprefix(f"{tmp_path}/") for row in rejects]
    assert places == [*(f"items.jsonl: row {k}" for k in (2, 4, 5, 6, 7)), "p.jsonl: row 2"]
    assert "unknown reason 'prior_therapy'" in rejects[-1]["error"]
    # the next run has nothing to reject
    search([make_item("L1")])
    assert not (tmp_path / "groups.jsonl.rejects.jsonl").exists()


def test_a_file_that_breaks_off_keeps_its_rows(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps(make_item("L1")) + "\n")
    (tmp_path / "b.parquet").write_bytes(b"PAR1 no more")
    report = find_duplicates(Search([tmp_path], output=tmp_path / "out.jsonl"))
    assert (report.n_items, report.n_rejected) == (1, 1)


def test_names_and_formulas_come_back_from_every_kind_of_file(tmp_path: Path) -> None:
    from imr_rationale.serving.writers import WRITERS

    rows = [make_item("=L1", rationale="- " + SAME), make_item("L2", rationale="- " + SAME, outcome=None)]
    fields = {"letter": str, "source": str, "item": int, "outcome": str, "rationale": str}
    (tmp_path / "rows").write_text("".join(json.dumps(row) + "\n" for row in rows))
    written = []
    for suffix, write in WRITERS.items():
        write(tmp_path / "rows", tmp_path / f"items{suffix}", fields)
        find_duplicates(Search([tmp_path / f"items{suffix}"], output=tmp_path / "out.jsonl"))
        written.append((tmp_path / "out.jsonl").read_text())
    assert len(set(written)) == 1
    assert json.loads(written[0])["example"] == "- " + SAME


def test_find_row_files_takes_the_parts_of_a_folder(tmp_path: Path) -> None:
    for name in ("part-00001.parquet", "part-00000.parquet", "_manifest.json", "_rejects.jsonl", "x.rejects.jsonl"):
        (tmp_path / name).touch()
    assert [path.name for path in find_row_files([tmp_path])] == ["part-00000.parquet", "part-00001.parquet"]


@pytest.mark.parametrize(
    ("search", "message"),
    [
        pytest.param(Search([Path("x.txt")], output=Path("o.jsonl")), "unknown kind '.txt'", id="kind of input"),
        pytest.param(Search([Path("x.jsonl")], output=Path("o.jsonl")), "x.jsonl: No such file", id="missing"),
        pytest.param(Search([Path("empty")], output=Path("o.jsonl")), "empty: no file of items", id="empty folder"),
        pytest.param(Search([Path("i.jsonl")], output=Path("o.csv")), "o.csv: unknown kind '.csv'", id="output"),
        pytest.param(Search([Path("i.jsonl")], output=Path("no/o.jsonl")), "no/o.jsonl: No such file", id="folder"),
        pytest.param(Search([Path("i.jsonl")], output=Path("o.jsonl"), threshold=0.1), "threshold 0.1", id="low"),
        pytest.param(Search([Path("i.jsonl")]), "neither an output nor a stream", id="nowhere to write"),
        pytest.param(Search([Path("i.jsonl")], output=Path("i.jsonl")), "nothing to read but what", id="itself"),
        pytest.param(Search([Path("p.jsonl")], output=Path("o.jsonl")), "no column 'rationale'", id="predictions"),
        pytest.param(Search([Path("n.jsonl")], output=Path("o.jsonl")), "no item has a rationale", id="no rationale"),
    ],
)
def test_find_duplicates_refuses(search: Search, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "i.jsonl").write_text(json.dumps(make_item()) + "\n")
    (tmp_path / "n.jsonl").write_text(json.dumps(make_item(rationale=None)) + "\n")
    (tmp_path / "p.jsonl").write_text(json.dumps(make_prediction()) + "\n")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(SourceError, match=message):
        find_duplicates(search)
    assert sorted(tmp_path.iterdir()) == before


def test_a_run_leaves_its_output_alone_and_reads_no_output(search: Found, tmp_path: Path) -> None:
    items = [make_item("L1"), make_item("L2")]
    for _ in range(2):
        search(items, report=tmp_path / "report")
        assert sorted(path.name for path in tmp_path.iterdir()) == [
            "groups.jsonl",
            "items.jsonl",
            "predictions.jsonl",
            "report.html",
            "report.json",
        ]
    (tmp_path / "predictions.jsonl").unlink()
    report = find_duplicates(Search([tmp_path], output=tmp_path / "groups.jsonl"))
    assert (report.n_items, report.n_rejected) == (2, 0)


def test_what_a_killed_run_left_does_not_count(search: Found, tmp_path: Path) -> None:
    killed = (
        "import os, sys; from pathlib import Path; from imr_rationale.serving.working_folder import *\n"
        "with open_working_folder(Path(sys.argv[1])) as folder:\n"
        "    (folder / 'shingles').write_text('left'); (folder / 'items').mkdir(); os._exit(9)"
    )
    output = tmp_path / "groups.jsonl"
    assert subprocess.run([sys.executable, "-c", killed, str(output)]).returncode == 9
    assert (tmp_path / "groups.jsonl.working" / "files" / "shingles").exists()
    groups, _ = search([make_item("L1"), make_item("L2")])
    assert len(groups) == 1
    assert not (tmp_path / "groups.jsonl.working").exists()


def test_two_runs_do_not_share_an_output(search: Found, tmp_path: Path) -> None:
    with open_working_folder(tmp_path / "groups.jsonl") as folder:
        (folder / "mine").touch()
        with pytest.raises(SourceError, match="another run writes the same output"):
            search([make_item("L1")])
        assert (folder / "mine").exists()
    assert not (tmp_path / "groups.jsonl.working").exists()


# ---------------------------------------------------------------- the report


def test_report_escapes_texts_and_strikes_dates_out(search: Found, tmp_path: Path) -> None:
    text = "<script>alert(1)</script> Seen on 01/12/2016 & again, as CM16-0123456 says, with no red flag at all."
    _, report = search(
        [make_item("SECRET-1", rationale=text), make_item("SECRET-2", rationale=text, outcome="Overturned")],
        [make_prediction("SECRET-1"), make_prediction("SECRET-2")],
        report=tmp_path / "report",
    )
    page, plain = (tmp_path / "report.html").read_text(), (tmp_path / "report.json").read_text()
    assert "&lt;script&gt;alert(1)&lt;/script&gt; Seen on xx/xx/2016 &amp; again" in page
    assert "word for word" in page
    for written in (page, plain):
        assert "SECRET" not in written
        assert "01/12" not in written
        assert "0123456" not in written
    assert "<script" not in page
    found = json.loads(plain)
    assert found["n_boilerplate"] == report.boilerplate == 2
    assert found["opposite"]["groups"][0]["outcomes"] == {"Upheld": 1, "Overturned": 1}


def test_report_lists_the_first_groups_and_counts_all(search: Found, tmp_path: Path) -> None:
    texts = [make_words(k) for k in range(25)]
    items = [make_item(f"L{k}-{n}", rationale=texts[k]) for k in range(25) for n in range(2 + k)]
    _, report = search(items, report=tmp_path / "report")
    assert report.largest.n_groups == report.n_groups == 25
    assert [one.group.n_items for one in report.largest.groups] == list(range(26, 6, -1))
    assert "25 groups with 350 items, 20 of them listed" in (tmp_path / "report.html").read_text()


@given(st.lists(st.sampled_from("abcde"), max_size=60), st.lists(st.sampled_from("abcde"), max_size=60))
def test_mark_differences_keeps_what_differs(left: list[str], right: list[str]) -> None:
    for runs, words in zip(mark_differences(" ".join(left), " ".join(right)), (left, right), strict=True):
        shown = " ".join(run for run, _ in runs)
        if "alike" not in shown:
            assert shown.split() == words
    same = mark_differences(" ".join(left), " ".join(left))[0]
    assert not any(differs for _, differs in same)


def test_mark_differences_leaves_out_what_is_long_and_equal() -> None:
    words = " ".join(f"w{k}" for k in range(100))
    left, right = mark_differences(f"{words} not so", f"{words} so")
    assert left[0][0].startswith("w0 w1 ")
    assert "[… 70 words alike …]" in left[0][0]
    assert left[1:] == [("not", True), ("so", False)]
    assert right[-1][0].endswith("w99 so") or right[-1] == ("so", False)


# ---------------------------------------------------------------- the command


def test_duplicates_after_parse_and_predict(
    tmp_path: Path, some_letters: tuple[AnnotatedLetter, ...], tiny_bundle: Path
) -> None:
    (tmp_path / "letters").mkdir()
    for letter in some_letters[:12]:
        for copy in ("", "-copy"):
            path = tmp_path / "letters" / f"{letter.id}{copy}.txt"
            path.write_text(render_pdf_text(letter).replace(letter.id, f"{letter.id[:-1]}{9 if copy else 8}"))
    letters, items, groups = tmp_path / "letters", tmp_path / "items.parquet", tmp_path / "groups.jsonl"
    run("parse", letters, "-o", items)
    run("predict", letters, "--model", tiny_bundle, "-o", tmp_path / "predictions.jsonl")
    predictions = ("--predictions", tmp_path / "predictions.jsonl")
    out, err = run("duplicates", items, *predictions, "-o", groups, "--report", tmp_path / "found.html")
    assert out == ""
    rows = [json.loads(line) for line in groups.read_text().splitlines()]
    n_items = sum(len(letter.items) for letter in some_letters[:12])
    assert sum(row["n_items"] for row in rows) == 2 * n_items
    assert all(row["n_predicted"] == row["n_items"] for row in rows)
    assert f"{2 * n_items} items of" in err
    assert f"groups written to {groups}" in err
    assert "100.0 % word for word" in err
    assert "predictions" not in err
    assert (tmp_path / "found.html").exists()
    out, _ = run("duplicates", items, *predictions)
    assert out == groups.read_text()


def test_duplicates_says_what_is_wrong_in_one_line(tmp_path: Path) -> None:
    out, err = run("duplicates", tmp_path / "none.jsonl", "-o", tmp_path / "groups.jsonl", code=1)
    assert (out, err) == ("", f"imr: {tmp_path}/none.jsonl: No such file\n")
    run("duplicates", tmp_path, "--threshold", "0.1", code=2)
