"""A certificate is accepted in every form in which people have it, and refused in words that say why (rule C1)."""

import base64
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509.oid import NameOID

from exporter.errors import CertificateRefused
from exporter.package.cms import EnvelopeEncoder
from exporter.package.recipients import accept_recipients
from shared.certificates import CertificateRejected, accept_certificate, find_note
from shared.der import encode_value, read_children, read_header
from tests.unit.stream.officers import NOW, make_officer, officer

DER, PEM = serialization.Encoding.DER, serialization.Encoding.PEM


def der() -> bytes:
    return officer().certificate.public_bytes(DER)


@cache
def forms() -> Mapping[str, bytes]:
    pem, text = officer().pem, officer().pem.decode()
    label = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"
    attributes = b"Bag Attributes\n    localKeyID: 01 02\n    friendlyName: officer\nsubject=/CN=officer\n"
    return {
        "PEM": pem,
        "DER": der(),
        "DER with white space around": b"\r\n " + der() + b"\r\n",
        "bag attributes": attributes + pem,
        "CRLF": pem.replace(b"\n", b"\r\n"),
        "CR": pem.replace(b"\n", b"\r"),
        "byte order mark": b"\xef\xbb\xbf" + pem,
        "text around": b"Dear all,\n" + pem + b"\nKind regards\n",
        "X509 CERTIFICATE": pem.replace(label[0], b"-----BEGIN X509 CERTIFICATE-----"),
        "no line breaks": b"".join(pem.split(b"\n")),
        "indented": b"".join(b"    " + line + b"\n" for line in pem.splitlines()),
        "UTF-16": text.encode("utf-16"),
        "UTF-16 big-endian": text.encode("utf-16-be"),
        "base64": base64.b64encode(der()),
        "base64 in lines": base64.encodebytes(der()),
        "base64 in UTF-16": base64.b64encode(der()).decode().encode("utf-16"),
        "PKCS#7": pkcs7.serialize_certificates([officer().certificate], DER),
        "PKCS#7 in PEM": pkcs7.serialize_certificates([officer().certificate], PEM),
        "PKCS#7 in base64": base64.b64encode(pkcs7.serialize_certificates([officer().certificate], DER)),
    }


@pytest.mark.parametrize("form", forms())
def test_C1_a_certificate_is_accepted_in_this_form(form: str) -> None:
    accepted = accept_certificate(forms()[form], at=NOW)
    assert accepted == officer().recipient
    assert (accepted.der, accepted.pem) == (der(), officer().pem.decode())


def test_C1_a_certificate_with_openssls_trust_settings_is_accepted(tmp_path: Path) -> None:
    file = tmp_path / "certificate.pem"
    file.write_bytes(officer().pem)
    command = ["openssl", "x509", "-in", str(file), "-trustout", "-addtrust", "emailProtection", "-setalias", "officer"]
    trusted = subprocess.run(command, capture_output=True, check=True).stdout
    assert b"TRUSTED CERTIFICATE" in trusted
    assert accept_certificate(trusted, at=NOW) == officer().recipient


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty. Choose a file"),
        (b" \r\n", "is empty. Choose a file"),
        (
            pkcs7.serialize_certificates([officer("a").certificate, officer("b").certificate], DER),
            "with 2 certificates",
        ),
        (b"-----BEGIN PKCS7-----\nMAMCAQE=\n-----END PKCS7-----\n", "not an X.509"),
        (b"hello", "not an X.509"),
        (b"\x30\x80\x00\x00", "not an X.509"),
    ],
)
def test_C1_what_is_no_certificate_is_refused_in_words(content: bytes, words: str) -> None:
    with pytest.raises(CertificateRejected, match=words):
        accept_certificate(content, at=NOW)


