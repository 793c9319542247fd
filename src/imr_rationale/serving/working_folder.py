"""A folder for what a run keeps on disk while it works."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from imr_rationale.errors import SourceError
from imr_rationale.serving.outputs import place_beside

__all__ = ["open_working_folder"]


@contextmanager
def open_working_folder(output: Path | None) -> Iterator[Path]:
    """Give an empty folder beside an output (None: where temporary files stand), and remove it when the work is over.

    A killed run leaves it; the next one with the same output begins with an empty one again.

    Raises
    ------
    SourceError
        Another run works in it.
    """
    if output is None:
        with tempfile.TemporaryDirectory() as place:
            yield Path(place)
        return
    folder = place_beside(output, ".working")
    folder.mkdir(exist_ok=True)
    lock = FileLock(folder / "lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise SourceError(f"{folder}: another run writes the same output") from error
    try:
        inside = folder / "files"
        shutil.rmtree(inside, ignore_errors=True)
        inside.mkdir()
        yield inside
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        lock.release()
