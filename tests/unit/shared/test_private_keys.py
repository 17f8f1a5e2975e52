"""A private key beside a certificate is found in every form in which people have one (rule C1)."""

import base64
import json
import subprocess
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from functools import cache
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import pkcs12

from shared.certificates import MAX_BYTES, CertificateRejected, accept_certificate
from shared.private_keys import contains_private_key
from tests.unit.stream.officers import NOW, make_officer, officer

DER, PEM = serialization.Encoding.DER, serialization.Encoding.PEM
PKCS8, TRADITIONAL = serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL
OPENSSH, PLAIN = serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
LOCKED = serialization.BestAvailableEncryption(b"passphrase")
Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | dsa.DSAPrivateKey


@cache
def keys() -> Mapping[str, Key]:
    return {
        "rsa 2048": officer().key,
        "rsa 3072": rsa.generate_private_key(65537, 3072),
        "rsa 4096": rsa.generate_private_key(65537, 4096),
        "p-256": ec.generate_private_key(ec.SECP256R1()),
        "p-384": ec.generate_private_key(ec.SECP384R1()),
        "p-521": ec.generate_private_key(ec.SECP521R1()),
        "ed25519": ed25519.Ed25519PrivateKey.generate(),
        "dsa": dsa.generate_private_key(2048),
    }


def binary_forms(key: Key) -> Iterator[tuple[str, bytes]]:
    yield "PKCS#8", key.private_bytes(DER, PKCS8, PLAIN)
    yield "encrypted PKCS#8", key.private_bytes(DER, PKCS8, LOCKED)
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        yield "traditional", key.private_bytes(DER, TRADITIONAL, PLAIN)
    if not isinstance(key, dsa.DSAPrivateKey):
        yield "PKCS#12", pkcs12.serialize_key_and_certificates(b"n", key, None, None, LOCKED)
        yield "open PKCS#12", pkcs12.serialize_key_and_certificates(b"n", key, None, None, PLAIN)


def wrap(text: bytes, prefix: bytes = b"", end: bytes = b"\n") -> bytes:
    return b"".join(prefix + text[at : at + 64] + end for at in range(0, len(text), 64))


