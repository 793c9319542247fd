"""What fuzzing found once, and the seeds that it starts from, run for ever."""

from pathlib import Path

import pytest

from fuzzing.targets import FINDINGS, TARGETS, write_seeds

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
