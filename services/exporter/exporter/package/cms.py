"""CMS enveloped-data as a stream: what `openssl cms -decrypt` opens, in memory that does not grow (rules P2 and P3)."""

import os
from collections.abc import Sequence
from enum import StrEnum

from asn1crypto import algos, cms, core, x509
from cryptography.hazmat.primitives import hashes, padding
from cryptography.hazmat.primitives.asymmetric import padding as rsa_padding
from cryptography.hazmat.primitives.ciphers import AEADEncryptionContext, Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CBC, GCM

from exporter.errors import FileTooLarge
from shared.certificates import RecipientCertificate

CHUNK = 64 * 1024
"""Bytes that are gathered before they are encrypted; below this, calls cost more than AES does."""

GCM_LIMIT = (2**39 - 256) // 8
"""Bytes one key and nonce can seal (NIST SP 800-38D, 5.2.1.1)."""

_BLOCK = 16
_TAG = 16
_SEQUENCE = b"\x30\x80"
_CONTEXT_0 = b"\xa0\x80"
_END = b"\x00\x00"


class Sealing(StrEnum):
    """The two kinds of envelope a job can ask for."""

    CBC = "aes-256-cbc"  # EnvelopedData, RSA PKCS#1 v1.5: openssl cms and openssl smime
    GCM = "aes-256-gcm"  # AuthEnvelopedData (RFC 5083, 5084), RSA-OAEP with SHA-256: openssl cms only


