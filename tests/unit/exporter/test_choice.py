"""Who makes the records: as the setting says, and by the server where the native way was not built."""

from pathlib import Path

import pytest

from exporter.source import native
from exporter.source.native.choice import is_native
from shared.errors import InvalidSettings
from shared.observe import RECORDS_MADE_BY


def made_by(way: str) -> float:
    return float(RECORDS_MADE_BY.labels(way)._value.get())


def test_where_nothing_was_built_the_server_makes_the_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "library_file", lambda: tmp_path / "transcode.so")
    assert not is_native("auto")
    assert (made_by("server"), made_by("native")) == (1, 0)
    with pytest.raises(InvalidSettings, match=r"SLUICE_EXPORTER_TRANSCODER is native, but transcode.so was not built"):
        is_native("native")


def test_the_server_can_be_wanted() -> None:
    assert not is_native("server")
    assert (made_by("server"), made_by("native")) == (1, 0)
