"""Nothing is left running: not when its owner is killed, and not when the warden is killed with it."""

import os
import signal
from pathlib import Path

import pytest

from deploy.local.errors import LocalError
from deploy.local.kafka import Kafka
from deploy.local.postgres import Postgres
from deploy.local.processes import Warden
from deploy.local.warden import born
from tests.integration.local.conftest import StartOwner
from tests.support.servers import MakeKafka
from tests.support.wait import eventually_now


def server_over(what: str, folder: Path, warden: Warden) -> Kafka | Postgres:
    return Kafka(folder, warden) if what == "kafka" else Postgres(folder, warden, durable=False)


def test_what_an_owner_started_ends_with_it_and_its_temporary_folder_goes(
    start_owner: StartOwner, tmp_path: Path
) -> None:
    owner = start_owner("program", tmp_path)
    temporary = Path((tmp_path / "temporary").read_text())
    assert temporary.is_dir()
    owner.process.kill()
    eventually_now(lambda: born(owner.server) is None, timeout=30)
    eventually_now(lambda: not temporary.exists(), timeout=30)
    eventually_now(lambda: born(owner.warden) is None, timeout=30)


@pytest.mark.parametrize("what", ["kafka", "postgres"])
def test_a_server_whose_owner_was_killed_is_stopped(what: str, start_owner: StartOwner, servers_folder: Path) -> None:
    owner = start_owner(what, servers_folder / f"{what}-left")
    assert born(owner.server) is not None
    owner.process.kill()
    eventually_now(lambda: born(owner.server) is None, timeout=30)


@pytest.mark.parametrize("what", ["kafka", "postgres"])
def test_an_orphan_is_stopped_by_the_next_start(
    what: str, start_owner: StartOwner, servers_folder: Path, warden: Warden
) -> None:
    folder = servers_folder / f"{what}-orphan"
    owner = start_owner(what, folder)
    os.kill(owner.warden, signal.SIGKILL)
    owner.process.kill()
    owner.process.wait()
    assert born(owner.server) is not None
    server = server_over(what, folder, warden)
    server.start()
    try:
        assert born(owner.server) is None
        assert server.process is not None
        assert server.process.pid != owner.server
    finally:
        server.stop()


def test_a_second_server_over_one_folder_is_refused_and_the_first_goes_on(
    make_kafka: MakeKafka, warden: Warden
) -> None:
    first = make_kafka()
    first.start()
    with pytest.raises(LocalError, match=r"Kafka runs over .* already, started by process \d+"):
        Kafka(first.folder, warden).start()
    assert first.process is not None
    assert first.process.exit_code() is None
