"""A stack's folder: one stack at a time; secrets and port are kept."""

import json
import socket
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from deploy.local.errors import LocalError, read_tail
from deploy.local.ports import free_port, is_free
from deploy.local.postgres_account import find_closed_parent
from deploy.local.stack import check_disk, choose_sample_size
from deploy.local.state import State


def test_a_second_stack_in_one_folder_is_refused_with_the_address_of_the_first(tmp_path: Path) -> None:
    first, second = State(tmp_path), State(tmp_path)
    with first.lock():
        first.announce("http://127.0.0.1:8080")
        assert second.is_locked()
        with (
            pytest.raises(LocalError, match=r"already running at http://127.0.0.1:8080 \(process \d+\); stop it"),
            second.lock(),
        ):
            pass
    assert not second.is_locked()
    assert second.find_running() is None
    with second.lock():
        assert first.is_locked()


def test_a_second_stack_is_refused_while_the_first_is_starting(tmp_path: Path) -> None:
    with (
        State(tmp_path).lock(),
        pytest.raises(LocalError, match="already starting or stopping"),
        State(tmp_path).lock(),
    ):
        pass


def test_a_folder_stays_locked_until_the_last_process_of_a_killed_stack_has_ended(tmp_path: Path) -> None:
    with State(tmp_path).lock() as lock:
        left = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=(lock,))
        # As a killed stack leaves it: the record of a process that no longer runs.
        record = tmp_path / "running.json"
        dead = json.loads(record.read_text()) | {"started": "0", "address": "http://127.0.0.1:8080"}
    record.write_text(json.dumps(dead))
    try:
        assert State(tmp_path).is_locked()
        assert State(tmp_path).find_running() is None
        with (
            pytest.raises(LocalError, match=rf"earlier start still use .*; stop them with: kill {left.pid}$"),
            State(tmp_path).lock(patience=0.1),
        ):
            pass
    finally:
        left.communicate(b"\n")
    with State(tmp_path).lock():
        assert State(tmp_path).is_locked()


def test_secrets_and_port_are_kept_as_long_as_the_folder(tmp_path: Path) -> None:
    state = State(tmp_path)
    assert state.recall("port") is None
    state.remember("port", 8123)
    first, other = state.secret("scheduler"), state.secret("exporter")
    assert State(tmp_path).recall("port") == 8123
    assert State(tmp_path).secret("scheduler") == first != other
    assert (tmp_path / "secrets.json").stat().st_mode & 0o077 == 0


def test_the_sample_keeps_its_size() -> None:
    assert choose_sample_size(None, None) == 200_000
    assert choose_sample_size(5, None) == 5
    assert choose_sample_size(None, 5) == choose_sample_size(5, 5) == 5
    with pytest.raises(LocalError, match="already has 5 interactions; remove it with: make clean-local"):
        choose_sample_size(6, 5)


def test_a_disk_without_room_for_the_sample_is_reported(tmp_path: Path) -> None:
    check_disk(tmp_path, 0)
    with pytest.raises(LocalError, match=r"GB are needed; free some space, or use a smaller sample"):
        check_disk(tmp_path, 10**12)


def test_the_tail_of_a_log_is_its_last_lines_or_a_remark(tmp_path: Path) -> None:
    log = tmp_path / "part.log"
    assert read_tail(log) == "  (the log does not exist)"
    log.touch()
    assert read_tail(log) == "  (the log is empty)"
    log.write_text("".join(f"line {number}\n" for number in range(100)))
    assert read_tail(log).splitlines() == [f"  line {number}" for number in range(80, 100)]


def test_an_error_keeps_the_lines_of_a_log_that_is_removed_later(tmp_path: Path) -> None:
    log = tmp_path / "part.log"
    log.write_text("the reason\n")
    error = LocalError("part has ended", log=log)
    log.unlink()
    assert str(error) == f"part has ended\nlast lines of {log}:\n  the reason"


def test_a_free_port_is_free_and_a_port_in_use_is_skipped() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert not is_free(port)
        assert free_port(preferred=port) != port
    assert free_port(preferred=port) == port


def test_the_folder_that_others_cannot_enter_is_found() -> None:
    with TemporaryDirectory() as name:
        outer = Path(name).resolve()
        outer.chmod(0o755)
        closed = outer / "closed"
        (closed / "inner").mkdir(parents=True)
        before = find_closed_parent(closed / "inner" / "data")
        closed.chmod(0o700)
        assert before is None or before in outer.parents
        assert find_closed_parent(closed / "inner" / "data") == (before or closed)
