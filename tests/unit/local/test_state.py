"""A stack's folder: one stack at a time, secrets and port that last."""

import socket
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from deploy.local.errors import LocalError, tail
from deploy.local.ports import free_port, is_free
from deploy.local.postgres_account import closed_parent
from deploy.local.stack import check_disk, sample_size
from deploy.local.state import State


def test_a_second_stack_over_one_folder_is_told_where_the_first_runs(tmp_path: Path) -> None:
    first, second = State(tmp_path), State(tmp_path)
    with first.locked():
        first.announce("http://127.0.0.1:8080")
        assert second.is_held()
        with (
            pytest.raises(LocalError, match=r"runs already at http://127.0.0.1:8080 \(process \d+\); stop it"),
            second.locked(),
        ):
            pass
    assert not second.is_held()
    assert second.announcement() is None
    with second.locked():
        assert first.is_held()


def test_a_second_stack_is_told_when_the_first_has_no_address_yet(tmp_path: Path) -> None:
    with (
        State(tmp_path).locked(),
        pytest.raises(LocalError, match="just starting or stopping"),
        State(tmp_path).locked(),
    ):
        pass


def test_secrets_and_port_last_as_long_as_the_folder(tmp_path: Path) -> None:
    state = State(tmp_path)
    assert state.remembered("port") is None
    state.remember("port", 8123)
    first, other = state.secret("scheduler"), state.secret("exporter")
    assert State(tmp_path).remembered("port") == 8123
    assert State(tmp_path).secret("scheduler") == first != other
    assert (tmp_path / "secrets.json").stat().st_mode & 0o077 == 0


def test_the_sample_keeps_the_size_it_was_loaded_with() -> None:
    assert sample_size(None, None) == 200_000
    assert sample_size(5, None) == 5
    assert sample_size(None, 5) == sample_size(5, 5) == 5
    with pytest.raises(LocalError, match="that is loaded has 5 interactions; remove it with: make clean-local"):
        sample_size(6, 5)


def test_a_disk_without_room_for_the_sample_is_refused(tmp_path: Path) -> None:
    check_disk(tmp_path, 0)
    with pytest.raises(LocalError, match=r"GB are needed; free some, or take a smaller sample"):
        check_disk(tmp_path, 10**12)


def test_the_end_of_a_log_is_shown_and_its_absence_said(tmp_path: Path) -> None:
    log = tmp_path / "part.log"
    assert tail(log) == "  (it was never written)"
    log.touch()
    assert tail(log) == "  (it is empty)"
    log.write_text("".join(f"line {number}\n" for number in range(100)))
    assert tail(log).splitlines() == [f"  line {number}" for number in range(80, 100)]


def test_an_error_keeps_the_lines_of_a_log_that_is_removed_later(tmp_path: Path) -> None:
    log = tmp_path / "part.log"
    log.write_text("the reason\n")
    error = LocalError("part has ended", log=log)
    log.unlink()
    assert str(error) == f"part has ended\nlast lines of {log}:\n  the reason"


def test_a_free_port_is_free_and_a_taken_one_is_passed_over() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert not is_free(port)
        assert free_port(preferred=port) != port
    assert free_port(preferred=port) == port


def test_the_folder_that_keeps_others_out_is_found() -> None:
    with TemporaryDirectory() as name:
        outer = Path(name).resolve()
        outer.chmod(0o755)
        closed = outer / "closed"
        (closed / "inner").mkdir(parents=True)
        before = closed_parent(closed / "inner" / "data")
        closed.chmod(0o700)
        assert before is None or before in outer.parents
        assert closed_parent(closed / "inner" / "data") == (before or closed)
