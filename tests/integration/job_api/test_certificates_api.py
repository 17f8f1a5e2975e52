"""Certificates: C1, with real files."""

import json
from datetime import timedelta

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from shared.events import CertificateSaved
from tests.integration.job_api.certs import der, make_certificate, pem, private_pem, rsa_key
from tests.integration.job_api.world import NOW, Tenant, World
from tests.unit.shared.test_certificate_forms import build, usage
from tests.unit.stream.officers import make_officer

PATH = "/api/v1/certificates"


async def upload(tenant: Tenant, content: bytes, name: str = "second") -> httpx.Response:
    return await tenant.client.post(PATH, data={"name": name}, files={"file": ("c.pem", content)})


async def test_C1_pem_and_der_are_stored_in_one_form(world: World, tenant: Tenant) -> None:
    made = make_certificate(now=NOW, name="second")
    answer = await upload(tenant, der(made))
    assert answer.status_code == 201, answer.text
    found = answer.json()
    assert (found["name"], found["state"], found["key_bits"], found["pem"]) == ("second", "active", 2048, pem(made))
    assert (found["days_remaining"], found["warning"], found["subject"]) == (365, None, "CN=second")
    saved = (await world.events())[-1]
    assert isinstance(saved, CertificateSaved)
    assert (saved.fingerprint, saved.pem, saved.state) == (found["fingerprint"], pem(made), "active")
    assert (await world.audit(tenant))[-1] == "certificate.upload"
    assert (await tenant.client.get(f"{PATH}/{found['id']}")).json() == found


async def test_C1_a_certificate_is_accepted_until_its_last_instant(tenant: Tenant) -> None:
    last, first = make_certificate(now=NOW, ends=timedelta(0)), make_certificate(now=NOW, begins=timedelta(0))
    for name, certificate in (("last", last), ("first", first)):
        assert (await upload(tenant, pem(certificate).encode(), name)).status_code == 201


def refusals() -> dict[str, tuple[bytes, str]]:
    good, other = make_certificate(now=NOW), make_certificate(now=NOW)
    elliptic = ec.generate_private_key(ec.SECP256K1())
    return {
        "expired": (pem(make_certificate(now=NOW, ends=timedelta(seconds=-1))).encode(), "expired"),
        "not yet valid": (pem(make_certificate(now=NOW, begins=timedelta(days=1))).encode(), "not valid before"),
        "RSA 1024": (pem(make_certificate(now=NOW, key=rsa_key(1024))).encode(), "1024 bits"),
        "EC": (pem(make_certificate(now=NOW, key=elliptic)).encode(), "P-256, P-384 and P-521 are possible"),
        "two": ((pem(good) + pem(other)).encode(), "exactly one"),
        "garbage": (b"not a certificate", "not an X.509 certificate"),
        "broken PEM": (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "not an X.509"),
        "another PEM": (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "PUBLIC KEY"),
        "two in DER": (der(good) + der(other), "not an X.509"),
        "large": (b"\x00" * (64 * 1024 + 1), "larger than"),
        "empty": (b" ", "Choose a file"),
        "nothing": (b"", "Choose a file"),
    }


@pytest.mark.parametrize("case", refusals())
async def test_C1_an_unsuitable_certificate_is_refused_with_the_reason(tenant: Tenant, case: str) -> None:
    content, words = refusals()[case]
    answer = await upload(tenant, content)
    assert answer.status_code == 422, answer.text
    assert words in answer.json()["errors"][0]["message"]
    assert len((await tenant.client.get(PATH)).json()["items"]) == 1


@pytest.mark.parametrize("locked", [None, b"secret"])
@pytest.mark.parametrize("form", ["json", "file"])
async def test_C1_a_private_key_is_refused_not_stored_and_not_logged(
    world: World, tenant: Tenant, capfd: pytest.CaptureFixture[str], locked: bytes | None, form: str
) -> None:
    content = pem(make_certificate(now=NOW)) + private_pem(rsa_key(), locked)
    if form == "json":
        answer = await tenant.client.post(PATH, json={"name": "oops", "pem": content})
    else:
        answer = await upload(tenant, content.encode())
    assert answer.status_code == 422
    assert "private key" in answer.json()["errors"][0]["message"]
    secret = private_pem(rsa_key(), locked).splitlines()[1]
    assert secret not in answer.text
    for table in ("certificate", "audit", "outbox", "idempotency"):
        text = await world.admin.fetchval(f"SELECT string_agg(each::text, '') FROM job_api.{table} AS each")
        assert secret not in (text or ""), table
    out, err = capfd.readouterr()
    assert secret not in out + err


async def test_C1_a_private_key_in_der_is_refused_as_a_private_key(tenant: Tenant) -> None:
    from cryptography.hazmat.primitives import serialization

    key = rsa_key().private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    assert "private key" in (await upload(tenant, key)).json()["errors"][0]["message"]


