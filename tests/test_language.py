"""Sentence bounds, cues with their status, verdict clauses, and the guard against hostile text."""

import hashlib
from bisect import bisect_right
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from spacy.tokens import Doc

from imr_rationale.errors import LabelError
from imr_rationale.labels import REASONS
from imr_rationale.language.cues import CONCEPTS, read_cues
from imr_rationale.language.lexicon import KINDS, find_kinds, replace_kinds
from imr_rationale.language.marks import find_marks, is_guideline_text
from imr_rationale.language.pipeline import COMPONENTS, MAX_RUN, make_docs, make_nlp, soften_text
from imr_rationale.language.rules import RULES, RULES_VERSION, Rule, find_rules
from imr_rationale.language.scopes import STATUSES, TRIGGERS, find_scopes, read_status
from imr_rationale.language.scrub import find_verdict_clauses, list_kept, read_verdict, scrub_verdict
from imr_rationale.language.sentences import find_sentence_starts, list_sentences
from imr_rationale.language.words import join_words, normalize_text, read_words, split_words, take_words
from imr_rationale.learning.corpus import AnnotatedLetter
from imr_rationale.letters.folding import fold_case


def read(text: str) -> Doc:
    (doc,) = make_docs([text])
    return doc


def split(text: str) -> list[str]:
    edges = [0, *find_sentence_starts(text), len(text)]
    return [text[a:b].strip() for a, b in zip(edges, edges[1:], strict=False)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("No deficit. Denied.", ["No deficit.", "Denied."], id="plain"),
        pytest.param("At approx. 2.5 mg q. 6 h. It helps.", ["At approx. 2.5 mg q. 6 h.", "It helps."], id="doses"),
        pytest.param("See pg. 5. ODG agrees.", ["See pg. 5.", "ODG agrees."], id="page"),
        pytest.param("Dr. Oda vs. Dr. Ng. Both saw her.", ["Dr. Oda vs. Dr. Ng.", "Both saw her."], id="titles"),
        pytest.param('It says "not advised." The exam', ['It says "not advised."', "The exam"], id="quote"),
        pytest.param("Weakness (grade 4.) Reflexes fell.", ["Weakness (grade 4.)", "Reflexes fell."], id="bracket"),
        pytest.param("Rest, ice, etc. Therapy failed.", ["Rest, ice, etc.", "Therapy failed."], id="etc"),
        pytest.param("8 C.C.R. 9792.24.2 applies. Done.", ["8 C.C.R. 9792.24.2 applies.", "Done."], id="regulation"),
        pytest.param("It helped. 12 visits were used.", ["It helped.", "12 visits were used."], id="number opens"),
        pytest.param("First\n\nSecond", ["First", "Second"], id="blank line"),
        pytest.param("Criteria:\n- pain\n- spasm", ["Criteria:", "- pain", "- spasm"], id="bullets"),
        pytest.param("one. two", ["one. two"], id="lower case runs on"),
        pytest.param("", [""], id="empty"),
    ],
)
def test_find_sentence_starts(text: str, expected: list[str]) -> None:
    assert split(text) == expected


def test_sentence_bounds_agree_with_the_corpus(corpus: tuple[AnnotatedLetter, ...]) -> None:
    items = [item for letter in corpus for item in letter.items]
    found = total = 0
    for item, doc in zip(items, make_docs(item.rationale for item in items), strict=True):
        bounds = {(sent.start_char, sent.start_char + len(sent.text.rstrip())) for sent in doc.sents}
        total += len(item.sentences)
        found += sum((sentence.start_char, sentence.end_char) in bounds for sentence in item.sentences)
    assert found / total >= 0.97


@pytest.mark.parametrize(
    ("text", "phrase", "status"),
    [
        pytest.param("There is no documentation of functional improvement.", "functional improvement", "unproven", id="undocumented"),
        pytest.param("Functional improvement was not documented.", "Functional improvement", "unproven", id="after"),
        pytest.param("There were no red flags.", "red flags", "absent", id="absent"),
        pytest.param("Red flags were absent.", "Red flags", "absent", id="absent after"),
        pytest.param("Conservative care has failed.", "Conservative care", "failed", id="failed"),
        pytest.param("The notes show functional improvement.", "functional improvement", "affirmed", id="affirmed"),
        pytest.param("He has no fever, but red flags exist.", "red flags", "affirmed", id="scope ends at but"),
        pytest.param("The note fails to document conservative care.", "conservative care", "unproven", id="fails to document"),
    ],
)  # fmt: skip
def test_read_status(text: str, phrase: str, status: str) -> None:
    lowered = text.lower()
    assert read_status(find_scopes(lowered, split_words(lowered)), text.index(phrase)) == status


