"""Certificates that OpenSSL reads although they break rules of X.509: a copy that the library reads as well."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from shared.certificate_names import relax_names
from shared.der import encode_value, read_children, read_header

_VERSION: Final = 0xA0
_VERSION_3: Final = bytes.fromhex("020102")
_INTEGER, _UTC_TIME, _GENERALIZED_TIME, _SEQUENCE = 0x02, 0x17, 0x18, 0x30
_YEAR: Final = {_UTC_TIME: rb"(\d\d)", _GENERALIZED_TIME: rb"(\d{4})"}
_REST: Final = rb"(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)?(?:\.\d+)?(?:Z|([+-])(\d\d)(\d\d))"
_FIRST_YEAR_OF_19XX: Final = 50


class DatesUnreadable(ValueError):
    """OpenSSL cannot read the certificate's validity either."""


def relax_certificate(der: bytes) -> bytes:
    """Return a copy of a certificate, to read only, as its signature does not fit it.

    Its names are in order and have a type that allows every character, its times have seconds and no offset
    (ASN1_TIME_to_tm of OpenSSL accepts times without and with, respectively), and its version is 3. Raises
    DatesUnreadable.
    """
    data = relax_names(der)
    whole = read_header(data, 0)
    signed = read_children(data, whole)[:1] if whole is not None else []
    if whole is None or not signed or {whole.tag, signed[0].tag} != {_SEQUENCE}:
        return data
    fields, at = [], signed[0].start
    for each in read_children(data, signed[0]):
        fields.append(_relax_field(each.tag, data[at : each.end], data[each.start : each.end]))
        at = each.end
    # What cannot be read stays, so that the library refuses it.
    fields.append(data[at : signed[0].end])
    return encode_value(_SEQUENCE, encode_value(_SEQUENCE, b"".join(fields)) + data[signed[0].end :])


def _relax_field(tag: int, field: bytes, content: bytes) -> bytes:
    """Return a field of a TBSCertificate: the version, the validity (the only one of two times), or another."""
    if tag == _VERSION and content != _VERSION_3 and _is_integer(content):
        return encode_value(_VERSION, _VERSION_3)
    header = read_header(field, 0)
    times = read_children(field, header) if tag == _SEQUENCE and header is not None else []
    if [each.tag in _YEAR for each in times] != [True, True] or times[-1].end != len(field):
        return field
    return encode_value(_SEQUENCE, b"".join(_relax_time(each.tag, field[each.start : each.end]) for each in times))


def _is_integer(content: bytes) -> bool:
    header = read_header(content, 0)
    return header is not None and header.tag == _INTEGER and header.start < header.end == len(content)


def _relax_time(tag: int, text: bytes) -> bytes:
    found = re.fullmatch(_YEAR[tag] + _REST, text)
    if found is None:
        raise DatesUnreadable
    *numbers, sign, hours, minutes = found.groups()
    year, month, day, hour, minute, second = (int(each or 0) for each in numbers)
    if tag == _UTC_TIME:
        year += 1900 if year >= _FIRST_YEAR_OF_19XX else 2000
    offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    try:
        local = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
        instant = local + offset if sign == b"-" else local - offset
    except (ValueError, OverflowError):
        raise DatesUnreadable from None
    return encode_value(_GENERALIZED_TIME, f"{instant.year:04}{instant:%m%d%H%M%S}Z".encode())
