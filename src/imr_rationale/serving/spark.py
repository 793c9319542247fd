"""Many letters on a Spark cluster: the same rows as on one machine, as a folder of Parquet files.

The driver lists the files; the workers read them in their own sandboxes, parse and predict. Tables in Parquet are split
by Spark's reader, other tables and archives are read as a whole by one worker each. Paths must mean the same on driver
and workers, as on a shared file system. Each letter's rows come from one task, which Spark runs again when its worker
dies, and only finished tasks are committed: every row is there once, in no order; `source` and `item` sort them.

Workers that read import this module: what only the driver needs is imported where it is used.
"""

import json
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cache, partial
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any
from urllib.parse import quote, unquote, urlsplit

from imr_rationale.errors import SourceError
from imr_rationale.letters.limits import Limits
from imr_rationale.letters.sandbox import Sandbox
from imr_rationale.letters.sources import Document, Reject, find_files, print_name, read_row
from imr_rationale.letters.tables import Columns, read_batch
from imr_rationale.serving.spark_session import LETTERS, check_engine, explain_errors, list_errors, open_session
from imr_rationale.serving.writers import open_instead

__all__ = ["ClusterReport", "row_fields", "run_spark"]

#: type of a field -> Spark's
TYPES: Mapping[type, str] = MappingProxyType({str: "string", int: "long", float: "double", bool: "boolean"})
#: what the logged model takes
DOCUMENT_FIELDS = tuple(field.name for field in fields(Document))
#: of what the workers read: a document, or why there is none
STEP_FIELDS = (*DOCUMENT_FIELDS, "error")
#: where a row stands, as Spark's reader says it
PLACE = ("file_path", "row_index")
#: variable that tells the workers that read from those that predict
ROLE = "IMR_WORKER"
#: files of a task, which take a worker some seconds: what a dead worker costs
FILES = 2_000
#: tasks that each core has at least, so that the last ones end together
TASKS = 4
#: tables with damage inside; more end the run
MAX_DAMAGED = 10
#: types of a column that Spark's reader gives as ours does; tables with others are read by ours
PLAIN = frozenset({"string", "binary", "byte", "short", "integer", "long", "float", "double", "boolean"})
# "[", "*": what Spark takes for a pattern of names
SIGNS_RE = re.compile(r"[\\*?\[\]{},]")
#: before the name of a damaged file in an error of Spark: "… while reading file file:///letters/table.parquet. …"
READING = "reading file "


def row_fields() -> dict[str, str]:
    """Give each column of the output with Spark's name of its type; lists and objects are JSON text."""
    from imr_rationale.serving.fields import prediction_fields

    return {name: TYPES[kind] for name, kind in prediction_fields().items()}


@dataclass(frozen=True, slots=True)
class ClusterReport:
    """What came of a run.

    Attributes
    ----------
    read, items, rejected : int
        Letters that were read, their disputed items, and files or letters that were not read.
    absent : int
        Paths that are not there.
    """

    read: int
    items: int
    rejected: int
    absent: int


def run_spark(
    paths: Sequence[Path],
    output: Path,
    *,
    model: str | Path | None = None,
    tracking_uri: str | None = None,
    master: str = "local[*]",
    columns: Columns | None = None,
    limits: Limits | None = None,
    min_certainty: float = 0.0,
    n_tasks: int | None = None,
) -> ClusterReport:
    """Predict letters on a cluster; rows go to Parquet files in `output`.

    What could not be read goes to "<output>.rejects.jsonl", which is absent when there is nothing. While it runs, rows
    stand in "<output>.partial".

    Parameters
    ----------
    paths : sequence of Path
        Files and folders.
    output : Path
        A folder, which must not be there.
    model : path or str, optional
        As for `load_model`.
    tracking_uri : str, optional
    master : str
        Spark's address of the cluster; "local[2]" is this machine with two cores, "local[*]" with all of them.
    columns : Columns, optional
        Without them tables are rejected.
    limits : Limits, optional
    min_certainty : float
        As for `predict_items`.
    n_tasks : int, optional
        Into so many the files are parted.

    Raises
    ------
    EngineError
        Spark or Java is not installed, the master cannot be reached, or the run failed.
    SourceError
        The output is there already or cannot be written.
    ModelError, TrackingError
        As for `load_model`.
    """
    _check_output(output)
    check_engine(master)
    # Spark ends before the folder that its workers take the model from
    with explain_errors(), tempfile.TemporaryDirectory(prefix="imr-spark-") as place, open_session(master) as spark:
        bundle = _find_bundle(model, tracking_uri, Path(place))
        job = _Job(spark, bundle, Path(place), output, columns, limits or Limits(), min_certainty, n_tasks)
        return job.run(paths)


