"""Every regular expression of the package takes time in proportion to the length of a text, whatever the text.

Each expression is taken apart with Python's own parser, and from its parts come texts that make it go wrong if anything
can: what it repeats, over and over; its beginnings, over and over; a beginning and then a long run of what comes next.
"""

import ast
import gc
import importlib
import inspect
import json
import pkgutil
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from pathlib import Path
from re import _constants as op  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from types import ModuleType
from typing import Any

import pytest

import imr_rationale
from imr_rationale import load_model
from imr_rationale.records import ItemText

Pattern = re.Pattern[str] | re.Pattern[bytes]
PACKAGE = Path(imr_rationale.__file__).parent
#: longest text, in characters; a quadratic expression takes a second for it, a linear one a millisecond
LONGEST = 32_768
#: seconds that can be told from noise; what takes less for the longest text is linear enough
MEASURABLE = 0.002
#: seconds after which a text need not grow any more
ENOUGH = 0.02
#: characters from which on a time that can be measured tells how it grows
TELLING = 4096
#: how much the time may grow with a text 8 times as long: linear 8, quadratic 64
STEP, LIMIT = 8, 24
#: an exponential expression must be seen before it stops the tests, so that the first texts grow slowly
LENGTHS = (16, 18, 20, 22, 24, 28, 32, 64, 128, 256, 512, 1024, 4096, 8192, LONGEST)


# --- which expressions there are ---


@cache
def load_modules() -> tuple[ModuleType, ...]:
    found = pkgutil.walk_packages(imr_rationale.__path__, f"{imr_rationale.__name__}.")
    return (imr_rationale, *(importlib.import_module(module.name) for module in found))


def find_patterns(value: object, name: str) -> Iterator[tuple[str, Pattern]]:
    """Yield (name, pattern) of every pattern inside a value of a module."""
    if isinstance(value, re.Pattern):
        yield name, value
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from find_patterns(part, f"{name}[{key}]")
    elif isinstance(value, tuple | list | set | frozenset):
        for i, part in enumerate(value):
            yield from find_patterns(part, f"{name}[{i}]")
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from find_patterns(getattr(value, field.name), f"{name}.{field.name}")
    elif isinstance(value, type) and value.__module__.startswith(imr_rationale.__name__):
        for key, part in list(vars(value).items()):
            yield from find_patterns(part, f"{name}.{key}")
    elif hasattr(value, "cache_info") and getattr(value, "__module__", "").startswith(imr_rationale.__name__):
        yield from find_built(value, name)


def find_built(build: Any, name: str) -> Iterator[tuple[str, Pattern]]:
    """Yield the patterns that a cached function builds, of nothing or of each of the package's records of one type."""
    signature = inspect.signature(build)
    takes = [parameter.annotation for parameter in signature.parameters.values()]
    if not takes:
        yield from find_patterns(build(), f"{name}()")
    elif len(takes) == 1 and is_dataclass(takes[0]) and "Pattern" in str(signature.return_annotation):
        for i, record in enumerate(find_records(takes[0])):
            yield from find_patterns(build(record), f"{name}({i})")


def find_records(kind: object) -> Iterator[object]:
    """Yield what the modules hold of a type, alone or in a tuple."""
    for module in load_modules():
        for value in list(vars(module).values()):
            for part in value if isinstance(value, tuple) else (value,):
                if type(part) is kind:
                    yield part


@cache
def collect_patterns() -> Mapping[str, Pattern]:
    """Give name -> pattern; a pattern that several modules hold is named after the one that defines it."""
    named: dict[tuple[str | bytes, int], list[tuple[bool, str, Pattern]]] = {}
    for module in load_modules():
        source = inspect.getsource(module)
        for key, value in list(vars(module).items()):
            own = re.search(rf"^{re.escape(key)}\b[^=\n]*=|^def {re.escape(key)}\b", source, re.MULTILINE) is not None
            for name, pattern in find_patterns(value, f"{module.__name__.removeprefix('imr_rationale.')}.{key}"):
                named.setdefault((pattern.pattern, pattern.flags), []).append((not own, name, pattern))
    return {name: pattern for found in named.values() for _, name, pattern in [min(found, key=lambda row: row[:2])]}


@dataclass(frozen=True)
class Call:
    """A place in the source that makes or uses a regular expression."""

    file: str
    line: int
    what: str


