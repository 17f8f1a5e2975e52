"""Private keys open in every common form, and what does not open is named (rule P3: `sluice decrypt` opens it)."""

import base64
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from sluice.errors import DecryptionFailed, KeyLocked
from sluice.key_forms import read_passphrase
from sluice.recipients import load_recipient_key
from tests.unit.stream.officers import make_officer, officer

PASSPHRASE = "pässword"
DER = ["-outform", "DER"]
TRADITIONAL = ["openssl", "rsa", "-traditional"]
PKCS8 = ["openssl", "pkcs8", "-topk8"]
PKCS12 = ["openssl", "pkcs12", "-export", "-inkey", "{key}", "-in", "{certificate}", "-passout", "pass:{passphrase}"]
PLAIN = {
    "PKCS#1": [*TRADITIONAL],
    "PKCS#1, DER": [*TRADITIONAL, *DER],
    "PKCS#8": [*PKCS8, "-nocrypt"],
    "PKCS#8, DER": [*PKCS8, "-nocrypt", *DER],
}
LOCKED = {
    "DEK-Info AES-128": [*TRADITIONAL, "-aes128"],
    "DEK-Info AES-256": [*TRADITIONAL, "-aes256"],
    "DEK-Info 3DES": [*TRADITIONAL, "-des3"],
    "PBES2 AES-256": [*PKCS8, "-v2", "aes-256-cbc"],
    "PBES2 AES-128, SHA-512": [*PKCS8, "-v2", "aes-128-cbc", "-v2prf", "hmacWithSHA512"],
    "PBES2 3DES": [*PKCS8, "-v2", "des-ede3-cbc"],
    "PBES2 AES-256, DER": [*PKCS8, "-v2", "aes-256-cbc", *DER],
    "scrypt": [*PKCS8, "-scrypt"],
    "PKCS#12 encryption 3DES": [*PKCS8, "-v1", "PBE-SHA1-3DES"],
}
UNSUPPORTED = {
    "AES-192-CBC": [*TRADITIONAL, "-aes192"],
    "CAMELLIA-256-CBC": [*TRADITIONAL, "-camellia256"],
    "Camellia-256-CBC": [*PKCS8, "-v2", "camellia-256-cbc"],
    "ARIA-128-CBC": [*PKCS8, "-v2", "aria-128-cbc"],
    "HMAC-SHA-512/256": [*PKCS8, "-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA512-256"],
    "AES-256-OFB": [*PKCS8, "-v2", "aes-256-ofb"],
}
BUNDLES = {
    "PKCS#12": PKCS12,
    "PKCS#12, 3DES": [*PKCS12, "-keypbe", "PBE-SHA1-3DES", "-certpbe", "PBE-SHA1-3DES", "-macalg", "sha1"],
    "PKCS#12, Camellia": [*PKCS12, "-keypbe", "camellia-256-cbc", "-certpbe", "camellia-256-cbc"],
}


def convert(folder: Path, command: list[str], passphrase: str = PASSPHRASE) -> bytes:
    """Let openssl write the officer's key in another form."""
    key, certificate = officer("a").write_to(folder)
    names = {"key": key, "certificate": certificate, "passphrase": passphrase}
    call = [each.format(**names) for each in command]
    if "-inkey" not in call:
        call += ["-in", str(key), "-passout", f"pass:{passphrase}"]
    return subprocess.run(call, check=True, capture_output=True).stdout


def loads(content: bytes, passphrase: str | None = None) -> bool:
    """Return whether the officer's key is read; a key without its numbers would be another."""
    loaded = load_recipient_key(content, passphrase.encode() if passphrase is not None else None)
    return loaded.private.private_numbers() == officer("a").key.private_numbers()


@pytest.mark.parametrize("form", PLAIN)
def test_P3_a_plain_key_opens_in_every_form(tmp_path: Path, form: str) -> None:
    assert loads(convert(tmp_path, PLAIN[form]))


@pytest.mark.parametrize("form", LOCKED)
def test_P3_an_encrypted_key_opens_in_every_form(tmp_path: Path, form: str) -> None:
    content = convert(tmp_path, LOCKED[form])
    assert loads(content, PASSPHRASE)
    with pytest.raises(KeyLocked, match="pass its passphrase"):
        loads(content)
    with pytest.raises(DecryptionFailed, match="the passphrase is wrong"):
        loads(content, "wrong")


