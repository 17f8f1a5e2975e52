"""Rewrites a CMS file as DER: the same envelope with definite lengths, for programs that read nothing else.

The content stays encrypted, so no key is needed. A definite length precedes its content: the file is read twice, the
first time to count, and memory stays flat.
"""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sluice.asn1 import SEQUENCE, build, build_header
from sluice.ber import BerReader
from sluice.cms import CONTEXT_0, CONTEXT_0_PRIMITIVE, CONTEXT_1, EnvelopeStart, read_rest, read_start
from sluice.decrypt import TEMPORARY_PREFIX
from sluice.errors import SluiceError
from sluice.text_forms import open_binary

_CONTEXT_2 = 0xA2


@dataclass(frozen=True, slots=True)
class _Envelope:
    """A file's envelope without its content; `rest` is what follows the content, in DER."""

    start: EnvelopeStart
    size: int
    rest: bytes


def convert_to_der(
    artifact: Path, output: Path, *, force: bool = False, on_read: Callable[[int], None] = lambda size: None
) -> Path:
    """Write an encrypted file as DER into the folder `output`, and return its path.

    Raises DecryptionFailed for a file that is damaged or of another kind, and SluiceError if the path exists already.
    Whether the content is intact shows only when it is decrypted.
    """
    target = output / f"{artifact.stem if artifact.suffix == '.p7m' else artifact.name}.der"
    if target.exists() and not force:
        raise SluiceError(f"{target} already exists; --force replaces it.")
    envelope = _measure(artifact)
    with tempfile.TemporaryDirectory(prefix=TEMPORARY_PREFIX, dir=output) as temporary:
        written = Path(temporary) / "der"
        with written.open("xb") as file:
            file.write(_build_beginning(envelope))
            for chunk in _read_content(artifact):
                file.write(chunk)
                on_read(len(chunk))
            file.write(envelope.rest)
        return written.replace(target)


def _measure(artifact: Path) -> _Envelope:
    with artifact.open("rb", buffering=0) as source:
        reader = BerReader(open_binary(source))
        start = read_start(reader)
        size = sum(map(len, reader.read_octets(start.encrypted)))
        # Attributes are implicitly tagged sets, whose elements DER sorts: unprotected [1], authenticated [1] and [2].
        rest = [
            build(node.tag, *sorted(each.encode() for each in node.children))
            if node.tag in {CONTEXT_1, _CONTEXT_2}
            else node.encode()
            for node in read_rest(reader, start)
        ]
    return _Envelope(start, size, b"".join(rest))


def _read_content(artifact: Path) -> Iterator[bytes]:
    with artifact.open("rb", buffering=0) as source:
        reader = BerReader(open_binary(source))
        yield from reader.read_octets(read_start(reader).encrypted)


def _build_beginning(envelope: _Envelope) -> bytes:
    """Return everything that precedes the content, with lengths that count it and what follows it."""
    start, size, after = envelope.start, envelope.size, len(envelope.rest)
    content_header = build_header(CONTEXT_0_PRIMITIVE, size)
    content_info = b"".join((start.content_type.encode(), start.algorithm.encode(), content_header))
    content = build_header(SEQUENCE, len(content_info) + size) + content_info
    fields = [start.version, *([start.originator] if start.originator else []), start.recipients]
    inner = b"".join(each.encode() for each in fields) + content
    envelope_header = build_header(SEQUENCE, len(inner) + size + after)
    explicit = build_header(CONTEXT_0, len(envelope_header) + len(inner) + size + after)
    kind = start.kind.encode()
    length = len(kind) + len(explicit) + len(envelope_header) + len(inner) + size + after
    return b"".join((build_header(SEQUENCE, length), kind, explicit, envelope_header, inner))
