"""The rules of destinations as tables: D1 (fields of each kind), D2 (credentials)."""

import base64
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_api.domain.destination_fields import compute_fingerprint, find_host
from job_api.domain.destinations import KINDS, DestinationDraft, list_fields, validate_destination
from job_api.errors import InvalidInput
from shared.events import DestinationAddress

ED25519 = "ssh-ed25519 " + base64.b64encode(b"\x00\x00\x00\x0bssh-ed25519\x00\x00\x00 " + bytes(32)).decode()
KEYS = {"access_key_id": "AKIAEXAMPLE", "secret_access_key": "s3cr3t/Key+"}
ACCOUNT = {"type": "service_account", "client_email": "a@b.iam.gserviceaccount.com", "private_key": "-----BEGIN"}
GOOD: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "s3": ({"bucket": "acme-history", "region": "eu-central-1", "prefix": "sluice/"}, KEYS),
    "gcs": ({"bucket": "acme_history"}, {"service_account_key": json.dumps(ACCOUNT)}),
    "azure": ({"account": "acmehistory", "bucket": "exports"}, {"account_key": "c2VjcmV0"}),
    "sftp": ({"host": "sftp.example.com", "user_name": "sluice"}, {"password": "correct horse"}),
}
ROLE = {"role_arn": "arn:aws:iam::123456789012:role/sluice"}


def draft(kind: Any, credentials: Any = ..., **address: Any) -> DestinationDraft:
    """Return a valid draft of a kind with changes."""
    good, keys = GOOD[kind]
    given = keys if credentials is ... else credentials
    return DestinationDraft(name="Data lake", kind=kind, address=good | address, credentials=given)


def faults(found: DestinationDraft, previous: DestinationAddress | None = None) -> dict[str, str]:
    try:
        validate_destination(found, previous=previous)
    except InvalidInput as error:
        return {fault.field: fault.message for fault in error.faults}
    return {}


@pytest.mark.parametrize("kind", KINDS)
def test_D1_each_kind_accepts_its_fields_and_no_other(kind: Any) -> None:
    assert faults(draft(kind)) == {}
    own = {*KINDS[kind].required, *KINDS[kind].optional}
    others = {name for rules in KINDS.values() for name in (*rules.required, *rules.optional)} - own
    for name in others:
        assert list(faults(draft(kind, **{name: True if name == "virtual_host" else 22}))) == [f"address.{name}"]
    for name in KINDS[kind].required:
        assert f"address.{name}" in faults(draft(kind, **{name: None}))


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("s3", {"endpoint": "https://objects.example.com", "virtual_host": True}),
        ("s3", {"endpoint": "http://objects.example.com:9000/"}),
        ("s3", {"encryption": "aws:kms", "kms_key": "arn:aws:kms:eu-central-1:1:key/a"}),
        ("s3", {"prefix": "a/b c/ü"}),
        ("azure", {"bucket": "$root", "endpoint": "https://azure.example.com"}),
        ("sftp", {"port": 2222, "path": "/srv/in", "host_key": ED25519}),
        ("sftp", {"host": "2001:4860:4860::8888"}),
    ],
)
def test_D1_optional_fields_are_accepted(kind: str, changes: dict[str, Any]) -> None:
    assert faults(draft(kind, **changes)) == {}


@pytest.mark.parametrize(
    ("kind", "field", "values"),
    [
        ("s3", "bucket", ["ab", "Upper-Case", "a/b", "-ab", "a" * 300, "a b", 'a"b']),
        ("azure", "bucket", ["Upper", "a--b", "ab", "a_b"]),
        ("azure", "account", ["ab", "UPPER", "a-b", "a" * 25]),
        ("s3", "region", ["EU", "eu central", ""]),
        ("s3", "prefix", ["/a", "a//b", "../a", "a/..", "a/./b", "a\\b", "a\nb", "x" * 501, "\u202ea"]),
        ("sftp", "path", ["..", "/a/../b", "a//b", "a\0b"]),
        (
            "s3",
            "endpoint",
            ["objects.example.com", "ftp://a.test", "https://", "https://a.test/path", "https://u:p@a.test"],
        ),
        (
            "s3",
            "endpoint",
            ["https://a.test?x=1", "https://a.test#x", "https://a.test:99999", "https://0x7f.1", "x" * 9],
        ),
        ("s3", "role_arn", ["sluice", "arn:aws:iam::1:user/a", "arn:aws:iam::1:role/a b"]),
        ("s3", "encryption", ["none", "aes256"]),
        (
            "sftp",
            "host",
            ["a b", "a/b", "2130706433", "0x7f000001", "127.1", "0177.0.0.1", "ü.test", "-a.test", "a..b"],
        ),
        ("sftp", "port", [0, -1, 65_536]),
        ("sftp", "user_name", ["a\nb", "x" * 256]),
        ("sftp", "host_key", ["AAAA", "ssh-dss AAAA", ED25519 + " comment", ED25519.replace("ed25519 ", "rsa ")]),
    ],
)
def test_D1_D4_a_value_that_a_field_cannot_have_is_refused_with_what_it_can(
    kind: str, field: str, values: list[Any]
) -> None:
    for value in values:
        found = faults(draft(kind, **{field: value}))
        assert list(found) == [f"address.{field}"], value
        assert len(found[f"address.{field}"]) > 10


