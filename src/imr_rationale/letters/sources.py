"""Paths -> documents: files, archives of files, tables, folder trees, standard input.

What cannot be read becomes a `Reject`, so that every file is accounted for: each yields documents or rejects, never
nothing.
"""

import io
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import IO

from imr_rationale.errors import SourceError
from imr_rationale.letters.clean import clean_text
from imr_rationale.letters.extract import (
    ZIP_ERRORS,
    check_office,
    check_unpacked,
    extract_text,
    find_kind,
)
from imr_rationale.letters.limits import MAX_CHARS, MAX_CONTAINER_BYTES, MAX_MEMBERS, Limits
from imr_rationale.letters.tables import TABLES, Columns, read_rows

__all__ = ["MISSING", "Document", "Opened", "Reject", "find_files", "index_files", "open_documents"]

#: enough to tell the kind of a file
HEAD_BYTES = 1_000
#: what file managers and editors leave in folders; passed over without a word
CLUTTER = frozenset({"thumbs.db", "desktop.ini", "__macosx"})


@dataclass(frozen=True, slots=True)
class Document:
    """The text of one letter, or of one rationale of a table.

    Attributes
    ----------
    source : str
        Where it stands: a path, "archive.zip/member.pdf", "table.csv:17" (row, from 1).
    kind : str
        "text", "pdf", "html", "docx", or "row" in a table.
    notes : tuple of str
        What was repaired or lost while reading.
    id, outcome, treatment : str or None
        The cells of a table's row.
    """

    source: str
    kind: str
    text: str
    notes: tuple[str, ...] = ()
    id: str | None = None
    outcome: str | None = None
    treatment: str | None = None


@dataclass(frozen=True, slots=True)
class Reject:
    """A file, member or row that could not be read, and why."""

    source: str
    kind: str
    error: str


@dataclass(frozen=True, slots=True)
class Opened:
    """Says that work on a source begins, so that its name is known when it ends badly."""

    source: str
    kind: str


Step = Opened | Document | Reject
#: kind of a file that is not there
MISSING = "missing"


def find_files(paths: Sequence[Path]) -> Iterator[Path | Reject]:
    """Yield the files to read: each path itself, and every file below a folder, sorted.

    Links are followed; one that leads back into a folder that was read already, or nowhere, is rejected by name. Only
    what file managers leave behind and hidden files are passed over.
    """
    seen: set[tuple[int, int]] = set()
    waiting = list(reversed(paths))
    while waiting:
        path = waiting.pop()
        try:
            if path.is_dir():
                waiting += reversed(list(_list_folder(path, seen)))
            else:
                yield path
        except SourceError as error:
            yield Reject(str(path), "folder", str(error))


def _list_folder(folder: Path, seen: set[tuple[int, int]]) -> Iterator[Path]:
    try:
        status = folder.stat()
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise SourceError(f"{folder}: {error.strerror or error}") from error
    if (status.st_dev, status.st_ino) in seen:
        raise SourceError(f"{folder}: a link to a folder that is read already")
    seen.add((status.st_dev, status.st_ino))
    return (entry for entry in entries if not _is_clutter(entry.name))


def _is_clutter(name: str) -> bool:
    return name.startswith((".", "~$")) or name.lower() in CLUTTER


def index_files(folder: Path) -> dict[str, Path]:
    """Give the files below a folder by their names without suffix; of equal names the first."""
    found: dict[str, Path] = {}
    for path in find_files([folder]):
        if isinstance(path, Path):
            found.setdefault(path.stem, path)
    return found


def open_documents(
    path: Path, limits: Limits, *, name: str | None = None, columns: Columns | None = None, skip: int = 0
) -> Iterator[Step]:
    """Read a file in this process; yields `Opened` before each `Document` or `Reject`.

    Parameters
    ----------
    path : Path
    limits : Limits
        Seconds and memory are for the caller to keep.
    name : str, optional
        Stands for the path in sources and messages.
    columns : Columns, optional
        Without them tables are rejected.
    skip : int
        So many members or rows were read before.
    """
    name = name or str(path)
    try:
        if not path.is_file():
            # a pipe or a device could wait for ever
            if not path.exists():
                how = "a link that leads nowhere or to itself" if path.is_symlink() else "No such file or directory"
                yield Reject(name, MISSING, f"{name}: {how}")
                return
            raise SourceError(f"{name}: no regular file")
        with path.open("rb") as file:
            kind = find_kind(name, file.read(HEAD_BYTES))
            file.seek(0)
            yield from _open_file(file, name, kind, limits, columns, skip)
    except (SourceError, OSError) as error:
        yield Reject(
            name, "file", str(error) if isinstance(error, SourceError) else f"{name}: {error.strerror or error}"
        )