@pytest.mark.parametrize("cipher", UNSUPPORTED)
def test_P3_an_unsupported_cipher_of_a_key_is_named(tmp_path: Path, cipher: str) -> None:
    with pytest.raises(DecryptionFailed, match=f"with {cipher}, which is not supported; convert it with: openssl pkey"):
        loads(convert(tmp_path, UNSUPPORTED[cipher]), PASSPHRASE)


@pytest.mark.parametrize("form", BUNDLES)
def test_P3_a_pkcs12_file_opens_and_brings_its_certificate(tmp_path: Path, form: str) -> None:
    content = convert(tmp_path, BUNDLES[form])
    found, expected = load_recipient_key(content, PASSPHRASE.encode()), officer("a").recipient_key
    assert (found.issuer, found.serial_number) == (expected.issuer, expected.serial_number)
    assert found.key_identifiers == expected.key_identifiers
    with pytest.raises(KeyLocked, match="pass its passphrase"):
        loads(content)
    with pytest.raises(DecryptionFailed, match="passphrase is wrong"):
        loads(content, "wrong")
    assert loads(convert(tmp_path, BUNDLES[form], ""))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_P3_a_key_and_a_passphrase_open_as_an_editor_saves_them(encoding: str) -> None:
    pem = officer("a").key_pem(PASSPHRASE.encode()).decode().replace("\n", "\r\n")
    around = f"Bag Attributes\r\n    friendlyName: officer\r\n{officer('a').pem.decode()}\r\n{pem}\r\nthe end\r\n"
    passphrase = read_passphrase(f"{PASSPHRASE}\r\n".encode(encoding))
    # Without a byte order mark, a first letter beyond ASCII would be a guess.
    if encoding != "utf-16-be" or passphrase:
        assert loads(around.encode(encoding), passphrase.decode())


def test_P3_a_binary_key_opens_with_white_space_around_it_and_in_base64() -> None:
    der = officer("a").key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    for content in (der + b"\r\n", b"\n " + der, base64.encodebytes(der), base64.b64encode(der)):
        assert loads(content)
    certificate = officer("a").certificate.public_bytes(Encoding.DER)
    for content in (certificate + b"\n", b" " + certificate, base64.encodebytes(certificate)):
        assert load_recipient_key(der, None, content).issuer


def test_P3_a_curve_key_opens_with_its_parameters_before_it(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    call = ["openssl", "ecparam", "-name", "secp384r1", "-genkey", "-out", str(path)]
    subprocess.run(call, check=True, capture_output=True)
    assert load_recipient_key(path.read_bytes()).private.key_size == 384


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (officer("a").key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()), "ssh-keygen -p -m PKCS8"),
        (officer("a").pem, "contains a certificate, but no private key"),
        (officer("a").certificate.public_bytes(Encoding.DER), "contains a certificate, but no private key"),
        (officer("a").key_pem() + officer("b").key_pem(), "contains 2 private keys"),
        (officer("a").key_pem()[:-200], "PEM is incomplete"),
        (b"", "is empty"),
        (b"hello", "must be PEM, DER or PKCS#12"),
        (b"\x30\x82", "the file is damaged"),
        (b"\x30" * 3000, "the file is damaged"),
        (b"PuTTY-User-Key-File-3: ssh-rsa\n", "PuTTY"),
        (b"\xfe\xed\xfe\xed\0\0\0\2", "Java key store"),
        (b" " * 2_000_000, "larger than a key"),
    ],
)
def test_P3_what_is_no_key_is_explained(content: bytes, reason: str) -> None:
    with pytest.raises(DecryptionFailed, match=reason):
        load_recipient_key(content, None)


@pytest.mark.parametrize("algorithm", ["ed25519", "x25519"])
def test_P3_another_kind_of_key_is_refused(algorithm: str) -> None:
    call = ["openssl", "genpkey", "-algorithm", algorithm]
    with pytest.raises(DecryptionFailed, match="must be RSA or EC"):
        load_recipient_key(subprocess.run(call, check=True, capture_output=True).stdout)


def test_P3_every_damaged_key_ends_in_a_sentence(tmp_path: Path) -> None:
    originals = [convert(tmp_path, command) for command in (PKCS12, LOCKED["PBES2 AES-256, DER"], PLAIN["PKCS#8, DER"])]
    originals.append(make_officer("curve", curve="P-256").key_pem())
    for content in originals:
        for at in range(0, len(content), 67):
            for damaged in (content[:at], content[:at] + bytes((content[at] ^ 0x41,)) + content[at + 1 :]):
                try:
                    load_recipient_key(damaged, PASSPHRASE.encode())
                except DecryptionFailed as error:
                    assert str(error).count("\n") == 0  # noqa: PT017 a change may be harmless
