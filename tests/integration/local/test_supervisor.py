"""The supervisor with small real programs: readiness, crashes, and stopping in order."""

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from deploy.local.errors import LocalError
from deploy.local.ownership import stop_orphans
from deploy.local.ports import free_port
from deploy.local.processes import KAFKA_RANK, SERVICE_RANK, ChildProcess, Reaper
from deploy.local.reaper import start_time
from deploy.local.signals import termination_as_interrupt
from deploy.local.supervisor import Supervisor, readiness
from tests.integration.local.conftest import StartOwner
from tests.integration.local.programs import STUBBORN, script, server
from tests.support.wait import eventually_now


@pytest.fixture
def supervisor(reaper: Reaper) -> Iterator[Supervisor]:
    supervisor = Supervisor(reaper)
    yield supervisor
    supervisor.stop()


def started(supervisor: Supervisor, name: str, folder: Path, *, rank: int = SERVICE_RANK) -> tuple[ChildProcess, int]:
    port = free_port()
    (folder / f"{name}.ready").touch()
    part = supervisor.start(server(name, port, folder, rank=rank))
    supervisor.wait_ready({name: port})
    return part, port


def test_it_waits_until_a_part_is_ready(supervisor: Supervisor, tmp_path: Path) -> None:
    port = free_port()
    supervisor.start(server("part", port, tmp_path))
    eventually_now(lambda: readiness(port) == (503, "waiting for the file"))
    (tmp_path / "part.ready").touch()
    supervisor.wait_ready({"part": port})


def test_a_part_that_does_not_get_ready_is_named_with_what_it_says(supervisor: Supervisor, tmp_path: Path) -> None:
    port = free_port()
    supervisor.start(server("part", port, tmp_path))
    eventually_now(lambda: readiness(port)[0] == 503)
    with pytest.raises(LocalError, match=r"part was not ready after 0 s \(waiting for the file\)"):
        supervisor.wait_ready({"part": port}, limit=0.2)


def test_a_crash_is_told_with_the_part_and_its_last_lines(supervisor: Supervisor, tmp_path: Path) -> None:
    started(supervisor, "calm", tmp_path)
    _, port = started(supervisor, "wild", tmp_path)
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


def test_a_crash_interrupts_whatever_the_main_thread_does(supervisor: Supervisor, tmp_path: Path) -> None:
    part, _ = started(supervisor, "part", tmp_path)

    async def wait_for_ever() -> None:
        part.kill()
        await asyncio.Event().wait()

    with (
        pytest.raises(LocalError, match=r"part has ended \(killed by SIGKILL\)"),
        termination_as_interrupt(),
        supervisor.watching(),
    ):
        asyncio.Runner().run(wait_for_ever())


def test_services_are_stopped_before_the_servers_they_use(supervisor: Supervisor, tmp_path: Path) -> None:
    started(supervisor, "server", tmp_path, rank=KAFKA_RANK)
    started(supervisor, "service", tmp_path)
    supervisor.stop()
    assert (tmp_path / "stopped").read_text().split() == ["service", "server"]


def test_a_part_left_by_a_killed_owner_is_stopped_by_the_next_stack(start_owner: StartOwner, tmp_path: Path) -> None:
    owner = start_owner("supervised", tmp_path)
    with pytest.raises(LocalError, match=r"part runs over .* already, started by process"):
        stop_orphans(tmp_path / "notes")
    os.kill(owner.reaper, signal.SIGKILL)
    owner.process.kill()
    owner.process.wait()
    assert start_time(owner.server) is not None
    stop_orphans(tmp_path / "notes")
    assert start_time(owner.server) is None


def test_a_part_that_does_not_stop_is_killed_after_its_grace(reaper: Reaper, tmp_path: Path) -> None:
    part = ChildProcess(script("stubborn", STUBBORN, tmp_path, grace=0.3), reaper)
    eventually_now(lambda: "up" in part.command.log.read_text())
    assert part.stop() == -signal.SIGKILL


def test_a_failed_step_is_told_with_its_log_and_the_others_are_stopped(supervisor: Supervisor, tmp_path: Path) -> None:
    failing = script("migrate", "import sys; print('no such table'); sys.exit(4)", tmp_path)
    waiting = script("sample", "import time; time.sleep(3600)", tmp_path)
    with pytest.raises(LocalError, match=r"(?s)migrate failed \(exit code 4\).*no such table"):
        supervisor.run(failing, waiting)


def test_a_step_that_takes_too_long_is_told(supervisor: Supervisor, tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="sample took longer than 0 s"):
        supervisor.run(script("sample", "import time; time.sleep(3600)", tmp_path), limit=0.2)


def test_a_program_that_is_not_there_is_told(reaper: Reaper, tmp_path: Path) -> None:
    absent = script("absent", "", tmp_path)
    with pytest.raises(LocalError, match="absent cannot be started"):
        ChildProcess(type(absent)(**(vars(absent) | {"words": [str(tmp_path / "none")]})), reaper)
