"""RFC 9457 problem documents: the form of every error that a person or a program gets over HTTP."""

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from starlette.responses import JSONResponse

TYPE_BASE = "https://sluice.example/problems/"


@dataclass
class Problem(Exception):
    """An answer of 4xx or 5xx: `type` is stable, `detail` says what a person can do."""

    status: int
    type: str
    detail: str
    fields: list[dict[str, str]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)

    def response(self, instance: str) -> JSONResponse:
        """Return the answer; `instance` is the path that was asked for."""
        body: dict[str, Any] = {
            "type": TYPE_BASE + self.type,
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "instance": instance,
            **self.extra,
        }
        if self.fields:
            body["errors"] = self.fields
        return JSONResponse(body, self.status, self.headers, media_type="application/problem+json")
