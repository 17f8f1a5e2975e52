"""The multipart zoo: bodies and headers that make careless parsers take more than linear time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.chaos.hostile.report import Report
from tests.chaos.system.world import Member

_TICKS_PER_SECOND = 100.0
_ALLOWED = 10.0
"""How many times the processor time of a plain body of the same size an animal may take."""
_FLOOR = 0.25
"""Processor seconds that are never too many: an answer takes some, whatever the body's size."""
_BOUNDARY = "X"
_TYPE = f"multipart/form-data; boundary={_BOUNDARY}"


@dataclass(frozen=True)
class Animal:
    """A request body, and its Content-Type."""

    name: str
    content_type: str
    body: bytes


def list_animals(size: int) -> Iterator[Animal]:
    """Yield the zoo; each body is about `size` bytes."""
    part = b"--X\r\nContent-Disposition: form-data; "
    end = b"\r\n--X--\r\n"

    def fill(piece: bytes) -> bytes:
        return piece * (size // len(piece))

    bodies: dict[str, bytes] = {
        "many parameters": part + fill(b'a="b"; ') + b"\r\n\r\nx" + end,
        "continued parameters": part + fill(b"name*0*=a; ") + b"\r\n\r\nx" + end,
        "open comments": part + b"name=" + fill(b"(") + b"\r\n\r\nx" + end,
        "open quotes": part + b'name="' + fill(b'\\"') + b"\r\n\r\nx" + end,
        "empty parts": fill(b"--X\r\n\r\n\r\n") + end,
        "many headers": b"--X\r\n" + fill(b"a: b\r\n") + b"\r\nx" + end,
        "folded header": part + b'name="a"' + fill(b"\r\n ") + b"\r\n\r\nx" + end,
        "almost boundaries": part + b'name="a"\r\n\r\n' + fill(b"\r\n--") + end,
        "no end": part + b'name="a"\r\n\r\n' + fill(b"x"),
        "dashes": fill(b"-"),
        "line ends": fill(b"\r\n"),
        "percent": part + b"filename*=utf-8''" + fill(b"%41") + b"\r\n\r\nx" + end,
    }
    yield from (Animal(name, _TYPE, body) for name, body in bodies.items())
    yield Animal("urlencoded pairs", "application/x-www-form-urlencoded", fill(b"a=b&"))
    yield Animal("urlencoded percent", "application/x-www-form-urlencoded", b"user=" + fill(b"%25"))
    yield Animal("nested JSON", "application/json", fill(b"["))
    yield Animal("digits", "application/json", fill(b"9"))
    yield Animal("almost a certificate", "application/x-pem-file", fill(b"-----BEGIN "))


async def visit_zoo(
    url: str, member: Member, tokens: dict[str, str | None], report: Report, *, sizes: Sequence[int]
) -> None:
    """Send every animal to every place that reads a body, and compare the processor time with a plain body's.

    `sizes` are those of the bodies, in bytes.
    """
    places = ("/login", "/api/v1/session", "/api/v1/jobs", "/api/v1/certificates", "/certificates", "/jobs/new")
    for size in sizes:
        for who, token in tokens.items():
            headers = {} if token is None else {"Authorization": f"Bearer {token}"}
            async with httpx.AsyncClient(base_url=url, headers=headers, timeout=120) as client:
                for place in places:
                    plain = Animal("plain", "application/octet-stream", b"x" * size)
                    allowed = max(_FLOOR, _ALLOWED * await _measure(client, place, plain, member, report))
                    for animal in list_animals(size):
                        spent = await _measure(client, place, animal, member, report)
                        if spent > allowed:
                            text = f"{animal.name} ({size >> 10} KiB) at {place} as {who}: {spent:.2f} s"
                            report.note("slow", f"{text}, allowed {allowed:.2f} s")


async def _measure(client: httpx.AsyncClient, place: str, animal: Animal, member: Member, report: Report) -> float:
    before = read_processor_seconds(member)
    try:
        answer = await client.post(place, content=animal.body, headers={"Content-Type": animal.content_type})
    except (httpx.WriteError, httpx.ReadError, httpx.RemoteProtocolError):
        # Answered and closed before all was sent: the body was not even read.
        report.requests += 1
    except httpx.TimeoutException:
        report.note("stopped", f"{animal.name} at {place}: no answer")
    else:
        report.count(f"{animal.name} at {place}", answer)
    return read_processor_seconds(member) - before


def read_processor_seconds(member: Member) -> float:
    """Return the processor time that a process has used so far."""
    assert member.service is not None
    fields = Path(f"/proc/{member.service.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_SECOND
