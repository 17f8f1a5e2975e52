"""Files that openssl and the exporter encrypt are decrypted, and everything else is rejected."""

import subprocess
from collections.abc import Callable, Iterable
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import get_args

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher as BlockCipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import GCM
from hypothesis import given
from hypothesis import strategies as st

from exporter.package.cms import EnvelopeEncoder
from shared.events.values import Cipher
from sluice.asn1 import SEQUENCE, SET, Node, build, parse
from sluice.ciphers import GcmDecryptor
from sluice.cms import decrypt_chunks
from sluice.errors import DecryptionFailed
from sluice.recipients import RecipientKey, load_recipient_key
from sluice.text_forms import open_binary
from tests.support.properties import many_examples
from tests.unit.stream.officers import Officer, make_officer, officer

CONTENT = b"PK\x03\x04" + bytes(range(256)) * 1200
OPTIONS = {
    "stream": ["-aes256", "-stream"],
    "der": ["-aes256"],
    "aes-128, key identifier": ["-aes-128-cbc", "-keyid"],
    "gcm": ["-aes-256-gcm"],
}
CURVES = ["P-256", "P-384", "P-521"]
CURVE_OPTIONS = {
    "default": [],
    "sha256": ["-keyopt", "ecdh_kdf_md:sha256"],
    "sha512, cofactor": ["-keyopt", "ecdh_kdf_md:sha512", "-keyopt", "ecdh_cofactor_mode:1"],
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


@cache
def curve_officer(curve: str) -> Officer:
    return make_officer(curve, curve=curve)


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
def test_C1_P3_our_files_for_curve_and_rsa_keys_are_decrypted_by_each(cipher: Cipher) -> None:
    officers = [curve_officer(curve) for curve in CURVES] + [officer("a")]
    encoder = EnvelopeEncoder([one.recipient for one in officers], cipher)
    file = encoder.start() + encoder.update(CONTENT) + encoder.finish()
    for one in officers:
        assert decrypt(file, one.recipient_key) == CONTENT
        assert decrypt(file, one.recipient_key_without_certificate) == CONTENT


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


@pytest.mark.parametrize(
    ("option", "name"), [("-camellia256", "Camellia-256-CBC"), ("-camellia128", "Camellia-128-CBC")]
)
def test_P2_an_unsupported_cipher_is_named(tmp_path: Path, option: str, name: str) -> None:
    file = openssl_encrypt(tmp_path, CONTENT, [option], [officer()])
    with pytest.raises(DecryptionFailed, match=f"encrypted with {name}, which is not supported"):
        decrypt(file, officer().recipient_key)


@pytest.mark.parametrize(
    ("curve", "cipher", "derivation"),
    [
        ("P-256", "-aes256", "default"),
        ("P-256", "-aes-256-gcm", "sha512, cofactor"),
        ("P-256", "-des3", "sha256"),
        ("P-384", "-aes256", "sha256"),
        ("P-384", "-aes128", "default"),
        ("P-521", "-aes-256-gcm", "sha256"),
        ("P-521", "-aes256", "sha512, cofactor"),
    ],
)
def test_C1_P3_files_of_openssl_for_curve_and_rsa_keys_are_decrypted(
    tmp_path: Path, curve: str, cipher: str, derivation: str
) -> None:
    ours, other = curve_officer(curve), curve_officer("P-256" if curve != "P-256" else "P-384")
    options = [cipher, "-stream", "-recip", str(other.write_to(tmp_path / "other")[1])]
    options += ["-recip", str(officer("a").write_to(tmp_path / "rsa")[1])]
    options += ["-recip", str(ours.write_to(tmp_path / "ours")[1]), *CURVE_OPTIONS[derivation]]
    file = openssl_encrypt(tmp_path, CONTENT[:1000], options, [])
    for one in (ours, other, officer("a")):
        assert decrypt(file, one.recipient_key) == CONTENT[:1000]
        assert decrypt(file, one.recipient_key_without_certificate) == CONTENT[:1000]
    with pytest.raises(DecryptionFailed, match="encrypted for other certificates"):
        decrypt(file, make_officer("stranger", curve=curve).recipient_key)


@pytest.mark.parametrize("form", ["PEM", "SMIME"])
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_P2_text_forms_are_decrypted(tmp_path: Path, form: str, line_end: bytes) -> None:
    mail = ["-from", "a@example.com", "-to", "b@example.com", "-subject", "Export"] if form == "SMIME" else []
    options = ["-des3", "-stream", "-outform", form, *mail]
    file = openssl_encrypt(tmp_path, CONTENT, options, [officer("a")]).replace(b"\r\n", b"\n")
    for content in (file, b"\xef\xbb\xbf" + file, b"\n" + file, file + b"\n\n"):
        text = content.replace(b"\n", line_end)
        chunks = decrypt_chunks(open_binary(BytesIO(text)), officer("a").recipient_key)
        assert b"".join(chunks) == CONTENT
    with pytest.raises(DecryptionFailed, match=r"truncated|base64"):
        list(decrypt_chunks(open_binary(BytesIO(file[: len(file) // 2])), officer("a").recipient_key))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"hello", "not a CMS"),
        (b"-----BEGIN CERTIFICATE-----\nMIIB\n", "must begin with BEGIN CMS"),
        (b"Subject: hi\nContent-Type: text/plain\n\nhello", "its type is 'text/plain'"),
        (b"Content-Type: application/pkcs7-mime\nContent-Transfer-Encoding: x-odd\n\nMIIB", "encoded as 'x-odd'"),
        (b"Subject: hi\n" * 100_000, "not a CMS"),
        (b"-----BEGIN CMS-----\n!!!!\n-----END CMS-----", "base64"),
    ],
)
def test_P2_other_texts_are_refused_in_words(content: bytes, reason: str) -> None:
    with pytest.raises(DecryptionFailed, match=reason):
        list(decrypt_chunks(open_binary(BytesIO(content)), officer("a").recipient_key))


def replace_recipients(file: bytes, change: Callable[[list[bytes]], list[bytes]]) -> bytes:
    """Return a file of definite lengths with other entries in its list of recipients."""
    tree = parse(file)
    fields = list(tree[1][0].children)
    fields[1] = Node(SET, build(SET, *change([each.encode() for each in fields[1].children]))[4:])
    envelope = build(SEQUENCE, *(each.encode() for each in fields))
    return build(SEQUENCE, tree[0].encode(), build(0xA0, envelope))


UNKNOWN_PARAMETERS = build(
    SEQUENCE,
    build(0x02, b"\0"),
    build(SEQUENCE, build(SEQUENCE), build(0x02, b"\1")),
    build(SEQUENCE, build(0x06, b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x07"), build(SEQUENCE, build(0xA0, b"\x1f\xff"))),
    build(0x04, bytes(256)),
)


@pytest.mark.parametrize(
    "foreign",
    [
        UNKNOWN_PARAMETERS,
        UNKNOWN_PARAMETERS.replace(b"\x2a\x86\x48", b"\x2a\x86\x49"),
        build(SEQUENCE),
        build(0xA1, b"\xff\xff"),
        build(0xA2, build(0x02, b"\4")),
        build(0xA3, b""),
        build(0xA4, build(0x06, b"\x2a")),
    ],
)
def test_P3_an_entry_that_we_cannot_read_does_not_stop_ours(tmp_path: Path, foreign: bytes) -> None:
    file = openssl_encrypt(tmp_path, CONTENT, ["-aes256"], [officer("a")])
    for change in (lambda entries: [foreign, *entries], lambda entries: [*entries, foreign]):
        assert decrypt(replace_recipients(file, change), officer("a").recipient_key) == CONTENT
        assert decrypt(replace_recipients(file, change), officer("a").recipient_key_without_certificate) == CONTENT


def test_P3_two_entries_for_one_key_are_one(tmp_path: Path) -> None:
    # The content does not begin as an archive does, by which the right one of several keys would be found.
    file = openssl_encrypt(tmp_path, b"plain", ["-aes256"], [officer("a")])
    doubled = replace_recipients(file, lambda entries: entries * 2)
    assert decrypt(doubled, officer("a").recipient_key_without_certificate) == b"plain"


def test_P3_an_issuer_in_another_encoding_opens(tmp_path: Path) -> None:
    # The certificate has a UTF8String (0x0c); the file's writer made a T61String (0x14) of it.
    file = openssl_encrypt(tmp_path, CONTENT, ["-aes256"], [officer("a"), officer("b")])
    issuer = b"\x03\x55\x04\x03\x0c"
    assert file.count(issuer) == 2
    odd = file.replace(issuer, issuer[:-1] + b"\x14")
    assert decrypt(odd, officer("a").recipient_key) == CONTENT


def test_P2_a_short_gcm_tag_is_a_sound_one() -> None:
    decryptor = GcmDecryptor([bytes(32)], bytes(12))
    encryptor = BlockCipher(AES256(bytes(32)), GCM(bytes(12), min_tag_length=12)).encryptor()
    encrypted = encryptor.update(CONTENT) + encryptor.finalize()
    assert b"".join(decryptor.decrypt(iter([encrypted]))) == CONTENT
    decryptor.verify(encryptor.tag[:12])


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
