"""The checksums of a stream: SHA-256, and the tag that S3 derives from the parts of an upload."""

import hashlib
from dataclasses import dataclass, field
from typing import Any

from exporter.errors import DeliveryError


def _create_md5() -> Any:
    # Not for security: S3's own tags are MD5, and SHA-256 of the same stream is what counts.
    return hashlib.md5(usedforsecurity=False)


@dataclass
class PartDigest:
    """Computes SHA-256 of a stream, and the tags that S3 may give it as one object or in parts of `part_size` bytes."""

    part_size: int
    size: int = 0
    _sha256: Any = field(default_factory=hashlib.sha256)
    _part: Any = field(default_factory=_create_md5)
    _part_left: int = 0
    _parts: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._part_left = self.part_size

    def update(self, data: bytes) -> None:
        """Add bytes of the stream."""
        self._sha256.update(data)
        self.size += len(data)
        view = memoryview(data)
        while view:
            taken = view[: self._part_left]
            self._part.update(taken)
            self._part_left -= len(taken)
            view = view[len(taken) :]
            if not self._part_left:
                self._end_part()

    @property
    def sha256(self) -> str:
        """SHA-256 of the whole stream, in hex."""
        digest: str = self._sha256.hexdigest()
        return digest

    def get_tags(self) -> set[str]:
        """Return the tags that an S3 store without encryption of its own gives the object."""
        parts = list(self._parts)
        if self._part_left < self.part_size or not parts:
            parts.append(self._part.digest())
        whole = hashlib.md5(b"".join(parts), usedforsecurity=False).hexdigest()
        tags = {f"{whole}-{len(parts)}"}
        return tags | {parts[0].hex()} if len(parts) == 1 else tags

    def check(self, sha256: str, size: int) -> None:
        """Raise DeliveryError when the stream was not the expected one."""
        if (self.sha256, self.size) != (sha256, size):
            raise DeliveryError("store-unavailable", "A file in Sluice's own store is damaged or incomplete.")

    def _end_part(self) -> None:
        self._parts.append(self._part.digest())
        self._part, self._part_left = _create_md5(), self.part_size