def find_calls(source: str, file: str) -> Iterator[Call]:
    """Yield every `re.…(…)`, every pandas `.str.…(…)` and every other way to a regular expression."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module in {"re", "regex"}:
            yield Call(file, node.lineno, f"from {node.module} import")
        elif isinstance(node, ast.Import) and any(
            alias.name == "regex" or (alias.name == "re" and alias.asname) for alias in node.names
        ):
            yield Call(file, node.lineno, "import regex")
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            if isinstance(owner, ast.Name) and owner.id == "re":
                yield Call(file, node.lineno, f"re.{node.func.attr}")
            elif isinstance(owner, ast.Attribute) and owner.attr == "str":
                yield Call(file, node.lineno, f".str.{node.func.attr}")


def find_source_calls() -> list[Call]:
    return [
        call
        for path in sorted(PACKAGE.rglob("*.py"))
        for call in find_calls(path.read_text(encoding="utf-8"), str(path.resolve()))
    ]


def find_token_patterns() -> Iterator[tuple[str, Pattern]]:
    """Yield the patterns that scikit-learn's vectorizers are given."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.keyword) and node.arg == "token_pattern":
                name = f"{path.stem}:{node.lineno} token_pattern"
                assert isinstance(node.value, ast.Constant), f"{name} is not written out"
                yield name, re.compile(node.value.value)


# records who compiles what while the package is imported and its builders are called
RECORDER = """
import json, re, sys, warnings
seen, compile_ = [], re.compile
def record(pattern, flags=0):
    frame, made = sys._getframe(1), compile_(pattern, flags)
    if "imr_rationale" in frame.f_code.co_filename:
        seen.append([frame.f_code.co_filename, frame.f_lineno, str(made.pattern), made.flags])
    return made
re.compile = record
sys.path.insert(0, sys.argv[1])
from test_regexes import collect_patterns
collect_patterns()
print(json.dumps(seen))
"""


def test_find_calls_finds_every_way() -> None:
    source = "from re import sub\nimport regex\nimport re as r\nre.split('a', x)\ncolumn.str.replace('a+', '')\n"
    assert [call.line for call in find_calls(source, "x.py")] == [1, 2, 3, 4, 5]


def test_no_expression_is_forgotten() -> None:
    calls = find_source_calls()
    inline = [call for call in calls if call.what not in {"re.compile", "re.escape"}]
    assert not inline, "compile it as a NAME_RE of the module"
    answer = subprocess.run(
        [sys.executable, "-c", RECORDER, str(Path(__file__).parent)], capture_output=True, text=True, check=True
    )
    seen = json.loads(answer.stdout.splitlines()[-1])
    made = {(str(Path(file).resolve()), line) for file, line, _, _ in seen}
    assert [call for call in calls if call.what == "re.compile" and (call.file, call.line) not in made] == []
    known = {(str(pattern.pattern), pattern.flags) for pattern in collect_patterns().values()}
    assert [row for row in seen if (row[2], row[3]) not in known] == []


# --- texts that fit an expression ---


def pick_chars(kind: object, value: object) -> list[str]:
    """Give characters that one element of a pattern accepts, unlike ones first."""
    if kind is op.LITERAL:
        return [chr(value)]  # type: ignore[arg-type]
    if kind is op.ANY:
        return [" ", "a"]
    if kind is op.NOT_LITERAL:
        return [char for char in ' a0.:("\n-' if ord(char) != value][:3]
    assert kind is op.IN
    parts = list(value)  # type: ignore[call-overload]
    if parts[0][0] is op.NEGATE:
        accepted = re.compile(f"[^{''.join(map(write_part, parts[1:]))}]")
        return [char for char in ' a0.:("\n-X' if accepted.match(char)][:3]
    return [char for part in parts for char in pick_part(*part)]


def write_part(part: tuple[object, object]) -> str:
    kind, value = part
    if kind is op.RANGE:
        low, high = value  # type: ignore[misc]
        return f"{re.escape(chr(low))}-{re.escape(chr(high))}"
    if kind is op.CATEGORY:
        return CATEGORIES[value][0]
    return re.escape(chr(value))  # type: ignore[arg-type]


def pick_part(kind: object, value: object) -> str:
    if kind is op.RANGE:
        return chr(value[0])  # type: ignore[index]
    return CATEGORIES[value][1] if kind is op.CATEGORY else chr(value)  # type: ignore[arg-type]


