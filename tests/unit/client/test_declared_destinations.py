"""D1, D2: destinations as declarations: what is sent, what is compared, and no secret in a declaration."""

from pathlib import Path
from typing import Any

import pytest

from sluice.api import Api
from sluice.destinations import apply_destination, read_destinations, resolve_destinations
from sluice.errors import SluiceError

LAKE_ID = "7d1f6b1a-3c52-4e0b-9a57-6f0f4f1f2a33"
DECLARED = """
[[destinations]]
name = " Archive "
kind = "sftp"
address = { host = "sftp.example.com", user_name = "sluice", path = "incoming/" }
credentials = { password = { file = "secret" } }
"""
FOUND: dict[str, Any] = {
    "id": LAKE_ID,
    "version": 3,
    "name": "Archive",
    "kind": "sftp",
    "state": "active",
    "address": {"host": "sftp.example.com", "user_name": "sluice", "path": "incoming", "port": None},
}


class RecordingApi(Api):
    """Records what would be sent."""

    def __init__(self) -> None:
        super().__init__("http://127.0.0.1:1", "token")
        self.sent: list[tuple[str, str, Any]] = []

    def post(self, path: str, body: object = None) -> dict[str, Any]:
        self.sent.append(("POST", path, body))
        return {}

    def patch(self, path: str, changes: dict[str, Any], *, etag: str) -> dict[str, Any]:
        self.sent.append((etag, path, changes))
        return {}


def write(folder: Path, text: str = DECLARED) -> Path:
    (folder / "secret").write_text("correct horse\n")
    file = folder / "jobs.toml"
    file.write_text(text)
    return file


def test_a_destination_is_created_with_credentials_from_a_file_and_then_left_alone(tmp_path: Path) -> None:
    [declared] = read_destinations(write(tmp_path))
    assert "correct horse" not in repr(declared)
    api = RecordingApi()
    assert apply_destination(api, declared, [], dry_run=True) == "created"
    assert api.sent == []
    assert apply_destination(api, declared, [], dry_run=False) == "created"
    body = {**declared.fields, "name": "Archive", "credentials": {"password": "correct horse"}}
    assert api.sent == [("POST", "/destinations", body)]
    assert apply_destination(api, declared, [FOUND], dry_run=False) == "unchanged"


def test_a_changed_address_brings_the_credentials_again(tmp_path: Path) -> None:
    [declared] = read_destinations(write(tmp_path, DECLARED.replace("sftp.example", "other.example")))
    api = RecordingApi()
    assert apply_destination(api, declared, [FOUND], dry_run=False) == "changed (address)"
    [(etag, path, changes)] = api.sent
    assert (etag, path, changes["credentials"]) == ('"3"', f"/destinations/{LAKE_ID}", {"password": "correct horse"})
    with pytest.raises(SluiceError, match="kind is s3"):
        apply_destination(api, declared, [FOUND | {"kind": "s3"}], dry_run=False)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('{ file = "secret" }', '"correct horse"', "no secret is declared"),
        ('{ file = "secret" }', '{ file = "absent" }', "cannot be read"),
        ('name = " Archive "', "", "needs a `name`"),
        ("[[destinations]]", "[destinations]", "must be a list"),
    ],
)
def test_a_wrong_declaration_is_refused_without_repeating_a_secret(
    tmp_path: Path, old: str, new: str, words: str
) -> None:
    with pytest.raises(SluiceError) as raised:
        read_destinations(write(tmp_path, DECLARED.replace(old, new)))
    assert words in str(raised.value)
    assert "correct horse" not in str(raised.value)


def test_D4_a_job_names_destinations_by_name_or_id() -> None:
    fields = {"title": "t", "delivery": {"destinations": ["Archive", LAKE_ID], "within_hours": 48}}
    resolved = resolve_destinations(fields, {"Archive": "id of archive"})
    assert resolved["delivery"] == {"destinations": ["id of archive", LAKE_ID], "within_hours": 48}
    assert resolve_destinations({"title": "t"}, {}) == {"title": "t"}
    with pytest.raises(SluiceError, match="no destination named 'Archive'"):
        resolve_destinations(fields, {})
