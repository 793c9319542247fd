"""Time and memory of this process, its children and commands, read from /proc."""

import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import imr_rationale

__all__ = ["IMR", "Run", "list_descendants", "pin", "read_cpu_seconds", "read_peak", "run_command"]

IMR = str(Path(sys.executable).with_name("imr"))
#: where the package that is measured and the benchmark stand: a command must not find another version installed
HERE = (str(Path(imr_rationale.__file__).parents[1]), str(Path(__file__).parents[1]))
TICKS = os.sysconf("SC_CLK_TCK")
#: seconds between two looks at the memory of a command
PAUSE = 0.1


@dataclass(frozen=True, slots=True)
class Run:
    """A command that ended.

    Attributes
    ----------
    wall, cpu : float
        Seconds; of the processes it started too.
    peak, peak_child : int
        Largest resident memory of the command itself and of any process under it, in bytes; 0 where not watched.
    """

    code: int
    wall: float
    cpu: float
    peak: int
    peak_child: int
    output: str
    error: str


def read_cpu_seconds() -> float:
    """Give the computing time of this process and all processes under it, those that ended too."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    live = sum(map(_read_ticks, list_descendants(os.getpid()))) / TICKS
    return time.process_time() + ended.ru_utime + ended.ru_stime + live


def _read_ticks(process_id: int) -> int:
    try:
        fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    except OSError:  # ended meanwhile
        return 0
    # user and system, then the same of children that ended
    return sum(map(int, fields[11:15]))


def list_descendants(process_id: int) -> Iterator[int]:
    """Yield the processes under a process."""
    for file in Path(f"/proc/{process_id}/task").glob("*/children"):
        try:
            children = file.read_text().split()
        except OSError:
            continue
        for child in map(int, children):
            yield child
            yield from list_descendants(child)


def read_peak(process_id: int | str = "self") -> int:
    """Give the largest resident memory that a process ever had, in bytes; 0 when it has ended."""
    try:
        status = Path(f"/proc/{process_id}/status").read_text()
    except OSError:
        return 0
    lines = [line.split() for line in status.splitlines() if line.startswith("VmHWM")]
    return int(lines[0][1]) * 1024 if lines else 0


@contextmanager
def pin(n_cores: int | None) -> Iterator[None]:
    """Keep this process and those it starts on the first cores, where the system can."""
    if n_cores is None or not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:n_cores])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _list_paths() -> list[str]:
    return [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]


def run_command(
    command: Sequence[object],
    *,
    n_cores: int | None = None,
    watch: bool = False,
    seconds: float | None = None,
    folder: Path | None = None,
) -> Run:
    """Run a command; one that takes longer than `seconds` is stopped and has the code of its signal.

    Parameters
    ----------
    watch : bool
        Look at the memory of its processes meanwhile.
    """
    with pin(n_cores):
        begun = time.perf_counter()
        process = subprocess.Popen(
            list(map(str, command)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": os.pathsep.join((*HERE, *_list_paths()))},
        )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    peaks = {process.pid: 0}
    output = error = ""
    while True:
        try:
            output, error = process.communicate(timeout=PAUSE if watch else seconds)
            break
        except subprocess.TimeoutExpired:
            for one in (process.pid, *list_descendants(process.pid)):
                peaks[one] = max(peaks.get(one, 0), read_peak(one))
            if seconds is not None and time.perf_counter() - begun > seconds:
                process.kill()
    wall = time.perf_counter() - begun
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    peak = peaks.pop(process.pid)
    return Run(process.returncode, wall, cpu, peak, max(peaks.values(), default=0), output, error)