def test_triggers_are_found_wherever_they_stand(corpus: tuple[AnnotatedLetter, ...]) -> None:
    """Looked for at the words that they may begin with, triggers are found where a search finds them."""
    texts = [item.rationale.lower() for letter in corpus[::5] for item in letter.items]
    texts += ["no-show not documented", "(lacking) 5no evidence", "he hasn't failed to document; absent", "persisting"]
    n_found = 0
    for trigger in TRIGGERS:
        for text in texts:
            for match in trigger.pattern.finditer(text):
                words = split_words(text)
                at = bisect_right(words.starts, match.start()) - 1
                offsets = [found.start() for found in trigger.heads.finditer(words.words[at].text)]
                assert match.start() - words.starts[at] in offsets, (trigger.status, match.group())
                n_found += 1
    assert n_found > 1000


def test_cues_are_written_to_the_doc() -> None:
    doc = read("The file holds no evidence of functional improvement. There are no red flags.")
    assert [(span.text, span.label_) for span in doc.spans["cues"]] == [
        ("functional improvement", "gain|unproven"),
        ("red flags", "indication|absent"),
    ]


def test_concept_phrases_are_lower_case() -> None:
    for phrases in CONCEPTS.values():
        assert phrases
        assert all(phrase == phrase.lower().strip() and phrase for phrase in phrases)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_rule_holds_in_its_positive_example_alone(rule: Rule) -> None:
    holds, holds_not = read(rule.positive), read(rule.negative)
    assert rule.name in find_rules(holds, read_cues(holds))
    assert rule.name not in find_rules(holds_not, read_cues(holds_not))


def test_every_reason_has_a_rule_and_every_rule_a_name_of_its_own() -> None:
    assert {rule.reason for rule in RULES} == set(REASONS)
    assert len({rule.name for rule in RULES}) == len(RULES)


@pytest.mark.parametrize("wrong", [{"concept": "weather"}, {"status": "perhaps"}, {"reason": "bad_luck"}])
def test_rule_of_unknown_words_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises((ValueError, LabelError), match=next(iter(wrong.values()))):
        replace(RULES[0], **wrong)


def test_rules_version_moves_with_the_rules() -> None:
    content = repr([(rule.name, rule.reason) for rule in RULES]) + repr(sorted(CONCEPTS.items())) + repr(STATUSES)
    digest = hashlib.sha256(content.encode()).hexdigest()[:12]
    assert (RULES_VERSION, digest) == ("2", "347aeba24b35"), (
        "rules have changed: raise RULES_VERSION, then write both here"
    )


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        pytest.param("the claimant took naproxen", "the <person> took <drug>", id="names"),
        pytest.param("cyclobenzaprine and diclofenac", "<drug> and <drug>", id="endings"),
        pytest.param("physical therapy visits", "<therapy> <visits>", id="the longest phrase wins"),
        pytest.param("arthroscopy with meniscectomy", "<surgery> with <surgery>", id="operations"),
        pytest.param("no red flags", "no red flags", id="nothing known"),
        pytest.param("", "", id="nothing"),
    ],
)
def test_replace_kinds(text: str, kinds: str) -> None:
    assert " ".join(replace_kinds(text.split(), find_kinds(split_words(text).words))) == kinds


@given(st.lists(st.sampled_from(["mri", "of", "the", "lumbar", "spine", "physical", "therapy", "knee"]), max_size=12))
def test_find_kinds_takes_no_word_twice(words: list[str]) -> None:
    kinds = find_kinds(split_words(" ".join(words)).words)
    covered = [i for first, last, _ in kinds for i in range(first, last + 1)]
    assert covered == sorted(set(covered))
    kept = [word for i, word in enumerate(words) if i not in covered]
    assert [word for word in replace_kinds(words, kinds) if not word.startswith("<")] == kept


