"""Rule U1: settings of an identity provider are consistent, or the process does not start and says what is wrong."""

from datetime import timedelta
from uuid import UUID

import pytest

from history.settings import Settings as HistorySettings
from job_api.settings import Settings
from shared.errors import InvalidSettings

BASE = {
    "SLUICE_KAFKA_BOOTSTRAP": "a:1",
    "SLUICE_JOB_API_POSTGRES": "postgresql://a@/b",
    "SLUICE_JOB_API_POSTGRES_SYSTEM": "postgresql://a@/b",
}
OIDC = {"SLUICE_OIDC_ISSUER": "https://id.test", "SLUICE_OIDC_AUDIENCE": "sluice, sluice-too"}
LOGIN = {"SLUICE_JOB_API_OIDC_CLIENT_ID": "pages", "SLUICE_JOB_API_OIDC_PUBLIC_URL": "https://sluice.test"}
TENANT = "0192f0c1-7b1e-7000-8000-000000000000"


def test_without_an_issuer_there_is_none() -> None:
    assert Settings.load(BASE).oidc is None


def test_the_settings_map_claims_to_roles_and_tenants() -> None:
    more = {
        "SLUICE_OIDC_ROLES": "cn=admins=admin, ops=operator",
        "SLUICE_OIDC_TENANTS": f"acme={TENANT}",
        "SLUICE_OIDC_LEEWAY": "PT30S",
    }
    found = Settings.load(BASE | OIDC | more).oidc
    assert found is not None
    assert found.audiences == ("sluice", "sluice-too")
    assert found.roles == {"cn=admins": "admin", "ops": "operator"}
    assert found.tenants == {"acme": UUID(TENANT)}
    assert found.leeway == timedelta(seconds=30)


def test_one_environment_serves_both_services() -> None:
    history = {"SLUICE_HISTORY_POSTGRES": "postgresql://a@/b", "SLUICE_HISTORY_STORE": "file:///store"}
    both = BASE | OIDC | LOGIN | history
    assert HistorySettings.load(both).oidc == Settings.load(both).oidc


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"SLUICE_OIDC_ISSUER": "https://id.test"}, "SLUICE_OIDC_AUDIENCE"),
        ({"SLUICE_OIDC_AUDIENCE": "a"}, "SLUICE_OIDC_ISSUER"),
        ({"SLUICE_OIDC_ROLES": "a=admin"}, "SLUICE_OIDC_ISSUER"),
        (OIDC | {"SLUICE_OIDC_ISSUER": "http://id.test"}, "https"),
        (OIDC | {"SLUICE_OIDC_ISSUER": "id.test"}, "https"),
        (OIDC | {"SLUICE_OIDC_AUDIENCE": " , "}, "SLUICE_OIDC_AUDIENCE"),
        (OIDC | {"SLUICE_OIDC_ROLES": "a=chief"}, "SLUICE_OIDC_ROLES"),
        (OIDC | {"SLUICE_OIDC_ROLES": "admin"}, "SLUICE_OIDC_ROLES"),
        (OIDC | {"SLUICE_OIDC_TENANTS": "acme=7"}, "SLUICE_OIDC_TENANTS"),
        (OIDC | {"SLUICE_OIDC_LEEWAY": "PT1H"}, "SLUICE_OIDC_LEEWAY"),
        (OIDC | {"SLUICE_OIDC_LEWAY": "PT1S"}, "SLUICE_OIDC_LEEWAY"),
        (LOGIN, "SLUICE_OIDC_ISSUER"),
        (OIDC | {"SLUICE_JOB_API_OIDC_CLIENT_ID": "pages"}, "OIDC_PUBLIC_URL"),
        (OIDC | {"SLUICE_JOB_API_OIDC_CLIENT_SECRET": "hush"}, "OIDC_CLIENT_ID"),
        (OIDC | LOGIN | {"SLUICE_JOB_API_OIDC_PUBLIC_URL": "http://sluice.test"}, "OIDC_PUBLIC_URL"),
        (OIDC | LOGIN | {"SLUICE_JOB_API_OIDC_SCOPES": "profile"}, "openid"),
    ],
)
def test_inconsistent_settings_are_rejected_by_name(wrong: dict[str, str], named: str) -> None:
    with pytest.raises(InvalidSettings) as refused:
        Settings.load(BASE | wrong)
    assert named in str(refused.value)
    assert "hush" not in str(refused.value)
