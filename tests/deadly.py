"""Row makers for the tests of workers, which import them by this name: some end the process that they run in."""

import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from imr_rationale.errors import ModelError
from imr_rationale.records import Letter
from imr_rationale.serving.rows import Row, list_items

Letters = Sequence[tuple[Letter, str]]


@dataclass(frozen=True)
class KillOnce:
    """Ends its process at a letter, the first time."""

    source: str
    mark: Path

    def __call__(self, letters: Letters) -> list[list[Row]]:
        if any(self.source in source for _, source in letters) and not self.mark.exists():
            self.mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return list_items(letters)


@dataclass(frozen=True)
class KillAlways:
    """Ends its process at some letters, always."""

    sources: tuple[str, ...]

    def __call__(self, letters: Letters) -> list[list[Row]]:
        if any(name in source for _, source in letters for name in self.sources):
            os.kill(os.getpid(), signal.SIGKILL)
        return list_items(letters)


@dataclass(frozen=True)
class Stumble:
    """Fails at a letter in a way that nobody foresaw."""

    source: str
    error: Exception

    def __call__(self, letters: Letters) -> list[list[Row]]:
        if any(self.source in source for _, source in letters):
            raise self.error
        return list_items(letters)


@dataclass(frozen=True)
class Slow:
    """Takes its time."""

    seconds: float

    def __call__(self, letters: Letters) -> list[list[Row]]:
        time.sleep(self.seconds * len(letters))
        return list_items(letters)


def tell_process(letters: Letters) -> list[list[Row]]:
    """Give one row a letter that says where it was made."""
    threads = {name: value for name, value in os.environ.items() if name.endswith("_NUM_THREADS")}
    return [[{"process": os.getpid(), "threads": threads, "warnings": []}] for _ in letters]


def lose_model(letters: Letters) -> list[list[Row]]:
    """Fail as no letter can be blamed for."""
    raise ModelError("gone: no such model folder")
