"""Forms, URL-encoded or multipart: their fields, read in time linear in their size and within limits."""

from urllib.parse import parse_qsl

from multipart import MultipartError, PushMultipartParser, parse_options_header

FIELDS_MAX = 400
"""The most fields of a form: the pages' largest is a selection of 100 rows."""
HEADERS_MAX, HEADER_BYTES_MAX = 4, 1_000
"""The most headers of a part, and the most bytes of each: browsers send two of about 100."""
URL_ENCODED_MAX = 128 << 10
"""The most bytes of a URL-encoded form, whose escapes take long to read; the pages upload files in multipart forms."""
CONTENT_TYPE_MAX = 200
BOUNDARY_MAX = 70  # RFC 2046, section 5.1.1


class InvalidForm(ValueError):
    """A form cannot be read, or has more parts than any form of ours."""


def parse_form_fields(content_type: str, body: bytes) -> list[tuple[str, bytes]]:
    """Return the fields of a form in order. Raises InvalidForm."""
    if len(content_type) > CONTENT_TYPE_MAX:
        raise InvalidForm("its Content-Type is too long")
    media_type, options = parse_options_header(content_type)
    if media_type == "multipart/form-data":
        return _parse_multipart(options.get("boundary", ""), body)
    if len(body) > URL_ENCODED_MAX:
        raise InvalidForm(f"it is larger than {URL_ENCODED_MAX >> 10} KiB")
    try:
        pairs = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=FIELDS_MAX)
    except ValueError:
        raise InvalidForm(f"it has more than {FIELDS_MAX} fields") from None
    return [(name, value.encode("utf-8", "replace")) for name, value in pairs]


def _parse_multipart(boundary: str, body: bytes) -> list[tuple[str, bytes]]:
    if not 0 < len(boundary) <= BOUNDARY_MAX:
        raise InvalidForm(f"its boundary must have 1 to {BOUNDARY_MAX} characters")
    fields: list[tuple[str, bytes]] = []
    name, chunks = "", list[bytes]()
    try:
        with PushMultipartParser(
            boundary.encode("latin-1"),
            max_header_size=HEADER_BYTES_MAX,
            max_header_count=HEADERS_MAX,
            max_segment_count=FIELDS_MAX,
            strict=True,
        ) as parser:
            for event in parser.parse(body):
                if event is None:
                    fields.append((name, b"".join(chunks)))
                elif isinstance(event, bytes | bytearray):
                    chunks.append(bytes(event))
                else:
                    name, chunks = event.name or "", []
    except (MultipartError, UnicodeError):
        # The parser's own message may quote the input.
        raise InvalidForm("its parts cannot be read") from None
    return fields
