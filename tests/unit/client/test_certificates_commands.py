"""`sluice certificates new` makes what Sluice accepts and opens; `add` never sends a private key (rules C1, P3)."""

import base64
import os
import shlex
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs7,
    pkcs12,
)
from typer.testing import CliRunner, Result

from exporter.package.cms import EnvelopeEncoder
from shared.certificates import accept_certificate
from sluice.certificates_commands import _read_certificate
from sluice.errors import SluiceError
from sluice.main import app
from sluice.recipients import load_recipient_key
from tests.unit.client.test_client_cms import CONTENT, decrypt
from tests.unit.stream.officers import NOW, officer

NAME = "officer"


def run(*arguments: str | Path, status: int = 0) -> Result:
    result = CliRunner().invoke(app, ["certificates", *map(str, arguments)])
    assert result.exit_code == status, result.output
    return result


@pytest.mark.parametrize("kind", ["rsa", "ec"])
def test_C1_a_new_certificate_is_accepted_and_its_files_open(tmp_path: Path, kind: str) -> None:
    passphrase = tmp_path / "passphrase"
    passphrase.write_text("open sesame\n")
    before = os.umask(0o002)
    try:
        result = run("new", NAME, "--type", kind, "--output", tmp_path, "--passphrase-file", passphrase)
    finally:
        os.umask(before)
    key, certificate = tmp_path / f"{NAME}.key.pem", tmp_path / f"{NAME}.cert.pem"
    assert key.stat().st_mode & 0o777 == 0o600
    assert f"sluice certificates add {certificate}" in result.stdout
    assert f"sluice decrypt FILE.zip.p7m --key {key}" in result.stdout
    accepted = accept_certificate(certificate.read_bytes(), at=datetime.now(UTC))
    assert accepted.note is None
    assert timedelta(days=1094) < accepted.not_after - datetime.now(UTC) < timedelta(days=1096)
    recipient_key = load_recipient_key(key.read_bytes(), b"open sesame", certificate.read_bytes())
    for cipher in ("aes-256-cbc", "aes-256-gcm"):
        encoder = EnvelopeEncoder([accepted, officer("a").recipient], cipher)
        assert decrypt(encoder.start() + encoder.update(CONTENT) + encoder.finish(), recipient_key) == CONTENT
    call: list[str | Path] = ["openssl", "x509", "-in", certificate, "-noout", "-checkend", "0"]
    subprocess.run(call, check=True, capture_output=True)


def test_C1_a_key_is_never_replaced_and_always_encrypted_unless_asked_not_to(tmp_path: Path) -> None:
    assert "A passphrase is required" in run("new", NAME, "--output", tmp_path, status=1).stderr
    run("new", NAME, "--output", tmp_path, "--type", "ec", "--no-passphrase")
    key = (tmp_path / f"{NAME}.key.pem").read_bytes()
    assert b"BEGIN PRIVATE KEY" in key
    again = run("new", NAME, "--output", tmp_path, "--no-passphrase", status=1)
    assert "already exists" in again.stderr
    assert (tmp_path / f"{NAME}.key.pem").read_bytes() == key
    for name in ("", "../evil", "a b", "x" * 65, ".hidden"):
        assert "A name has" in run("new", name, "--output", tmp_path, "--no-passphrase", status=1).stderr
    assert len(list(tmp_path.iterdir())) == 2


def test_C1_the_printed_commands_work_in_a_folder_with_a_space(tmp_path: Path) -> None:
    folder = tmp_path / "my keys"
    folder.mkdir()
    printed = run("new", NAME, "--output", folder, "--type", "ec", "--no-passphrase").stdout
    commands = [shlex.split(line) for line in printed.splitlines() if line.startswith("  sluice")]
    assert [each[-1] for each in commands] == [str(folder / f"{NAME}.{each}.pem") for each in ("cert", "key")]


def list_secrets() -> dict[str, bytes]:
    """Return private keys in many forms, some beside their certificate."""
    key, certificate = officer("a").key, officer("a").certificate
    der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return {
        "pem": officer("a").key_pem(),
        "both.pem": officer("a").pem + officer("a").key_pem(b"secret"),
        "utf-16.pem": officer("a").key_pem().decode().encode("utf-16"),
        "pkcs8.der": der,
        "pkcs1.der": key.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption()),
        "locked.der": key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")),
        "base64": base64.b64encode(der),
        "other dashes": officer("a").pem + officer("a").key_pem().replace(b"PRIVATE KEY", b"PRIVATE  KEY"),
        "behind.der": certificate.public_bytes(Encoding.DER) + der,
        "inside.pem": officer("a").pem.replace(b"-----END", base64.b64encode(der) + b"\n-----END"),
        "pkcs12": pkcs12.serialize_key_and_certificates(None, key, certificate, None, NoEncryption()),
    }


def test_C1_a_private_key_in_any_form_is_not_sent(tmp_path: Path) -> None:
    # Nothing listens at this address: an attempt to send would end in another sentence.
    for name, content in list_secrets().items():
        file = tmp_path / name
        file.write_bytes(content)
        result = CliRunner().invoke(
            app, ["certificates", "add", str(file), "--url", "http://127.0.0.1:1"], env={"SLUICE_TOKEN": "x"}
        )
        assert result.exit_code == 1, name
        assert "Nothing was sent" in result.stderr, name


def test_C1_what_is_sent_of_a_certificate_is_accepted(tmp_path: Path) -> None:
    one = officer("a")
    der = one.certificate.public_bytes(Encoding.DER)
    bundle = pkcs7.serialize_certificates([one.certificate], Encoding.DER)
    for content in (one.pem, der, base64.encodebytes(der), bundle, one.pem.decode().encode("utf-16")):
        file = tmp_path / "certificate"
        file.write_bytes(content)
        assert accept_certificate(_read_certificate(file).encode(), at=NOW).fingerprint == one.recipient.fingerprint


def test_C1_only_the_certificate_of_a_file_is_sent(tmp_path: Path) -> None:
    one, file = officer("a"), tmp_path / "certificate"
    der = one.certificate.public_bytes(Encoding.DER)
    key = one.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    for content in (one.pem + base64.encodebytes(key), b"a note\n" + one.pem, b" \n" + der + b"\n"):
        file.write_bytes(content)
        assert base64.b64decode(_read_certificate(file)) == der
    file.write_bytes(one.pem + officer("b").pem)
    with pytest.raises(SluiceError, match="contains 2 certificates"):
        _read_certificate(file)
