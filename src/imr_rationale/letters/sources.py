"""Paths -> documents: files, archives of files, tables, folder trees, standard input.

What cannot be read becomes a `Reject`, so that every file is accounted for: each yields documents or rejects, never
nothing.
"""

import io
import os
import re
import stat
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
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

__all__ = [
    "MISSING",
    "Document",
    "Opened",
    "Reject",
    "Step",
    "find_files",
    "holds_many",
    "index_files",
    "open_documents",
    "print_name",
    "read_row",
]

#: enough to tell the kind of a file
HEAD_BYTES = 1_000
#: what file managers and editors leave in folders; passed over without a word
CLUTTER = frozenset({"thumbs.db", "desktop.ini", "__macosx"})


# "C:/letters/a.txt"
DRIVE_RE = re.compile(r"[A-Za-z]:")
#: characters of a cell besides the text: the longest treatments have some hundred
MAX_CELL = 10_000
#: flag of a member that needs a password
ENCRYPTED = 1
#: bytes before each member of an archive, at least
MEMBER_HEAD = 30


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


def print_name(name: str) -> str:
    r"""Give a file's name as it can be printed on one line and stored: other characters as escapes.

    Examples
    --------
    >>> print_name("two\nlines.txt")
    'two\\nlines.txt'
    """
    if name.isprintable():
        return name
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in name)


def _reject(source: str, kind: str, error: str) -> Reject:
    """Give a reject whose text is one line, whatever a library or a file's own words are made of."""
    return Reject(source, kind, print_name(" ".join(error.split())))


def find_files(paths: Sequence[Path]) -> Iterator[Path | Reject]:
    """Yield the files to read: each path itself, and every file below a folder, sorted.

    Links are followed; a folder that was read already is rejected by name. Only what file managers leave behind and
    hidden files are passed over.
    """
    seen: set[tuple[int, int]] = set()
    waiting = [iter(paths)]
    while waiting:
        path = next(waiting[-1], None)
        if path is None:
            waiting.pop()
            continue
        name = print_name(str(path))
        try:
            if path.is_dir():
                waiting.append(map(path.joinpath, _list_folder(path, name, seen)))
            elif _is_unicode(str(path)):
                yield path
            else:
                yield _reject(name, "file", f"{name}: the name is no Unicode; rename the file")
        except SourceError as error:
            yield _reject(name, "folder", str(error))
        except OSError as error:
            yield _reject(name, "folder", f"{name}: {error.strerror or error}")


def _list_folder(folder: Path, name: str, seen: set[tuple[int, int]]) -> list[str]:
    """Give the names in a folder: a million of them take a third of the memory of a million paths."""
    status = folder.stat()
    if (status.st_dev, status.st_ino) in seen:
        raise SourceError(f"{name}: this folder was read already: a link, or given twice")
    names = sorted(entry for entry in os.listdir(folder) if not _is_clutter(entry))  # noqa: PTH208  (names, no paths)
    seen.add((status.st_dev, status.st_ino))
    return names