def test_phrases_of_kinds_are_normalised_and_of_one_kind() -> None:
    phrases = [phrase for group in KINDS.values() for phrase in group]
    assert len(phrases) == len(set(phrases))
    assert all(phrase == normalize_text(phrase) for phrase in phrases)


@pytest.mark.parametrize(
    ("text", "general"),
    [
        ("ODG recommends up to ten visits.", True),
        ("MTUS guidelines support a trial when oral drugs fail.", True),
        ("The patient does not meet the ODG criteria.", False),
        ("There is no swelling.", False),
        ("The MTUS, Chapter 7, is silent; “ODG” is not.", True),
        ("Naïve as it is, the guideline…", True),
    ],
)
def test_is_guideline_text(text: str, general: bool) -> None:
    assert is_guideline_text(text.lower()) is general


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        pytest.param("Without red flags, the scan is not medically necessary.", "Without red flags,", id="clause"),
        pytest.param("The request is medically necessary.", "", id="whole"),
        pytest.param("No deficit was found to warrant the scan.", "No deficit was", id="purpose"),
        pytest.param("The drawer test was positive.", "The drawer test was positive.", id="nothing"),
        pytest.param("ODG supports braces for instability.", "ODG supports braces for instability.", id="general"),
        pytest.param("I uphold the denial because no exam was sent.", "because no exam was sent.", id="because"),
    ],
)
def test_scrub_verdict(text: str, kept: str) -> None:
    if text.startswith("No deficit"):
        assert list(find_verdict_clauses(fold_case(text), find_marks(fold_case(text))))
        assert "warrant" not in scrub_verdict(read(text))
        return
    assert scrub_verdict(read(text)) == kept


def test_scrub_verdict_leaves_no_decision_of_the_corpus(corpus: tuple[AnnotatedLetter, ...]) -> None:
    decisions = ("medically necessary", "medically appropriate", "upheld", "overturned", "non-certified", "certified")
    items = [item for letter in corpus for item in letter.items]
    for doc in make_docs(item.rationale for item in items):
        kept = scrub_verdict(doc).lower()
        assert not [word for word in decisions if word in kept]


PIECES = (
    "The scan is ",
    "not medically necessary",
    ".",
    ",",
    " ",
    "\n",
    "\u00a0",
    "because",
    "L4-5",
    "Σ",
    "to support",
)


@given(st.lists(st.sampled_from(PIECES), max_size=20).map("".join))
def test_words_of_what_is_kept_are_those_of_the_scrubbed_text(text: str) -> None:
    doc = read(text)
    kept = list_kept(doc)
    words = split_words(fold_case(scrub_verdict(doc)))
    assert join_words(read_words(doc), kept) == words
    inside = [take_words(read_words(doc), start, end).words for start, end, _ in read_verdict(doc)]
    clauses = [split_words(fold_case(text[start:end])).words for start, end, _ in read_verdict(doc)]
    assert inside == clauses


def test_make_docs_begins_a_new_vocabulary_when_the_old_one_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"The request for word{i} is not medically necessary." for i in range(6)]
    expected = [list_sentences(doc) for doc in make_docs(texts)]
    size = len(make_nlp().vocab)
    monkeypatch.setattr("imr_rationale.language.pipeline.MAX_LEXEMES", size)
    docs = list(make_docs(texts + [f"Unseen{i}." for i in range(6)]))
    assert len({id(doc.vocab) for doc in docs}) > 1
    assert [list_sentences(doc) for doc in docs[:6]] == expected
    assert make_nlp().vocab is docs[-1].vocab


def test_make_nlp_builds_once() -> None:
    assert make_nlp() is make_nlp()
    assert tuple(make_nlp().pipe_names) == COMPONENTS


@pytest.mark.parametrize("unit", ["a:", "x", ").", "-1"])
def test_soften_text_bounds_runs_without_space(unit: str) -> None:
    text = unit * 20_000
    softened = soften_text(text)
    assert len(softened) == len(text)
    assert max(map(len, softened.split())) < MAX_RUN


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=300))
def test_make_docs_keeps_offsets(text: str) -> None:
    doc = read(text)
    assert len(doc.text) == len(text)
    for group in ("cues", "verdict"):
        for span in doc.spans[group]:
            assert 0 <= span.start_char < span.end_char <= len(text)
    assert "".join(sent.text_with_ws for sent in doc.sents) == doc.text
