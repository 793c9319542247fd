"""What fuzzing found once, and the seeds that it starts from, run for ever."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from fuzzing import targets
from fuzzing.targets import FINDINGS, TARGETS, write_seeds
from imr_rationale.letters import sources

#: parts of our code that the seeds reach at least; far fewer where our packages were imported before they could be
#: watched
MIN_COVERAGE = 150

CASES = [(path.parent.name, path) for path in sorted(FINDINGS.glob("*/*"))]


@pytest.mark.parametrize(("target", "path"), CASES, ids=[f"{target}-{path.name}" for target, path in CASES])
def test_what_fuzzing_found_stays_mended(target: str, path: Path) -> None:
    TARGETS[target](path.read_bytes())


@pytest.mark.parametrize("target", TARGETS)
def test_fuzzing_starts_from_good_seeds(target: str, tmp_path: Path) -> None:
    write_seeds(target, tmp_path)
    seeds = list(tmp_path.glob("seed-*"))
    assert len(seeds) > 5
    for seed in seeds:
        TARGETS[target](seed.read_bytes())


@pytest.mark.parametrize("target", TARGETS)
def test_fuzzing_is_guided_by_our_code(target: str, tmp_path: Path) -> None:
    pytest.importorskip("atheris")
    command = [sys.executable, str(targets.__file__), target, "-runs=1"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    found = re.search(r"INITED cov: (\d+) .* corp: (\d+)/", result.stderr)
    assert found, result.stderr
    assert int(found[1]) > MIN_COVERAGE
    assert int(found[2]) > 5, "seeds that were kept"


def test_a_file_that_yields_nothing_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "open_documents", lambda *args, **options: [])
    with pytest.raises(AssertionError):
        TARGETS["sources"](b"\x04Findings")
