"""A pull that is interrupted while it unpacks is resumed; records are in place complete or not at all (rule A4)."""

from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from sluice.errors import SluiceError
from sluice.pull import RunFile
from sluice.pulled_records import PullFolder
from tests.unit.client.test_decrypt_command import contents, encrypt, make_archive
from tests.unit.stream.officers import officer

NAME = "Interaction-job-20261124T100000Z"
RECORDS = {
    f"{NAME}.jsonl": b'{"id":"1"}\n' * 100,
    f"{NAME}_0002.jsonl": b'{"id":"2"}\n',
    f"{NAME}_0003.jsonl": b'{"id":"3"}\n',
}
FILE = RunFile(
    name=f"{NAME}.zip.p7m",
    member=f"{NAME}.jsonl",
    artifact_id="1",
    state="available",
    rows=102,
    bytes_raw=sum(map(len, RECORDS.values())),
    size=1,
    sha256="",
)
KEY = officer("a").recipient_key


@pytest.fixture
def folder(tmp_path: Path) -> PullFolder:
    made = PullFolder(tmp_path, UUID(int=1))
    made.begin([])
    (made.unfinished / FILE.name).write_bytes(encrypt(make_archive(RECORDS)))
    return made


def unpack(folder: PullFolder, *, force: bool = False) -> list[Path]:
    return folder.unpack(folder.unfinished / FILE.name, FILE, KEY, force=force)


def test_A4_complete_records_are_found_again_and_nothing_is_left_beside_them(
    folder: PullFolder, tmp_path: Path
) -> None:
    assert folder.find_records(FILE) is None
    written = unpack(folder)
    folder.end()
    assert contents(tmp_path) == RECORDS
    assert folder.find_records(FILE) == written
    assert folder.find_records(replace(FILE, rows=101)) is None
    written[1].write_bytes(b'{"id":"4"}')
    assert folder.find_records(FILE) is None


@pytest.mark.parametrize("moves", range(6))
def test_A4_an_interruption_at_any_move_is_resumed(
    folder: PullFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moves: int
) -> None:
    """Three files of records are moved twice: when they are unpacked, and into their place."""
    left, move = iter(range(moves)), Path.replace

    def move_or_stop(source: Path, target: Path) -> Path:
        if next(left, None) is None:
            raise KeyboardInterrupt
        return move(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", move_or_stop)
        with pytest.raises(KeyboardInterrupt):
            unpack(folder)
    assert folder.find_records(FILE) is None
    again = PullFolder(tmp_path, UUID(int=1))
    again.begin([FILE])
    assert [path.name for path in unpack(again)] == list(RECORDS)
    again.end()
    assert contents(tmp_path) == RECORDS


def test_A4_files_of_somebody_else_are_kept(folder: PullFolder, tmp_path: Path) -> None:
    other = tmp_path / f"{NAME}_0002.jsonl"
    other.write_bytes(b"mine")
    with pytest.raises(SluiceError, match="--force"):
        unpack(folder)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([other.name, folder.unfinished.name])
    assert [path.name for path in folder.unfinished.iterdir()] == [FILE.name]
    unpack(folder, force=True)
    folder.end()
    assert contents(tmp_path) == RECORDS


def test_A4_what_differs_from_the_manifest_leaves_nothing(folder: PullFolder, tmp_path: Path) -> None:
    with pytest.raises(SluiceError, match="the manifest lists 103"):
        folder.unpack(folder.unfinished / FILE.name, replace(FILE, rows=103), KEY)
    assert [path.name for path in tmp_path.iterdir()] == [folder.unfinished.name]
    assert [path.name for path in folder.unfinished.iterdir()] == [FILE.name]


def test_A4_an_encrypted_file_that_is_here_is_not_downloaded_again(folder: PullFolder, tmp_path: Path) -> None:
    here = tmp_path / FILE.name
    (folder.unfinished / FILE.name).replace(here)
    folder.begin([FILE])
    folder.keep(folder.unfinished / FILE.name)
    unpack(folder)
    folder.end()
    assert sorted(contents(tmp_path)) == sorted([FILE.name, *RECORDS])
