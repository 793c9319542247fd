"""Untrusted files read in a child process, which may be stopped, may run out of memory and may crash.

Parent and child speak JSON lines over pipes: nothing that a subverted child could say is executed, and what it says
is held against the order and the types of the answers. The child (`letters.reader`) imports nothing from the current
folder; it serves one file after the other and is replaced when it fails. Told what comes next, it reads ahead while
the parent does something else. Linux and macOS; the limit on memory holds on Linux.
"""

import json
import os
import re
import select
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict
from functools import lru_cache
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any

from imr_rationale.errors import SourceError
from imr_rationale.letters.clean import REPLACEMENT
from imr_rationale.letters.limits import MAX_CHARS, Limits
from imr_rationale.letters.sources import Document, Opened, Reject, Step, print_name
from imr_rationale.letters.tables import Columns

__all__ = ["Sandbox", "read_document"]

#: a character takes twelve bytes at most in JSON ("\\ud83d\\ude00"); the rest of a frame is short
MAX_FRAME = 12 * MAX_CHARS + 1_000_000
STEPS: Mapping[str, type[Step]] = MappingProxyType({"Opened": Opened, "Document": Document, "Reject": Reject})
#: of answers that wait to be read: a hundred letters, and what Linux lets every user have
PIPE_BYTES = 1 << 20
#: read at a time; to ask for a megabyte takes as long as to parse some lines, however little there is
READ_BYTES = 1 << 16
#: of freed memory that glibc keeps: PDFium frees all that a file took, and to get it anew takes a twelfth of the time
SPARE_BYTES = 16_000_000
#: children that a file may end one after the other, without any answer in between
MAX_FAILURES = 1_000
# "\x1b[2J", half of a character: the child has cleaned these out of every text
UNCLEAN = bytes((*range(9), 0x0B, *range(0x0E, 0x20), 0x7F))
UNCLEAN_RE = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f\ud800-\udfff]")
NO_ANSWER = "reading it gave no valid answer"


class _Lost(Exception):  # noqa: N818  (it is no error: the file is rejected with its text)
    """The child did not answer; the text says why."""


