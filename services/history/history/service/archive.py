"""Several files as one zip, made while it is sent: nothing is kept but a chunk (A1)."""

import zipfile
from collections.abc import AsyncIterator, Iterable, Iterator

from history.store.objects import Objects
from shared.postgres import Record

_LARGE = 2**31 - 2**20


class _Pipe:
    """A file that zipfile writes to; what it wrote is taken away at once."""

    def __init__(self) -> None:
        self._pending: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._pending.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """There is nothing behind this file to flush to."""

    def taken(self) -> bytes:
        data = b"".join(self._pending)
        self._pending.clear()
        return data


async def archive(objects: Objects, rows: Iterable[Record]) -> AsyncIterator[bytes]:
    """Yield a zip of files; they are encrypted, so nothing is gained by compressing them.

    Members are deflated at level 0 rather than stored: Java's stream reader refuses stored ones whose sum comes after.
    """
    pipe = _Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED, compresslevel=0) as packed:  # type: ignore[call-overload]
        for name, row in _named(rows):
            member = zipfile.ZipInfo(name, row["created_at"].timetuple()[:6])
            member.compress_type = zipfile.ZIP_DEFLATED
            with packed.open(member, "w", force_zip64=row["bytes_packed"] > _LARGE) as target:
                async for chunk in objects.read(row["object"], 0, row["bytes_packed"]):
                    target.write(chunk)
                    yield pipe.taken()
            yield pipe.taken()
    yield pipe.taken()


def _named(rows: Iterable[Record]) -> Iterator[tuple[str, Record]]:
    seen: set[str] = set()
    for row in rows:
        name = row["name"] if row["name"] not in seen else f"{row['artifact_id']}/{row['name']}"
        seen.add(row["name"])
        yield name, row
