"""A certificate's subject as people read it: RFC 4514 where the library can, else as well as it can be decoded.

Old authorities wrote names in encodings that their types forbid. What is shown decides nothing.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import Final

from cryptography import x509

from shared.der import Header, read_children, read_header

_SUBJECT_WITHOUT_VERSION: Final = 4
_VERSION: Final = 0xA0
_ENCODINGS: Final[Mapping[int, str]] = {0x0C: "utf-8", 0x1E: "utf-16-be", 0x1C: "utf-32-be"}
_SHORT_NAMES: Final[Mapping[bytes, str]] = {
    b"\x55\x04\x03": "CN",
    b"\x55\x04\x05": "serialNumber",
    b"\x55\x04\x06": "C",
    b"\x55\x04\x07": "L",
    b"\x55\x04\x08": "ST",
    b"\x55\x04\x0a": "O",
    b"\x55\x04\x0b": "OU",
    b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01": "emailAddress",
    b"\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x19": "DC",
    b"\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x01": "UID",
}
_PRINTABLE_STRING, _TELETEX_STRING = 0x13, 0x14
_ISSUER_WITHOUT_VERSION: Final = 2
_SPECIAL: Final = frozenset(',+"\\<>;=')


def describe_name(certificate: x509.Certificate) -> str:
    """Return the subject, with control characters escaped."""
    try:
        text = certificate.subject.rfc4514_string()
    except Exception:  # the library raises many kinds for names that it cannot read
        text = _decode_name(certificate, _SUBJECT_WITHOUT_VERSION)
    return "".join(each if each.isprintable() else f"\\{ord(each):02X}" for each in text)


def identify_issuer(certificate: x509.Certificate) -> str:
    """Return the issuer so that names which openssl and others take for one are equal texts.

    They ignore case, the type of a string, and repeated white space (RFC 5280, section 7.1).
    """
    return " ".join(_decode_name(certificate, _ISSUER_WITHOUT_VERSION).casefold().split())


def relax_names(der: bytes) -> bytes:
    """Return a copy of a certificate to read only, whose names have a type that allows every character, in order.

    The library refuses a certificate with a PrintableString that is not one, or with a name of several values that are
    not sorted as DER wants it; OpenSSL and its owners do not.
    """
    whole = read_header(der, 0)
    signed = read_children(der, whole)[:1] if whole is not None else []
    fields = _read_fields(der, signed[0]) if signed else []
    copy = bytearray(der)
    for name in fields[_ISSUER_WITHOUT_VERSION : _SUBJECT_WITHOUT_VERSION + 1 : 2]:
        for one in read_children(der, name):
            for attribute in read_children(der, one):
                for value in read_children(der, attribute)[1:]:
                    if value.tag == _PRINTABLE_STRING and der[value.start - 2] == _PRINTABLE_STRING:
                        copy[value.start - 2] = _TELETEX_STRING
            _sort_values(copy, one)
    return bytes(copy)


def _sort_values(data: bytearray, one: Header) -> None:
    """Put the attributes of a name's part into the order of DER (ITU-T X.690, 11.6), in place."""
    attributes = read_children(bytes(data), one)
    if len(attributes) > 1 and attributes[-1].end == one.end:
        starts = [one.start, *(each.end for each in attributes)]
        data[one.start : one.end] = b"".join(sorted(bytes(data[start:end]) for start, end in pairwise(starts)))


def _read_fields(data: bytes, signed: Header) -> list[Header]:
    """Return the fields of a TBSCertificate behind its version."""
    fields = read_children(data, signed)
    return fields[1:] if fields and fields[0].tag == _VERSION else fields


def _decode_name(certificate: x509.Certificate, field: int) -> str:
    data = certificate.tbs_certificate_bytes
    whole = read_header(data, 0)
    fields = _read_fields(data, whole) if whole is not None else []
    if len(fields) <= field:
        return ""
    sets = reversed(read_children(data, fields[field]))
    return ",".join("+".join(_decode_attribute(data, each) for each in read_children(data, one)) for one in sets)


def _decode_attribute(data: bytes, attribute: Header) -> str:
    parts = read_children(data, attribute)
    if len(parts) < 2:
        return ""
    kind, value = data[parts[0].start : parts[0].end], data[parts[1].start : parts[1].end]
    try:
        text = value.decode(_ENCODINGS.get(parts[1].tag, "latin-1"))
    except UnicodeDecodeError:
        text = value.decode("latin-1")
    escaped = "".join(f"\\{each}" if each in _SPECIAL else each for each in text)
    return f"{_SHORT_NAMES.get(kind, kind.hex())}={escaped}"
