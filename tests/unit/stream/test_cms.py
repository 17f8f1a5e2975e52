"""CMS enveloped-data as a stream, opened by the openssl command."""

import struct
import subprocess
from functools import cache
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.errors import FileTooLarge
from exporter.package.cms import CHUNK, GCM_LIMIT, EnvelopeEncoder
from shared.events.values import Cipher
from sluice.cms import decrypt_chunks
from tests.unit.stream.officers import Officer, make_officer, officer, openssl_decrypt

CIPHERS = get_args(Cipher)
SIZES = [0, 1, 15, 16, 17, CHUNK - 1, CHUNK, CHUNK + 1, 1_000_003]


@cache
def make_content(size: int) -> bytes:
    """Return bytes in which every position differs from its neighbours."""
    count = size // 4 + 1
    return struct.pack(f">{count}I", *range(count))[:size]


def encrypt(data: bytes, *officers: Officer, cipher: Cipher = "aes-256-cbc", cuts: list[int] | None = None) -> bytes:
    encoder = EnvelopeEncoder([officer.recipient for officer in officers], cipher)
    offsets = [0, *sorted(cuts or []), len(data)]
    return b"".join(
        (encoder.start(), *(encoder.update(data[start:end]) for start, end in pairwise(offsets)), encoder.finish())
    )


@pytest.mark.parametrize("command", ["cms", "smime"])
@pytest.mark.parametrize("size", SIZES)
def test_P2_openssl_cms_and_smime_open_the_default(tmp_path: Path, size: int, command: str) -> None:
    artifact = tmp_path / "file.p7m"
    artifact.write_bytes(encrypt(make_content(size), officer()))
    assert openssl_decrypt(artifact, officer(), command=command) == make_content(size)


@pytest.mark.parametrize("size", SIZES)
def test_P3_openssl_cms_opens_gcm_with_oaep(tmp_path: Path, size: int) -> None:
    artifact = tmp_path / "file.p7m"
    artifact.write_bytes(encrypt(make_content(size), officer(), cipher="aes-256-gcm"))
    assert openssl_decrypt(artifact, officer()) == make_content(size)


@pytest.mark.parametrize("cipher", CIPHERS)
@pytest.mark.parametrize("names", [("a", "b", "escrow"), ("P-256",), ("a", "P-256", "P-384", "P-521", "b")])
def test_P3_each_recipient_opens_the_file_and_others_do_not(
    tmp_path: Path, cipher: Cipher, names: tuple[str, ...]
) -> None:
    artifact = tmp_path / "file.p7m"
    artifact.write_bytes(encrypt(make_content(100_000), *map(officer, names), cipher=cipher))
    for name in names:
        assert openssl_decrypt(artifact, officer(name)) == make_content(100_000)
    for stranger in (officer("stranger"), make_officer("other", curve="P-256")):
        with pytest.raises(subprocess.CalledProcessError):
            openssl_decrypt(artifact, stranger)


@pytest.mark.parametrize("cipher", CIPHERS)
@given(data=st.data())
def test_P2_the_content_is_the_same_however_it_is_cut(cipher: Cipher, data: st.DataObject) -> None:
    size = data.draw(st.sampled_from([0, 1, 15, 16, 17, 100, CHUNK - 1, CHUNK, CHUNK + 17, 3 * CHUNK]))
    cuts = data.draw(st.lists(st.integers(0, size), max_size=12))
    file = encrypt(make_content(size), officer(), cipher=cipher, cuts=cuts)
    assert b"".join(decrypt_chunks(BytesIO(file), officer().recipient_key)) == make_content(size)


def test_P3_the_header_names_algorithms_that_openssl_prints(tmp_path: Path) -> None:
    artifact = tmp_path / "file.p7m"
    artifact.write_bytes(encrypt(b"x", officer(), cipher="aes-256-gcm"))
    call: list[str | Path] = ["openssl", "cms", "-cmsout", "-print", "-inform", "DER", "-in", artifact]
    printed = subprocess.run(call, check=True, capture_output=True, text=True).stdout
    assert "id-smime-ct-authEnvelopedData" in printed
    assert "aes-256-gcm" in printed
    assert "rsaesOaep" in printed
    assert "issuerAndSerialNumber" in printed


def test_P3_the_header_of_an_ec_recipient_is_that_of_rfc_5753(tmp_path: Path) -> None:
    artifact = tmp_path / "file.p7m"
    artifact.write_bytes(encrypt(b"x", officer("P-384"), officer()))
    call: list[str | Path] = ["openssl", "cms", "-cmsout", "-print", "-inform", "DER", "-in", artifact]
    printed = subprocess.run(call, check=True, capture_output=True, text=True).stdout
    assert "d.envelopedData: \n    version: 2" in printed
    assert "dhSinglePass-stdDH-sha256kdf-scheme" in printed
    assert "id-aes256-wrap" in printed


def test_P2_two_files_of_the_same_content_share_no_key() -> None:
    first, second = (encrypt(make_content(1000), officer()) for _ in range(2))
    assert first[-1000:] != second[-1000:]


def test_P3_gcm_rejects_more_than_one_key_may_encrypt() -> None:
    encoder = EnvelopeEncoder([officer().recipient], "aes-256-gcm")
    encoder._encrypted = GCM_LIMIT - CHUNK  # as after 64 GiB
    encoder.update(bytes(CHUNK))
    with pytest.raises(FileTooLarge, match="64 GiB"):
        encoder.update(bytes(CHUNK))


def test_P3_an_envelope_needs_a_recipient() -> None:
    with pytest.raises(ValueError, match="at least one recipient"):
        EnvelopeEncoder([])
