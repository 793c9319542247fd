"""Annotated files -> training records.

The format of an annotated file is described in data/README.md.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from imr_rationale.errors import AnnotationError, ImrError
from imr_rationale.labels import CATEGORIES, NONE_STATED, OUTCOMES, POLARITY, REASONS, ROLES, Outcome

__all__ = [
    "AnnotatedItem",
    "AnnotatedLetter",
    "AnnotatedSentence",
    "digest_files",
    "read_corpus",
    "read_corpus_file",
    "read_json_lines",
    "validate_corpus",
]

STYLES = ("standard", "terse", "verbose", "narrative", "quoting", "verdict-first")
ERAS = ("2013-2015", "2016-2017", "2018+")

LETTER_KEYS = ("style", "era", "specialty", "age", "sex", "summary")
ITEM_KEYS = ("treatment", "category", "outcome", "ca_guideline", "reviewer_guideline", "primary")

T = TypeVar("T")

# "=== letter CM99-0100001"
LETTER_RE = re.compile(r"=== letter (?P<id>\S+)$")
# "F 1 no_clinical_indication,guideline_not_met | Without red flags, the MRI is not medically necessary."
SENTENCE_RE = re.compile(r"^(?P<role>\S+) (?P<verdict>\S+) (?P<reasons>\S+) \| (?P<text>.*)$")
KEY_RE = re.compile(r"^(?P<key>[a-z_]+): (?P<value>.*)$")


@dataclass(frozen=True, slots=True)
class AnnotatedSentence:
    """One sentence; `rationale[start_char:end_char] == text`."""

    start_char: int
    end_char: int
    text: str
    role: str
    verdict: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AnnotatedItem:
    """One disputed treatment with its annotated rationale."""

    number: int
    treatment: str
    category: str | None
    outcome: Outcome
    claims_administrator_guideline: str
    reviewer_guideline: str
    primary: str
    rationale: str
    sentences: tuple[AnnotatedSentence, ...]

    @property
    def reasons(self) -> frozenset[str]:
        """Union of the sentences' reasons."""
        return frozenset(reason for sentence in self.sentences for reason in sentence.reasons)


@dataclass(frozen=True, slots=True)
class AnnotatedLetter:
    """One letter of the corpus; `file` is the stem of the file that it stands in."""

    id: str
    file: str
    specialty: str
    summary: str
    age: int | None
    sex: str | None
    items: tuple[AnnotatedItem, ...]
    style: str | None = None
    era: str | None = None


def read_corpus(folder: Path) -> tuple[AnnotatedLetter, ...]:
    """Read every annotated file of `folder`, in the order of their names.

    Raises
    ------
    AnnotationError
        The folder holds no annotated file, a file breaks the format, or an id stands twice.
    """
    files = sorted(folder.glob("*.txt"))
    if not files:
        raise AnnotationError(f"{folder}: no annotated file (*.txt)")
    letters = tuple(letter for file in files for letter in read_corpus_file(file))
    problems = list(validate_corpus(letters))
    if problems:
        more = f" (+{len(problems) - 1} more)" if len(problems) > 1 else ""
        raise AnnotationError(f"{folder}: {problems[0]}{more}")
    return letters


def read_corpus_file(path: Path) -> tuple[AnnotatedLetter, ...]:
    """Read one annotated file.

    Raises
    ------
    AnnotationError
        A line breaks the format; the message names file and line.
    """
    letters: list[AnnotatedLetter] = []
    for start, block in _split_blocks(path, path.read_text(encoding="utf-8").splitlines(), "=== letter"):
        match = LETTER_RE.match(block[0])
        if match is None:
            raise AnnotationError(f"{path}:{start}: expected '=== letter ID', got {block[0]!r}")
        parts = list(_split_blocks(path, block[1:], "--- item", first=start + 1))
        head_end = parts[0][0] - start - 1 if parts else len(block) - 1
        head = _read_keys(path, start + 1, block[1 : 1 + head_end], LETTER_KEYS)
        letters.append(
            AnnotatedLetter(
                id=match["id"],
                file=path.stem,
                specialty=head["specialty"],
                summary=head["summary"],
                age=None if head["age"] == "-" else _read_int(path, start, head["age"]),
                sex=None if head["sex"] == "-" else head["sex"],
                items=tuple(_read_item(path, line, number, rows) for number, (line, rows) in enumerate(parts, 1)),
                style=head["style"],
                era=head["era"],
            )
        )
    return tuple(letters)


