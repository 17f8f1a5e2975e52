"""The `sluice` command against the whole running system: from a declared job to records on a disk."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner, Result

from deploy.local.ports import free_port
from deploy.local.reaper import Reaper
from deploy.local.stack import Stack, run_stack, temporary_folder
from deploy.local.state import State
from sluice.main import app
from tests.unit.stream.officers import make_officer

JOB = """\
[[jobs]]
title = "Nightly, declared"
source = "contact_history"
type = "interaction"
split_size = 1048576
schedule = { kind = "daily", start = 2036-01-01T02:00:00+01:00 }

[[jobs]]
title = "Contacts, declared"
source = "contact_history"
type = "contact"
schedule = { kind = "weekly", every = 2, start = "2036-01-04T06:00:00Z" }
"""


@dataclass
class Shell:
    """Somebody's terminal: an address and a key in the environment, a folder to work in."""

    stack: Stack
    folder: Path
    key: Path

    def run(self, *words: str, status: int = 0) -> Result:
        environment = {"SLUICE_URL": self.stack.api_url, "SLUICE_TOKEN": self.stack.api_key}
        result = CliRunner().invoke(app, list(words), env=environment)
        assert result.exit_code == status, (words, result.output, result.exception)
        return result

    def jobs(self) -> dict[str, dict[str, object]]:
        return {job["title"]: job for job in json.loads(self.run("jobs", "list", "--json").stdout)}


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    folder = tmp_path_factory.mktemp("shell")
    officer = make_officer("client")
    key, _ = officer.write_to(folder / "officer")
    with Reaper() as reaper:
        state = State(temporary_folder(reaper, "sluice-client-"))
        with run_stack(state, interactions=4000, port=free_port(), report=lambda text: None) as stack:
            answer = httpx.post(
                f"{stack.api_url}/api/v1/certificates",
                json={"name": "officer", "pem": officer.pem.decode()},
                headers={"Authorization": f"Bearer {stack.api_key}", "Idempotency-Key": "officer"},
            )
            assert answer.status_code == 201, answer.text
            yield Shell(stack, folder, key)


@pytest.fixture(scope="module")
def run_id(shell: Shell) -> str:
    """Return a run of a split job that has succeeded."""
    declared = shell.folder / "jobs.toml"
    declared.write_text(JOB)
    shell.run("apply", str(declared))
    started = shell.run("jobs", "run", str(shell.jobs()["Nightly, declared"]["id"])).stdout.strip()
    assert "succeeded" in shell.run("watch", started).stdout
    return started


def lines(folder: Path) -> list[bytes]:
    return sorted(line for path in folder.glob("*.jsonl") for line in path.read_bytes().splitlines())


def test_apply_makes_changes_and_then_leaves_alone(shell: Shell) -> None:
    declared = shell.folder / "applied.toml"
    declared.write_text(JOB.replace(", declared", ", applied"))
    assert "Nightly, applied: made (dry run)" in shell.run("apply", str(declared), "--dry-run").stdout
    assert "Nightly, applied" not in shell.jobs()
    assert shell.run("apply", str(declared)).stdout.count(": made") == 2
    assert shell.run("apply", str(declared)).stdout.count(": unchanged") == 2
    declared.write_text(declared.read_text().replace("split_size = 1048576", 'split_size = 2097152\ncatch_up = "all"'))
    assert "Nightly, applied: changed (catch_up, split_size)" in shell.run("apply", str(declared)).stdout
    job = shell.jobs()["Nightly, applied"]
    assert (job["split_size"], job["catch_up"], job["schedule_words"]) == (2097152, "all", "every day at 01:00 UTC")


