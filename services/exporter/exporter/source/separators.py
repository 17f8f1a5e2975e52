"""The characters other than `\\n` at which common readers split lines, escaped in a record's JSON text (rule E1).

JSON allows them in strings. `native/transcode.c` escapes the same ones.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple


class Separator(NamedTuple):
    """A line separator in UTF-8, and its escape."""

    text: bytes
    escape: bytes


SEPARATORS: Final = tuple(Separator(each.encode(), f"\\u{ord(each):04x}".encode()) for each in "\u0085\u2028\u2029")


def find_separators(text: bytes | bytearray) -> Sequence[Separator]:
    """Return the separators that occur in a text."""
    # Searching for a single byte is many times as fast as for several.
    return [each for each in SEPARATORS if each.text[-1] in text and each.text[0] in text and each.text in text]


def escape_separators(text: bytes | bytearray | memoryview, separators: Sequence[Separator] = SEPARATORS) -> bytes:
    """Return a JSON text with these separators escaped."""
    escaped = bytes(text)
    for each in separators:
        escaped = escaped.replace(each.text, each.escape)
    return escaped
