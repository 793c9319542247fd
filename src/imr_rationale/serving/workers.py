"""Chunks read by many processes, of this machine or of a dask cluster; their results come back in order.

Chunks are handed out a bounded number ahead, whoever is slow. `joblib.Parallel` is not used: as a generator it runs
ahead of a slow consumer without bound, it fetches chunks in the thread that collects results, and with dask it waits
for ever when a worker is lost. Its process pool is (loky).
"""

import os
import signal
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing, contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from imr_rationale.errors import SourceError
from imr_rationale.serving.chunks import Chunk, ChunkReader, Result, close_sandbox

if TYPE_CHECKING:
    from joblib.externals.loky import ProcessPoolExecutor

__all__ = ["count_workers", "read_chunks"]

#: chunks ahead for each worker: enough that the others go on for seconds while one waits for a file that is not read
AHEAD = 16
#: times that a letter may end its process: one may have another cause, such as the system's memory
LETTER_TRIES = 2
#: seconds between looks whether the parent is there, and until a cluster must have a worker
LOOK_SECONDS, CLUSTER_SECONDS = 1.0, 60.0
#: numeric libraries would start a thread for each core in each worker
ONE_THREAD = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
CULPRIT = f"the process that reads it ends, {LETTER_TRIES} times out of {LETTER_TRIES}"


def count_workers(workers: int) -> int:
    """Give how many workers a number stands for: -1 is one for each core that this process may use."""
    if workers != -1:
        return workers
    from joblib import cpu_count

    return int(cpu_count())


@contextmanager
def read_chunks(
    reader: ChunkReader, chunks: Iterable[Chunk], *, workers: int = 1, engine: str = "local", master: str | None = None
) -> Iterator[Iterator[tuple[Chunk, list[Result]]]]:
    """Give each chunk with its results, in order.

    Parameters
    ----------
    reader : ChunkReader
    chunks : iterable of Chunk
        Gone through by this thread alone.
    workers : int
        Processes of this machine, -1 for one a core; with one, this process reads and none is started.
    engine : {"local", "dask"}
    master : str, optional
        Address of the dask scheduler.

    Raises
    ------
    SourceError
        The engine is unknown, its cluster cannot be reached, or dask is not installed.
    """
    if engine not in {"local", "dask"}:
        raise SourceError(f"unknown engine {engine!r}; known: local, dask")
    if engine == "dask":
        with closing(_DaskPool(reader, master)) as pool:
            yield _read_with(pool, reader, chunks)
    elif count_workers(workers) > 1:
        with closing(_LocalPool(reader, count_workers(workers))) as pool:
            yield _read_with(pool, reader, chunks)
    else:
        try:
            yield _read_here(reader, chunks)
        finally:
            close_sandbox()


def _read_here(reader: ChunkReader, chunks: Iterable[Chunk]) -> Iterator[tuple[Chunk, list[Result]]]:
    """Read chunks in this process; the child that reads their files is one chunk ahead."""
    waiting: Chunk | None = None
    for chunk in chunks:
        reader.expect(chunk)
        if waiting is not None:
            yield waiting, reader.read(waiting)
        waiting = chunk
    if waiting is not None:
        yield waiting, reader.read(waiting)


class _Job(Protocol):
    """What is asked of a future."""

    def done(self) -> bool: ...

    def result(self) -> list[Result]: ...

    def exception(self) -> BaseException | None: ...


@dataclass
class _Task:
    """A chunk that was handed out."""

    chunk: Chunk
    job: _Job


class _Pool(Protocol):
    @property
    def lost(self) -> type[Exception]:
        """What a job raises whose process ended."""

    @property
    def ahead(self) -> int:
        """How many chunks may be handed out ahead."""

    def submit(self, chunk: Chunk) -> _Job: ...

    def recover(self, waiting: Sequence[_Task]) -> list[_Task]:
        """Make the pool work again, and no chunk run in it; gives those of the waiting tasks that may be guilty too."""

    def close(self) -> None: ...


def _read_with(pool: _Pool, reader: ChunkReader, chunks: Iterable[Chunk]) -> Iterator[tuple[Chunk, list[Result]]]:
    tasks: deque[_Task] = deque()
    for chunk in chunks:
        tasks.append(_Task(chunk, pool.submit(chunk)))
        while tasks and (len(tasks) >= pool.ahead or tasks[0].job.done()):
            yield _take(pool, reader, tasks)
    while tasks:
        yield _take(pool, reader, tasks)


def _take(pool: _Pool, reader: ChunkReader, tasks: deque[_Task]) -> tuple[Chunk, list[Result]]:
    """Give the first task's chunk with its results, when they are there."""
    task = tasks.popleft()
    try:
        return task.chunk, task.job.result()
    except pool.lost:
        suspects = pool.recover(tasks)
        found = _read_alone(pool, reader, task.chunk)
        for suspect in suspects:
            suspect.job = _make_done(_read_alone(pool, reader, suspect.chunk))
        for other in tasks:
            if other.job.done() and other.job.exception() is not None:
                other.job = pool.submit(other.chunk)
        return task.chunk, found