#: category -> how it is written, and characters of it
CATEGORIES = {
    op.CATEGORY_SPACE: (r"\s", " \n"),
    op.CATEGORY_NOT_SPACE: (r"\S", "a."),
    op.CATEGORY_WORD: (r"\w", "a0"),
    op.CATEGORY_NOT_WORD: (r"\W", " ."),
    op.CATEGORY_DIGIT: (r"\d", "0"),
    op.CATEGORY_NOT_DIGIT: (r"\D", " a"),
}
REPEATS = (op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT)


@dataclass
class Seeds:
    """What hostile texts are made of.

    Attributes
    ----------
    units : dict of str
        Pieces to be repeated; a dict keeps their order.
    runs : dict of (str, str)
        A beginning, and what is repeated after it.
    """

    units: dict[str, None]
    runs: dict[tuple[str, str], None]


def take_apart(pattern: Pattern) -> Seeds:
    seeds = Seeds({}, {})
    source = pattern.pattern
    tree = _parser.parse(source.decode("latin-1") if isinstance(source, bytes) else source, pattern.flags)
    for fill in (False, True):
        seeds.units[_walk(tree, "", seeds, {}, fill)] = None
    seeds.units.pop("", None)
    return seeds


def _walk(tree: object, prefix: str, seeds: Seeds, groups: dict[int, str], fill: bool) -> str:
    """Give `prefix` and a sample of `tree`, and note on the way what can be repeated; `fill` takes what may be left out."""
    for kind, value in tree:  # type: ignore[attr-defined]
        if kind in REPEATS:
            least, most, part = value
            unit = _walk(part, "", seeds, groups, fill)
            chars = pick_chars(*part[0]) if len(part) == 1 and part[0][0] in {op.IN, op.ANY, op.NOT_LITERAL} else [unit]
            if most > 1:
                seeds.units.update(dict.fromkeys([prefix, *chars]))
                seeds.runs.update(dict.fromkeys((prefix, char) for char in chars))
            one = next((char for char in chars if char == " "), unit)
            prefix += one * max(least, int(fill))
        elif kind is op.SUBPATTERN:
            number, _, _, part = value
            after = _walk(part, prefix, seeds, groups, fill)
            groups[number] = after[len(prefix) :]
            prefix = after
        elif kind is op.ATOMIC_GROUP:
            prefix = _walk(value, prefix, seeds, groups, fill)
        elif kind is op.BRANCH:
            ends = sorted((_walk(part, prefix, seeds, groups, fill) for part in value[1]), key=len)
            seeds.units.update(dict.fromkeys([*ends[:2], *ends[-2:]]))
            prefix = ends[0]
        elif kind is op.ASSERT:
            prefix = _walk(value[1], prefix, seeds, groups, fill)
        elif kind is op.ASSERT_NOT:
            seeds.units[_walk(value[1], prefix, seeds, groups, fill)] = None
        elif kind is op.GROUPREF:
            prefix += groups.get(value, "")
        elif kind is op.AT:
            continue
        else:
            prefix += pick_chars(kind, value)[0]
    return prefix


#: what letters are full of
GENERIC = (" ", "a", "1", ".", ":", "(", "\n", "- ", "a ", "a: ", ". A", "1. ", "\n ")
#: a character that nearly no pattern accepts: what was read has to be given back
KILL = "\x00"


