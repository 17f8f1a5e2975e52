"""Files that openssl and the exporter encrypt are decrypted, and everything else is rejected."""

import subprocess
from collections.abc import Iterable
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.package.cms import EnvelopeEncoder
from shared.events.values import Cipher
from sluice.cms import decrypt_chunks
from sluice.errors import DecryptionFailed
from sluice.recipients import RecipientKey, load_recipient_key
from tests.support.properties import many_examples
from tests.unit.stream.officers import Officer, officer

CONTENT = b"PK\x03\x04" + bytes(range(256)) * 1200
OPTIONS = {
    "stream": ["-aes256", "-stream"],
    "der": ["-aes256"],
    "aes-128, key identifier": ["-aes-128-cbc", "-keyid"],
    "gcm": ["-aes-256-gcm"],
}
OAEP = ["-keyopt", "rsa_padding_mode:oaep"]


def decrypt(file: bytes, key: RecipientKey) -> bytes:
    return b"".join(decrypt_chunks(BytesIO(file), key))


def openssl_encrypt(
    folder: Path, content: bytes, options: list[str], officers: Iterable[Officer], *, oaep: bool = False
) -> bytes:
    plain, artifact = folder / "plain", folder / "file.p7m"
    plain.write_bytes(content)
    call: list[str | Path] = [
        "openssl",
        "cms",
        "-encrypt",
        "-binary",
        "-outform",
        "DER",
        "-in",
        plain,
        "-out",
        artifact,
    ]
    call += options
    for number, one in enumerate(officers):
        _, certificate = one.write_to(folder / str(number))
        call += ["-recip", certificate, *(OAEP if oaep else [])]
    subprocess.run(call, check=True)
    return artifact.read_bytes()


@cache
def ours(content: bytes = CONTENT, cipher: Cipher = "aes-256-cbc") -> bytes:
    encoder = EnvelopeEncoder([officer("a").recipient, officer("b").recipient], cipher)
    return encoder.start() + encoder.update(content) + encoder.finish()


@pytest.mark.parametrize("oaep", [False, True], ids=["pkcs1", "oaep"])
@pytest.mark.parametrize("variant", OPTIONS)
@pytest.mark.parametrize("size", [4, 16, 17, 100_000, len(CONTENT)])
def test_P2_files_of_openssl_are_decrypted(tmp_path: Path, variant: str, size: int, *, oaep: bool) -> None:
    officers = [officer("a"), officer("b")]
    file = openssl_encrypt(tmp_path, CONTENT[:size], OPTIONS[variant], officers, oaep=oaep)
    for one in officers:
        assert decrypt(file, one.recipient_key) == CONTENT[:size]
        assert decrypt(file, one.recipient_key_without_certificate) == CONTENT[:size]


@pytest.mark.parametrize("cipher", get_args(Cipher))
def test_P3_every_recipient_can_decrypt_and_nobody_else(cipher: Cipher) -> None:
    file = ours(cipher=cipher)
    for name in ("a", "b"):
        assert decrypt(file, officer(name).recipient_key) == CONTENT
    for stranger in (officer("c").recipient_key, officer("c").recipient_key_without_certificate):
        with pytest.raises(DecryptionFailed, match=r"encrypted for other certificates|key is wrong"):
            decrypt(file, stranger)


@pytest.mark.parametrize("cipher", get_args(Cipher))
@given(data=st.data())
def test_P2_a_truncated_file_is_always_rejected(cipher: Cipher, data: st.DataObject) -> None:
    file = ours(CONTENT[:2000], cipher)
    with pytest.raises(DecryptionFailed):
        decrypt(file[: data.draw(st.integers(0, len(file) - 1))], officer("a").recipient_key)


@many_examples(2)
@given(data=st.data())
def test_P3_every_changed_bit_of_a_gcm_file_is_detected_or_harmless(data: st.DataObject) -> None:
    file = bytearray(ours(CONTENT[:500], "aes-256-gcm"))
    file[data.draw(st.integers(0, len(file) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        content = decrypt(bytes(file), officer("a").recipient_key)
    except DecryptionFailed:
        return
    # For instance, in the entry of the other recipient.
    assert content == CONTENT[:500]


@many_examples(2)
@given(data=st.data())
def test_P2_a_damaged_file_ends_in_one_clear_error_or_in_content(data: st.DataObject) -> None:
    file = bytearray(ours(CONTENT[:500]))
    for _ in range(data.draw(st.integers(1, 4))):
        file[data.draw(st.integers(0, len(file) - 1))] = data.draw(st.integers(0, 255))
    try:
        decrypt(bytes(file), officer("a").recipient_key)
    except DecryptionFailed as failed:
        assert str(failed).endswith(".")  # noqa: PT017 no error is required: CBC does not detect every change


@given(noise=st.binary(max_size=400))
def test_P2_random_bytes_are_rejected(noise: bytes) -> None:
    with pytest.raises(DecryptionFailed):
        decrypt(noise, officer().recipient_key)


def test_P2_a_signed_file_is_not_mistaken_for_an_encrypted_one(tmp_path: Path) -> None:
    key, certificate = officer().write_to(tmp_path)
    call: list[str | Path] = ["openssl", "cms", "-sign", "-nodetach", "-outform", "DER", "-signer", certificate]
    signed = subprocess.run([*call, "-inkey", key], input=b"x", check=True, capture_output=True).stdout
    with pytest.raises(DecryptionFailed, match="not encrypted for a certificate"):
        decrypt(signed, officer().recipient_key)


def test_P2_an_unsupported_cipher_is_named(tmp_path: Path) -> None:
    file = openssl_encrypt(tmp_path, CONTENT, ["-des3"], [officer()])
    with pytest.raises(DecryptionFailed, match=r"not supported \(1\.2\.840\.113549\.3\.7\)"):
        decrypt(file, officer().recipient_key)


@pytest.mark.parametrize(
    ("key", "passphrase", "certificate", "reason"),
    [
        (b"no key", None, None, "cannot be read: it must be PEM"),
        (officer().key_pem(b"secret"), None, None, "is encrypted: pass its passphrase"),
        (officer().key_pem(b"secret"), b"wrong", None, "the passphrase is wrong"),
        (officer().key_pem(), b"secret", None, "pass no passphrase"),
        (officer().key_pem(), None, b"no certificate", "certificate cannot be read"),
        (officer().key_pem(), None, officer("c").pem, "does not belong"),
    ],
)
def test_P2_a_bad_key_is_explained(
    key: bytes, passphrase: bytes | None, certificate: bytes | None, reason: str
) -> None:
    with pytest.raises(DecryptionFailed, match=reason):
        load_recipient_key(key, passphrase, certificate)


def test_P2_an_encrypted_key_is_read_with_its_passphrase() -> None:
    key = load_recipient_key(officer("a").key_pem(b"secret"), b"secret", officer("a").pem)
    assert decrypt(ours(), key) == CONTENT