def test_D1_dependent_fields() -> None:
    assert "address.kms_key" in faults(draft("s3", kms_key="k", encryption="AES256"))
    assert "address.virtual_host" in faults(draft("s3", virtual_host=True))
    assert "address.endpoint" in faults(draft("gcs", endpoint="http://gcs.example.com")), "a bearer token needs TLS"


@pytest.mark.parametrize(
    ("kind", "credentials", "accepted"),
    [
        ("s3", KEYS, True),
        ("s3", None, False),
        ("s3", {"access_key_id": "AKIA"}, False),
        ("s3", KEYS | {"password": "p"}, False),
        ("s3", KEYS | {"secret_access_key": "two\nlines"}, False),
        ("gcs", {"service_account_key": "{}"}, False),
        ("gcs", {"service_account_key": "not json"}, False),
        ("gcs", {"service_account_key": json.dumps(ACCOUNT | {"token_uri": "https://evil.test/token"})}, False),
        ("azure", {"sas_token": "sv=2024&sig=x"}, True),
        ("azure", {"directory_id": "d", "client_id": "c", "client_secret": "s"}, True),
        ("azure", {"account_key": "not base64!"}, False),
        ("azure", {"account_key": "c2VjcmV0", "sas_token": "sv"}, False),
        ("sftp", {"private_key": "-----BEGIN OPENSSH PRIVATE KEY-----\nx\n-----END OPENSSH PRIVATE KEY-----"}, True),
        ("sftp", {"private_key": "ssh-ed25519 AAAA"}, False),
        ("sftp", {"passphrase": "p"}, False),
        ("sftp", {}, False),
    ],
)
def test_D1_exactly_one_set_of_credentials_is_accepted(kind: str, credentials: Any, accepted: bool) -> None:
    assert (faults(draft(kind, credentials=credentials)) == {}) is accepted


def test_D1_a_role_needs_no_keys_and_may_have_them() -> None:
    assert faults(draft("s3", credentials=None, **ROLE)) == {}
    assert faults(draft("s3", **ROLE)) == {}


@given(st.text(min_size=12, alphabet=st.characters(min_codepoint=33, max_codepoint=126)), st.sampled_from(list(KINDS)))
def test_D2_no_fault_and_no_representation_repeats_a_credential(secret: str, kind: Any) -> None:
    secret = f"planted-{secret}-planted"
    names = [name for keys in (each[1] for each in GOOD.values()) for name in keys]
    found = draft(kind, credentials=dict.fromkeys([*names, "private_key", "sas_token"], secret))
    assert secret not in str(faults(found))
    assert secret not in repr(found)
    keys = dict.fromkeys(GOOD[kind][1], secret)
    assert secret not in str(faults(draft(kind, credentials=keys)))
    if kind == "s3":
        assert secret not in repr(validate_destination(draft(kind, credentials=keys)))


def test_D2_credentials_stay_only_while_they_go_to_the_same_recipient() -> None:
    for kind in KINDS:
        before = validate_destination(draft(kind)).address
        assert validate_destination(draft(kind, credentials=None), previous=before).credentials is None
        for name in set(KINDS[kind].recipients) - {"host_key"}:
            value = {"port": 2222, "endpoint": "https://other.example.com", **ROLE}.get(name, "other1")
            assert "credentials" in faults(draft(kind, credentials=None, **{name: value}), before), name
            assert faults(draft(kind, **{name: value}), before) == {}, name
    first = validate_destination(draft("sftp")).address
    assert faults(draft("sftp", credentials=None, host_key=ED25519), first) == {}, "confirmed after a test"
    other = ED25519.replace("AAAAAAAA", "AAAAAAAB")
    assert "credentials" in faults(draft("sftp", credentials=None, host_key=other), replace(first, host_key=ED25519))


def test_D1_hosts_and_stored_forms() -> None:
    address = validate_destination(draft("s3", endpoint="https://[2001:4860:4860::8888]:9000/")).address
    assert (address.endpoint, address.prefix) == ("https://[2001:4860:4860::8888]:9000", "sluice")
    assert find_host(address) == "2001:4860:4860::8888"
    assert find_host(validate_destination(draft("sftp", path="/")).address) == "sftp.example.com"
    assert "external_id" not in list_fields(replace(address, external_id="x"))
    assert compute_fingerprint(ED25519).startswith("SHA256:")