def to_urlsafe(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


DRESSES: Mapping[str, Callable[[bytes], bytes]] = {
    "bytes": bytes,
    "bytes behind text": lambda data: b"my key follows\n" + data,
    "base64": base64.b64encode,
    "base64 in lines": lambda data: wrap(base64.b64encode(data)),
    "base64 in CRLF lines": lambda data: wrap(base64.b64encode(data), end=b"\r\n"),
    "base64 behind a word": lambda data: b"key" + base64.b64encode(data),
    "base64 behind words": lambda data: b"here is the key: " + wrap(base64.b64encode(data)),
    "base64 quoted in a mail": lambda data: wrap(base64.b64encode(data), prefix=b"> "),
    "base64 in JSON": lambda data: json.dumps(wrap(base64.b64encode(data)).decode()).encode(),
    "base64url": to_urlsafe,
    "base64 in UTF-16": lambda data: base64.b64encode(data).decode().encode("utf-16"),
    "base64 in UTF-16 big-endian": lambda data: base64.b64encode(data).decode().encode("utf-16-be"),
    "hexadecimal": lambda data: data.hex().encode(),
    "hexadecimal behind a digit": lambda data: b"key:\na" + data.hex().encode(),
    "hexadecimal in lines": lambda data: wrap(data.hex().upper().encode()),
    "PEM of another label": lambda data: (
        b"-----BEGIN THING-----\n" + wrap(base64.b64encode(data)) + b"-----END THING-----"
    ),
    "PEM that says certificate": lambda data: (
        b"-----BEGIN CERTIFICATE-----\n" + wrap(base64.b64encode(data)) + b"-----END CERTIFICATE-----"
    ),
}


@pytest.mark.parametrize("dress", DRESSES)
@pytest.mark.parametrize("kind", ["rsa 2048", "rsa 3072", "rsa 4096", "p-256", "p-384", "p-521", "ed25519", "dsa"])
def test_C1_a_private_key_is_found_in_every_dress(kind: str, dress: str) -> None:
    for form, data in binary_forms(keys()[kind]):
        dressed = DRESSES[dress](data)
        for place, content in (
            ("alone", dressed),
            ("after a certificate", officer().pem + dressed),
            ("after a certificate without a line break", officer().pem.rstrip() + dressed),
            ("before a certificate", dressed + b"\n" + officer().pem),
            ("after a certificate in DER", officer().certificate.public_bytes(DER) + dressed),
        ):
            assert contains_private_key(content), (form, place)


def jwk() -> bytes:
    key = keys()["rsa 2048"]
    assert isinstance(key, rsa.RSAPrivateKey)
    numbers = key.private_numbers()
    return json.dumps(
        {"kty": "RSA", "n": f"{numbers.public_numbers.n:x}", "e": "AQAB", "d": f"{numbers.d:x}"}, indent=1
    ).encode()


def text_forms() -> Mapping[str, bytes]:
    elliptic, traditional = keys()["p-256"], officer().key.private_bytes(PEM, TRADITIONAL, PLAIN)
    putty = (
        b"PuTTY-User-Key-File-3: ssh-rsa\nEncryption: none\nComment: x\nPublic-Lines: 1\nAAAA\nPrivate-Lines: 1\nAAAA\n"
    )
    return {
        "OpenSSH": officer().key.private_bytes(PEM, OPENSSH, PLAIN),
        "OpenSSH without its dashes": b"".join(officer().key.private_bytes(PEM, OPENSSH, PLAIN).splitlines()[1:-1]),
        "OpenSSH of a curve": elliptic.private_bytes(PEM, OPENSSH, PLAIN),
        "PEM": officer().key_pem(),
        "PEM in UTF-16": officer().key_pem().decode().encode("utf-16"),
        "PEM in lower case": officer().key_pem().replace(b"BEGIN PRIVATE KEY", b"begin private key"),
        "PEM with its own encryption": officer().key.private_bytes(PEM, TRADITIONAL, LOCKED),
        "PEM cut off": traditional[:200],
        "PEM without its first line": traditional.split(b"\n", 1)[1],
        "SSH2": b"---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\nComment: x\nP2/56w==\n",
        "PGP": b"-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlQOY\n-----END PGP PRIVATE KEY BLOCK-----",
        "PuTTY": putty,
        "PuTTY in UTF-16": putty.decode().encode("utf-16"),
        "JWK": jwk(),
        "JWK in UTF-16": jwk().decode().encode("utf-16"),
        "XML": b"<RSAKeyValue><Modulus>AA</Modulus><P>AA</P><D>AA</D></RSAKeyValue>",
        "Java key store": b"\xfe\xed\xfe\xed\x00\x00\x00\x02",
    }


@pytest.mark.parametrize("form", text_forms())
def test_C1_a_private_key_of_every_program_is_found(form: str) -> None:
    content = text_forms()[form]
    assert contains_private_key(content)
    with pytest.raises(CertificateRejected, match="contains a private key") as rejected:
        accept_certificate(content, at=NOW)
    assert "openssl x509" in str(rejected.value)
    if form != "Java key store":
        assert contains_private_key(officer().pem + content)


def test_C1_openssl_printing_a_key_is_found(tmp_path: Path) -> None:
    for kind in ("rsa 2048", "p-256"):
        file = tmp_path / "key.pem"
        file.write_bytes(keys()[kind].private_bytes(PEM, PKCS8, PLAIN))
        printed = subprocess.run(["openssl", "pkey", "-in", file, "-text", "-noout"], capture_output=True, check=True)
        assert contains_private_key(printed.stdout)


def test_C1_certificates_and_what_stands_around_them_are_no_private_keys(tmp_path: Path) -> None:
    file = tmp_path / "certificate.pem"
    for number in range(6):
        made = make_officer(
            f"officer {number}", end=NOW + timedelta(days=number + 1), curve=(None, "P-256")[number % 2]
        )
        file.write_bytes(made.pem)
        command = ["openssl", "x509", "-in", str(file), "-text", "-trustout"]
        printed = subprocess.run(command, capture_output=True, check=True).stdout
        public = made.key.public_key().public_bytes(PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        for content in (made.pem, made.certificate.public_bytes(DER), printed, public):
            assert not contains_private_key(content)
            assert not contains_private_key(content.decode("latin-1").encode("utf-16"))
    assert not contains_private_key(b"Never upload the private key, says the handbook.")


@pytest.mark.parametrize(
    "unit",
    [b"-----BEGIN ", b"A" * 24 + b".", b'"kty":', b"\x02\x01\x00\x30\x03\x06", b"\x02\x01\x00\x02\x82\xff\xff\x00\xff"],
)
def test_C1_the_worst_content_has_an_answer(unit: bytes) -> None:
    content = (unit * (MAX_BYTES // len(unit) + 1))[:MAX_BYTES]
    assert isinstance(contains_private_key(content), bool)
    with pytest.raises(CertificateRejected):
        accept_certificate(content, at=NOW)
