"""The supervisor and the reaper with small real programs: readiness, crashes, and stopping in order."""

import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from deploy.local.errors import LocalError
from deploy.local.ports import free_port
from deploy.local.processes import KAFKA_RANK, SERVICE_RANK, ChildProcess
from deploy.local.reaper import Reaper
from deploy.local.supervisor import Supervisor, check_readiness
from tests.integration.local.programs import STUBBORN, script, server
from tests.support.wait import eventually_now


@pytest.fixture
def reaper() -> Iterator[Reaper]:
    """Return a reaper of the test's own, which the test may close."""
    with Reaper() as reaper:
        yield reaper


@pytest.fixture
def supervisor(reaper: Reaper) -> Supervisor:
    """Return a supervisor without processes."""
    return Supervisor(reaper)


def start(supervisor: Supervisor, name: str, folder: Path, *, rank: int = SERVICE_RANK) -> tuple[ChildProcess, int]:
    port = free_port()
    (folder / f"{name}.ready").touch()
    process = supervisor.start(server(name, port, folder, rank=rank))
    supervisor.wait_until_ready({name: port})
    return process, port


def test_it_waits_until_a_process_is_ready(supervisor: Supervisor, tmp_path: Path) -> None:
    port = free_port()
    supervisor.start(server("process", port, tmp_path))
    eventually_now(lambda: check_readiness(port) == (503, "waiting for the file"))
    (tmp_path / "process.ready").touch()
    supervisor.wait_until_ready({"process": port})


def test_a_process_that_does_not_become_ready_is_named_with_its_answer(supervisor: Supervisor, tmp_path: Path) -> None:
    port = free_port()
    supervisor.start(server("process", port, tmp_path))
    eventually_now(lambda: check_readiness(port)[0] == 503)
    with pytest.raises(LocalError, match=r"process was not ready after 0 s \(waiting for the file\)"):
        supervisor.wait_until_ready({"process": port}, limit=0.2)


def test_a_crash_is_reported_with_the_process_and_its_last_lines(supervisor: Supervisor, tmp_path: Path) -> None:
    start(supervisor, "calm", tmp_path)
    _, port = start(supervisor, "wild", tmp_path)
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(f"http://127.0.0.1:{port}/crash")
    text = eventually_now(lambda: crash_of(supervisor))
    assert text.startswith("wild has ended (exit code 3)\nlast lines of ")
    assert text.splitlines()[2:] == [f"  wild line {number}" for number in range(80, 100)]


def crash_of(supervisor: Supervisor) -> str:
    try:
        supervisor.check()
    except LocalError as error:
        return str(error)
    return ""


def test_services_are_stopped_before_the_servers_they_use(
    supervisor: Supervisor, reaper: Reaper, tmp_path: Path
) -> None:
    start(supervisor, "server", tmp_path, rank=KAFKA_RANK)
    start(supervisor, "service", tmp_path)
    reaper.close()
    assert (tmp_path / "stopped").read_text().split() == ["service", "server"]


def test_a_process_that_does_not_stop_is_killed_after_its_grace(reaper: Reaper, tmp_path: Path) -> None:
    process = ChildProcess(script("stubborn", STUBBORN, tmp_path, grace=0.3), reaper)
    eventually_now(lambda: "up" in process.spec.log.read_text())
    assert process.stop() == -signal.SIGKILL


def test_a_failed_command_is_reported_with_its_log_and_others_are_stopped(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    failing = script("migrate", "import sys; print('no such table'); sys.exit(4)", tmp_path)
    waiting = script("sample", "import time; time.sleep(3600)", tmp_path)
    with pytest.raises(LocalError, match=r"(?s)migrate failed \(exit code 4\).*no such table"):
        supervisor.run(failing, waiting)


def test_a_command_that_takes_too_long_is_reported(supervisor: Supervisor, tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="sample took longer than 0 s"):
        supervisor.run(script("sample", "import time; time.sleep(3600)", tmp_path), limit=0.2)


def test_a_missing_program_is_reported(reaper: Reaper, tmp_path: Path) -> None:
    absent = script("absent", "", tmp_path)
    with pytest.raises(LocalError, match="absent cannot be started"):
        ChildProcess(replace(absent, argv=[str(tmp_path / "none")]), reaper)
