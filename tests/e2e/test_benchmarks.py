"""Each benchmark's smallest form: it runs from its make target, and ends with its figures."""

import json
import math
import re
import subprocess
from pathlib import Path

import pytest

from tests.bench.catalogue import BENCHMARKS

ROOT = Path(__file__).parents[2]
TARGETS = re.findall(r"(?m)^bench-([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"))


def test_each_target_has_its_entry_in_the_catalogue() -> None:
    assert sorted(TARGETS) == sorted(BENCHMARKS)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", TARGETS)
def test_the_smallest_form_ends_with_its_figures(name: str) -> None:
    # Called by `make test`, make would end with a line about directories.
    argv = ["make", "--no-print-directory", f"bench-{name}", "ARGUMENTS=--smallest"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert list(found) == list(BENCHMARKS[name].figures)
    assert all(math.isfinite(value) for value in found.values()), found