def build(
    public_key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey,
    *,
    usage: x509.KeyUsage | None = None,
    begin: datetime | None = None,
    end: datetime | None = None,
) -> x509.Certificate:
    """Return a certificate of a key, issued by an officer."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "odd")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public_key)
        .serial_number(1)
        .not_valid_before(begin or NOW)
        .not_valid_after(end or datetime(2099, 1, 1, tzinfo=UTC))
    )
    if usage is not None:
        builder = builder.add_extension(usage, critical=True)
    return builder.sign(officer().key, hashes.SHA256())


MODULUS = (1 << 2048) - 1942289


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        (rsa.RSAPublicNumbers(65537, MODULUS - 1), "cannot be read|nothing can be encrypted"),
        (rsa.RSAPublicNumbers((1 << 70) + 1, (1 << 4096) - 1), "nothing can be encrypted"),
        (rsa.RSAPublicNumbers(65537, (1 << 20000) - 1), "20000 bits; at most 16384"),
    ],
)
def test_C1_R5_a_key_that_cannot_be_encrypted_to_is_refused_at_upload_and_permanently_in_a_run(
    numbers: rsa.RSAPublicNumbers, words: str
) -> None:
    certificate = build_with_numbers(numbers)
    with pytest.raises(CertificateRejected, match=words):
        accept_certificate(certificate, at=NOW)
    with pytest.raises(CertificateRefused, match=words) as refused:
        accept_recipients([officer().pem, certificate], NOW, are_default=True)
    assert not refused.value.transient
    assert "retire this one" in str(refused.value)
    assert "fingerprint" in str(refused.value)


def build_with_numbers(numbers: rsa.RSAPublicNumbers) -> bytes:
    """Return a certificate in DER whose key has these numbers, which the library would not write."""
    template = build(officer().key.public_key()).public_bytes(DER)
    spki = officer().key.public_key().public_bytes(DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    key = _sequence(_integer(numbers.n) + _integer(numbers.e))
    algorithm = bytes.fromhex("300d06092a864886f70d0101010500")
    other = _sequence(algorithm + encode_value(0x03, b"\0" + key))
    tbs = template[4 : 4 + 4 + int.from_bytes(template[6:8])]
    signature = template[4 + len(tbs) :]
    assert tbs.count(spki) == 1
    return _sequence(_sequence(tbs[4:].replace(spki, other)) + signature)


def _sequence(content: bytes) -> bytes:
    return encode_value(0x30, content)


def _integer(number: int) -> bytes:
    return encode_value(0x02, number.to_bytes(number.bit_length() // 8 + 1))


def test_C1_a_key_that_may_only_sign_is_refused_with_the_reason(tmp_path: Path) -> None:
    command = ["openssl", "req", "-x509", "-newkey", "rsa-pss", "-pkeyopt", "rsa_keygen_bits:2048", "-nodes"]
    command += ["-subj", "/CN=pss", "-keyout", "key.pem", "-out", "certificate.pem", "-days", "3650"]
    subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
    at = datetime.now(UTC)
    with pytest.raises(CertificateRejected, match="restricted to signatures") as rejected:
        accept_certificate((tmp_path / "certificate.pem").read_bytes(), at=at)
    assert rejected.value.code == "certificate-key-unusable"


def usage(*, key_encipherment: bool = False, key_agreement: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=key_encipherment,
        data_encipherment=False,
        key_agreement=key_agreement,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


@pytest.mark.parametrize(("name", "use"), [("officer", "key encipherment"), ("P-256", "key agreement")])
def test_C1_a_certificate_whose_usage_lacks_what_its_key_is_for_is_accepted_with_a_note(name: str, use: str) -> None:
    key = officer(name).key.public_key()
    enough = usage(key_encipherment=name == "officer", key_agreement=name != "officer")
    too_little = usage(key_encipherment=name != "officer", key_agreement=name == "officer")
    with_note = accept_certificate(build(key, usage=too_little).public_bytes(PEM), at=NOW)
    assert with_note.note is not None
    assert f"does not include {use}" in with_note.note
    assert find_note(with_note.pem) == with_note.note
    assert find_note("") is None
    assert find_note("not a certificate") is None
    for allowed in (None, enough):
        assert accept_certificate(build(key, usage=allowed).public_bytes(PEM), at=NOW).note is None


def test_C1_a_certificate_without_an_end_is_accepted() -> None:
    key = officer().key.public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    last = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    begin = datetime(1950, 1, 1, tzinfo=UTC)
    accepted = accept_certificate(build(key, begin=begin, end=last).public_bytes(DER), at=NOW)
    assert (accepted.not_before, accepted.not_after) == (begin, last)


@pytest.mark.parametrize(
    ("tag", "value", "shown"),
    [
        (0x14, b"J\xfcrgen, Ltd", "CN=Jürgen\\, Ltd"),  # T61String
        (0x0C, b"J\xfcrgen\xff  \x01 x", "CN=Jürgenÿ  \\01 x"),  # Latin-1 in a UTF8String
        (0x16, b"J\xfcrgen      ", "CN=Jürgen"),  # Latin-1 in an IA5String
        (0x13, b"a*b_c&d@e.org", "CN=a*b_c&d@e.org"),  # PrintableString with what it may not contain
    ],
)
def test_C1_names_in_encodings_that_their_types_forbid_are_accepted_and_shown(
    tag: int, value: bytes, shown: str
) -> None:
    made = make_officer("X" * len(value)).certificate.public_bytes(DER)
    name = encode_value(0x0C, b"X" * len(value))
    assert made.count(name) == 2
    odd = made.replace(name, bytes((tag,)) + name[1:2] + value)
    accepted = accept_certificate(odd, at=NOW)
    assert shown in accepted.subject
    assert accepted.der == odd
    assert accept_certificate(accepted.pem.encode(), at=NOW) == accepted
    assert find_note(accepted.pem) is None
    assert EnvelopeEncoder([accepted]).start()


@pytest.mark.parametrize("field", ["subject", "issuer"])
def test_C1_a_name_of_several_values_is_accepted_in_any_order(field: str) -> None:
    made = make_officer("several", curve="P-256").certificate.public_bytes(DER)
    tbs = read_header(made, 4)
    assert tbs is not None
    fields = read_children(made, tbs)
    name = fields[{"issuer": 3, "subject": 5}[field]]
    values = [encode_value(0x30, bytes.fromhex(each)) for each in ("060355040b0c027a7a", "06035504030c0161")]
    assert values != sorted(values)
    several = encode_value(0x30, encode_value(0x31, b"".join(values)))
    before, after = made[tbs.start : name.start - 2], made[name.end : tbs.end]
    assert made[name.start - 2] == 0x30
    odd = encode_value(0x30, encode_value(0x30, before + several + after) + made[tbs.end :])
    assert is_read_by_openssl(odd)
    accepted = accept_certificate(odd, at=NOW)
    assert accepted.der == odd
    start = EnvelopeEncoder([accepted]).start()
    assert (accepted.subject == "CN=a+OU=zz", several in start) == (field == "subject", field == "issuer")


def rebuild(*, not_before: bytes | None = None, version: bytes | None = None) -> bytes:
    """Return an officer's certificate with another encoding of its first date, or of its version."""
    made = officer("P-256").certificate.public_bytes(DER)
    old_version, old_date = bytes.fromhex("a003020102"), encode_value(0x17, b"261123100000Z")
    assert (made.count(old_version), made.count(old_date)) == (1, 1)
    tbs = made[4 : 4 + 4 + int.from_bytes(made[6:8])][4:]
    if not_before is not None:
        validity = old_date + encode_value(0x17, b"361121100000Z")
        assert tbs.count(encode_value(0x30, validity)) == 1
        tbs = tbs.replace(encode_value(0x30, validity), encode_value(0x30, validity.replace(old_date, not_before)))
    if version is not None:
        tbs = tbs.replace(old_version, encode_value(0xA0, version))
    return encode_value(0x30, encode_value(0x30, tbs) + made[4 + 4 + int.from_bytes(made[6:8]) :])