async def test_C1_a_private_key_in_any_dress_or_place_is_refused_not_stored_and_not_logged(
    world: World, tenant: Tenant, capfd: pytest.CaptureFixture[str]
) -> None:
    certificate, key = pem(make_certificate(now=NOW)), private_pem(rsa_key())
    line = key.splitlines()[1]
    base64_lines = "".join(each + "\n" for each in key.splitlines()[1:-1])
    curve = private_pem(ec.generate_private_key(ec.SECP256R1())).splitlines()
    for content in (base64_lines, certificate + base64_lines, json.dumps(certificate + key)):
        answer = await tenant.client.post(PATH, json={"name": "oops", "pem": content})
        assert answer.status_code == 422
        assert "private key" in answer.json()["errors"][0]["message"]
        assert line not in answer.text
    assert "private key" in (await upload(tenant, (certificate + key).encode("utf-16"))).json()["errors"][0]["message"]
    named = {"name": "".join(curve[1:-1]), "pem": certificate}
    answer = await tenant.client.post(PATH, json=named)
    assert answer.json()["errors"][0]["field"] == "name"
    assert curve[1] not in answer.text
    for table in ("certificate", "audit", "outbox", "idempotency"):
        text = await world.admin.fetchval(f"SELECT string_agg(each::text, '') FROM job_api.{table} AS each") or ""
        assert line not in text, table
        assert curve[1] not in text, table
    out, err = capfd.readouterr()
    assert line not in out + err
    assert curve[1] not in out + err


async def test_C1_a_certificate_whose_usage_lacks_key_encipherment_is_accepted_with_a_note(tenant: Tenant) -> None:
    odd = build(rsa_key().public_key(), usage=usage())
    answer = await upload(tenant, pem(odd).encode())
    assert answer.status_code == 201, answer.text
    assert "does not include key encipherment" in answer.json()["note"]
    notes = {each["name"]: each["note"] for each in (await tenant.client.get(PATH)).json()["items"]}
    assert notes == {"second": answer.json()["note"], "officer": None}


async def test_C1_an_invalid_body_with_a_private_key_is_not_repeated(tenant: Tenant) -> None:
    key = private_pem(rsa_key())
    answer = await tenant.client.post(PATH, json={"name": 5, "pem": [key]})
    assert answer.status_code == 422
    assert key.splitlines()[1] not in answer.text


async def test_C1_the_same_certificate_or_name_twice_is_refused(tenant: Tenant) -> None:
    made = pem(make_certificate(now=NOW, name="second"))
    assert (await tenant.client.post(PATH, json={"name": "second", "pem": made})).status_code == 201
    twin, other = (make_officer("Authority", serial=7).pem.decode() for _ in range(2))
    assert (await tenant.client.post(PATH, json={"name": "twin", "pem": twin})).status_code == 201
    for body, words in (
        ({"name": "third", "pem": made}, "already active as 'second'"),
        ({"name": "SECOND", "pem": pem(make_certificate(now=NOW))}, "has this name"),
        ({"name": "other", "pem": other}, "'twin' has the same issuer and serial number"),
    ):
        answer = await tenant.client.post(PATH, json=body)
        assert answer.status_code == 409
        assert answer.json()["type"].endswith("/certificate-exists")
        assert words in answer.json()["detail"]
    retired = next(each for each in (await tenant.client.get(PATH)).json()["items"] if each["name"] == "twin")
    assert (await tenant.client.post(f"{PATH}/{retired['id']}/retire")).status_code == 200
    assert (await tenant.client.post(PATH, json={"name": "other", "pem": other})).status_code == 201


async def test_C1_a_certificate_with_an_ec_key_is_stored_and_described(tenant: Tenant) -> None:
    for key, bits, shown in ((ec.SECP256R1(), 256, "EC P-256"), (ec.SECP521R1(), 521, "EC P-521")):
        made = make_certificate(now=NOW, key=ec.generate_private_key(key))
        answer = await upload(tenant, pem(made).encode(), shown)
        assert answer.status_code == 201, answer.text
        assert [answer.json()[name] for name in ("key_type", "key_bits", "key")] == ["ec", bits, shown]
    found = (await tenant.client.get(PATH, params={"key_bits": "521"})).json()["items"]
    assert [each["key"] for each in found] == ["EC P-521"]


async def test_C1_a_retired_certificate_is_used_for_no_job_and_its_name_is_free(world: World, tenant: Tenant) -> None:
    for _ in range(2):
        answer = await tenant.client.post(f"{PATH}/{tenant.certificate}/retire")
        assert (answer.status_code, answer.json()["state"], answer.json()["version"]) == (200, "retired", 2)
    saved = (await world.events())[-1]
    assert isinstance(saved, CertificateSaved)
    assert (saved.state, saved.version) == ("retired", 2)
    assert (await tenant.client.get(PATH, params={"state": "active"})).json()["items"] == []
    body = {"name": "officer", "pem": pem(make_certificate(now=NOW))}
    assert (await tenant.client.post(PATH, json=body)).status_code == 201


async def test_C2_a_warning_precedes_the_expiry_of_a_certificate(world: World, tenant: Tenant) -> None:
    for days, warned in ((30, None), (29, "29 days"), (7, "7 days"), (1, "within"), (0, "within")):
        made = pem(make_certificate(now=NOW, ends=timedelta(days=days, hours=1), name=str(days)))
        found = (await tenant.client.post(PATH, json={"name": str(days), "pem": made})).json()
        assert (found["warning"] is None) == (warned is None), days
        assert (warned or "") in (found["warning"] or "")


async def test_I3_an_upload_repeated_with_the_same_key_gets_the_same_response(tenant: Tenant) -> None:
    body = {"name": "second", "pem": pem(make_certificate(now=NOW))}
    first, again = [await tenant.client.post(PATH, json=body, headers={"Idempotency-Key": "c"}) for _ in range(2)]
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()


async def test_another_media_type_is_refused(tenant: Tenant) -> None:
    answer = await tenant.client.post(PATH, content=b"x", headers={"Content-Type": "text/plain"})
    assert answer.status_code == 415