def make_texts(pattern: Pattern) -> Iterator[Callable[[int], str]]:
    """Yield functions that give a hostile text of a number of characters."""
    seeds = take_apart(pattern)
    runs = {("", unit): None for unit in (*GENERIC, *seeds.units) if unit}
    runs |= {("", unit + joint): None for unit in seeds.units for joint in (" ", "\n")}
    for start, unit in seeds.runs:
        runs |= {(start, unit): None, ("", start + unit): None, (start, unit + "\n"): None}
    for start, unit in runs:
        yield lambda n, start=start, unit=unit: start + (unit * (n // len(unit) + 1))[:n] + KILL  # type: ignore[misc]


# --- how the time grows ---


def read_through(pattern: Pattern, text: str) -> None:
    """Search from every place, and match the whole: nothing that is done with a pattern takes longer."""
    given: Any = text.encode() if isinstance(pattern.pattern, bytes) else text
    for _ in pattern.finditer(given):
        pass
    pattern.fullmatch(given)


def measure(work: Callable[[str], object], text: str, *, repeats: int = 1) -> float:
    """Give the seconds of this thread, the least of several times."""
    took = []
    for _ in range(repeats):
        begun = time.thread_time()
        work(text)
        took.append(time.thread_time() - begun)
    return min(took)


def find_growth(work: Callable[[str], object], make: Callable[[int], str]) -> float:
    """Give how much longer a text `STEP` times as long takes, where that can be measured; else 0."""
    took: dict[int, float] = {}
    growth = 0.0
    for n in LENGTHS:
        took[n] = measure(work, make(n))
        if took[n] >= ENOUGH or (n >= TELLING and took[n] >= MEASURABLE):
            growth = took[n] / took[n // STEP] if n >= TELLING else LIMIT
            if growth > LIMIT / 2:
                growth = compare(work, make(n), make(n // STEP))
            if took[n] >= ENOUGH or growth <= LIMIT / 2:
                return growth
    return growth


def compare(work: Callable[[str], object], text: str, part: str) -> float:
    """Give how much longer a text takes than a part of it; measured again before that is too much.

    The machine has other things to do: the least of several measurements is the nearest to the truth.
    """
    growth = float("inf")
    for repeats in (1, 3, 3):
        growth = min(growth, measure(work, text, repeats=repeats) / measure(work, part, repeats=5))
        if growth <= LIMIT:
            break
    return growth


@pytest.fixture(autouse=True)
def without_gc() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize(
    "pattern",
    [pytest.param(pattern, id=name) for name, pattern in [*sorted(collect_patterns().items()), *find_token_patterns()]],
)
def test_expression_is_linear(pattern: Pattern) -> None:
    for make in make_texts(pattern):
        growth = find_growth(lambda text: read_through(pattern, text), make)
        assert growth <= LIMIT, f"{STEP} times {make(60)!r} takes {growth:.0f} times as long"


def test_texts_fit_the_expressions() -> None:
    def fits(pattern: Pattern) -> bool:
        around = [
            f"{before}{unit}{after}"
            for unit in take_apart(pattern).units
            for before in ("", " ")
            for after in ("", " ")
        ]
        given: list[Any] = [text.encode() for text in around] if isinstance(pattern.pattern, bytes) else around
        return any(pattern.search(text) for text in given)

    # "(?!)" is how a table says that there is nothing to find
    patterns = {name: pattern for name, pattern in collect_patterns().items() if pattern.pattern != "(?!)"}
    assert [name for name, pattern in patterns.items() if not fits(pattern)] == []


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(r"\s+$", id="white space before the end"),
        pytest.param(r"a.*b", id="from each a to the end"),
        pytest.param(r"(\w+)\s*=", id="from each letter of a word"),
        pytest.param(r".*the end$", id="from each character of a line"),
        pytest.param(r"\bno\b[^.]*\bshown\b", id="from each trigger"),
        pytest.param(r"\d+,?\d*%", id="number cut in two"),
        pytest.param(r"x(?:\s*\n)*\s*y", id="white space cut in two"),
        pytest.param(r"(a+)+b", id="exponential"),
        pytest.param(r"(?:a|b|ab)*c", id="exponential by alternatives"),
    ],
)
def test_slow_expression_is_caught(text: str) -> None:
    pattern = re.compile(text)
    assert any(find_growth(lambda text: read_through(pattern, text), make) > LIMIT for make in make_texts(pattern))


@pytest.mark.parametrize(
    "text", [r"\bword\b", r"[.!?]\s+(?=[A-Z])", r"(?<!\s)\s+$", r"^.*the end$", r"\S{200}", r"a[^b]{0,600}c"]
)
def test_linear_expression_is_not_caught(text: str) -> None:
    pattern = re.compile(text)
    for make in make_texts(pattern):
        assert find_growth(lambda text: read_through(pattern, text), make) <= LIMIT


# --- whole rationales ---


@pytest.mark.parametrize(
    "unit",
    [
        "a ", "a", "a:", "1.", "(", "\n", '"', "not ", "failed ", ". ", "A. ", "\n- a", "\n\n", "no evidence of ", "red flags ", "because ",
        "not medically necessary. ", "In this case, it is not supported. ",
    ],
)  # fmt: skip
def test_reading_grows_with_the_text(unit: str) -> None:
    model = load_model()

    def work(text: str) -> None:
        model.predict([ItemText(text)])

    n = 1_500
    assert compare(work, (unit * n * STEP)[: n * STEP], (unit * n)[:n]) <= LIMIT