def _split_blocks(path: Path, lines: Sequence[str], opener: str, *, first: int = 1) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number, non-blank lines) of each block that `opener` begins."""
    block: list[str] = []
    number = first
    for i, line in enumerate(lines, first):
        if line.startswith(opener):
            if block:
                yield number, block
            block, number = [line], i
        elif block:
            block.append(line)
        elif line.strip() and opener == "=== letter":
            raise AnnotationError(f"{path}:{i}: text before the first '=== letter'")
    if block:
        yield number, block


def _read_keys(path: Path, first: int, lines: Sequence[str], keys: Sequence[str]) -> dict[str, str]:
    values: dict[str, str] = {}
    for i, line in enumerate(lines, first):
        if not line.strip():
            continue
        match = KEY_RE.match(line)
        if match is None or match["key"] not in keys or match["key"] in values:
            raise AnnotationError(f"{path}:{i}: expected one of {', '.join(keys)}, once each, got {line[:60]!r}")
        values[match["key"]] = match["value"].strip()
    if missing := [key for key in keys if not values.get(key)]:
        raise AnnotationError(f"{path}:{first}: missing {', '.join(missing)}")
    return values


def _read_int(path: Path, line: int, text: str) -> int:
    if not text.isdigit():
        raise AnnotationError(f"{path}:{line}: expected a whole number or '-', got {text!r}")
    return int(text)


def _read_item(path: Path, first: int, number: int, lines: Sequence[str]) -> AnnotatedItem:
    body = [(first + i, line) for i, line in enumerate(lines) if i and line.strip()]
    sentence_rows = [(i, line, match) for i, line in body if (match := SENTENCE_RE.match(line))]
    heads = [line for _, line in body if not SENTENCE_RE.match(line)]
    values = _read_keys(path, first + 1, heads, ITEM_KEYS)
    if values["outcome"] not in OUTCOMES:
        raise AnnotationError(f"{path}:{first}: unknown outcome {values['outcome']!r}; known: {', '.join(OUTCOMES)}")
    if not sentence_rows:
        raise AnnotationError(f"{path}:{first}: item without sentences")
    sentences = tuple(_make_sentences(path, sentence_rows))
    return AnnotatedItem(
        number=number,
        treatment=values["treatment"],
        category=values["category"],
        outcome=values["outcome"],
        claims_administrator_guideline=values["ca_guideline"],
        reviewer_guideline=values["reviewer_guideline"],
        primary=values["primary"],
        rationale=" ".join(sentence.text for sentence in sentences),
        sentences=sentences,
    )


def _make_sentences(path: Path, rows: Iterable[tuple[int, str, re.Match[str]]]) -> Iterator[AnnotatedSentence]:
    """Join sentences by one space, which gives their offsets."""
    start = 0
    for line, _, match in rows:
        text = match["text"].strip()
        if match["role"] not in ROLES or match["verdict"] not in ("0", "1") or not text:
            raise AnnotationError(
                f"{path}:{line}: expected 'ROLE VERDICT REASONS | text' with a role of {'/'.join(ROLES)} "
                f"and a verdict of 0 or 1, got {match.string[:60]!r}"
            )
        reasons = () if match["reasons"] == "-" else tuple(match["reasons"].split(","))
        if unknown := [reason for reason in reasons if reason not in POLARITY]:
            raise AnnotationError(f"{path}:{line}: unknown reason {unknown[0]!r}; known: {', '.join(REASONS)}")
        yield AnnotatedSentence(start, start + len(text), text, match["role"], match["verdict"] == "1", reasons)
        start += len(text) + 1


def read_json_lines(path: Path, make: Callable[[dict[str, Any]], T], *, missing: str) -> tuple[T, ...]:
    """Read one record a line with `make`; blank lines are passed over.

    Raises
    ------
    AnnotationError
        The file is missing or empty, or a line is not what `make` reads; the message names the line and says what is
        `missing`.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise AnnotationError(f"{path}: {error.strerror or error}") from error
    records = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                records.append(make(json.loads(line)))
            except (KeyError, TypeError, ValueError, ImrError) as error:
                raise AnnotationError(f"{path}:{number}: {missing} ({error!r})") from error
    if not records:
        raise AnnotationError(f"{path}: {missing}")
    return tuple(records)


def validate_corpus(letters: Sequence[AnnotatedLetter]) -> Iterator[str]:
    """Yield one line for each breach of the annotation guide.

    Checked are what the reader of the format cannot see: ids that stand twice, offsets, a primary reason
    that no sentence carries, reasons on roles that carry none, and values outside their vocabulary.
    """
    seen: set[str] = set()
    for letter in letters:
        if letter.id in seen:
            yield f"{letter.id}: id stands twice"
        seen.add(letter.id)
        if not letter.items:
            yield f"{letter.id}: letter without items"
        for key, value, known in (("style", letter.style, STYLES), ("era", letter.era, ERAS)):
            if value is not None and value not in known:
                yield f"{letter.id}: unknown {key} {value!r}; known: {', '.join(known)}"
        for item in letter.items:
            for problem in _validate_item(item):
                yield f"{letter.id} item {item.number}: {problem}"


def _validate_item(item: AnnotatedItem) -> Iterator[str]:
    if item.category is not None and item.category not in CATEGORIES:
        yield f"unknown category {item.category!r}; known: {', '.join(CATEGORIES)}"
    if item.primary == NONE_STATED:
        if item.reasons:
            yield f"primary is {NONE_STATED!r} but sentences carry {', '.join(sorted(item.reasons))}"
    elif item.primary not in item.reasons:
        yield f"primary {item.primary!r} is not among the reasons {', '.join(sorted(item.reasons)) or '(none)'}"
    for sentence in item.sentences:
        if item.rationale[sentence.start_char : sentence.end_char] != sentence.text:
            yield f"offsets {sentence.start_char}:{sentence.end_char} do not give the sentence"
        if sentence.reasons and sentence.role not in "FG":
            yield f"a sentence of role {sentence.role} carries a reason: {sentence.text[:60]!r}"
        if len(set(sentence.reasons)) != len(sentence.reasons):
            yield f"a reason stands twice on one sentence: {sentence.text[:60]!r}"


def digest_files(folder: Path) -> str:
    """Give the sha256 over names and bytes of the annotated files of `folder`, as hexadecimal digits."""
    digest = hashlib.sha256()
    for file in sorted(folder.glob("*.txt")):
        digest.update(file.name.encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()
