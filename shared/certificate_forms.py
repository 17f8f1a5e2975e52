"""The forms in which people have a certificate, and the one certificate in them (rule C1).

PEM (with text, bag attributes or a byte order mark around it, in UTF-8 or UTF-16, with the labels that OpenSSL knows),
DER, bare base64, and PKCS#7 with one certificate, in each of these.
"""

import binascii
import re
from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs7

from shared.der import read_header

_BEGIN, _DASHES = b"-----BEGIN ", b"-----"
_CERTIFICATE_LABELS: Final = frozenset({"CERTIFICATE", "TRUSTED CERTIFICATE", "X509 CERTIFICATE"})
_PKCS7_LABELS: Final = frozenset({"PKCS7", "PKCS #7 SIGNED DATA", "CMS"})
_LONGEST_LABEL = 64
_LABEL = re.compile(r"[A-Z0-9 ]{1,40}")
_SEQUENCE = 0x30
_WHITESPACE = re.compile(rb"\s+")
_BASE64 = re.compile(rb"[A-Za-z0-9+/]+={0,2}")
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_UTF8_MARK = b"\xef\xbb\xbf"
_PKCS7_OID = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02"


class FormRejected(ValueError):
    """There is not exactly one certificate; the message completes a sentence that begins with the certificate."""


def extract_certificate(content: bytes) -> bytes:
    """Return the one certificate in an upload, in DER, unread. Raises FormRejected, which never quotes the content."""
    if not content.strip(b" \t\r\n\0"):
        raise FormRejected("is empty. Choose a file that contains a certificate")
    text = _decode_utf16(content)
    blocks = _find_pem_blocks(text)
    if len(blocks) > 1:
        raise FormRejected(f"contains {len(blocks)} PEM blocks, and exactly one certificate is required")
    if blocks:
        label, body = blocks[0]
        if label not in _CERTIFICATE_LABELS | _PKCS7_LABELS:
            named = f" '{label}'" if _LABEL.fullmatch(label) else " of another kind"
            raise FormRejected(f"is a PEM block{named} instead of a certificate")
        # OpenSSL's trusted certificates have settings of its own behind the certificate.
        return _take_one(_decode_base64(body), may_have_more=label == "TRUSTED CERTIFICATE")
    if content.lstrip(b" \t\r\n")[:1] == bytes((_SEQUENCE,)) and read_header(content.lstrip(b" \t\r\n"), 0):
        joined = _WHITESPACE.sub(b"", text)
        if not _BASE64.fullmatch(joined):
            return _take_one(content.lstrip(b" \t\r\n"), may_have_more=False)
    return _take_one(_decode_base64(text), may_have_more=False)


def _decode_utf16(content: bytes) -> bytes:
    """Return text in UTF-16, as PowerShell writes it, as ASCII; anything else without a byte order mark."""
    if content.startswith(_UTF16_MARKS):
        return content.decode("utf-16", "replace").encode("ascii", "replace")
    half = len(content) // 2
    if half and (content[1::2].count(0) == half or content[::2].count(0) >= half):
        return content.replace(b"\0", b"")
    return content.removeprefix(_UTF8_MARK)


def _find_pem_blocks(text: bytes) -> list[tuple[str, bytes]]:
    """Return label and body of each block that begins; the body ends at the next dashes."""
    blocks, at = [], 0
    while (begin := text.find(_BEGIN, at)) >= 0:
        start = begin + len(_BEGIN)
        end_of_label = text.find(_DASHES, start, start + _LONGEST_LABEL + len(_DASHES))
        at = start
        if end_of_label >= 0:
            at = end_of_label + len(_DASHES)
            end = text.find(_DASHES, at)
            label = text[start:end_of_label].decode("ascii", "replace")
            blocks.append((label, text[at : end if end >= 0 else len(text)]))
    return blocks


def _decode_base64(text: bytes) -> bytes:
    joined = _WHITESPACE.sub(b"", text)
    if not _BASE64.fullmatch(joined):
        raise _not_a_certificate()
    try:
        return binascii.a2b_base64(joined)
    except binascii.Error:
        raise _not_a_certificate() from None


def _take_one(data: bytes, *, may_have_more: bool) -> bytes:
    """Return the one certificate that the bytes are, or that their PKCS#7 contains."""
    header = read_header(data, 0)
    if header is None or header.tag != _SEQUENCE or header.end > len(data):
        raise _not_a_certificate()
    if not may_have_more and data[header.end :].strip(b" \t\r\n\0"):
        raise _not_a_certificate()
    whole = data[: header.end]
    return _take_from_pkcs7(whole) if data.startswith(_PKCS7_OID, header.start) else whole


def _take_from_pkcs7(data: bytes) -> bytes:
    try:
        found = pkcs7.load_der_pkcs7_certificates(data)
    except Exception:  # the library raises many kinds for what it cannot read
        raise FormRejected("is a PKCS#7 file that cannot be read") from None
    if len(found) != 1:
        raise FormRejected(f"is a PKCS#7 file with {len(found)} certificates, and exactly one is required")
    return found[0].public_bytes(serialization.Encoding.DER)


def _not_a_certificate() -> FormRejected:
    return FormRejected("is not an X.509 certificate in PEM or DER form")
