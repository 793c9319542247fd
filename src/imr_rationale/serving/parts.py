"""A folder of Parquet files as output: parts of so many letters each, and a manifest.

What begins with "_" is no table to those who read such folders (pandas, pyarrow, Spark, DuckDB's globs):
"_manifest.json", "_rejects.jsonl", and while the run lasts "_journal" and "_rows.jsonl".
"""

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from imr_rationale.errors import SourceError
from imr_rationale.serving.journal import Journal, Part
from imr_rationale.serving.outputs import PartialRows, write_rejects
from imr_rationale.serving.writers import check_place, open_instead, write_parquet

__all__ = ["MANIFEST", "PART_LETTERS", "FolderOutput"]

#: letters of a part, read or rejected: some 15,000 rows, a few megabytes
PART_LETTERS = 10_000
MANIFEST = "_manifest.json"
JOURNAL, ROWS, REJECTS, WRITING = "_journal", "_rows.jsonl", "_rejects.jsonl", "_writing"
# "part-00012.parquet"
PART_RE = re.compile(r"part-\d{5,9}\.parquet")


class FolderOutput:
    """A folder of "part-00000.parquet" and so on; each appears under its name when it is whole, and stays then.

    Parameters
    ----------
    folder : Path
        It is made where it is missing.
    fields : mapping of str to type
        Every name in a row, with the type of its column.
    part_letters : int
    """

    def __init__(self, folder: Path, fields: Mapping[str, type], part_letters: int = PART_LETTERS) -> None:
        self.folder = folder
        self.fields = fields
        self.part_letters = part_letters
        self._inside = os.path.join(os.path.realpath(folder), "")  # noqa: PTH118  (its last slash)

    def check(self, *, resume: bool) -> None:
        """Refuse a folder where no file can be written, or that holds anything but an unfinished run."""
        if not self.folder.exists():
            check_place(self.folder)
            return
        check_place(self.folder / MANIFEST)
        if not (self.folder / JOURNAL).exists() and (found := min(self.folder.iterdir(), default=None)):
            whose = "a finished run" if (self.folder / MANIFEST).exists() else f"{found.name}, which no run left"
            raise SourceError(f"{self.folder}: holds {whose}; remove it or name another folder")

    def owns(self, path: str) -> bool:
        """Tell whether this run writes a file: all in its folder."""
        return path.startswith(self._inside)

    @contextmanager
    def open(self, settings: Mapping[str, str], *, resume: bool) -> Iterator[Journal]:
        """Open the journal and the rows of the part that is not whole."""
        self.folder.mkdir(exist_ok=True)
        self.settings = {**settings, "--part-letters": str(self.part_letters)}
        with closing(Journal(self.folder / JOURNAL)) as self.journal:
            self.journal.begin(self.settings, resume=resume)
            self._check_parts()
            n_letters = self.journal.count_entries() - sum(part.n_letters for part in self.journal.list_parts())
            self.rows = PartialRows(self.folder / ROWS, self.journal.end() if n_letters else 0)
            try:
                self.n_letters = n_letters
                self.turn()
                yield self.journal
            finally:
                self.rows.close()

    def _check_parts(self) -> None:
        """Refuse to go on with other parts than those that were written; remove what the journal does not know."""
        known = {part.name: part for part in self.journal.list_parts()}
        for path in self.folder.iterdir():
            if PART_RE.fullmatch(path.name) and path.name not in known:
                path.unlink()
        for name, part in known.items():
            path = self.folder / name
            if not path.is_file() or _sum_file(path) != part.sha256:
                raise SourceError(f"--resume: {path} is not what was written; start without --resume")
        self._write_manifest(complete=False)

    @property
    def room(self) -> int:
        """How many letters the part takes until it is full."""
        return self.part_letters - self.n_letters

    def write(self, texts: Sequence[str]) -> list[int]:
        """Write the rows of letters, which have room in the part."""
        self.n_letters += len(texts)
        return self.rows.write(texts)

    def turn(self) -> None:
        """Write the part when it is full, and begin the next."""
        if not self.room:
            self._write_part()

    def _write_part(self) -> None:
        name = f"part-{len(self.journal.list_parts()):05}.parquet"
        with open_instead(self.folder / name, through=self.folder / WRITING) as writing:
            n_rows = write_parquet(self.folder / ROWS, writing, self.fields)
        self.journal.add_part(Part(name, n_rows, self.n_letters, _sum_file(self.folder / name)))
        self._write_manifest(complete=False)
        self.rows.close()
        self.rows = PartialRows(self.folder / ROWS, 0)
        self.n_letters = 0

    def _write_manifest(self, *, complete: bool) -> None:
        parts = self.journal.list_parts()
        manifest = {
            "complete": complete,
            "letters": sum(part.n_letters for part in parts),
            "rows": sum(part.n_rows for part in parts),
            "settings": self.settings,
            "fields": {name: kind.__name__ for name, kind in self.fields.items()},
            "parts": [
                {"name": part.name, "rows": part.n_rows, "letters": part.n_letters, "sha256": part.sha256}
                for part in parts
            ],
        }
        with open_instead(self.folder / MANIFEST, through=self.folder / WRITING) as writing:
            writing.write_text(json.dumps(manifest, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")

    def finish(self) -> None:
        """Write the last part, the rejects and the whole manifest; without any letter there is one empty part."""
        if self.n_letters or not self.journal.list_parts():
            self._write_part()
        write_rejects(self.folder / REJECTS, self.journal)
        self._write_manifest(complete=True)

    def clean(self) -> None:
        """Remove rows and journal."""
        (self.folder / ROWS).unlink(missing_ok=True)
        self.journal.remove()


def _sum_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
