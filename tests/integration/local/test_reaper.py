"""Nothing is left running when the program that started it is killed."""

from pathlib import Path

import pytest

from deploy.local.reaper import start_time
from tests.integration.local.conftest import StartOwner
from tests.support.wait import eventually_now


def test_a_process_ends_with_its_owner_and_its_temporary_folder_is_removed(
    start_owner: StartOwner, tmp_path: Path
) -> None:
    owner = start_owner("program", tmp_path)
    temporary = Path((tmp_path / "temporary").read_text())
    assert temporary.is_dir()
    owner.process.kill()
    eventually_now(lambda: start_time(owner.child) is None, timeout=30)
    eventually_now(lambda: not temporary.exists(), timeout=30)
    eventually_now(lambda: start_time(owner.reaper) is None, timeout=30)


@pytest.mark.parametrize("server", ["kafka", "postgres"])
def test_a_server_whose_owner_was_killed_is_stopped(server: str, start_owner: StartOwner, servers_folder: Path) -> None:
    owner = start_owner(server, servers_folder / f"{server}-left")
    assert start_time(owner.child) is not None
    owner.process.kill()
    eventually_now(lambda: start_time(owner.child) is None, timeout=30)
