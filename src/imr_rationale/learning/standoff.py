"""Stand-off annotations: labels of letters that are not here, joined with the letters when they are.

One JSON object an item: `letter`, `item`, `sha1` of the rationale with white space folded, `primary`, and `sentences`
with `start_char`, `end_char`, `role`, `verdict` and `reasons`. Offsets index the folded rationale. No word of the
letters is in the file, and a letter whose text has changed is refused.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imr_rationale.errors import AnnotationError
from imr_rationale.labels import NONE_STATED, ROLES, Outcome, check_reasons
from imr_rationale.learning.corpus import AnnotatedItem, AnnotatedLetter, AnnotatedSentence, read_json_lines
from imr_rationale.letters.layout import read_letter
from imr_rationale.letters.sources import index_files
from imr_rationale.records import Item, Letter

__all__ = ["StandoffItem", "fold_space", "join_letters", "read_annotations"]


@dataclass(frozen=True, slots=True)
class StandoffItem:
    """The labels of one item; `sentences` hold (start_char, end_char, role, verdict, reasons)."""

    letter: str
    item: int
    sha1: str
    primary: str
    sentences: tuple[tuple[int, int, str, bool, tuple[str, ...]], ...]


def fold_space(text: str) -> str:
    """Write every run of white space as one space."""
    return " ".join(text.split())


def read_annotations(path: Path) -> tuple[StandoffItem, ...]:
    """Read a file of stand-off annotations.

    Raises
    ------
    AnnotationError
        The file is missing, or a line breaks the format; the message names the line.
    """
    return read_json_lines(path, _make_item, missing="no stand-off annotation")


def _make_item(row: Mapping[str, Any]) -> StandoffItem:
    sentences = tuple(
        (int(s["start_char"]), int(s["end_char"]), s["role"], bool(s["verdict"]), check_reasons(s["reasons"]))
        for s in row["sentences"]
    )
    if unknown := [role for _, _, role, _, _ in sentences if role not in ROLES]:
        raise AnnotationError(f"unknown role {unknown[0]!r}; known: {', '.join(ROLES)}")
    if row["primary"] != NONE_STATED:
        check_reasons([row["primary"]])
    return StandoffItem(row["letter"], int(row["item"]), row["sha1"], row["primary"], sentences)


def join_letters(annotations: Sequence[StandoffItem], folder: Path) -> tuple[AnnotatedLetter, ...]:
    """Join labels with the letters of `folder`, found by the case number in their file names.

    Raises
    ------
    AnnotationError
        Letters are missing, cannot be read, lack an annotated item, or hold another text than was annotated; all
        of them are named.
    """
    wanted: dict[str, list[StandoffItem]] = {}
    for annotation in annotations:
        wanted.setdefault(annotation.letter, []).append(annotation)
    files = index_files(folder)
    if missing := sorted(set(wanted) - set(files)):
        raise AnnotationError(f"{folder}: {len(missing)} annotated letters are missing: {', '.join(missing)}")
    problems: list[str] = []
    letters = []
    for name in sorted(wanted):
        letter = read_letter(files[name])
        items = tuple(_join_items(name, wanted[name], letter, problems))
        letters.append(
            AnnotatedLetter(
                id=name,
                file=folder.name,
                specialty=letter.specialty or "",
                summary=letter.summary or "",
                age=letter.age,
                sex=letter.sex,
                items=items,
            )
        )
    if problems:
        raise AnnotationError(f"{folder}: {'; '.join(problems)}")
    return tuple(letters)


def _join_items(
    name: str, annotations: Sequence[StandoffItem], letter: Letter, problems: list[str]
) -> Iterator[AnnotatedItem]:
    parsed = {item.number: item for item in letter.items}
    for annotation in annotations:
        item = parsed.get(annotation.item)
        text = fold_space(item.rationale or "") if item else ""
        if item is None or item.outcome is None:
            problems.append(f"{name} item {annotation.item} not found")
        elif hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest() != annotation.sha1:
            problems.append(f"{name} item {annotation.item} holds another text than was annotated")
        else:
            yield _make_annotated(annotation, item, item.outcome, text)


def _make_annotated(annotation: StandoffItem, item: Item, outcome: Outcome, text: str) -> AnnotatedItem:
    return AnnotatedItem(
        number=item.number,
        treatment=item.treatment or "",
        category=None,
        outcome=outcome,
        claims_administrator_guideline=item.claims_administrator_guideline or "",
        reviewer_guideline=item.reviewer_guideline or "",
        primary=annotation.primary,
        rationale=text,
        sentences=tuple(
            AnnotatedSentence(start, end, text[start:end], role, verdict, reasons)
            for start, end, role, verdict, reasons in annotation.sentences
        ),
    )
