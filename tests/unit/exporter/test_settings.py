"""The exporter's settings, read from environment variables."""

from pathlib import Path

import pytest

from exporter.settings import Settings
from shared.errors import InvalidSettings

GIVEN = {
    "SLUICE_KAFKA_BOOTSTRAP": "kafka:9092",
    "SLUICE_EXPORTER_POSTGRES": "postgresql://exporter@db/sluice",
    "SLUICE_EXPORTER_SOURCE": "postgresql://reader@source/history",
    "SLUICE_EXPORTER_STORE": "s3://bucket/exports",
}


def test_store_options_are_one_json_object_and_are_not_shown(tmp_path: Path) -> None:
    file = tmp_path / "options"
    file.write_text('{"access_key_id": "me", "secret_access_key": "hidden"}')
    settings = Settings.load(GIVEN | {"SLUICE_EXPORTER_STORE_OPTIONS_FILE": str(file)})
    assert settings.store_options == {"access_key_id": "me", "secret_access_key": "hidden"}
    assert "hidden" not in repr(settings)
    assert Settings.load(GIVEN).store_options == {}


def test_store_options_that_are_no_object_are_rejected_without_their_value() -> None:
    with pytest.raises(InvalidSettings, match="SLUICE_EXPORTER_STORE_OPTIONS") as rejected:
        Settings.load(GIVEN | {"SLUICE_EXPORTER_STORE_OPTIONS": "hidden"})
    assert "hidden" not in str(rejected.value)


def test_the_transcoder_is_one_of_three_choices() -> None:
    assert Settings.load(GIVEN).transcoder == "auto"
    assert Settings.load(GIVEN | {"SLUICE_EXPORTER_TRANSCODER": "server"}).transcoder == "server"
    with pytest.raises(InvalidSettings, match="SLUICE_EXPORTER_TRANSCODER"):
        Settings.load(GIVEN | {"SLUICE_EXPORTER_TRANSCODER": "perl"})
