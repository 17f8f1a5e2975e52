"""The commands `sluice certificates ...`: make a key pair, upload a certificate."""

import base64
import binascii
import re
import sys
from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from sluice.asn1 import BIT_STRING, SEQUENCE, Asn1Error, parse_first
from sluice.connection import Token, TokenFile, Url, connect, print_lines, report_errors
from sluice.errors import SluiceError
from sluice.key_forms import read_passphrase, to_plain_text
from sluice.key_pairs import KeyPair, KeyType, create_key_pair

certificates = typer.Typer(name="certificates", no_args_is_help=True, help="Recipients' certificates: new, add.")
_BLOCK = re.compile(
    rb"-----BEGIN ((?:X509 |TRUSTED )?CERTIFICATE|PKCS7|PKCS #7 SIGNED DATA|CMS)-----([^-]*)-----END \1-----"
)
_PRIVATE_KEY = re.compile(rb"PRIVATE\s+KEY")
_SIGNED_DATA = "1.2.840.113549.1.7.2"
_WHITESPACE = b" \t\r\n"
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
        f"  sluice certificates add {quote(str(made.certificate))}",
        "Open a file:",
        f"  sluice decrypt FILE.zip.p7m --key {quote(str(made.key))}",
    ]


def _read_certificate(file: Path) -> str:
    """Return a certificate, or PKCS#7 with certificates, as the API takes it: the base64 of DER.

    Nothing else of the file is returned. Raises SluiceError for anything else, above all for a private key, which must
    not leave its owner; and OSError.
    """
    content = file.read_bytes()
    text = to_plain_text(content)
    if _PRIVATE_KEY.search(text):
        raise SluiceError(
            f"{file} contains a private key, which stays with its owner. Nothing was sent. Get the certificate alone: "
            f"openssl x509 -in {quote(str(file))} -out certificate.pem"
        )
    blocks = _BLOCK.findall(text)
    if len(blocks) > 1:
        raise SluiceError(f"{file} contains {len(blocks)} certificates: pass a file with one. Nothing was sent.")
    try:
        if blocks:
            [(label, body)] = blocks
            # OpenSSL's trusted certificates have settings of its own behind the certificate.
            return _encode_public(base64.b64decode(body), may_have_more=label == b"TRUSTED CERTIFICATE")
        binary = content.lstrip(_WHITESPACE)
        return _encode_public(
            binary if binary[:1] == b"\x30" else base64.b64decode(b"".join(text.split()), validate=True)
        )
    except (binascii.Error, Asn1Error):
        raise SluiceError(
            f"{file} is no certificate: it must be X.509, in PEM, DER or PKCS#7, alone. Nothing was sent. "
            f"From PKCS#12: openssl pkcs12 -in {quote(str(file))} -nokeys -clcerts -out certificate.pem"
        ) from None


def _encode_public(der: bytes, *, may_have_more: bool = False) -> str:
    """Return the base64 of a certificate or PKCS#7. Raises Asn1Error for keys, and where something follows."""
    element, rest = parse_first(der)
    is_signed = [each.tag for each in element.children] == [SEQUENCE, SEQUENCE, BIT_STRING]
    if not is_signed and element[0].dotted != _SIGNED_DATA:
        raise Asn1Error("it is neither a certificate nor PKCS#7")
    if rest.strip(_WHITESPACE) and not may_have_more:
        raise Asn1Error("something follows the certificate")
    return base64.b64encode(der[: len(der) - len(rest)]).decode()
