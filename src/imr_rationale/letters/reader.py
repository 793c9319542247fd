"""The child process of the sandbox: reads one file after the other and says what it holds, as JSON lines.

It is started by `letters.sandbox` and bounds itself before it reads anything. An error that nobody foresaw ends it, and
costs one letter.
"""

import json
import os
import resource
import signal
import sys
from pathlib import Path
from types import TracebackType
from typing import IO

from imr_rationale.letters.limits import Limits
from imr_rationale.letters.sources import Opened, open_documents
from imr_rationale.letters.tables import Columns

__all__ = ["main"]


def _confine(limits: Limits) -> None:
    """Bound what this process may take; write no file, leave no core dump."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, (limits.memory, limits.memory))


def _extend_time(limits: Limits) -> None:
    """Let the next document have its seconds of computing, also when no parent watches any more."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    used = usage.ru_utime + usage.ru_stime
    resource.setrlimit(resource.RLIMIT_CPU, (int(used + limits.seconds) + 2, resource.RLIM_INFINITY))


def _serve(requests: IO[bytes], answers: IO[bytes], limits: Limits) -> None:
    """Answer requests until there are none; each document is written as soon as it is read."""

    def write(frame: object) -> None:
        answers.write(json.dumps(frame).encode() + b"\n")
        answers.flush()

    def report(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        write(("crash", kind.__name__))

    sys.excepthook = report
    for line in requests:
        request = json.loads(line)
        columns = Columns(**request["columns"]) if request["columns"] else None
        path = Path(request["path"])
        for step in open_documents(path, limits, name=request["name"], columns=columns, skip=request["skip"]):
            if isinstance(step, Opened):
                _extend_time(limits)
            write((type(step).__name__, {name: getattr(step, name) for name in step.__slots__}))
        write(None)


def main() -> None:
    """Read what standard input asks for, within the limits of the first argument."""
    limits = Limits(**json.loads(sys.argv[1]))
    # libraries that print must not be taken for answers
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    _confine(limits)
    _serve(sys.stdin.buffer, answers, limits)


if __name__ == "__main__":
    main()
