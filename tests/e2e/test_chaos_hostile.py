"""The short form of `make chaos-hostile`; the schema tests of both services send more of what their documents allow."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

GAVE_WAY = ("server_errors", "undocumented", "foreign_seen", "slow", "stopped")


@pytest.mark.timeout(900)
def test_hostile_requests_find_nothing_and_stop_nobody() -> None:
    argv = [sys.executable, "-m", "tests.chaos.hostile", "--connections", "300", "--streams", "60"]
    argv += ["--kib", "64", "--examples", "0"]
    done = subprocess.run(argv, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr[-3000:]
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["requests"] > 0
    assert {name: report[name] for name in GAVE_WAY} == dict.fromkeys(GAVE_WAY, 0), done.stderr[-3000:]
