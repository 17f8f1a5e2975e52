"""The bytes, names and media types of attachments."""

from dataclasses import dataclass
from functools import lru_cache
from random import Random

from deploy.sample.phrasebook import load_phrasebook, pick

HUGE = 3_000_000
"""Length of the few large files, in bytes."""

_NOISE = 4_194_304
"""The number of random bytes from which files are cut; compressed formats look random."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of file: extension, media type, first bytes, and whether text follows or random bytes."""

    extension: str
    mime_type: str | None
    magic: bytes
    is_text: bool = False


KINDS = (
    Kind("png", "image/png", b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"),
    Kind("jpg", "image/jpeg", b"\xff\xd8\xff\xe0\x00\x10JFIF\x00"),
    Kind("pdf", "application/pdf", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"),
    Kind("zip", "application/zip", b"PK\x03\x04\x14\x00\x08\x08\x08\x00"),
    Kind("wav", "audio/wav", b"RIFF\x24\xf0\xff\x7fWAVEfmt "),
    Kind("txt", "text/plain; charset=utf-8", b"\xef\xbb\xbf", is_text=True),
    Kind("csv", "text/csv", b"order;date;name\r\n", is_text=True),
    Kind("eml", "message/rfc822", b"Received: from mail.example.com\r\nMIME-Version: 1.0\r\n\r\n", is_text=True),
    Kind("dat", None, b"\x00\x01\x02\x03"),
)

_NAMES = (
    "scan",
    "Rechnung März",
    "IMG_0001",
    "写真",
    "фото",
    "فاتورة",
    'my "best" photo',
    "a\\b",
    "résumé 📎",
    "line\nbreak",
    "x" * 240,
)


@lru_cache(maxsize=4)
def _stock(seed: int) -> tuple[bytes, bytes]:
    # Enough for the largest file; text repeats, as it does in real files.
    rng = Random(f"{seed}:files")
    sentences = [pick(rng, language.sentences) for language in load_phrasebook(seed) for _ in range(20)]
    text = "\r\n".join(sentences).encode()
    return rng.randbytes(_NOISE), text * (_NOISE // len(text) + 1)


def file_bytes(rng: Random, kind: Kind, *, seed: int, size: int) -> bytes:
    """Return `size` bytes that begin like files of the kind."""
    noise, text = _stock(seed)
    stock = text if kind.is_text else noise
    start = int(rng.random() * (_NOISE - size))
    return (kind.magic + stock[start : start + size])[:size]


def file_size(rng: Random) -> int:
    """Return a realistic size in bytes: mostly some KB, sometimes up to 200 KB, rarely 0."""
    kind = rng.random()
    if kind < 0.02:
        return 0
    if kind < 0.70:
        return 30 + int(rng.random() * 6_000)
    if kind < 0.94:
        return 6_000 + int(rng.random() * 24_000)
    return 30_000 + int(rng.random() * 170_000)


def file_name(rng: Random, kind: Kind) -> str:
    """Return a name with the kind's extension; some are names that programs often handle wrongly."""
    return f"{pick(rng, _NAMES)}.{kind.extension}"