class Sandbox:
    """Reads files in a child process within limits.

    Parameters
    ----------
    limits : Limits, optional
    columns : Columns, optional
        Without them tables are rejected.

    Examples
    --------
    >>> with Sandbox() as sandbox:
    ...     [found] = sandbox.read(Path("missing.txt"))
    >>> found.error
    'missing.txt: No such file or directory'
    """

    def __init__(self, limits: Limits | None = None, *, columns: Columns | None = None) -> None:
        self.limits = limits or Limits()
        self.columns = columns
        self._child: _Child | None = None
        # the child knows of them; a new one is told again
        self._expected: deque[bytes] = deque()

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop the child; the next read starts another."""
        self._expected.clear()
        self._stop()

    def _stop(self) -> None:
        if self._child is not None:
            self._child.stop()
            self._child = None

    def expect(self, files: Iterable[tuple[Path, str | None]]) -> None:
        """Let the child read ahead: these files, with their names, are those that will be read next, in this order.

        Results are the same without; to read another file first costs a new child.
        """
        requests = [self._make_request(path, name, 0) for path, name in files]
        self._expected += requests
        if self._child is None:
            self._start()
        else:
            self._child.send(requests)

    def _start(self, *requests: bytes) -> "_Child":
        self._child = _Child(self.limits)
        self._child.send([*requests, *self._expected])
        return self._child

    def _make_request(self, path: Path, name: str | None, skip: int) -> bytes:
        columns = asdict(self.columns) if self.columns else None
        return json.dumps({"path": str(path), "name": name, "columns": columns, "skip": skip}).encode() + b"\n"

    def read(self, path: Path, *, name: str | None = None, skip: int = 0) -> Iterator[Document | Reject]:
        """Yield what a file holds: one document, or many of an archive or a table.

        Parameters
        ----------
        path : Path
        name : str, optional
            Stands for the path in sources and messages.
        skip : int
            So many members or rows were read before.
        """
        source = print_name(name or str(path))
        n_failures = 0
        while True:
            opened: Opened | None = None
            n_opened = 0
            child, expected = self._ask(self._make_request(path, name, skip))
            try:
                for step in _receive_steps(child, source, skip):
                    if isinstance(step, Opened):
                        opened, n_opened = step, n_opened + 1
                    else:
                        n_failures = 0
                        # the members of a table inside an archive have longer names
                        opened = None if opened and step.source == opened.source else opened
                        yield step
                return
            except _Lost as lost:
                self._stop()
                n_failures += 1
                if opened is not None:
                    yield Reject(opened.source, opened.kind, f"{opened.source}: {lost}")
                if not n_opened and expected:
                    # it may have ended before it came to this file
                    continue
                if not n_opened or n_failures == MAX_FAILURES:
                    # twice at the same place, or for ever
                    behind = f"what stands behind the first {skip + n_opened}: " if skip + n_opened else ""
                    yield Reject(source, "file", f"{source}: {behind}{lost}")
                    return
                skip += n_opened
            finally:
                if child.busy:
                    self._stop()

    def _ask(self, request: bytes) -> tuple["_Child", bool]:
        """Give a child that answers this request next, and whether it was told of it before."""
        if self._expected and self._expected[0] == request:
            self._expected.popleft()
            if self._child is not None:
                return self._child, True
        elif self._child is not None and (self._expected or not self._child.lives()):
            # it reads something else, or ended while it had nothing to do
            self.close()
        if self._child is None:
            return self._start(request), False
        self._child.send([request])
        return self._child, False


def _receive_steps(child: "_Child", source: str, skip: int) -> Iterator[Step]:
    last: Step | None = None
    while step := child.receive():
        _check_step(step, last, source)
        yield step
        last = step
    if isinstance(last, Opened) or (last is None and not skip):
        raise _Lost(NO_ANSWER)


def _check_step(step: Step, last: Step | None, source: str) -> None:
    """Refuse what no honest child says: of another file, or opened and opened again, which would buy time for ever."""
    known = last.source if isinstance(last, Opened) else source
    unopened = last is None and isinstance(step, Document)
    if unopened or not step.source.startswith(known) or (isinstance(step, Opened) and isinstance(last, Opened)):
        raise _Lost(NO_ANSWER)


def _make_environment() -> dict[str, str]:
    """Give the child's environment, where memory is kept for the next file and PYTHONPATH is not the current folder.

    An empty part of it does, mostly by accident ("$PYTHONPATH:/more"). Where this package itself stands there, it is
    kept.
    """
    parts = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if not _is_here(Path(__file__).parents[2]):
        parts = [part for part in parts if not _is_here(Path(part))]
    return {"MALLOC_TOP_PAD_": str(SPARE_BYTES), **os.environ, "PYTHONPATH": os.pathsep.join(parts)}


def _is_here(folder: Path) -> bool:
    try:
        return folder.samefile(Path())
    except OSError:
        return False


def _parse_frame(line: bytes) -> Step | str | None:
    """Give what a child says: a step, the name of the error it ended with, or that there is no more.

    A library that a file has taken over may say anything.
    """
    try:
        match json.loads(line):
            case None:
                return None
            case ["crash", str(error)]:
                return print_name(error[:100])
            case [str(kind), dict(values)]:
                return STEPS[kind](**{name: _read_value(name, value) for name, value in values.items()})
    except (LookupError, ValueError, TypeError, RecursionError):
        pass
    raise _Lost(NO_ANSWER)


def _read_value(name: str, value: object) -> Any:
    """Give a value of a step, of its type and as it can be printed and stored."""
    match name, value:
        case "source" | "kind" | "error", str(value):
            return print_name(value)
        case "text" | "id" | "outcome" | "treatment", str(value):
            return value if _is_clean(value) else UNCLEAN_RE.sub(REPLACEMENT, value)
        case "id" | "outcome" | "treatment", None:
            return None
        case "notes", [*notes] if all(isinstance(note, str) for note in notes):
            return tuple(print_name(str(note)) for note in notes)
    raise ValueError(name)


def _is_clean(text: str) -> bool:
    """Say whether a text needs no cleaning, in a tenth of the time that cleaning takes."""
    try:
        data = text.encode()
    except UnicodeEncodeError:
        return False
    return len(data.translate(None, UNCLEAN)) == len(data)


class _Child:
    """The child process as its parent sees it."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.busy = False
        self._buffer = bytearray()
        self._unsent = bytearray()
        self._process = subprocess.Popen(  # noqa: S603  (our own interpreter and module)
            # without -P a json.py among the letters would be imported
            [sys.executable, "-P", "-m", "imr_rationale.letters.reader", json.dumps(asdict(limits))],
            env=_make_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the parent
        )
        assert self._process.stdin is not None  # noqa: S101
        assert self._process.stdout is not None  # noqa: S101
        self._requests, self._answers = self._process.stdin.fileno(), self._process.stdout.fileno()
        # a child that waits until its answers are read does not take requests
        os.set_blocking(self._requests, False)
        _widen(self._answers)

    def lives(self) -> bool:
        """Say whether the process runs."""
        return self._process.poll() is None

    def send(self, requests: Iterable[bytes]) -> None:
        """Hand requests over as far as the pipe takes them; the rest goes when answers are waited for."""
        self._unsent += b"".join(requests)
        self._flush()

    def _flush(self) -> None:
        try:
            while self._unsent:
                del self._unsent[: os.write(self._requests, self._unsent)]
        except BlockingIOError:
            pass
        except BrokenPipeError:
            # who waits for the answer learns how it ended
            self._unsent.clear()

    def receive(self) -> Step | None:
        """Give the next step; None when there is none."""
        self.busy = True
        frame = _parse_frame(self._receive_line())
        if frame is None:
            self.busy = False
        elif isinstance(frame, str):
            raise _Lost(self._explain_crash(frame))
        return frame

    def _receive_line(self) -> bytes:
        deadline = time.monotonic() + self.limits.seconds
        searched = 0
        while (end := self._buffer.find(b"\n", searched)) < 0:
            searched = len(self._buffer)
            chunk = self._receive_some(deadline)
            if not chunk:
                raise _Lost(self._explain_end())
            self._buffer += chunk
            if len(self._buffer) > MAX_FRAME and b"\n" not in chunk:
                raise _Lost("more text than a letter can have")
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line

    def _receive_some(self, deadline: float) -> bytes:
        """Wait for the next bytes, and hand over what could not be sent; none when the child has ended."""
        while (left := deadline - time.monotonic()) > 0:
            readable, writable, _ = select.select([self._answers], [self._requests] if self._unsent else [], [], left)
            if writable:
                self._flush()
            if readable:
                return os.read(self._answers, READ_BYTES)
        raise _Lost(f"not read within {self.limits.seconds:g} seconds")

    def _explain_crash(self, error: str) -> str:
        if error == "MemoryError":
            return f"needs more than {self.limits.memory // 1_000_000} MB of memory"
        return f"cannot be read ({error})"

    def _explain_end(self) -> str:
        try:
            code = self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            return "reading it failed"
        if code == -signal.SIGXCPU:
            return f"not read within {self.limits.seconds:g} seconds"
        how = _name_signal(-code) if code < 0 else f"exit code {code}"
        return (
            f"reading it crashed ({how}); a damaged file, or more than {self.limits.memory // 1_000_000} MB of memory"
        )

    def stop(self) -> None:
        self._process.kill()
        self._process.communicate()


