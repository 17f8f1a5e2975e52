"""CMS enveloped-data as a stream, in constant memory; `openssl cms -decrypt` opens it (rules P2 and P3)."""

import os
from collections.abc import Sequence

from asn1crypto import algos, cms, core
from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import AEADEncryptionContext, Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CBC, GCM

from exporter.errors import FileTooLarge
from exporter.package.recipient_infos import build_recipient_infos, get_envelope_version
from shared.certificates import RecipientCertificate
from shared.events.values import Cipher as CipherName

CHUNK = 64 * 1024
"""Bytes that are gathered before they are encrypted; with fewer, the calls cost more than AES itself."""

GCM_LIMIT = (2**39 - 256) // 8
"""Bytes that a key and nonce can encrypt (NIST SP 800-38D, 5.2.1.1)."""

_BLOCK = 16
_TAG = 16
_SEQUENCE = b"\x30\x80"
_CONTEXT_0 = b"\xa0\x80"
_END = b"\x00\x00"


class EnvelopeEncoder:
    """Turns a stream of bytes into one CMS object: `start`, any number of `update`, `finish`.

    `aes-256-cbc` gives EnvelopedData with RSA PKCS#1 v1.5, which openssl cms and openssl smime open; `aes-256-gcm`
    gives AuthEnvelopedData (RFC 5083, RFC 5084) with RSA-OAEP and SHA-256, which openssl smime does not open.
    Recipients may have EC keys with both (RFC 5753); openssl smime then opens the file for nobody. Both are BER with
    indefinite lengths (RFC 5652), so that no size has to be known in advance; at most one chunk is kept.
    """

    def __init__(self, recipients: Sequence[RecipientCertificate], cipher: CipherName = "aes-256-cbc") -> None:
        if not recipients:
            raise ValueError("an envelope needs at least one recipient")
        self._is_cbc = cipher == "aes-256-cbc"
        key = os.urandom(32)
        self._nonce = os.urandom(_BLOCK if self._is_cbc else 12)
        mode: CBC | GCM = CBC(self._nonce) if self._is_cbc else GCM(self._nonce)
        self._cipher: CipherContext | AEADEncryptionContext = Cipher(AES256(key), mode).encryptor()
        self._recipients = build_recipient_infos(recipients, key, cipher)
        # AuthEnvelopedData has one version only (RFC 5083, section 2.1).
        self._version = get_envelope_version(recipients) if self._is_cbc else 0
        self._pending = bytearray()
        self._buffer = bytearray(CHUNK + _BLOCK)
        self._encrypted = 0

    def start(self) -> bytes:
        """Return everything that precedes the content."""
        kind = cms.ContentType("enveloped_data" if self._is_cbc else "authenticated_enveloped_data")
        algorithm = _cbc_algorithm(self._nonce) if self._is_cbc else _gcm_algorithm(self._nonce)
        return b"".join(
            (
                _SEQUENCE,
                kind.dump(),
                _CONTEXT_0,
                _SEQUENCE,
                core.Integer(self._version).dump(),
                self._recipients.dump(),
                _SEQUENCE,
                cms.ContentType("data").dump(),
                algorithm.dump(),
                _CONTEXT_0,
            )
        )

    def update(self, data: bytes | memoryview) -> bytes:
        """Add content and return the bytes to write, perhaps none yet. Raises FileTooLarge at GCM's limit."""
        self._pending += data
        if len(self._pending) < CHUNK:
            return b""
        return self._encrypt_pending()

    def finish(self) -> bytes:
        """Return the rest of the object, which must be the last call. Raises FileTooLarge at GCM's limit."""
        if self._is_cbc:
            padder = padding.PKCS7(_BLOCK * 8).padder()
            aligned = len(self._pending) // _BLOCK * _BLOCK
            tail = padder.update(bytes(self._pending[aligned:])) + padder.finalize()
            self._pending[aligned:] = tail
        encrypted = self._encrypt_pending() if self._pending else b""
        self._cipher.finalize()
        mac = core.OctetString(self._cipher.tag).dump() if isinstance(self._cipher, AEADEncryptionContext) else b""
        return b"".join((encrypted, _END, _END, mac, _END, _END, _END))

    def _encrypt_pending(self) -> bytes:
        # CBC returns whole blocks only. The rest of a block waits here and not in the cipher, so that sizes are known.
        whole = len(self._pending)
        if self._is_cbc:
            whole = whole // _BLOCK * _BLOCK
        self._encrypted += whole
        if not self._is_cbc and self._encrypted > GCM_LIMIT:
            raise FileTooLarge(
                "A file with AES-256-GCM cannot be larger than 64 GiB. Set a split size, or use AES-256-CBC."
            )
        if len(self._buffer) < whole + _BLOCK:
            self._buffer = bytearray(whole + whole // 4 + _BLOCK)
        with memoryview(self._pending) as pending:
            written = self._cipher.update_into(pending[:whole], self._buffer)
        del self._pending[:whole]
        with memoryview(self._buffer) as encrypted:
            return b"".join((_build_octet_string_header(written), encrypted[:written]))


def _build_octet_string_header(size: int) -> bytes:
    if size < 0x80:
        return bytes((0x04, size))
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((0x04, 0x80 | len(length))) + length


class _GcmParameters(core.Sequence):  # type: ignore[misc]  # asn1crypto ships no types
    """GCMParameters of RFC 5084."""

    _fields = [("nonce", core.OctetString), ("icv_length", core.Integer, {"default": 12})]  # noqa: RUF012 asn1crypto's form


class _GcmAlgorithm(core.Sequence):  # type: ignore[misc]  # asn1crypto ships no types
    _fields = [("algorithm", core.ObjectIdentifier), ("parameters", _GcmParameters)]  # noqa: RUF012 asn1crypto's form


def _cbc_algorithm(nonce: bytes) -> core.Sequence:
    return algos.EncryptionAlgorithm({"algorithm": "aes256_cbc", "parameters": core.OctetString(nonce)})


def _gcm_algorithm(nonce: bytes) -> core.Sequence:
    return _GcmAlgorithm(
        {
            "algorithm": "2.16.840.1.101.3.4.1.46",  # id-aes256-GCM
            "parameters": {"nonce": nonce, "icv_length": _TAG},
        }
    )
