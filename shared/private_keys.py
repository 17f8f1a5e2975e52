"""Finds private keys that were pasted or uploaded by mistake, in every form in which people have them (rule C1).

PEM with any label, also cut off; bare base64 and hexadecimal; PKCS#8 (also encrypted), PKCS#1, SEC 1 and DSA; PKCS#12
and Java key stores; OpenSSH, PuTTY and PGP; JWK and XML; in UTF-16 as well, and anywhere in the input. It errs on the
side of finding one. The time is linear in the input.
"""

import binascii
import re
from collections.abc import Iterator

from shared.der import read_header

_INTEGER, _OCTET_STRING, _OBJECT_IDENTIFIER = 0x02, 0x04, 0x06
_MARKS = re.compile(
    rb"BEGIN[^\r\n]{0,64}?PRIVATE ?KEY"
    rb"|PUTTY-USER-KEY-FILE|PRIVATE-LINES:|OPENSSH-KEY-V1|B3BLBNNZAC1RZXKTDJE"
    rb"|PRIVATEEXPONENT|PRIVATE-KEY:"
)
_JWK_TYPE, _JWK_SECRET = re.compile(rb'"KTY"\s{0,20}:'), re.compile(rb'"[DK]"\s{0,20}:')
_JAVA_KEY_STORES = (b"\xfe\xed\xfe\xed", b"\xce\xce\xce\xce")
# Of PKCS#5 and PKCS#12 encryption, and of PKCS#12's bags: none of them occurs in a certificate.
_OIDS_OF_ENCRYPTED_KEYS = re.compile(
    rb"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x05[\x01-\x0d]|\x06[\x0a\x0b]\x2a\x86\x48\x86\xf7\x0d\x01\x0c[\x01\x0a]"
)
_ANY = re.compile(rb"\x02\x01[\x00\x01\x03]|\x2a\x86\x48\x86\xf7\x0d\x01[\x05\x0c]")
"""Begins each of these: most bytes have none, and are searched once."""
_OIDS_OF_KEYS = (b"\x06\x07\x2a\x86\x48\xce\x38\x04\x01", b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01")
"""Of DSA and elliptic curves: unlike those of RSA, no signature bears them."""
_PKCS8 = re.compile(rb"\x02\x01[\x00\x01]\x30")
_PKCS1 = re.compile(rb"\x02\x01\x00\x02[\x40-\x84]")
_SEC1 = re.compile(rb"\x02\x01\x01\x04[\x14\x18\x1c\x1e\x20\x30\x40\x42]")
_PKCS12 = re.compile(rb"\x02\x01\x03\x30")
_PKCS7_DATA = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07"
_SMALLEST_MODULUS = 64
_INTEGERS_OF_A_KEY = 4
_BASE64 = re.compile(rb"[A-Za-z0-9+/]{24,}")
_HEX = re.compile(rb"[0-9A-Fa-f]{48,}")
_ESCAPED_BREAK = re.compile(rb"\\[rn]|\s+")
_TO_STANDARD = bytes.maketrans(b"-_", b"+/")


def contains_private_key(content: bytes) -> bool:
    """Return whether there is a private key, or the beginning of one, anywhere in the content."""
    if content.startswith(_JAVA_KEY_STORES):
        return True
    # UTF-16 and UTF-32 are ASCII with zero bytes between, as far as keys are concerned.
    text = content.replace(b"\0", b"")
    upper = text.upper()
    is_jwk = _JWK_TYPE.search(upper) and _JWK_SECRET.search(upper)
    if _MARKS.search(upper) or is_jwk or (b"<RSAKEYVALUE" in upper and b"<D>" in upper):
        return True
    return _is_in_der(content) or any(_is_in_der(each) for each in _decode_runs(text))


def _decode_runs(text: bytes) -> Iterator[bytes]:
    """Yield what runs of base64 and hexadecimal digits decode to, line breaks within them left out."""
    joined = _ESCAPED_BREAK.sub(b"", text)
    for form in {joined, joined.translate(_TO_STANDARD), text}:
        for run in _BASE64.findall(form):
            # A word may stand directly before the key, so that it can begin at any of four places.
            for first in range(4):
                length = (len(run) - first) // 4 * 4
                yield binascii.a2b_base64(run[first : first + length])
    for run in _HEX.findall(joined):
        # A byte of a certificate or a letter of a word may look like a digit, so that the key begins at an odd place.
        for first in range(2):
            length = (len(run) - first) // 2 * 2
            yield binascii.a2b_hex(run[first : first + length])


def _is_in_der(data: bytes) -> bool:
    return bool(_ANY.search(data)) and bool(
        _OIDS_OF_ENCRYPTED_KEYS.search(data)
        or _SEC1.search(data)
        or any(_is_pkcs8(data, match.start()) for match in _PKCS8.finditer(data))
        or any(_is_pkcs1(data, match.start()) for match in _PKCS1.finditer(data))
        or any(_is_pkcs12(data, match.start()) for match in _PKCS12.finditer(data))
    )


def _is_pkcs8(data: bytes, at: int) -> bool:
    """Return whether a version is followed by an algorithm and an octet string; in a certificate, a name follows."""
    algorithm = read_header(data, at + 3)
    if algorithm is None or data[algorithm.start : algorithm.start + 1] != bytes((_OBJECT_IDENTIFIER,)):
        return False
    if algorithm.end >= len(data):
        return data.startswith(_OIDS_OF_KEYS, algorithm.start)
    key = read_header(data, algorithm.end)
    return key is not None and key.tag == _OCTET_STRING


def _is_pkcs1(data: bytes, at: int) -> bool:
    """Return whether a version is followed by a modulus and more integers, or by one that is cut off."""
    position = at + 3
    for number in range(_INTEGERS_OF_A_KEY):
        header = read_header(data, position)
        if header is None or header.tag != _INTEGER:
            return False
        size = header.end - header.start
        if number == 0 and (size < _SMALLEST_MODULUS or not _begins_like_a_modulus(data, header.start)):
            return False
        if header.end >= len(data):
            return size > 0x7F or number > 0
        position = header.end
    return True


def _begins_like_a_modulus(data: bytes, at: int) -> bool:
    """Return whether a positive number of whole bytes begins here, as far as there are bytes."""
    return data[at : at + 1] in {b"", b"\0"} and (at + 1 >= len(data) or data[at + 1] >= 0x80)


def _is_pkcs12(data: bytes, at: int) -> bool:
    safe = read_header(data, at + 3)
    start = safe.start if safe is not None else at + len(b"\x02\x01\x03\x30\x80")
    return data.startswith(_PKCS7_DATA, start)
