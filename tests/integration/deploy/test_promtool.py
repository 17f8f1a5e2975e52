"""Prometheus' promtool reads the rules, and tests that each alert fires when it should."""

import shutil
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[3] / "deploy/prometheus"
PROMTOOL = shutil.which("promtool")
pytestmark = pytest.mark.skipif(
    PROMTOOL is None, reason="promtool is not installed (Debian: apt-get install prometheus)"
)


def promtool(*argv: str) -> str:
    assert PROMTOOL is not None
    done = subprocess.run([PROMTOOL, *argv], cwd=FOLDER, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_settings_and_rules_are_valid() -> None:
    assert "SUCCESS" in promtool("check", "config", "prometheus.yml")
    assert "SUCCESS" in promtool("check", "rules", "--lint=all", "--lint-fatal", *map(str, FOLDER.glob("rules/*.yml")))


@pytest.mark.parametrize("file", sorted(FOLDER.glob("tests/*.yml")), ids=lambda file: file.stem)
def test_alerts_fire_exactly_when_they_should(file: Path) -> None:
    assert "SUCCESS" in promtool("test", "rules", str(file))


def test_a_wrong_expectation_is_detected(tmp_path: Path) -> None:
    text = (FOLDER / "tests/events.yml").read_text(encoding="utf-8").replace("../rules", str(FOLDER / "rules"))
    wrong = tmp_path / "wrong.yml"
    wrong.write_text(text.replace("service: scheduler}", "service: exporter}"), encoding="utf-8")
    assert PROMTOOL is not None
    assert subprocess.run([PROMTOOL, "test", "rules", str(wrong)], capture_output=True, check=False).returncode != 0
