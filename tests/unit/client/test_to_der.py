"""`sluice decrypt --to-der`: the same envelope with definite lengths, for readers of DER alone (rule P2)."""

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import pkcs7
from typer.testing import CliRunner

from exporter.package.cms import EnvelopeEncoder
from shared.certificates import RecipientCertificate
from shared.events.values import Cipher
from sluice.asn1 import parse
from sluice.main import app
from tests.unit.client.test_client_cms import decrypt
from tests.unit.stream.officers import make_officer, officer, openssl_decrypt

CONTENT = b"PK\x03\x04" + bytes(range(256)) * 1500


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    return tmp_path / "Contact.zip.p7m"


def write(
    artifact: Path, cipher: Cipher = "aes-256-cbc", content: bytes = CONTENT, more: Sequence[RecipientCertificate] = ()
) -> None:
    recipients = [officer("a").recipient, *more, officer("b").recipient]
    encoder = EnvelopeEncoder(recipients, cipher)
    artifact.write_bytes(encoder.start() + encoder.update(content) + encoder.finish())


def to_der(artifact: Path, *options: str) -> Path:
    call = ["decrypt", str(artifact), "--to-der", "--output", str(artifact.parent), *options]
    result = CliRunner().invoke(app, call)
    assert result.exit_code == 0, result.output
    return Path(result.stdout.strip())


@pytest.mark.parametrize("size", [0, 1, 100, len(CONTENT)])
def test_P2_a_reader_of_der_alone_opens_it(artifact: Path, size: int) -> None:
    write(artifact, content=CONTENT[:size])
    written = to_der(artifact)
    assert written.name == "Contact.zip.der"
    for one in (officer("a"), officer("b")):
        assert isinstance(one.key, RSAPrivateKey)
        assert pkcs7.pkcs7_decrypt_der(written.read_bytes(), one.certificate, one.key, []) == CONTENT[:size]


@pytest.mark.parametrize("cipher", get_args(Cipher))
def test_P2_it_is_der_and_still_opens_with_everything_else(artifact: Path, cipher: Cipher) -> None:
    write(artifact, cipher, more=[make_officer("curve", curve="P-256").recipient])
    written = to_der(artifact)
    content = written.read_bytes()
    assert parse(content).encode() == content
    assert openssl_decrypt(written, officer("b")) == CONTENT
    assert decrypt(content, officer("a").recipient_key) == CONTENT
    again = to_der(written, "--force")
    assert again.read_bytes() == content


def test_P2_a_damaged_file_leaves_nothing(artifact: Path) -> None:
    write(artifact)
    artifact.write_bytes(artifact.read_bytes()[:-9])
    call = ["decrypt", str(artifact), "--to-der", "--output", str(artifact.parent / "out")]
    result = CliRunner().invoke(app, call)
    assert result.exit_code == 1
    assert "truncated" in result.stderr
    assert list((artifact.parent / "out").iterdir()) == []
