"""The `sluice` command against the whole running system: from a declared job to decrypted records."""

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
    """A user's shell: address and API key in the environment, a folder to work in."""

    stack: Stack
    folder: Path
    key: Path

    def run(self, *arguments: str, status: int = 0) -> Result:
        environment = {"SLUICE_URL": self.stack.api_url, "SLUICE_TOKEN": self.stack.api_key}
        result = CliRunner().invoke(app, list(arguments), env=environment)
        assert result.exit_code == status, (arguments, result.output, result.exception)
        return result

    def jobs(self) -> dict[str, dict[str, object]]:
        return {job["title"]: job for job in json.loads(self.run("jobs", "list", "--json").stdout)}


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    folder = tmp_path_factory.mktemp("shell")
    officer = make_officer("client")
    key, certificate = officer.write_to(folder / "officer")
    with Reaper() as reaper:
        state = State(temporary_folder(reaper, "sluice-client-"))
        with run_stack(state, interactions=4000, port=free_port(), report=lambda text: None) as stack:
            shell = Shell(stack, folder, key)
            added = shell.run("certificates", "add", str(certificate)).stdout.strip()
            known = httpx.get(
                f"{stack.api_url}/api/v1/certificates/{added}", headers={"Authorization": f"Bearer {stack.api_key}"}
            )
            assert known.json()["name"] == "certificate"
            yield shell


@pytest.fixture(scope="module")
def run_id(shell: Shell) -> str:
    """Return a succeeded run of a split job."""
    declared = shell.folder / "jobs.toml"
    declared.write_text(JOB)
    shell.run("apply", str(declared))
    started = shell.run("jobs", "run", str(shell.jobs()["Nightly, declared"]["id"])).stdout.strip()
    assert "succeeded" in shell.run("watch", started).stdout
    return started


def lines(folder: Path) -> list[bytes]:
    return sorted(line for path in folder.glob("*.jsonl") for line in path.read_bytes().splitlines())


def test_apply_creates_and_changes_jobs_and_then_changes_nothing(shell: Shell) -> None:
    declared = shell.folder / "applied.toml"
    declared.write_text(JOB.replace(", declared", ", applied"))
    assert "Nightly, applied: created (dry run)" in shell.run("apply", str(declared), "--dry-run").stdout
    assert "Nightly, applied" not in shell.jobs()
    assert shell.run("apply", str(declared)).stdout.count(": created") == 2
    assert shell.run("apply", str(declared)).stdout.count(": unchanged") == 2
    declared.write_text(declared.read_text().replace("split_size = 1048576", 'split_size = 2097152\ncatch_up = "all"'))
    assert "Nightly, applied: changed (catch_up, split_size)" in shell.run("apply", str(declared)).stdout
    job = shell.jobs()["Nightly, applied"]
    assert (job["split_size"], job["catch_up"], job["schedule_words"]) == (2097152, "all", "every day at 01:00 UTC")


def test_apply_reports_an_invalid_job_and_applies_the_others(shell: Shell) -> None:
    declared = shell.folder / "wrong.json"
    good = {"title": "Good", "source": "contact_history", "type": "contact", "schedule": {"kind": "daily"}}
    good["schedule"] = {"kind": "daily", "start": "2036-01-01T00:00:00Z"}
    declared.write_text(json.dumps({"jobs": [good | {"title": "Bad", "attempts": 0, "colour": "red"}, good]}))
    result = shell.run("apply", str(declared), status=1)
    assert "Bad: Invalid: colour" in result.stderr
    assert "colour" in result.stderr
    assert "Good: created" in result.stdout


def test_a_job_is_suspended_resumed_and_deleted(shell: Shell, run_id: str) -> None:
    job = str(shell.jobs()["Contacts, declared"]["id"])
    assert "is suspended" in shell.run("jobs", "suspend", job).stdout
    assert "is active" in shell.run("jobs", "resume", job).stdout
    shell.run("jobs", "delete", job)
    assert "Contacts, declared" not in shell.jobs()
    assert "There is no job" in shell.run("jobs", "show", job, status=1).stderr


def test_jobs_are_listed_with_their_latest_run(shell: Shell, run_id: str) -> None:
    (line,) = [each for each in shell.run("jobs", "list").stdout.splitlines() if "Nightly, declared" in each]
    assert line.split()[0] == shell.jobs()["Nightly, declared"]["id"]
    assert "succeeded" in line


def test_runs_are_listed_and_shown(shell: Shell, run_id: str) -> None:
    listed = shell.run("runs", "list").stdout
    assert run_id in listed
    assert "succeeded" in listed
    assert json.loads(shell.run("runs", "show", run_id).stdout)["id"] == run_id


def test_A4_pull_downloads_verifies_decrypts_and_unpacks(shell: Shell, run_id: str) -> None:
    output = shell.folder / "pulled"
    result = shell.run("pull", run_id, "--key", str(shell.key), "--output", str(output), "--parallel", "3")
    run = json.loads(shell.run("runs", "show", run_id).stdout)
    assert run["files"] > 2
    assert len(result.stdout.split()) == run["files"] == len(list(output.iterdir()))
    assert len(lines(output)) == run["rows"]
    again = shell.run("pull", run_id, "--key", str(shell.key), "--output", str(output))
    assert sorted(again.stdout.split()) == sorted(result.stdout.split())
    first = Path(result.stdout.split()[0])
    content = first.read_bytes()
    first.write_bytes(content[:-1])
    assert "--force" in shell.run("pull", run_id, "--key", str(shell.key), "--output", str(output), status=1).stderr
    first.unlink()
    shell.run("pull", run_id, "--key", str(shell.key), "--output", str(output))
    assert first.read_bytes() == content
    assert len(list(output.iterdir())) == run["files"]


def test_A4_pull_resumes_an_interrupted_download(shell: Shell, run_id: str) -> None:
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


def test_A4_pull_rejects_a_file_that_differs_from_the_manifest(shell: Shell, run_id: str) -> None:
    output = shell.folder / "damaged"
    first = Path(shell.run("pull", run_id, "--output", str(output)).stdout.split()[0])
    content = first.read_bytes()
    first.unlink()
    # An earlier attempt left a damaged beginning; the rest is correct.
    (output / f".{first.name}.partial").write_bytes(bytes(100) + content[100:200])
    assert "another SHA-256" in shell.run("pull", run_id, "--output", str(output), status=1).stderr
    assert not first.exists()
    shell.run("pull", run_id, "--output", str(output))
    assert first.read_bytes() == content


def test_A4_pull_of_an_unknown_run_says_so(shell: Shell) -> None:
    unknown = "00000000-0000-4000-8000-000000000000"
    assert "There is no run" in shell.run("pull", unknown, status=1).stderr


def test_a_wrong_key_and_a_missing_key_are_reported_in_a_line(shell: Shell) -> None:
    wrong = shell.folder / "wrong-key"
    wrong.write_text("nonsense\n")
    runner = CliRunner()
    url = shell.stack.api_url
    rejected = runner.invoke(app, ["runs", "list", "--url", url, "--token-file", str(wrong)])
    keyless = runner.invoke(app, ["runs", "list", "--url", url])
    assert (rejected.exit_code, keyless.exit_code) == (1, 1)
    assert rejected.stderr.count("\n") == 1
    assert "This API key is wrong" in rejected.stderr
    assert "SLUICE_TOKEN" in keyless.stderr
