"""Private keys and certificates in the forms in which people have them.

PKCS#1, SEC 1, PKCS#8 with and without encryption, PEM and DER, PKCS#12, also saved as UTF-16 or with text around. What
does not open is named, with what to run instead.
"""

import base64
import binascii
import codecs
import re
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import pkcs12

from sluice.asn1 import INTEGER, OCTET_STRING, SEQUENCE, Asn1Error, Node, parse, parse_first
from sluice.errors import DecryptionFailed, KeyLocked

PrivateKey = RSAPrivateKey | EllipticCurvePrivateKey

_MAX_BYTES: Final = 1024 * 1024
_KEY = re.compile(rb"-----BEGIN ((?:[A-Z0-9]+ ){0,2}PRIVATE KEY)-----\r?\n.*?-----END \1-----", re.DOTALL)
_CERTIFICATE = re.compile(rb"-----BEGIN ((?:X509 |TRUSTED )?CERTIFICATE)-----([A-Za-z0-9+/=\s]*)-----END \1-----")
_DEK = re.compile(rb"DEK-Info:\s*([A-Za-z0-9-]{1,40})")
_DEK_OPENS: Final = {b"AES-128-CBC", b"AES-256-CBC", b"DES-EDE3-CBC"}
_WHITESPACE: Final = b" \t\r\n"
_PBES2: Final = "1.2.840.113549.1.5.13"
_PBKDF2: Final = "1.2.840.113549.1.5.12"
_SCRYPT: Final = "1.3.6.1.4.1.11591.4.11"
_DERIVES: Final = {f"1.2.840.113549.2.{number}" for number in range(7, 12)}  # HMAC with SHA-1, and SHA-224 to SHA-512
_FUNCTIONS: Final = {
    "1.2.643.7.1.1.4.1": "HMAC-Streebog-256",
    "1.2.643.7.1.1.4.2": "HMAC-Streebog-512",
    "1.2.840.113549.2.6": "HMAC-MD5",
    "1.2.840.113549.2.12": "HMAC-SHA-512/224",
    "1.2.840.113549.2.13": "HMAC-SHA-512/256",
    "2.16.840.1.101.3.4.2.14": "HMAC-SHA3-256",
}
_OPENS: Final = {
    "2.16.840.1.101.3.4.1.2",  # AES-CBC, three sizes
    "2.16.840.1.101.3.4.1.22",
    "2.16.840.1.101.3.4.1.42",
    "1.2.840.113549.3.7",  # 3DES
    "1.2.840.113549.1.5.3",  # MD5 and DES (PKCS#5)
    "1.2.840.113549.1.12.1.1",  # SHA-1 and RC4 (PKCS#12)
    "1.2.840.113549.1.12.1.3",  # SHA-1 and 3DES
    "1.2.840.113549.1.12.1.6",  # SHA-1 and RC2
}
_NAMES: Final = {
    "1.2.392.200011.61.1.1.1.2": "Camellia-128-CBC",
    "1.2.392.200011.61.1.1.1.3": "Camellia-192-CBC",
    "1.2.392.200011.61.1.1.1.4": "Camellia-256-CBC",
    "1.2.410.200046.1.1.2": "ARIA-128-CBC",
    "1.2.410.200046.1.1.7": "ARIA-192-CBC",
    "1.2.410.200046.1.1.12": "ARIA-256-CBC",
    "1.2.410.200004.1.4": "SEED-CBC",
    "1.2.840.113549.1.5.1": "MD2 and DES",
    "1.2.840.113549.1.5.6": "MD5 and RC2",
    "1.2.840.113549.1.5.10": "SHA-1 and DES",
    "1.2.840.113549.1.5.11": "SHA-1 and RC2",
    "1.2.840.113549.1.12.1.2": "SHA-1 and RC4-40",
    "1.2.840.113549.1.12.1.4": "SHA-1 and 2-key 3DES",
    "1.2.840.113549.1.12.1.5": "SHA-1 and RC2-128",
    "1.2.840.113549.3.2": "RC2-CBC",
    "1.3.14.3.2.7": "DES-CBC",
    "2.16.840.1.101.3.4.1.41": "AES-256-ECB",
    "2.16.840.1.101.3.4.1.43": "AES-256-OFB",
    "2.16.840.1.101.3.4.1.44": "AES-256-CFB",
    "2.16.840.1.101.3.4.1.46": "AES-256-GCM",
}
_CONVERT: Final = "convert it with: openssl pkey -in FILE -aes256 -out key.pem"
_LOCKED: Final = "The private key is encrypted: pass its passphrase (--passphrase-file)."
# Beginnings of files that are something else, and what to do about it.
_OTHER_FORMS: Final = (
    (
        b"-----BEGIN OPENSSH PRIVATE KEY",
        "The private key is in OpenSSH's own form. Copy it, and convert the copy: ssh-keygen -p -m PKCS8 -f COPY",
    ),
    (b"PuTTY-User-Key-File", "The private key is in PuTTY's form; export it from PuTTYgen, then convert it to PKCS#8."),
    (b"-----BEGIN PGP", "This is an OpenPGP key. Files are encrypted for X.509 certificates and their keys."),
    (
        b"\xfe\xed\xfe\xed",
        "This is a Java key store; convert it: keytool -importkeystore -srckeystore FILE -destkeystore key.p12",
    ),
)


