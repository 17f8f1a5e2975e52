"""The settings of the connection to Kafka, and which of them require each other."""

import pytest

from shared.errors import InvalidSettings
from shared.kafka_access import KafkaAccess
from shared.settings import KafkaSettings, load
from tests.support.servers import PASSWORDS

PREFIX = "SLUICE_KAFKA_"


def access(**variables: str) -> KafkaAccess:
    return load(
        KafkaSettings, "KAFKA", {f"{PREFIX}BOOTSTRAP": "a:1", **{PREFIX + k: v for k, v in variables.items()}}
    ).kafka


def test_an_address_alone_means_no_tls_and_no_login() -> None:
    assert access() == KafkaAccess.parse("a:1")
    options = access().client_options()
    assert options == {"bootstrap_servers": "a:1", "security_protocol": "PLAINTEXT", "ssl_context": None}


def test_a_login_is_passed_to_kafka_and_shown_nowhere() -> None:
    given = access(SECURITY_PROTOCOL="SASL_SSL", SASL_USERNAME="sluice", SASL_PASSWORD="hidden")
    options = given.client_options()
    assert options["sasl_mechanism"] == "SCRAM-SHA-512"
    assert (options["sasl_plain_username"], options["sasl_plain_password"]) == ("sluice", "hidden")
    assert options["ssl_context"].check_hostname
    assert "hidden" not in repr(given)


@pytest.mark.parametrize(
    "wrong",
    [
        {"SECURITY_PROTOCOL": "SASL_SSL"},
        {"SECURITY_PROTOCOL": "SASL_SSL", "SASL_USERNAME": "sluice"},
        {"SECURITY_PROTOCOL": "SSL", "SASL_USERNAME": "sluice", "SASL_PASSWORD": "hidden"},
        {"SASL_PASSWORD": "hidden"},
        {"CA_FILE": "/ca.pem"},
        {"SECURITY_PROTOCOL": "SSL", "CERT_FILE": "/tls.crt"},
        {"SECURITY_PROTOCOL": "TLS"},
        {"SASL_MECHANISM": "GSSAPI"},
    ],
    ids=str,
)
def test_inconsistent_settings_are_rejected_without_their_values(wrong: dict[str, str]) -> None:
    with pytest.raises(InvalidSettings, match="SLUICE_KAFKA_") as refused:
        access(**wrong)
    assert "hidden" not in str(refused.value)


def test_settings_of_kafka_are_accepted_where_kafka_is_not_used() -> None:
    from shared.provision import ProvisionSettings

    passwords = {f"SLUICE_PROVISION_{name.upper()}": value for name, value in PASSWORDS.items()}
    common = {
        "SLUICE_KAFKA_BOOTSTRAP": "a:1",
        "SLUICE_LOG_FORMAT": "json",
        "SLUICE_KAFKA_SASL_PASSWORD_FILE": "/nowhere",
    }
    given = {"SLUICE_PROVISION_ADMIN_DSN": "postgresql://a@/b", **passwords, **common}
    assert load(ProvisionSettings, "PROVISION", given).admin_dsn == "postgresql://a@/b"
