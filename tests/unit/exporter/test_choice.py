"""The choice of transcoder: as set, and the server where the native transcoder was not built."""

from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from exporter.source import native
from exporter.source.native.choice import choose_transcoder
from shared.errors import InvalidSettings


def read_metric(way: str) -> float | None:
    return REGISTRY.get_sample_value("sluice_records_made_by", {"way": way})


def test_the_server_builds_the_records_where_nothing_was_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "get_library_file", lambda: tmp_path / "transcode.so")
    assert choose_transcoder("auto") == "server"
    assert (read_metric("server"), read_metric("native")) == (1, 0)
    with pytest.raises(InvalidSettings, match=r"SLUICE_EXPORTER_TRANSCODER is native, but transcode.so was not built"):
        choose_transcoder("native")


def test_the_server_can_be_chosen() -> None:
    assert choose_transcoder("server") == "server"
    assert (read_metric("server"), read_metric("native")) == (1, 0)
