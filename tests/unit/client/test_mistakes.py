"""Mistakes on the command line are reported in a line that says what to do."""

import pytest
from typer.testing import CliRunner

from sluice.main import app

RUN = "0192f0c1-7b1e-7000-8000-000000000000"


@pytest.mark.parametrize("url", ["127.0.0.1:8080", "sluice.example", "ftp://sluice.example", "https://"])
def test_an_invalid_address_is_reported(url: str) -> None:
    result = CliRunner().invoke(app, ["runs", "list", "--url", url], env={"SLUICE_TOKEN": "slc_x"})
    assert (result.exit_code, result.stderr) == (
        1,
        f"sluice: {url} is not a valid address; use one like https://sluice.example.\n",
    )


@pytest.mark.parametrize("arguments", [("jobs", "show"), ("jobs", "run"), ("runs", "show"), ("watch",), ("pull",)])
def test_an_invalid_id_is_rejected_before_any_request(arguments: tuple[str, ...]) -> None:
    result = CliRunner().invoke(
        app, [*arguments, "nightly", "--url", "http://127.0.0.1:1"], env={"SLUICE_TOKEN": "slc_x"}
    )
    assert result.exit_code == 2
    assert f"Invalid value for '{'JOB' if arguments[0] == 'jobs' else 'RUN'}'" in result.stderr
    assert "UUID" in result.stderr


def test_a_missing_key_is_reported_with_the_ways_to_pass_one() -> None:
    result = CliRunner().invoke(app, ["pull", RUN, "--url", "http://127.0.0.1:1"], env={"SLUICE_TOKEN": ""})
    assert result.exit_code == 1
    assert "--token-file" in result.stderr
    assert "SLUICE_TOKEN" in result.stderr
