"""Downloads: ranges of a file, checksums, and headers that let a client resume (A3)."""

import base64
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import quote

from history.errors import ObjectMissing
from history.store.objects import Objects
from shared.http.problems import Problem, ProblemType
from shared.postgres import Record

PACKED = "application/pkcs7-mime"
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


class Headers(Protocol):
    """A request's headers."""

    def get(self, key: str, /) -> str | None:
        """Return a header's value."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """An answer to be streamed: bytes of an object from `start` to `end`, not included."""

    status: int
    headers: dict[str, str]
    body: AsyncIterator[bytes]
    start: int


class Downloads:
    """Reads files from the store as requests ask for them."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    async def file(self, artifact: Record, asked: Headers) -> Download:
        """Return the answer to a request for a file. Raises Problem 404, 416, 502; StoreUnavailable."""
        size: int = artifact["bytes_packed"]
        etag = f'"{artifact["sha256"]}"'
        if await self._size(artifact["object"]) != size:
            raise Problem(
                ProblemType.FILE_DAMAGED, "The store has another file in this one's place; tell an administrator."
            )
        headers = {
            "ETag": etag,
            "Accept-Ranges": "bytes",
            "Content-Type": PACKED,
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(artifact['name'])}",
            "Cache-Control": "private, no-transform",
            **digests(artifact["sha256"]),
        }
        if etag in (asked.get("if-none-match") or ""):
            return Download(status=304, headers=headers, body=_nothing(), start=size)
        wanted = asked.get("range") if asked.get("if-range") in (None, etag) else None
        start, end = wanted_range(wanted, size) or (0, size)
        headers["Content-Length"] = str(end - start)
        partial = (start, end) != (0, size)
        if partial:
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
        body = self._objects.read(artifact["object"], start, end)
        return Download(status=206 if partial else 200, headers=headers, body=body, start=start)

    async def small(self, path: str) -> bytes:
        """Return a small object whole. Raises Problem 404; StoreUnavailable."""
        size = await self._size(path)
        return b"".join([chunk async for chunk in self._objects.read(path, 0, size)])

    async def _size(self, path: str) -> int:
        try:
            return await self._objects.size(path)
        except ObjectMissing:
            raise Problem(
                ProblemType.FILE_MISSING, "The store does not have this file; tell an administrator."
            ) from None


def digests(sha256: str) -> dict[str, str]:
    """Return the checksum headers (RFC 9530, and RFC 3230 for older clients) of a whole file."""
    text = base64.b64encode(bytes.fromhex(sha256)).decode()
    return {"Repr-Digest": f"sha-256=:{text}:", "Digest": f"sha-256={text}"}


def wanted_range(header: str | None, size: int) -> tuple[int, int] | None:
    """Return the half-open range of a Range header; None for the whole, also where it asks for several (RFC 9110).

    Raises Problem 416 for one that lies outside.
    """
    found = _RANGE.fullmatch((header or "").replace(" ", ""))
    if found is None or found.group(0) == "bytes=-":
        return None
    first, last = found.groups()
    start, end = (int(first), min(size, int(last or size - 1) + 1)) if first else (max(0, size - int(last)), size)
    if last and first and int(last) < int(first):
        return None
    if start >= end:
        raise Problem(
            ProblemType.RANGE_OUTSIDE, f"The file has {size} bytes.", headers={"Content-Range": f"bytes */{size}"}
        )
    return start, end


async def _nothing() -> AsyncIterator[bytes]:
    for chunk in list[bytes]():
        yield chunk
