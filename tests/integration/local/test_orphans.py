"""Nothing is left running: not when its owner is killed, and not when the reaper is killed with it."""

import os
import signal
from pathlib import Path

import pytest

from deploy.local.errors import LocalError
from deploy.local.kafka import Kafka
from deploy.local.postgres import Postgres
from deploy.local.processes import Reaper
from deploy.local.reaper import start_time
from tests.integration.local.conftest import StartOwner
from tests.support.servers import MakeKafka
from tests.support.wait import eventually_now


def server_over(what: str, folder: Path, reaper: Reaper) -> Kafka | Postgres:
    return Kafka(folder, reaper) if what == "kafka" else Postgres(folder, reaper, durable=False)


def test_what_an_owner_started_ends_with_it_and_its_temporary_folder_goes(
    start_owner: StartOwner, tmp_path: Path
) -> None:
    owner = start_owner("program", tmp_path)
    temporary = Path((tmp_path / "temporary").read_text())
    assert temporary.is_dir()
    owner.process.kill()
    eventually_now(lambda: start_time(owner.server) is None, timeout=30)
    eventually_now(lambda: not temporary.exists(), timeout=30)
    eventually_now(lambda: start_time(owner.reaper) is None, timeout=30)


@pytest.mark.parametrize("what", ["kafka", "postgres"])
def test_a_server_whose_owner_was_killed_is_stopped(what: str, start_owner: StartOwner, servers_folder: Path) -> None:
    owner = start_owner(what, servers_folder / f"{what}-left")
    assert start_time(owner.server) is not None
    owner.process.kill()
    eventually_now(lambda: start_time(owner.server) is None, timeout=30)


@pytest.mark.parametrize("what", ["kafka", "postgres"])
def test_an_orphan_is_stopped_by_the_next_start(
    what: str, start_owner: StartOwner, servers_folder: Path, reaper: Reaper
) -> None:
    folder = servers_folder / f"{what}-orphan"
    owner = start_owner(what, folder)
    os.kill(owner.reaper, signal.SIGKILL)
    owner.process.kill()
    owner.process.wait()
    assert start_time(owner.server) is not None
    server = server_over(what, folder, reaper)
    server.start()
    try:
        assert start_time(owner.server) is None
        assert server.process is not None
        assert server.process.pid != owner.server
    finally:
        server.stop()


def test_a_second_server_over_one_folder_is_refused_and_the_first_goes_on(
    make_kafka: MakeKafka, reaper: Reaper
) -> None:
    first = make_kafka()
    first.start()
    with pytest.raises(LocalError, match=r"Kafka runs over .* already, started by process \d+"):
        Kafka(first.folder, reaper).start()
    assert first.process is not None
    assert first.process.exit_code() is None