def _read_alone(pool: _Pool, reader: ChunkReader, chunk: Chunk) -> list[Result]:
    """Read a chunk that may have ended its process while no other one runs; a letter that ends it is rejected."""
    is_letter = len(chunk.letters) == 1
    for _ in range(LETTER_TRIES if is_letter else 1):
        try:
            return pool.submit(chunk).result()
        except pool.lost:
            pool.recover(())
    if is_letter:
        _check_alive(pool)
        return [reader.reject(chunk, CULPRIT)]
    return [result for letter in chunk.split() for result in _read_alone(pool, reader, letter)]


def _check_alive(pool: _Pool) -> None:
    """Refuse to blame a letter where a worker ends without any."""
    try:
        pool.submit(Chunk(1, ())).result()
    except pool.lost as error:
        raise SourceError(f"workers end before they read anything ({' '.join(str(error).split())[:200]})") from error


def _make_done(results: list[Result]) -> "Future[list[Result]]":
    future: Future[list[Result]] = Future()
    future.set_result(results)
    return future


class _LocalPool:
    """Processes of this machine. When one ends, all jobs of the pool are lost and it is made anew."""

    def __init__(self, reader: ChunkReader, n_workers: int) -> None:
        from joblib.externals.loky.process_executor import TerminatedWorkerError

        self.lost: type[Exception] = TerminatedWorkerError
        self.reader = reader
        self.n_workers = n_workers
        self.ahead = n_workers * AHEAD
        self._executor: ProcessPoolExecutor | None = None

    def submit(self, chunk: Chunk) -> "Future[list[Result]]":
        if self._executor is None:
            from joblib.externals.loky import ProcessPoolExecutor

            self._executor = ProcessPoolExecutor(
                self.n_workers,
                initializer=_begin_worker,
                initargs=(os.getpid(),),
                env=dict.fromkeys(ONE_THREAD, "1"),
            )
        try:
            found: Future[list[Result]] = self._executor.submit(self.reader, chunk)
        except self.lost as error:
            found = Future()
            found.set_exception(error)
        return found

    def recover(self, waiting: Sequence[_Task]) -> list[_Task]:
        self.close()
        # they are begun in order, one a worker: the first ones that are not done were under way
        undone = [task for task in waiting if task.job.exception() is not None]
        return undone[: self.n_workers - 1]

    def close(self) -> None:
        executor, self._executor = self._executor, None
        if executor is not None:
            # what they read is read again; shutdown(kill_workers=True) stumbles over jobs that wait (joblib 1.6)
            for process in [*executor._processes.values()]:
                process.terminate()
            executor.shutdown(wait=True)


def _begin_worker(parent: int) -> None:
    """Leave Ctrl-C to the parent, and end with it, also when it was killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK_SECONDS)
    # its reading child ends when this end of its pipe is closed
    os._exit(1)


class _DaskPool:
    """The workers of a dask cluster; it tries a job whose worker ended on another one, some times."""

    def __init__(self, reader: ChunkReader, master: str | None) -> None:
        try:
            dask = import_module("distributed")
        except ImportError:
            raise SourceError("--engine dask needs dask: pip install 'imr-rationale[dask]'") from None
        if master is None:
            raise SourceError("--engine dask needs the address of its scheduler")
        self.lost: type[Exception] = dask.KilledWorker
        self.reader = reader
        try:
            self._client = dask.Client(master, timeout=CLUSTER_SECONDS, set_as_default=False)
        except (OSError, ValueError) as error:
            raise SourceError(f"{master}: no dask scheduler ({error})") from error
        self.master = master
        try:
            self.check_workers()
        except SourceError:
            self.close()
            raise
        self.ahead = AHEAD * sum(self._client.nthreads().values())

    def check_workers(self) -> None:
        """Refuse to wait for a cluster whose workers are gone and do not come back."""
        try:
            self._client.wait_for_workers(1, timeout=CLUSTER_SECONDS)
        except TimeoutError:
            raise SourceError(f"{self.master}: the cluster has no workers") from None

    def submit(self, chunk: Chunk) -> "_DaskJob":
        # equal chunks are no reason to give one of them another's results
        return _DaskJob(self._client.submit(self.reader, chunk, pure=False), self)

    def recover(self, waiting: Sequence[_Task]) -> list[_Task]:
        # a job that shares a worker with a guilty one may be lost with it: each such one gets its turn alone
        suspects = []
        for task in waiting:
            try:
                task.job = _make_done(task.job.result())
            except self.lost:
                suspects.append(task)
        return suspects

    def close(self) -> None:
        self._client.close()


@dataclass(frozen=True)
class _DaskJob:
    """A future that looks after its cluster while it waits: dask alone would wait for ever."""

    future: Any
    pool: _DaskPool

    def done(self) -> bool:
        return bool(self.future.done())

    def exception(self) -> BaseException | None:
        found: BaseException | None = self.future.exception()
        return found

    def result(self) -> list[Result]:
        while True:
            try:
                found: list[Result] = self.future.result(timeout=CLUSTER_SECONDS)
            except TimeoutError:
                self.pool.check_workers()
            else:
                return found