class Encoder:
    """Turns a stream of bytes into one CMS object: `start`, any number of `update`, `finish`.

    Written as BER with indefinite lengths (RFC 5652, RFC 5083), so nothing has to be known in advance; holds at most
    one chunk.
    """

    def __init__(self, recipients: Sequence[RecipientCertificate], sealing: Sealing = Sealing.CBC) -> None:
        if not recipients:
            raise ValueError("an envelope needs at least one recipient")
        self._sealing = sealing
        key = os.urandom(32)
        self._nonce = os.urandom(_BLOCK if sealing is Sealing.CBC else 12)
        mode: CBC | GCM = CBC(self._nonce) if sealing is Sealing.CBC else GCM(self._nonce)
        self._cipher: CipherContext | AEADEncryptionContext = Cipher(AES256(key), mode).encryptor()
        self._recipients = cms.RecipientInfos([_recipient_info(recipient, key, sealing) for recipient in recipients])
        self._pending = bytearray()
        self._buffer = bytearray(CHUNK + _BLOCK)
        self._sealed = 0

    def start(self) -> bytes:
        """Return everything that stands before the content."""
        kind = cms.ContentType("enveloped_data" if self._sealing is Sealing.CBC else "authenticated_enveloped_data")
        algorithm = _content_algorithm(self._sealing, self._nonce)
        return b"".join(
            (
                _SEQUENCE,
                kind.dump(),
                _CONTEXT_0,
                _SEQUENCE,
                core.Integer(0).dump(),
                self._recipients.dump(),
                _SEQUENCE,
                cms.ContentType("data").dump(),
                algorithm.dump(),
                _CONTEXT_0,
            )
        )

    def update(self, data: bytes | memoryview) -> bytes:
        """Take more content; return what can be written, perhaps nothing yet. Raises FileTooLarge at GCM's limit."""
        self._pending += data
        if len(self._pending) < CHUNK:
            return b""
        return self._seal_pending()

    def finish(self) -> bytes:
        """Return the rest of the object. Nothing may follow."""
        if self._sealing is Sealing.CBC:
            padder = padding.PKCS7(_BLOCK * 8).padder()
            aligned = len(self._pending) // _BLOCK * _BLOCK
            tail = padder.update(bytes(self._pending[aligned:])) + padder.finalize()
            self._pending[aligned:] = tail
        sealed = self._seal_pending() if self._pending else b""
        self._cipher.finalize()
        mac = core.OctetString(self._cipher.tag).dump() if isinstance(self._cipher, AEADEncryptionContext) else b""
        return b"".join((sealed, _END, _END, mac, _END, _END, _END))

    def _seal_pending(self) -> bytes:
        # CBC hands back whole blocks only; what is left of a block waits here, not in the cipher, so that sizes are
        # known.
        whole = len(self._pending)
        if self._sealing is Sealing.CBC:
            whole = whole // _BLOCK * _BLOCK
        self._sealed += whole
        if self._sealing is Sealing.GCM and self._sealed > GCM_LIMIT:
            raise FileTooLarge("AES-256-GCM can hold 64 GiB in one file at most. Set a split size, or use AES-256-CBC.")
        if len(self._buffer) < whole + _BLOCK:
            self._buffer = bytearray(whole + whole // 4 + _BLOCK)
        with memoryview(self._pending) as pending:
            written = self._cipher.update_into(pending[:whole], self._buffer)
        del self._pending[:whole]
        with memoryview(self._buffer) as sealed:
            return b"".join((_octet_string_header(written), sealed[:written]))


def _octet_string_header(size: int) -> bytes:
    if size < 0x80:
        return bytes((0x04, size))
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((0x04, 0x80 | len(length))) + length


def _recipient_info(recipient: RecipientCertificate, key: bytes, sealing: Sealing) -> cms.RecipientInfo:
    """Wrap the content key for one certificate, named by its issuer and serial number."""
    certificate = x509.Certificate.load(recipient.der)
    identifier = cms.IssuerAndSerialNumber(
        {"issuer": certificate.issuer, "serial_number": certificate["tbs_certificate"]["serial_number"]}
    )
    info = cms.KeyTransRecipientInfo(
        {
            "version": "v0",
            "rid": cms.RecipientIdentifier(name="issuer_and_serial_number", value=identifier),
            "key_encryption_algorithm": _key_algorithm(sealing),
            "encrypted_key": recipient.public_key.encrypt(key, _rsa_padding(sealing)),
        }
    )
    return cms.RecipientInfo(name="ktri", value=info)


def _rsa_padding(sealing: Sealing) -> rsa_padding.AsymmetricPadding:
    if sealing is Sealing.CBC:
        return rsa_padding.PKCS1v15()
    return rsa_padding.OAEP(mgf=rsa_padding.MGF1(hashes.SHA256()), algorithm=hashes.SHA256(), label=None)


def _key_algorithm(sealing: Sealing) -> cms.KeyEncryptionAlgorithm:
    if sealing is Sealing.CBC:
        return cms.KeyEncryptionAlgorithm({"algorithm": "rsaes_pkcs1v15", "parameters": core.Null()})
    sha256 = algos.DigestAlgorithm({"algorithm": "sha256"})
    mask = algos.MaskGenAlgorithm({"algorithm": "mgf1", "parameters": sha256})
    parameters = algos.RSAESOAEPParams({"hash_algorithm": sha256, "mask_gen_algorithm": mask})
    return cms.KeyEncryptionAlgorithm({"algorithm": "rsaes_oaep", "parameters": parameters})


class _GcmParameters(core.Sequence):  # type: ignore[misc]  # asn1crypto ships no types
    """GCMParameters of RFC 5084."""

    _fields = [("nonce", core.OctetString), ("icv_length", core.Integer, {"default": 12})]  # noqa: RUF012 asn1crypto's own form


class _GcmAlgorithm(core.Sequence):  # type: ignore[misc]  # asn1crypto ships no types
    _fields = [("algorithm", core.ObjectIdentifier), ("parameters", _GcmParameters)]  # noqa: RUF012 asn1crypto's own form


def _content_algorithm(sealing: Sealing, nonce: bytes) -> core.Sequence:
    if sealing is Sealing.CBC:
        return algos.EncryptionAlgorithm({"algorithm": "aes256_cbc", "parameters": core.OctetString(nonce)})
    return _GcmAlgorithm(
        {
            "algorithm": "2.16.840.1.101.3.4.1.46",  # id-aes256-GCM
            "parameters": {"nonce": nonce, "icv_length": _TAG},
        }
    )
