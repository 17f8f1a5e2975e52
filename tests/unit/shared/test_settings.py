"""Settings: unknown and invalid variables are rejected at start, with their names and never their values."""

from pathlib import Path
from typing import ClassVar

import pytest
from pydantic import Field

from job_api.settings import Settings as JobApiSettings
from shared.errors import InvalidSettings
from shared.net.addresses import AddressRefused
from shared.settings import ServiceSettings


class Settings(ServiceSettings):
    service: ClassVar[str] = "SCHEDULER"
    batch: int = Field(10, ge=1, description="how many at once")


GOOD = {"SLUICE_KAFKA_BOOTSTRAP": "127.0.0.1:9092", "SLUICE_SCHEDULER_POSTGRES": "postgresql://a:b@/sluice"}


def test_own_variables_are_read_and_those_of_other_services_ignored() -> None:
    settings = Settings.load({**GOOD, "SLUICE_SCHEDULER_BATCH": "7", "SLUICE_HISTORY_STORE": "file:///x", "PATH": "/"})
    assert (settings.batch, settings.http_host) == (7, "127.0.0.1")


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"SLUICE_SCHEDULER_BATHC": "7"}, r"SLUICE_SCHEDULER_BATHC is not a setting \(did you mean .*_BATCH\?\)"),
        ({"SLUICE_ODD": "7"}, "SLUICE_ODD is not a setting"),
        ({"SLUICE_SCHEDULER_BATCH": "0"}, "SLUICE_SCHEDULER_BATCH: .*greater than or equal to 1"),
        ({"SLUICE_LOG_LEVEL": "loud"}, "SLUICE_LOG_LEVEL: "),
        ({"SLUICE_SCHEDULER_POSTGRES": "mysql://x"}, "SLUICE_SCHEDULER_POSTGRES: "),
        ({"SLUICE_SCHEDULER_BATCH_FILE": "/nowhere"}, "SLUICE_SCHEDULER_BATCH_FILE: cannot read"),
        ({"SLUICE_SCHEDULER_HTTP_TRUSTED_PROXIES": "10.0.0.0/8,*"}, "HTTP_TRUSTED_PROXIES must be addresses"),
        ({"SLUICE_SCHEDULER_HTTP_TRUSTED_PROXIES": "10.0.0.1,::/0"}, "must not be every address"),
        ({"SLUICE_SCHEDULER_BATCH": "1", "SLUICE_SCHEDULER_BATCH_FILE": "/nowhere"}, "BATCH is set twice"),
    ],
)
def test_an_invalid_variable_is_rejected_by_name(extra: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidSettings, match=message):
        Settings.load({**GOOD, **extra})


def test_all_invalid_variables_are_named_at_once() -> None:
    with pytest.raises(InvalidSettings) as caught:
        Settings.load({"SLUICE_SCHEDULER_BATCH": "x", "SLUICE_SCHEDULER_ODD": "1"})
    for name in ("_KAFKA_BOOTSTRAP is required", "_SCHEDULER_POSTGRES is required", "_BATCH: ", "_ODD is not"):
        assert name in str(caught.value)


def test_a_missing_variable_is_named_with_its_meaning() -> None:
    with pytest.raises(
        InvalidSettings, match=r"SLUICE_SCHEDULER_POSTGRES is required \(DSN of PostgreSQL, with the service's role"
    ):
        Settings.load({"SLUICE_KAFKA_BOOTSTRAP": "k:1"})


def test_variables_of_the_command_line_client_are_ignored() -> None:
    client = {"SLUICE_URL": "https://sluice.example", "SLUICE_TOKEN_FILE": "/key", "SLUICE_TOKEN": "slc_x"}
    assert Settings.load({**GOOD, **client}) == Settings.load(GOOD)


def test_a_secret_is_read_from_a_file_and_never_shown_in_an_error(tmp_path: Path) -> None:
    secret = tmp_path / "dsn"
    secret.write_text("postgresql://a:geheim@/sluice\n")
    environ = {"SLUICE_KAFKA_BOOTSTRAP": "k:1", "SLUICE_SCHEDULER_POSTGRES_FILE": str(secret)}
    assert Settings.load(environ).postgres == "postgresql://a:geheim@/sluice"
    secret.write_text("mysql://a:geheim@/sluice\n")
    with pytest.raises(InvalidSettings) as caught:
        Settings.load(environ)
    assert "geheim" not in str(caught.value)


def test_settings_cannot_be_changed() -> None:
    settings = Settings.load(GOOD)
    with pytest.raises(ValueError, match="frozen"):
        settings.batch = 3  # type: ignore[misc]  # the assignment under test


def test_D9_job_api_and_deliverers_read_the_allowed_networks_from_one_variable() -> None:
    databases = dict.fromkeys(("SLUICE_JOB_API_POSTGRES", "SLUICE_JOB_API_POSTGRES_SYSTEM"), "postgresql://x/y")
    required = {"SLUICE_KAFKA_BOOTSTRAP": "k:9092"} | databases
    allowed = {"SLUICE_DELIVERY_ALLOWED_NETWORKS": "10.1.0.0/16, fd00::/8"}
    settings = JobApiSettings.load(required | allowed | {"SLUICE_DELIVERY_OTHER": "of the deliverers"})
    assert str(settings.address_rules.check("10.1.2.3")) == "10.1.2.3"
    with pytest.raises(AddressRefused):
        JobApiSettings.load(required).address_rules.check("10.1.2.3")
    wrong = JobApiSettings.load(required | {"SLUICE_DELIVERY_ALLOWED_NETWORKS": "10.1.2.3/8"})
    with pytest.raises(InvalidSettings):
        _ = wrong.address_rules
