"""Decryption of what openssl and the exporter write, and refusal of everything else."""

import subprocess
from collections.abc import Iterable
from functools import cache
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.package.cms import Encoder, Sealing
from sluice.cms import decrypted
from sluice.errors import DecryptionFailed
from sluice.recipients import Identity, load_identity
from tests.unit.stream.officers import Officer, officer

CONTENT = b"PK\x03\x04" + bytes(range(256)) * 1200
WAYS = {
    "stream": ["-aes256", "-stream"],
    "der": ["-aes256"],
    "aes-128, key identifier": ["-aes-128-cbc", "-keyid"],
    "gcm": ["-aes-256-gcm"],
}
OAEP = ["-keyopt", "rsa_padding_mode:oaep"]


def opened(file: bytes, identity: Identity) -> bytes:
    return b"".join(decrypted(BytesIO(file), identity))


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
def ours(content: bytes = CONTENT, sealing: Sealing = Sealing.CBC) -> bytes:
    encoder = Encoder([officer("a").recipient, officer("b").recipient], sealing)
    return encoder.start() + encoder.update(content) + encoder.finish()


@pytest.mark.parametrize("oaep", [False, True], ids=["pkcs1", "oaep"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("size", [4, 16, 17, 100_000, len(CONTENT)])
def test_P2_what_openssl_writes_opens(tmp_path: Path, way: str, size: int, *, oaep: bool) -> None:
    officers = [officer("a"), officer("b")]
    file = openssl_encrypt(tmp_path, CONTENT[:size], WAYS[way], officers, oaep=oaep)
    for one in officers:
        assert opened(file, one.identity) == CONTENT[:size]
        assert opened(file, load_identity(one.key_pem())) == CONTENT[:size], "without a certificate"


@pytest.mark.parametrize("sealing", Sealing)
def test_P3_any_recipient_opens_and_nobody_else(sealing: Sealing) -> None:
    file = ours(sealing=sealing)
    for name in ("a", "b"):
        assert opened(file, officer(name).identity) == CONTENT
    for stranger in (officer("c").identity, load_identity(officer("c").key_pem())):
        with pytest.raises(DecryptionFailed, match=r"encrypted for other certificates|key is not the right one"):
            opened(file, stranger)


@pytest.mark.parametrize("sealing", Sealing)
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_P2_a_file_that_was_cut_short_never_passes(sealing: Sealing, data: st.DataObject) -> None:
    file = ours(CONTENT[:2000], sealing)
    with pytest.raises(DecryptionFailed):
        opened(file[: data.draw(st.integers(0, len(file) - 1))], officer("a").identity)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_P3_any_changed_bit_of_a_gcm_file_is_noticed_or_harmless(data: st.DataObject) -> None:
    file = bytearray(ours(CONTENT[:500], Sealing.GCM))
    file[data.draw(st.integers(0, len(file) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        content = opened(bytes(file), officer("a").identity)
    except DecryptionFailed:
        return
    # For instance in what is meant for the other recipient.
    assert content == CONTENT[:500]


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_P2_a_damaged_file_ends_in_one_clear_error_or_in_content(data: st.DataObject) -> None:
    file = bytearray(ours(CONTENT[:500]))
    for _ in range(data.draw(st.integers(1, 4))):
        file[data.draw(st.integers(0, len(file) - 1))] = data.draw(st.integers(0, 255))
    try:
        opened(bytes(file), officer("a").identity)
    except DecryptionFailed as failed:
        assert str(failed).endswith(".")  # noqa: PT017 it need not be raised: CBC does not notice every change


@given(noise=st.binary(max_size=400))
def test_P2_noise_is_refused(noise: bytes) -> None:
    with pytest.raises(DecryptionFailed):
        opened(noise, officer().identity)


def test_P2_a_signed_file_is_not_taken_for_an_encrypted_one(tmp_path: Path) -> None:
    key, certificate = officer().write_to(tmp_path)
    call: list[str | Path] = ["openssl", "cms", "-sign", "-nodetach", "-outform", "DER", "-signer", certificate]
    signed = subprocess.run([*call, "-inkey", key], input=b"x", check=True, capture_output=True).stdout
    with pytest.raises(DecryptionFailed, match="not encrypted for a certificate"):
        opened(signed, officer().identity)


def test_P2_a_cipher_that_is_not_known_is_named(tmp_path: Path) -> None:
    file = openssl_encrypt(tmp_path, CONTENT, ["-des3"], [officer()])
    with pytest.raises(DecryptionFailed, match=r"does not know \(1\.2\.840\.113549\.3\.7\)"):
        opened(file, officer().identity)


@pytest.mark.parametrize(
    ("key", "passphrase", "certificate", "words"),
    [
        (b"no key", None, None, "cannot be read: it must be PEM"),
        (officer().key_pem(b"secret"), None, None, "is encrypted: give its passphrase"),
        (officer().key_pem(b"secret"), b"wrong", None, "the passphrase is wrong"),
        (officer().key_pem(), b"secret", None, "give no passphrase"),
        (officer().key_pem(), None, b"no certificate", "certificate cannot be read"),
        (officer().key_pem(), None, officer("c").pem, "does not belong"),
    ],
)
def test_P2_a_bad_key_is_explained(key: bytes, passphrase: bytes | None, certificate: bytes | None, words: str) -> None:
    with pytest.raises(DecryptionFailed, match=words):
        load_identity(key, passphrase, certificate)


def test_P2_an_encrypted_key_opens_with_its_passphrase() -> None:
    identity = load_identity(officer("a").key_pem(b"secret"), b"secret", officer("a").pem)
    assert opened(ours(), identity) == CONTENT
