"""How the command describes runs."""

from typing import Any

import pytest

from sluice.runs_commands import describe_state, format_minute

ESTIMATE = {"seconds": 100.0, "low": 80.0, "high": 7200.0, "estimated_at": "2026-11-24T10:00:00Z"}


@pytest.mark.parametrize(
    ("run", "description"),
    [
        ({"state": "succeeded", "progress": 1.0, "estimate": None}, "succeeded"),
        ({"state": "running", "progress": None, "estimate": None}, "running"),
        ({"state": "running", "progress": 0.254, "estimate": None}, "25 %"),
        ({"state": "running", "progress": 0.5, "estimate": ESTIMATE}, "50 %, about 2 min left (80 s to 2.0 h)"),
    ],
)
def test_H4_a_running_run_is_described_by_progress_and_time_remaining(run: dict[str, Any], description: str) -> None:
    assert describe_state(run) == description


def test_instants_are_shown_to_the_minute() -> None:
    assert format_minute("2026-11-24T10:00:59Z") == "2026-11-24 10:00"
    assert format_minute(None) == ""