def _widen(pipe: int) -> None:
    """Make room for the letters of a chunk, where the system can and lets us."""
    with suppress(ImportError, OSError):
        from fcntl import F_SETPIPE_SZ, fcntl

        fcntl(pipe, F_SETPIPE_SZ, PIPE_BYTES)


def _name_signal(number: int) -> str:
    # those for real time have no names
    return signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"


class _Shared:
    """The process' own sandbox, one letter at a time."""

    def __init__(self, process_id: int) -> None:
        self.lock = threading.Lock()
        self.sandbox = Sandbox()


@lru_cache(maxsize=1)
def _share(process_id: int) -> _Shared:
    """Give the sandbox of this process; a forked one gets its own."""
    import atexit

    shared = _Shared(process_id)
    atexit.register(shared.sandbox.close)
    return shared


def read_document(path: Path) -> Document:
    """Read the one letter in a file, in a child process within the usual limits.

    Raises
    ------
    SourceError
        The file cannot be read, or holds more than one letter.
    """
    shared = _share(os.getpid())
    with shared.lock:
        found = list(islice(shared.sandbox.read(path), 2))
    if len(found) > 1:
        raise SourceError(f"{path}: more than one letter; 'imr parse' and 'imr predict' read archives and tables")
    for step in found:
        if isinstance(step, Reject):
            raise SourceError(step.error)
        return step
    raise SourceError(f"{path}: nothing to read")
