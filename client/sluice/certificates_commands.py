"""The commands `sluice certificates ...`: make a key pair, upload a certificate."""

import base64
import binascii
import sys
from pathlib import Path
from typing import Annotated

import typer

from sluice.asn1 import BIT_STRING, OBJECT_IDENTIFIER, SEQUENCE, Asn1Error, Node, parse
from sluice.connection import Token, TokenFile, Url, connect, print_lines, report_errors
from sluice.errors import SluiceError
from sluice.key_forms import read_passphrase, to_plain_text
from sluice.key_pairs import KeyPair, KeyType, create_key_pair

certificates = typer.Typer(name="certificates", no_args_is_help=True, help="Recipients' certificates: new, add.")
_FILE = {"exists": True, "dir_okay": False, "readable": True}


@certificates.command("new")
def create_certificate(
    name: Annotated[str, typer.Argument(help="Name of the files, and of the certificate's subject.")],
    *,
    key_type: Annotated[KeyType, typer.Option("--type", help="RSA with 3072 bits, or EC on P-256.")] = "rsa",
    output: Annotated[Path, typer.Option(help="Folder to write to.", file_okay=False, exists=True)] = Path(),
    days: Annotated[int, typer.Option(help="Days until the certificate expires.", min=1, max=3650)] = 1095,
    passphrase_file: Annotated[Path | None, typer.Option(help="File with the key's passphrase.", **_FILE)] = None,
    no_passphrase: Annotated[bool, typer.Option("--no-passphrase", help="Do not encrypt the key.")] = False,
) -> None:
    """Make a private key and a self-signed certificate; needs no server.

    Example: sluice certificates new officer && sluice certificates add officer.cert.pem
    """
    with report_errors():
        passphrase = None if no_passphrase else _ask_passphrase(passphrase_file)
        made = create_key_pair(name, output, kind=key_type, passphrase=passphrase, days=days)
        print_lines(_explain(made, is_encrypted=passphrase is not None))


@certificates.command("add")
def add_certificate(
    file: Annotated[Path, typer.Argument(help="The certificate (PEM, DER or PKCS#7).", **_FILE)],
    url: Url,
    *,
    name: Annotated[str | None, typer.Option(help="The certificate's name; the file's if not given.")] = None,
    token_file: TokenFile = None,
    token: Token = None,
) -> None:
    """Upload a certificate, for which exports are encrypted from then on; prints its id."""
    with report_errors():
        pem = _read_certificate(file)
    with connect(url, token_file, token) as api:
        added = api.post("/certificates", {"name": name or file.name.split(".")[0], "pem": pem})
        print_lines([added["id"]])


def _ask_passphrase(file: Path | None) -> bytes:
    if file is not None:
        passphrase = read_passphrase(file.read_bytes())
    elif sys.stdin is not None and sys.stdin.isatty():
        typed: str = typer.prompt("Passphrase of the new key", hide_input=True, confirmation_prompt=True, err=True)
        passphrase = typed.encode()
    else:
        raise SluiceError("A passphrase is required: name a file with --passphrase-file, or pass --no-passphrase.")
    if not passphrase:
        raise SluiceError("The passphrase is empty; --no-passphrase leaves the key unencrypted.")
    return passphrase


def _explain(made: KeyPair, *, is_encrypted: bool) -> list[str]:
    secret = "It is encrypted with your passphrase" if is_encrypted else "It is not encrypted"
    return [
        f"{made.key}: the private key. {secret}. Keep it, and a copy in a safe place: without it, no file opens.",
        f"{made.certificate}: the certificate, valid until {made.expires:%Y-%m-%d} (UTC). It is not secret. Upload it:",
        f"  sluice certificates add {made.certificate}",
        "Open a file:",
        f"  sluice decrypt FILE.zip.p7m --key {made.key}",
    ]


def _read_certificate(file: Path) -> str:
    """Return a certificate as the API takes it: PEM, or the base64 of DER.

    Raises SluiceError for anything else, above all for a private key, which must not leave its owner; and OSError.
    """
    content = file.read_bytes()
    text = to_plain_text(content)
    if b"PRIVATE KEY" in text:
        raise SluiceError(f"{file} contains a private key, which stays with its owner. Nothing was sent.")
    if b"-----BEGIN " in text:
        return text.decode("latin-1")
    try:
        der = content if content[:1] == b"\x30" else base64.b64decode(b"".join(text.split()), validate=True)
        is_certificate = _is_public(parse(der))
    except (binascii.Error, Asn1Error):
        is_certificate = False
    if not is_certificate:
        raise SluiceError(f"{file} is no certificate: it must be X.509, in PEM, DER or PKCS#7. Nothing was sent.")
    return base64.b64encode(der).decode()


def _is_public(element: Node) -> bool:
    """Return whether it looks like a certificate or PKCS#7; keys and PKCS#12 begin with other elements."""
    is_signed = [each.tag for each in element.children] == [SEQUENCE, SEQUENCE, BIT_STRING]
    return is_signed or element[0].tag == OBJECT_IDENTIFIER
