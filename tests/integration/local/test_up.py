"""`make up` as a user sees it: one at a time, state that is kept, a crash that is reported, nothing left behind."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import httpx
import pytest

from deploy.local.folders import CHECKOUT
from deploy.local.reaper import start_time
from tests.support.wait import eventually_now

START_LIMIT = 180


class Up:
    """One `python -m deploy.local up` and its output."""

    def __init__(self, state: Path, number: int) -> None:
        self.output = state.parent / f"up-{number}.log"
        argv = [sys.executable, "-m", "deploy.local", "--state", str(state), "up", "--interactions", "300"]
        with self.output.open("w") as out:
            self.process = subprocess.Popen(argv, stdout=out, stderr=out, cwd=CHECKOUT, start_new_session=True)

    @property
    def text(self) -> str:
        return self.output.read_text()

    def address(self) -> str:
        """Wait until it is running, and return the address of its pages."""

        def find() -> str | None:
            assert self.process.poll() is None, self.text
            found = re.search(r"^Sluice is running at (http://[^ ]+)", self.text, re.MULTILINE)
            return found.group(1) if found else None

        return eventually_now(find, timeout=START_LIMIT) or ""

    def children(self) -> dict[int, str]:
        """Return the processes that it has started, with their command lines."""
        found = {}
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit() and parent_of(folder) == self.process.pid:
                found[int(folder.name)] = command_line(folder)
        return found

    def wait(self, limit: float = 60) -> int:
        return self.process.wait(limit)


def command_line(folder: Path) -> str:
    try:
        return (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def parent_of(folder: Path) -> int | None:
    try:
        return int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
    except OSError:
        return None


@pytest.fixture
def start(servers_folder: Path) -> Iterator[Callable[[], Up]]:
    started: list[Up] = []

    def up() -> Up:
        started.append(Up(servers_folder / "up", len(started)))
        return started[-1]

    yield up
    for each in started:
        each.process.kill()
        each.process.wait()


def read_environment(process: int) -> dict[str, str]:
    """Return the environment of a process."""
    text = Path(f"/proc/{process}/environ").read_text()
    return dict(each.split("=", 1) for each in text.split("\0") if "=" in each)


async def check_that_roles_are_confined(environment: Mapping[str, str]) -> None:
    """Check that the reader of the contact history connects to no other database, and Sluice's roles not to it (E5)."""
    reader, own = environment["SLUICE_EXPORTER_SOURCE"], environment["SLUICE_EXPORTER_POSTGRES"]
    await (await asyncpg.connect(reader)).close()
    await (await asyncpg.connect(own)).close()
    for login, database in ((reader, "sluice"), (reader, "postgres"), (own, "contact_history"), (own, "postgres")):
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied for database"):
            await asyncpg.connect(urlunsplit(urlsplit(login)._replace(path=f"/{database}")))


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="finds processes through /proc")
def test_up_from_the_first_start_to_the_last_stop(start: Callable[[], Up], servers_folder: Path) -> None:
    first = start()
    address = first.address()
    assert httpx.get(f"{address}/readyz").status_code == 200
    assert re.search(r"^Log in as admin, tenant demo, password \S+$", first.text, re.MULTILINE)
    children = first.children()
    assert len(children) >= 10
    exporter = next(pid for pid, argv in children.items() if " -m exporter run" in argv)
    asyncio.run(check_that_roles_are_confined(read_environment(exporter)))

    second = start()
    assert second.wait() == 1
    assert f"Sluice is already running at {address} (process {first.process.pid})" in second.text

    first.process.kill()
    eventually_now(lambda: not any(map(start_time, children)), timeout=60)

    third = start()
    assert third.address() == address
    assert "Log in with the password that was printed at the first start." in third.text
    children = third.children()
    exporter = next(pid for pid, argv in children.items() if " -m exporter run" in argv)
    os.kill(exporter, signal.SIGKILL)
    assert third.wait() == 1
    assert re.search(r"exporter-[12] has ended \(killed by SIGKILL\)\nlast lines of ", third.text)
    assert not any(map(start_time, children))

    fourth = start()
    fourth.address()
    children = fourth.children()
    fourth.process.send_signal(signal.SIGINT)
    assert fourth.wait() == 0
    assert "Stopped." in fourth.text
    assert not any(map(start_time, children))

    argv = [sys.executable, "-m", "deploy.local", "--state", str(servers_folder / "up"), "clean"]
    subprocess.run(argv, check=True, cwd=CHECKOUT)
    assert not (servers_folder / "up").exists()