def read_private_key(content: bytes, passphrase: bytes | None) -> tuple[PrivateKey, bytes | None]:
    """Return the private key in a file, and the certificate (DER) beside it in PKCS#12.

    Raises DecryptionFailed, in words about the form, the cipher of the key, or the passphrase.
    """
    if len(content) > _MAX_BYTES:
        raise DecryptionFailed("The private key cannot be read: the file is larger than a key can be.")
    text = to_plain_text(content)
    for beginning, message in _OTHER_FORMS:
        if beginning in text[:4096]:
            raise DecryptionFailed(message)
    certificate = None
    if b"-----BEGIN " in text:
        loaded = _read_pem(text, passphrase)
    elif (binary := _find_binary(content, text)) is not None:
        loaded, certificate = _read_der(binary, passphrase)
    elif not text.strip():
        raise DecryptionFailed("The file of the private key is empty.")
    else:
        raise DecryptionFailed(f"The private key cannot be read: it must be PEM, DER or PKCS#12; {_CONVERT}.")
    if not isinstance(loaded, RSAPrivateKey | EllipticCurvePrivateKey):
        raise DecryptionFailed("The private key must be RSA or EC: files cannot be encrypted for other kinds of key.")
    return loaded, certificate


def read_passphrase(content: bytes) -> bytes:
    """Return the passphrase in a file, without the line's end; UTF-16 and byte order marks are the editor's."""
    return to_plain_text(content).rstrip(b"\r\n")


def find_certificate(content: bytes) -> bytes:
    """Return the certificate (DER) in a file; of several, the first. Raises DecryptionFailed."""
    found = _CERTIFICATE.search(to_plain_text(content))
    if found is None:
        return _find_binary(content, to_plain_text(content)) or content
    try:
        return base64.b64decode(found[2])
    except binascii.Error:
        raise DecryptionFailed("The certificate cannot be read: its PEM is damaged.") from None


def to_plain_text(content: bytes) -> bytes:
    """Return text as UTF-8 without a byte order mark; what is not text is returned as it is."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    elif content[1:2] == b"\0" and content[:1].isascii() and content[:1] != b"\0":
        encoding = "utf-16-le"
    elif content[:1] == b"\0" and content[1:2] > b"\0":
        encoding = "utf-16-be"
    else:
        return content.removeprefix(codecs.BOM_UTF8)
    try:
        return content.decode(encoding).encode()
    except UnicodeError:
        return content


def _find_binary(content: bytes, text: bytes) -> bytes | None:
    """Return the binary form of a file that is binary, with white space around it, or base64 without PEM's frame."""
    if (binary := content.lstrip(_WHITESPACE))[:1] == b"\x30":
        try:
            _, rest = parse_first(binary)
        except Asn1Error:
            return binary
        return binary if rest.strip(_WHITESPACE) else binary[: len(binary) - len(rest)]
    try:
        decoded = base64.b64decode(b"".join(text.split()), validate=True)
    except binascii.Error:
        return None
    return decoded if decoded[:1] == b"\x30" else None


def _read_pem(text: bytes, passphrase: bytes | None) -> object:
    blocks = [found for found in _KEY.finditer(text) if found[1] != b"ANY PRIVATE KEY"]
    if not blocks:
        other = "certificate" if b"CERTIFICATE-----" in text else "public key" if b"PUBLIC KEY-----" in text else None
        raise DecryptionFailed(
            f"This file contains a {other}, but no private key. Pass the key that was made with it."
            if other
            else f"The private key cannot be read: its PEM is incomplete, or of another kind; {_CONVERT}."
        )
    if len(blocks) > 1:
        raise DecryptionFailed(f"The file contains {len(blocks)} private keys: pass one with a single key.")
    block = blocks[0][0]
    dek = _DEK.search(block)
    cipher = dek[1].decode() if dek else None
    if dek and dek[1].upper() not in _DEK_OPENS:
        raise _unsupported_cipher(dek[1].decode())
    if b"BEGIN ENCRYPTED" in block:
        cipher = _require_cipher(_decode_block(block))
    return _load(serialization.load_pem_private_key, block + b"\n", passphrase, is_encrypted=cipher is not None)