def _open_file(
    file: IO[bytes], name: str, kind: str, limits: Limits, columns: Columns | None, skip: int
) -> Iterator[Step]:
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    if columns is not None and kind == "text" and name == "-":
        kind = "jsonl" if file.read(1) == b"{" else "csv"
        file.seek(0)
    if kind in TABLES:
        yield from _open_table(file, name, kind, limits, columns, skip)
    elif kind == "zip":
        yield from _open_archive(file, name, limits, columns, skip)
    elif not skip:
        yield Opened(name, kind)
        if size > limits.bytes:
            raise SourceError(f"{name}: {size} bytes; at most {limits.bytes} are read")
        yield _read_document(name, file.read(), kind, limits)


def _read_document(name: str, data: bytes, kind: str, limits: Limits) -> Document | Reject:
    try:
        text, notes = extract_text(name, data, kind, limits)
    except SourceError as error:
        return Reject(name, kind, str(error))
    return Document(name, kind, text, notes)


def _open_archive(file: IO[bytes], name: str, limits: Limits, columns: Columns | None, skip: int) -> Iterator[Step]:
    try:
        with zipfile.ZipFile(file) as archive:
            members = [member for member in archive.infolist() if _is_file(member)]
            if len(members) > MAX_MEMBERS:
                raise SourceError(f"{name}: {len(members)} files; at most {MAX_MEMBERS} are read")
            total = sum(member.file_size for member in members)
            if total > MAX_CONTAINER_BYTES:
                raise SourceError(f"{name}: unpacks to {total} bytes; at most {MAX_CONTAINER_BYTES} are read")
            for member in members[skip:]:
                source = f"{name}/{member.filename}"
                yield Opened(source, "member")
                yield from _read_member(archive, member, source, limits, columns)
            if not members:
                raise SourceError(f"{name}: an archive without files")
    except ZIP_ERRORS as error:
        raise SourceError(f"{name}: no readable archive ({error})") from error


def _is_file(member: zipfile.ZipInfo) -> bool:
    parts = PurePosixPath(member.filename).parts
    return not member.is_dir() and not any(_is_clutter(part) for part in parts if part != "..")


def _read_member(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, source: str, limits: Limits, columns: Columns | None
) -> Iterator[Step]:
    try:
        path = PurePosixPath(member.filename)
        if path.is_absolute() or ".." in path.parts or "\\" in member.filename or ":" in path.parts[0]:
            raise SourceError(f"{source}: a path that climbs out of the archive")
        check_unpacked(source, member.file_size, member.compress_size, limits.bytes)
        data = archive.read(member)
        kind = find_kind(source, data[:HEAD_BYTES])
        if kind == "zip":
            raise SourceError(f"{source}: an archive inside an archive is not read")
        if kind in TABLES:
            rows = _open_table(io.BytesIO(data), source, kind, limits, columns, 0)
            yield from (step for step in rows if not isinstance(step, Opened))
        else:
            yield _read_document(source, data, kind, limits)
    except SourceError as error:
        yield Reject(source, "member", str(error))
    except ZIP_ERRORS as error:
        yield Reject(source, "member", f"{source}: cannot be unpacked ({error})")


def _open_table(
    file: IO[bytes], name: str, kind: str, limits: Limits, columns: Columns | None, skip: int
) -> Iterator[Step]:
    if columns is None:
        raise SourceError(f"{name}: a table; say which column holds the rationales (--text-column or --preset)")
    if kind == "xlsx":
        check_office(name, file.read(), replace(limits, bytes=MAX_CONTAINER_BYTES))
        file.seek(0)
    try:
        for number, row in enumerate(read_rows(file, kind, columns), start=1):
            if number > skip:
                source = f"{name}:{number}"
                yield Opened(source, "row")
                yield _read_row(source, row, columns)
    except SourceError as error:
        raise SourceError(f"{name}: {error}") from error


def _read_row(source: str, row: dict[str, str | None], columns: Columns) -> Document | Reject:
    text = row[columns.text]
    if text is None:
        return Reject(source, "row", f"{source}: no text in column {columns.text!r}")
    if len(text) > MAX_CHARS:
        return Reject(source, "row", f"{source}: {len(text)} characters of text; at most {MAX_CHARS} are read")
    cleaned, notes = clean_text(text)
    cells = {field: row[name] for field in ("id", "outcome", "treatment") if (name := getattr(columns, field))}
    return Document(source, "row", cleaned, notes, **cells)
