"""Files as responses: ranges (RFC 9110, section 14), conditions and checksums (rule A3)."""

import base64
import re
from collections.abc import Mapping
from urllib.parse import quote

from fastapi import Request
from starlette.responses import Response, StreamingResponse

from history.service.downloads import DownloadService, StoredFile
from history.store.unit_of_work import UnitOfWorkFactory
from shared.auth import Identity
from shared.http.admission import take_place
from shared.http.conditional import is_unchanged, to_etag
from shared.http.openapi import FILE_MEDIA_TYPE, Responses, empty_response, file_response
from shared.http.places import Use
from shared.http.problems import Problem, ProblemType, error_responses

# What a quoted string cannot hold in every program: quotes, backslashes, percent signs (RFC 6266, appendix D).
_NOT_PLAIN = re.compile(r"[^ !#$&-\[\]-~]")
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)
_HEADERS = ("ETag", "Accept-Ranges", "Content-Length", "Content-Disposition", "Repr-Digest", "Digest")
_ERRORS = (
    ProblemType.NOT_FOUND,
    ProblemType.FILE_MISSING,
    ProblemType.ARTIFACT_EXPIRED,
    ProblemType.ARTIFACT_DELETED,
    ProblemType.FILE_DAMAGED,
)
GET_FILE: Responses = {
    **file_response(headers=_HEADERS),
    **file_response(status=206, headers=(*_HEADERS, "Content-Range")),
    **empty_response(304, "The file is unchanged", "ETag"),
    **error_responses(*_ERRORS, ProblemType.RANGE_OUTSIDE),
}
"""The documented responses of a download."""
HEAD_FILE: Responses = {
    **empty_response(200, "The file's headers", *_HEADERS),
    **empty_response(304, "The file is unchanged", "ETag"),
    **error_responses(*_ERRORS),
}


async def respond_with_file(
    request: Request, file: StoredFile, identity: Identity, *, downloads: DownloadService, units: UnitOfWorkFactory
) -> Response:
    """Return the response to a request for a file, and record the download. Raises Problem 416 or 429."""
    headers = file_headers(file)
    if is_unchanged(request.headers.get("if-none-match"), headers["ETag"]):
        return Response(status_code=304, headers=headers)
    if request.method == "HEAD":
        return Response(headers=headers | {"Content-Length": str(file.size)})
    start, end = select_range(request.headers, file.size, headers["ETag"])
    take_place(request, identity, Use.DOWNLOAD)
    status = 200
    headers["Content-Length"] = str(end - start)
    if (start, end) != (0, file.size):
        status = 206
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{file.size}"
    async with units.begin(identity) as work:
        await downloads.record(work, file, start)
    return StreamingResponse(downloads.read(file, start, end), status, headers)


def file_headers(file: StoredFile) -> dict[str, str]:
    """Return the headers of a file, whatever part of it is sent; `no-transform` keeps its checksum true."""
    return {
        "ETag": to_etag(file.sha256),
        "Accept-Ranges": "bytes",
        "Content-Type": FILE_MEDIA_TYPE,
        "Content-Disposition": build_disposition(file.name),
        "Cache-Control": "no-store, no-transform",
        **digest_headers(file.sha256),
    }


def build_disposition(name: str) -> str:
    """Return a Content-Disposition that saves a file under a name (RFC 6266).

    `filename` is for programs that do not know `filename*`; what it cannot hold becomes `_`.
    """
    plain = _NOT_PLAIN.sub("_", name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def digest_headers(sha256: str) -> dict[str, str]:
    """Return the checksum headers (RFC 9530, and RFC 3230 for older clients) of a whole file."""
    text = base64.b64encode(bytes.fromhex(sha256)).decode()
    return {"Repr-Digest": f"sha-256=:{text}:", "Digest": f"sha-256={text}"}


def select_range(headers: Mapping[str, str], size: int, etag: str) -> tuple[int, int]:
    """Return the half-open range of bytes that a request asks for: all of them unless Range and If-Range say otherwise.

    Raises Problem 416 for a range outside the file.
    """
    wanted = headers.get("range") if headers.get("if-range") in {None, etag} else None
    return parse_range(wanted, size) or (0, size)


def parse_range(header: str | None, size: int) -> tuple[int, int] | None:
    """Return the half-open range of a Range header; None for all bytes, also for several ranges (RFC 9110).

    Raises Problem 416 for a range outside the file.
    """
    found = _RANGE.fullmatch((header or "").replace(" ", ""))
    if found is None or found.group(0) == "bytes=-":
        return None
    first, last = found.groups()
    start, end = (int(first), min(size, int(last or size - 1) + 1)) if first else (max(0, size - int(last)), size)
    if last and first and int(last) < int(first):
        return None
    if start >= end:
        detail = f"The file has {size} bytes."
        raise Problem(ProblemType.RANGE_OUTSIDE, detail, headers={"Content-Range": f"bytes */{size}"})
    return start, end
