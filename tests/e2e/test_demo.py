"""`make demo` as a new user runs it: a whole system, from a new job to compared records."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def demo() -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "deploy.local", "demo", "--interactions", "5000"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=540, check=False)


def test_E3_P2_H3_one_export_goes_from_REST_to_records_that_equal_the_source(
    demo: subprocess.CompletedProcess[str],
) -> None:
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert "The files contain every record of the source, unchanged." in demo.stdout
    assert "with sluice decrypt and with openssl" in demo.stdout
    rows = re.search(r"rows +([\d,]+)", demo.stdout)
    assert rows is not None
    assert int(rows[1].replace(",", "")) > 4000


def test_it_keeps_the_files_that_its_summary_names(demo: subprocess.CompletedProcess[str]) -> None:
    output = ROOT / "demo-output"
    assert len(list((output / "downloads").glob("Interaction*.zip.p7m"))) == 2
    assert len(list((output / "records").glob("Interaction*.jsonl"))) == 2
    assert oct((output / "officer.key.pem").stat().st_mode)[-3:] == "600"


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="finds processes through /proc")
def test_it_leaves_nothing_running_and_no_folder_behind(demo: subprocess.CompletedProcess[str]) -> None:
    assert demo.returncode == 0
    left = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            argv = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            environment = (process / "environ").read_bytes().decode(errors="replace")
        except OSError:
            continue  # it has ended meanwhile, or belongs to another user
        if int(process.name) != os.getpid() and "sluice-demo-" in argv + environment:
            left.append(argv)
    assert left == []
    for parent in (Path("/var/tmp/sluice-0"), Path("/tmp")):
        assert list(parent.glob("sluice-demo-*")) == []