def _is_unicode(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_clutter(name: str) -> bool:
    return name.startswith((".", "~$")) or name.lower() in CLUTTER


def index_files(folder: Path) -> dict[str, Path]:
    """Give the files below a folder by their names without suffix; of equal names the first."""
    found: dict[str, Path] = {}
    for path in find_files([folder]):
        if isinstance(path, Path):
            found.setdefault(path.stem, path)
    return found


def holds_many(path: Path, *, name: str | None = None, columns: Columns | None = None) -> bool:
    """Tell whether a file is an archive, or a table whose columns are known; any other file gives one step.

    What cannot be told is left to who reads it.
    """
    try:
        # a pipe or a device could wait for ever
        if not path.is_file():
            return False
        with path.open("rb") as file:
            kind = find_kind(name or str(path), file.read(HEAD_BYTES))
    except (SourceError, OSError):
        return False
    return kind == "zip" or (columns is not None and (kind in TABLES or name == "-"))


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
    name = print_name(name or str(path))
    try:
        if not path.is_file():
            # a pipe or a device could wait for ever
            if not path.exists():
                how = "a link that leads nowhere or to itself" if path.is_symlink() else "No such file or directory"
                yield _reject(name, MISSING, f"{name}: {how}")
                return
            raise SourceError(f"{name}: no regular file")
        with path.open("rb") as file:
            kind = find_kind(name, file.read(HEAD_BYTES))
            file.seek(0)
            yield from _open_file(file, name, kind, limits, columns, skip)
    except SourceError as error:
        yield _reject(name, "file", str(error))
    except OSError as error:
        yield _reject(name, "file", f"{name}: {error.strerror or error}")


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
        # to ask for all that may be read takes longer than to read a letter
        data = file.read(size + 1)
        if len(data) > size:
            # it has grown meanwhile
            data += file.read(limits.bytes - size)
        yield _read_document(name, data, kind, limits)


def _read_document(name: str, data: bytes, kind: str, limits: Limits) -> Document | Reject:
    try:
        text, notes = extract_text(name, data, kind, limits)
    except SourceError as error:
        return _reject(name, kind, str(error))
    return Document(name, kind, text, notes)


def _open_archive(file: IO[bytes], name: str, limits: Limits, columns: Columns | None, skip: int) -> Iterator[Step]:
    try:
        archive = zipfile.ZipFile(file)
    except ZIP_ERRORS as error:
        raise SourceError(f"{name}: no readable archive ({error})") from error
    with archive:
        members = _list_members(archive, name, limits)
        shared = _find_shared(members)
        for member in members[skip:]:
            source = f"{name}/{print_name(member.filename)}"
            yield Opened(source, "member")
            try:
                _check_member(member, source, shared, limits)
                yield from _read_member(source, _unpack(archive, member, source), limits, columns)
            except SourceError as error:
                yield _reject(source, "member", str(error))
            except OSError as error:
                yield _reject(source, "member", f"{source}: {error.strerror or error}")


def _list_members(archive: zipfile.ZipFile, name: str, limits: Limits) -> list[zipfile.ZipInfo]:
    members = [member for member in archive.infolist() if _is_file(member)]
    if not members:
        raise SourceError(f"{name}: an archive without files")
    if len(members) > MAX_MEMBERS:
        raise SourceError(f"{name}: {len(members)} files; at most {MAX_MEMBERS} are read")
    # larger ones are rejected one by one
    total = sum(member.file_size for member in members if member.file_size <= limits.bytes)
    if total > MAX_CONTAINER_BYTES:
        raise SourceError(f"{name}: unpacks to {total} bytes; at most {MAX_CONTAINER_BYTES} are read")
    return members


def _is_file(member: zipfile.ZipInfo) -> bool:
    # ZipInfo.is_dir fails on an empty name
    is_folder = member.filename.endswith("/")
    return not is_folder and not any(_is_clutter(part) for part in _read_path(member).parts if part != "..")


def _read_path(member: zipfile.ZipInfo) -> PurePosixPath:
    """Give the path of a member; some programs for Windows write backslashes."""
    return PurePosixPath(member.filename.replace("\\", "/"))


def _find_shared(members: Sequence[zipfile.ZipInfo]) -> frozenset[int]:
    """Give the offsets of members that overlap the next one, as those of a bomb whose members share their bytes."""
    ordered = sorted(members, key=lambda member: member.header_offset)
    return frozenset(
        member.header_offset
        for one, other in pairwise(ordered)
        if one.header_offset + MEMBER_HEAD + one.compress_size > other.header_offset
        for member in (one, other)
    )


def _check_member(member: zipfile.ZipInfo, source: str, shared: frozenset[int], limits: Limits) -> None:
    path = _read_path(member)
    if path.is_absolute() or ".." in path.parts or DRIVE_RE.match(str(path)):
        raise SourceError(f"{source}: a path that climbs out of the archive")
    if not path.name:
        raise SourceError(f"{source}: a file without name")
    if member.flag_bits & ENCRYPTED:
        raise SourceError(f"{source}: needs a password")
    if stat.S_ISLNK(member.external_attr >> 16):
        raise SourceError(f"{source}: a link inside an archive is not followed")
    if member.header_offset in shared:
        raise SourceError(f"{source}: shares its bytes with another file, as only those of a zip bomb do")
    check_unpacked(source, member.file_size, member.compress_size, limits.bytes)


def _unpack(archive: zipfile.ZipFile, member: zipfile.ZipInfo, source: str) -> bytes:
    try:
        return archive.read(member)
    except ZIP_ERRORS as error:
        raise SourceError(f"{source}: cannot be unpacked ({error})") from error


def _read_member(source: str, data: bytes, limits: Limits, columns: Columns | None) -> Iterator[Step]:
    kind = find_kind(source, data[:HEAD_BYTES])
    if kind == "zip":
        raise SourceError(f"{source}: an archive inside an archive is not read")
    if kind in TABLES:
        rows = _open_table(io.BytesIO(data), source, kind, limits, columns, 0)
        yield from (step for step in rows if not isinstance(step, Opened))
    else:
        yield _read_document(source, data, kind, limits)


def _open_table(
    file: IO[bytes], name: str, kind: str, limits: Limits, columns: Columns | None, skip: int
) -> Iterator[Step]:
    if columns is None:
        raise SourceError(f"{name}: a table; say which column holds the rationales (--text-column or --preset)")
    if kind == "xlsx":
        check_office(name, file, MAX_CONTAINER_BYTES)
        file.seek(0)
    try:
        number = 0
        for number, row in enumerate(read_rows(file, kind, columns), start=1):
            if number > skip:
                source = f"{name}:{number}"
                yield Opened(source, "row")
                yield read_row(source, row, columns)
        if not number:
            raise SourceError("a table without rows")
    except SourceError as error:
        raise SourceError(f"{name}: {error}") from error


def read_row(source: str, row: dict[str, str | None] | SourceError, columns: Columns) -> Document | Reject:
    """Give the rationale of a table's row, or why there is none."""
    if isinstance(row, SourceError):
        return _reject(source, "row", f"{source}: {row}")
    text = row[columns.text]
    if text is None:
        return _reject(source, "row", f"{source}: no text in column {columns.text!r}")
    if len(text) > MAX_CHARS:
        return _reject(source, "row", f"{source}: {len(text)} characters of text; at most {MAX_CHARS} are read")
    cleaned, notes = clean_text(text)
    cells = dict(_list_cells(row, columns))
    return Document(
        source,
        "row",
        cleaned,
        (*notes, *(f"{field} cut at {MAX_CELL} characters" for field, cell in cells.items() if len(cell) > MAX_CELL)),
        **{field: clean_text(cell[:MAX_CELL])[0] for field, cell in cells.items()},
    )


def _list_cells(row: dict[str, str | None], columns: Columns) -> Iterator[tuple[str, str]]:
    """Yield the cells besides the text that are not empty, with the field that each is for."""
    for field in ("id", "outcome", "treatment"):
        name = getattr(columns, field)
        if cell := row[name] if name else None:
            yield field, cell