def is_read_by_openssl(certificate: bytes) -> bool:
    command = ["openssl", "x509", "-inform", "DER", "-noout", "-dates"]
    printed = subprocess.run(command, input=certificate, capture_output=True, check=True).stdout
    return b"Bad time value" not in printed


@pytest.mark.parametrize(
    ("tag", "text", "expected"),
    [
        (0x17, b"2611010000Z", datetime(2026, 11, 1, tzinfo=UTC)),
        (0x17, b"261101000000+0100", datetime(2026, 10, 31, 23, tzinfo=UTC)),
        (0x17, b"2611010000-0530", datetime(2026, 11, 1, 5, 30, tzinfo=UTC)),
        (0x17, b"5011010000Z", datetime(1950, 11, 1, tzinfo=UTC)),
        (0x18, b"202611010000Z", datetime(2026, 11, 1, tzinfo=UTC)),
        (0x18, b"20261101000000.5+0100", datetime(2026, 10, 31, 23, tzinfo=UTC)),
        (0x18, b"00010101000000Z", datetime(1, 1, 1, tzinfo=UTC)),
        (0x18, b"20261101000000", None),
        (0x17, b"261301000000Z", None),
        (0x17, b"today", None),
    ],
)
def test_C1_times_that_openssl_reads_are_accepted_and_others_refused_in_words_about_them(
    tag: int, text: bytes, expected: datetime | None
) -> None:
    made = rebuild(not_before=encode_value(tag, text))
    assert is_read_by_openssl(made) is (expected is not None)
    if expected is None:
        with pytest.raises(CertificateRejected, match="dates that cannot be read"):
            accept_certificate(made, at=NOW)
        return
    accepted = accept_certificate(made, at=NOW)
    assert (accepted.not_before, accepted.der) == (expected, made)
    assert EnvelopeEncoder([accepted]).start()


def test_C1_a_certificate_that_only_ends_like_a_sound_one_is_refused() -> None:
    made = rebuild(not_before=encode_value(0x17, b"2611010000Z"))
    tbs = read_header(made, 4)
    assert tbs is not None
    for junk in (b"\x30\x05\x00", b"\xff"):
        other = encode_value(0x30, made[tbs.start : tbs.end] + junk) + made[tbs.end :]
        with pytest.raises(CertificateRejected, match=r"not an X\.509"):
            accept_certificate(encode_value(0x30, other), at=NOW)


@pytest.mark.parametrize("version", ["020105", "02017f", "0201ff", "0202012c", "020100", "020101"])
def test_C1_versions_that_do_not_exist_are_accepted_as_openssl_does(version: str) -> None:
    made = rebuild(version=bytes.fromhex(version))
    assert is_read_by_openssl(made)
    accepted = accept_certificate(made, at=NOW)
    assert (accepted.der, accepted.note) == (made, None)
    assert EnvelopeEncoder([accepted]).start()