def _check_output(output: Path) -> None:
    if output.exists():
        raise SourceError(f"{output}: is there already; remove it or name another folder")
    if not output.absolute().parent.is_dir():
        raise SourceError(f"{output}: its folder is not there")


def _find_bundle(model: str | Path | None, tracking_uri: str | None, place: Path) -> Path:
    """Give the folder of a model that loads."""
    from imr_rationale.learning.bundle import find_champion, load_bundle

    name = str(model if model is not None else find_champion())
    if name.startswith(("models:/", "runs:/")):
        from imr_rationale.tracking.registry import fetch_bundle
        from imr_rationale.tracking.store import resolve_store

        found = fetch_bundle(name, resolve_store(tracking_uri), place)
    else:
        found = Path(name).absolute()
    load_bundle(found)
    return found


@dataclass(frozen=True)
class _Job:
    """One run under way."""

    spark: Any
    bundle: Path
    place: Path
    output: Path
    columns: Columns | None
    limits: Limits
    min_certainty: float
    n_tasks: int | None

    @property
    def staging(self) -> Path:
        """Where rows stand until all of them are there."""
        return self.output.absolute().with_name(f"{self.output.name}.partial")

    @property
    def rejects(self) -> Path:
        """Where it stands what could not be read."""
        return self.output.with_name(f"{self.output.name}.rejects.jsonl")

    def run(self, paths: Sequence[Path]) -> ClusterReport:
        """Read, predict, and let the output appear under its name, all of it at once."""
        shutil.rmtree(self.staging, ignore_errors=True)
        try:
            found = [path for path in find_files(paths) if isinstance(path, Reject) or not self._is_own(path)]
            rejects = [path for path in found if isinstance(path, Reject)]
            self._write_staged([path for path in found if isinstance(path, Path)])
            report = self._count(len(rejects), sum(not path.exists() for path in paths))
            self._write_rejects(rejects)
            self._move_rows()
        finally:
            shutil.rmtree(self.staging, ignore_errors=True)
        return report

    def _is_own(self, path: Path) -> bool:
        return path.absolute() == self.rejects.absolute()

    def _write_staged(self, files: Sequence[Path]) -> None:
        """Write rows, rejects and letters without items; a table with damage inside is then left to our own reader."""
        from imr_rationale.tracking.registry import make_spark_udf

        udf = make_spark_udf(self.spark, self.bundle, self.place, min_certainty=self.min_certainty)
        tables = {path: types for path in files if (types := self._read_types(path))}
        n_tables = len(tables)
        while True:
            try:
                documents = self._read([path for path in files if path not in tables], tables)
                self._make_rows(documents, udf).write.partitionBy("part").parquet(_name_url(self.staging), "overwrite")
                return
            except list_errors() as error:
                damaged = _find_damaged(str(error), tables)
                if damaged is None or n_tables - len(tables) == MAX_DAMAGED:
                    raise
                del tables[damaged]

    def _read_types(self, path: Path) -> tuple[str, ...] | None:
        """Give the types of a table's columns in use, where Spark's reader can split it and has them all."""
        if self.columns is None or path.suffix.lower() != ".parquet" or not path.is_file():
            return None
        try:
            schema = self.spark.read.parquet(_name_pattern(path)).schema
            kinds = {field.name: field.dataType.typeName() for field in schema.fields}
            types = tuple(kinds.get(name, "") for name in self.columns.names())
        except list_errors():  # our own reader says why
            return None
        return types if set(types) <= PLAIN else None

    def _read(self, files: Sequence[Path], tables: Mapping[Path, tuple[str, ...]]) -> Any:
        """Give the documents and rejects of all inputs, with the columns `STEP_FIELDS`."""
        # Spark shares workers of one environment: those that read would each load the model in their turn
        environment = self.spark.sparkContext.environment
        environment[ROLE] = "reads"
        try:
            found = self._read_files(files)
            for types in dict.fromkeys(tables.values()):
                found = found.unionAll(self._read_tables([path for path in tables if tables[path] == types], types))
        finally:
            del environment[ROLE]
        return found

    def _read_files(self, files: Sequence[Path]) -> Any:
        import pyarrow as pa

        places = pa.array([str(path.absolute()) for path in files], pa.string())
        names = pa.table({"path": places, "name": pa.array(map(str, files), pa.string())})
        n_least = min(TASKS * self.spark.sparkContext.defaultParallelism, len(files))
        n_tasks = self.n_tasks or max(n_least, len(files) // FILES, 1)
        read = partial(_read_files, limits=self.limits, columns=self.columns)
        return self.spark.createDataFrame(names).repartition(n_tasks).mapInArrow(read, _make_schema(STEP_FIELDS))

    def _read_tables(self, tables: Sequence[Path], types: Sequence[str]) -> Any:
        """Split tables, whose columns in use are all of the same types."""
        from pyspark.sql.functions import col

        assert self.columns is not None  # noqa: S101
        kinds = dict(zip(self.columns.names(), types, strict=True))
        schema = ", ".join(f"{_quote(name)} {kind}" for name, kind in kinds.items())
        # text as bytes: what is no UTF-8 is then read as in other tables
        cells = [col(_quote(name)).cast("binary" if kind == "string" else kind) for name, kind in kinds.items()]
        place = [col(f"_metadata.{name}").alias(f"spark {name}") for name in PLACE]
        named = [cell.alias(name) for cell, name in zip(cells, kinds, strict=True)]
        rows = self.spark.read.schema(schema).parquet(*map(_name_pattern, tables)).select(*named, *place)
        names = {str(path.absolute()): print_name(str(path)) for path in tables}
        return rows.mapInArrow(partial(_read_table, names=names, columns=self.columns), _make_schema(STEP_FIELDS))

    def _make_rows(self, documents: Any, udf: Any) -> Any:
        """Give a row for each item, each reject and each letter without items, told apart by `part`."""
        from pyspark.sql.functions import (
            coalesce,
            col,
            explode_outer,
            from_json,
            struct,
            when,
        )

        answer = (
            f"error string, rows array<struct<{', '.join(f'{name}: {kind}' for name, kind in row_fields().items())}>>"
        )
        found = from_json(udf(struct(*DOCUMENT_FIELDS)), answer, {"mode": "FAILFAST"})
        rows = documents.select("source", "error", found.alias("found")).select(
            "source", coalesce("error", "found.error").alias("error"), explode_outer("found.rows").alias("row")
        )
        part = when(col("error").isNotNull(), "rejects").when(col("row").isNull(), "empty").otherwise("rows")
        # why a letter was rejected stands among the warnings until it is in a file of its own
        outside = {"source": "source", "warnings": "error"}
        fields = [coalesce(f"row.{name}", outside.get(name, f"row.{name}")).alias(name) for name in row_fields()]
        return rows.select(*fields, part.alias("part"))

    def _read_staged(self, part: str) -> Any:
        folder = self.staging / f"part={part}"
        if not folder.is_dir():
            return self.spark.createDataFrame([], _make_schema(row_fields()))
        return self.spark.read.schema(_make_schema(row_fields())).parquet(_name_pattern(folder))

    def _count(self, rejected: int, absent: int) -> ClusterReport:
        rows = self._read_staged("rows")
        n_letters = rows.where("item = 1").count() + self._read_staged("empty").count()
        return ClusterReport(n_letters, rows.count(), rejected + self._read_staged("rejects").count(), absent)

    def _write_rejects(self, rejects: Iterable[Reject]) -> None:
        """Write a line for each reject, those of letters by source; without any there is no file."""
        found = self._read_staged("rejects").select("source", "warnings").orderBy("source").toLocalIterator()
        with open_instead(self.rejects) as writing, writing.open("w", encoding="utf-8") as file:
            _write_lines(file, ((reject.source, reject.error) for reject in rejects))
            _write_lines(file, found)
        if not self.rejects.stat().st_size:
            self.rejects.unlink()

    def _move_rows(self) -> None:
        rows = self.staging / "part=rows"
        if not rows.is_dir():
            self._read_staged("rows").write.parquet(_name_url(rows))
        for checksum in rows.glob(".*.crc"):  # of Hadoop, for itself alone
            checksum.unlink()
        rows.rename(self.output)


def _write_lines(file: IO[str], rejects: Iterable[tuple[str, str]]) -> None:
    file.writelines(json.dumps({"path": path, "error": error}, ensure_ascii=False) + "\n" for path, error in rejects)


def _make_schema(names: Iterable[str]) -> str:
    """Give columns as Spark is told them; those that are of no row are text."""
    return ", ".join(f"{name} {row_fields().get(name, 'string')}" for name in names)


def _name_url(path: Path) -> str:
    return f"file://{path.absolute()}"


def _name_pattern(path: Path) -> str:
    r"""Give a file's name to Spark's reader, which would take some characters for patterns.

    Examples
    --------
    >>> _name_pattern(Path("/letters/part[1].parquet"))
    'file:///letters/part\\[1\\].parquet'
    """
    return SIGNS_RE.sub(r"\\\g<0>", _name_url(path))


def _quote(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _find_damaged(text: str, tables: Iterable[Path]) -> Path | None:
    """Give the table that an error of Spark names, as a path or as an address."""
    places = {path: str(path.absolute()) for path in tables}
    named = [path for path, place in places.items() if any(f"{READING}{x}" in text for x in _spell(place))]
    return max(named, key=lambda path: len(places[path]), default=None)


def _spell(place: str) -> tuple[str, ...]:
    return (f"file:{place}", f"file://{place}", f"file:{quote(place)}", f"file://{quote(place)}")


def _read_url(url: str) -> str:
    return unquote(urlsplit(url).path)


# what follows runs on the workers


@cache
def _open_sandbox(limits: Limits, columns: Columns | None) -> Sandbox:
    """Give the sandbox of this worker process, whose tasks share it; its child ends when the worker does."""
    return Sandbox(limits, columns=columns)


def _read_files(batches: Iterable[Any], *, limits: Limits, columns: Columns | None) -> Iterator[Any]:
    """Read the files that Arrow batches name, as Arrow batches of documents and rejects."""
    sandbox = _open_sandbox(limits, columns)
    files = (file for batch in batches for file in zip(*(column.to_pylist() for column in batch.columns), strict=True))
    yield from _pack(step for path, name in files for step in sandbox.read(Path(path), name=name))


def _read_table(batches: Iterable[Any], *, names: Mapping[str, str], columns: Columns) -> Iterator[Any]:
    """Clean the cells in Arrow batches of tables, as Arrow batches of documents and rejects."""
    yield from _pack(step for batch in batches for step in _read_batch(batch, names, columns))


def _read_batch(batch: Any, names: Mapping[str, str], columns: Columns) -> Iterator[Document | Reject]:
    urls, numbers = (batch.column(f"spark {name}").to_pylist() for name in PLACE)
    for url, number, row in zip(urls, numbers, read_batch(batch, columns), strict=True):
        yield read_row(f"{names[_read_url(url)]}:{number + 1}", row, columns)


def _pack(steps: Iterator[Document | Reject]) -> Iterator[Any]:
    import pyarrow as pa

    schema = pa.schema([(name, pa.string()) for name in STEP_FIELDS])
    while chunk := list(islice(steps, LETTERS)):
        yield pa.RecordBatch.from_pylist([_describe(step) for step in chunk], schema=schema)


def _describe(step: Document | Reject) -> dict[str, str | None]:
    found = asdict(step)
    return found if isinstance(step, Reject) else {**found, "notes": json.dumps(step.notes)}