def test_apply_says_which_job_is_wrong_and_does_the_others(shell: Shell) -> None:
    declared = shell.folder / "wrong.json"
    good = {"title": "Good", "source": "contact_history", "type": "contact", "schedule": {"kind": "daily"}}
    good["schedule"] = {"kind": "daily", "start": "2036-01-01T00:00:00Z"}
    declared.write_text(json.dumps({"jobs": [good | {"title": "Bad", "attempts": 0, "colour": "red"}, good]}))
    result = shell.run("apply", str(declared), status=1)
    assert "Bad: Not accepted" in result.stderr
    assert "colour" in result.stderr
    assert "Good: made" in result.stdout


def test_a_job_is_suspended_resumed_and_deleted(shell: Shell, run_id: str) -> None:
    job = str(shell.jobs()["Contacts, declared"]["id"])
    assert "is suspended" in shell.run("jobs", "suspend", job).stdout
    assert "is active" in shell.run("jobs", "resume", job).stdout
    shell.run("jobs", "delete", job)
    assert "Contacts, declared" not in shell.jobs()
    assert "There is no job" in shell.run("jobs", "show", job, status=1).stderr


def test_runs_are_listed_and_shown(shell: Shell, run_id: str) -> None:
    listed = shell.run("runs", "list").stdout
    assert run_id in listed
    assert "succeeded" in listed
    assert json.loads(shell.run("runs", "show", run_id).stdout)["id"] == run_id


def test_A4_pull_fetches_checks_decrypts_and_unpacks(shell: Shell, run_id: str) -> None:
    output = shell.folder / "pulled"
    result = shell.run("pull", run_id, "--key", str(shell.key), "--output", str(output), "--parallel", "3")
    run = json.loads(shell.run("runs", "show", run_id).stdout)
    assert run["files"] > 2
    assert len(result.stdout.split()) == run["files"] == len(list(output.iterdir()))
    assert len(lines(output)) == run["rows"]


def test_A4_pull_goes_on_where_it_was_cut_off(shell: Shell, run_id: str) -> None:
    output = shell.folder / "resumed"
    whole = {
        Path(path).name: Path(path).read_bytes()
        for path in shell.run("pull", run_id, "--output", str(output)).stdout.split()
    }
    name, content = max(whole.items(), key=lambda each: len(each[1]))
    (output / name).unlink()
    (output / f".{name}.partial").write_bytes(content[: len(content) // 2])
    shell.run("pull", run_id, "--output", str(output))
    assert {path.name: path.read_bytes() for path in output.iterdir()} == whole


def test_A4_pull_refuses_what_is_not_what_the_manifest_says(shell: Shell, run_id: str) -> None:
    output = shell.folder / "damaged"
    first = Path(shell.run("pull", run_id, "--output", str(output)).stdout.split()[0])
    content = first.read_bytes()
    first.unlink()
    # The beginning of it came damaged in an earlier try; the rest is right.
    (output / f".{first.name}.partial").write_bytes(bytes(100) + content[100:200])
    assert "another SHA-256" in shell.run("pull", run_id, "--output", str(output), status=1).stderr
    assert not first.exists()
    shell.run("pull", run_id, "--output", str(output))
    assert first.read_bytes() == content


def test_A4_pull_of_a_run_without_files_says_why(shell: Shell) -> None:
    unknown = "00000000-0000-4000-8000-000000000000"
    assert "There is no run" in shell.run("pull", unknown, status=1).stderr


def test_a_wrong_key_a_wrong_address_and_none_are_said_in_a_line(shell: Shell) -> None:
    wrong = shell.folder / "wrong-key"
    wrong.write_text("nonsense\n")
    runner = CliRunner()
    url = shell.stack.api_url
    refused = runner.invoke(app, ["runs", "list", "--url", url, "--token-file", str(wrong)])
    keyless = runner.invoke(app, ["runs", "list", "--url", url])
    assert (refused.exit_code, keyless.exit_code) == (1, 1)
    assert refused.stderr.count("\n") == 1
    assert "does not take this API key" in refused.stderr
    assert "SLUICE_TOKEN" in keyless.stderr
