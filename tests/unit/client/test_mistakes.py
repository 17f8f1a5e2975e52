"""What a newcomer types wrong is answered in a line that says what to do."""

import pytest
from typer.testing import CliRunner

from sluice.main import app

RUN = "0192f0c1-7b1e-7000-8000-000000000000"


@pytest.mark.parametrize("url", ["127.0.0.1:8080", "sluice.example", "ftp://sluice.example", "https://"])
def test_what_is_no_address_is_said_to_be_none(url: str) -> None:
    said = CliRunner().invoke(app, ["runs", "list", "--url", url], env={"SLUICE_TOKEN": "slc_x"})
    assert (said.exit_code, said.stderr) == (1, f"sluice: {url} is no address; give one like https://sluice.example.\n")


@pytest.mark.parametrize("words", [("jobs", "show"), ("jobs", "run"), ("runs", "show"), ("watch",), ("pull",)])
def test_what_is_no_id_is_refused_before_anything_is_asked(words: tuple[str, ...]) -> None:
    said = CliRunner().invoke(app, [*words, "nightly", "--url", "http://127.0.0.1:1"], env={"SLUICE_TOKEN": "slc_x"})
    assert said.exit_code == 2
    assert f"Invalid value for '{'JOB' if words[0] == 'jobs' else 'RUN'}'" in said.stderr
    assert "UUID" in said.stderr


def test_a_key_is_asked_for_by_the_names_under_which_it_is_taken() -> None:
    said = CliRunner().invoke(app, ["pull", RUN, "--url", "http://127.0.0.1:1"], env={"SLUICE_TOKEN": ""})
    assert said.exit_code == 1
    assert "--token-file" in said.stderr
    assert "SLUICE_TOKEN" in said.stderr