def _read_der(content: bytes, passphrase: bytes | None) -> tuple[object, bytes | None]:
    try:
        tree = parse(content)
        is_pkcs12 = len(tree.children) in {2, 3} and tree[0].tag == INTEGER and tree[1].tag == SEQUENCE
        is_pkcs12 = is_pkcs12 and tree[1][0].tag == 0x06 and tree[0].content == b"\x03"
        is_encrypted = len(tree.children) == 2 and tree[0].tag == SEQUENCE and tree[1].tag == OCTET_STRING
        is_certificate = tree[0].tag == SEQUENCE and not is_encrypted
    except Asn1Error:
        raise DecryptionFailed("The private key cannot be read: the file is damaged.") from None
    if is_certificate:
        raise DecryptionFailed("This file contains a certificate, but no private key.")
    if is_pkcs12:
        return _read_pkcs12(content, passphrase)
    if is_encrypted:
        _require_cipher(content)
    return _load(serialization.load_der_private_key, content, passphrase, is_encrypted=is_encrypted), None


def _read_pkcs12(content: bytes, passphrase: bytes | None) -> tuple[object, bytes | None]:
    for each in (None, b"") if passphrase is None else (passphrase,):
        try:
            key, certificate, _ = pkcs12.load_key_and_certificates(content, each)
        except (ValueError, UnsupportedAlgorithm):
            continue
        if key is None:
            raise DecryptionFailed("The PKCS#12 file contains no private key.")
        encoded = certificate.public_bytes(serialization.Encoding.DER) if certificate else None
        return key, encoded
    if passphrase is None:
        raise KeyLocked("The PKCS#12 file is protected: pass its passphrase (--passphrase-file).")
    raise DecryptionFailed(
        "The PKCS#12 file cannot be opened: the passphrase is wrong, or the file is damaged. If OpenSSL opens it, "
        "convert it with: openssl pkcs12 -in FILE -nocerts -out key.pem"
    )


def _load(load: object, content: bytes, passphrase: bytes | None, *, is_encrypted: bool) -> object:
    if is_encrypted and passphrase is None:
        raise KeyLocked(_LOCKED)
    if not is_encrypted and passphrase is not None:
        raise DecryptionFailed("The private key is not encrypted: pass no passphrase.")
    try:
        return load(content, passphrase)  # type: ignore[operator]
    except (ValueError, TypeError, UnsupportedAlgorithm):
        reason = "the passphrase is wrong, or the file is damaged" if is_encrypted else "the file is damaged"
        raise DecryptionFailed(f"The private key cannot be read: {reason}.") from None


def _require_cipher(encrypted_key: bytes) -> str:
    """Return the cipher of an EncryptedPrivateKeyInfo (RFC 5958). Raises DecryptionFailed if it does not open."""
    try:
        algorithm = parse(encrypted_key)[0]
        name = algorithm[0].dotted
        if name == _PBES2:
            name = _find_scheme(algorithm)
    except Asn1Error:
        raise DecryptionFailed("The private key cannot be read: the file is damaged.") from None
    if name not in _OPENS:
        raise _unsupported_cipher(_NAMES.get(name, name))
    return name


def _find_scheme(algorithm: Node) -> str:
    """Return the encryption scheme of PBES2 (RFC 8018, A.4). Raises DecryptionFailed if its key cannot be derived."""
    derivation, scheme = algorithm[1][0], algorithm[1][1]
    if derivation[0].dotted == _PBKDF2:
        function = derivation[1].find(SEQUENCE)
        if function is not None and function[0].dotted not in _DERIVES:
            name = _FUNCTIONS.get(function[0].dotted, function[0].dotted)
            raise _unsupported_cipher(f"a key that PBKDF2 derives with {name}")
    elif derivation[0].dotted != _SCRYPT:
        raise _unsupported_cipher(f"a key that is derived with {derivation[0].dotted}")
    return scheme[0].dotted


def _unsupported_cipher(name: str) -> DecryptionFailed:
    return DecryptionFailed(f"The private key is encrypted with {name}, which is not supported; {_CONVERT}.")


def _decode_block(block: bytes) -> bytes:
    body = block.partition(b"-----\n")[2] or block.partition(b"-----\r\n")[2]
    try:
        return base64.b64decode(body.partition(b"-----END")[0])
    except binascii.Error:
        raise DecryptionFailed("The private key cannot be read: its PEM is damaged.") from None
