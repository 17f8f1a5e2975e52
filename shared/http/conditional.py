"""Conditional requests (RFC 9110, section 13): entity tags of versions, and what If-Match allows."""

import re
from typing import Annotated

from fastapi import Header

from shared.http.problems import Problem, ProblemType

_TAG = re.compile(r'(?:W/)?"([^",]*)"')
_VERSION = re.compile(r"\d{1,18}", re.ASCII)

IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        max_length=1_000,
        description="the ETag of the version that the change is based on, or `*` for any",
        examples=['"3"'],
    ),
]
"""The header of an operation that changes a resource; `openapi` declares it required where 428 is listed."""


def to_etag(version: int | str) -> str:
    """Return the entity tag of a version or of a digest."""
    return f'"{version}"'


def parse_tags(header: str) -> frozenset[str] | None:
    """Return the opaque values of the entity tags in a header; None for `*`.

    A weak tag counts as its strong one: a proxy that compresses a response weakens its tag, and the client that sends
    it back has still seen this version.
    """
    if header.strip() == "*":
        return None
    tags = (_TAG.fullmatch(each.strip()) for each in header.split(","))
    return frozenset(tag[1] for tag in tags if tag is not None)


def parse_if_match(if_match: str | None) -> frozenset[int] | None:
    """Return the versions that a change may be based on; None for any: `*`, or no header."""
    tags = parse_tags(if_match) if if_match is not None else None
    return None if tags is None else frozenset(int(tag) for tag in tags if _VERSION.fullmatch(tag))


def require_if_match(if_match: str | None) -> frozenset[int] | None:
    """Return the versions that a change may be based on; None for `*`. Raises Problem 428 when there is no header."""
    if if_match is None:
        detail = "Send the resource's ETag as If-Match, so that no other change is overwritten unseen."
        raise Problem(ProblemType.IF_MATCH_REQUIRED, detail)
    return parse_if_match(if_match)


def is_unchanged(if_none_match: str | None, etag: str) -> bool:
    """Return whether the caller already has what the entity tag stands for, so that 304 is the answer."""
    if if_none_match is None:
        return False
    tags = parse_tags(if_none_match)
    return tags is None or etag.strip('"') in tags
