"""The short form of `make chaos-system`: every promise is checked after half a minute of faults."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BROKEN_PROMISES = (
    "lost",
    "doubled",
    "wrong_files",
    "stuck_over_60s",
    "unexplained_dead_letters",
    "orphans",
    "others",
    "self_exits",
)


@pytest.mark.timeout(900)
def test_every_promise_holds_after_half_a_minute_of_faults(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "tests.chaos.system", "--seed", "1", "--minutes", "0.5", "--logs", str(tmp_path)]
    done = subprocess.run(argv, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr[-3000:]
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["faults"] > 0
    assert report["runs"] > 0
    assert {name: report[name] for name in BROKEN_PROMISES} == dict.fromkeys(BROKEN_PROMISES, 0), done.stderr[-3000:]
