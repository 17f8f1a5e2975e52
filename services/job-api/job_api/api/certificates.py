"""`/api/v1/certificates`."""

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse

from job_api.api.problems import refused
from job_api.api.requests import answered, once
from job_api.api.views import UtcInstant
from job_api.list_query import SORT_WORDS, ListQuery, Text, When
from job_api.roles import Reader, Writer
from job_api.service import Certificates
from job_api.store import Once
from job_api.store.certificates import Certificate, State
from job_api.store.change import Answer
from job_api.store.lists import CERTIFICATES
from job_api.uploads import CertificateBody, upload

WARNING_DAYS = (30, 7, 1)
Creating = Annotated[Once, Depends(once("upload-certificate"))]
Sort = Literal[
    "name", "state", "subject", "fingerprint", "key_bits", "not_before", "not_after", "created_at", "retired_at"
]
Descending = Literal[
    "-name",
    "-state",
    "-subject",
    "-fingerprint",
    "-key_bits",
    "-not_before",
    "-not_after",
    "-created_at",
    "-retired_at",
]
_EXAMPLE: dict[str, Any] = {
    "id": "0d6f4f0c-6c2e-4a55-9d43-4f1b5d6b7a11",
    "version": 1,
    "name": "Data protection officer 2027",
    "state": "active",
    "subject": "CN=officer,O=Example",
    "fingerprint": "9f" * 32,
    "key_bits": 3072,
    "not_before": "2026-11-01T00:00:00Z",
    "not_after": "2028-11-01T00:00:00Z",
    "days_left": 707,
    "warning": None,
    "pem": "-----BEGIN CERTIFICATE-----\n...\n-----END CERTIFICATE-----\n",
    "created_at": "2026-11-24T10:00:00Z",
    "retired_at": None,
}
_BODIES: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": CertificateBody.model_json_schema()},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["name", "file"],
                    "properties": {
                        "name": {"type": "string", "maxLength": 1_000},
                        "file": {"type": "string", "format": "binary"},
                    },
                },
                "example": {"name": "Data protection officer 2027", "file": "(the file's bytes)"},
            },
        },
    }
}


class CertificateOut(BaseModel):
    """A recipient's certificate; `fingerprint` is the SHA-256 of its DER form."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    id: UUID
    version: int
    name: str
    state: State
    subject: str
    fingerprint: str
    key_bits: int
    not_before: UtcInstant
    not_after: UtcInstant
    days_left: int = Field(description="whole days until it expires; negative afterwards")
    warning: str | None = Field(description="in words, from 30 days before it expires")
    pem: str
    created_at: UtcInstant
    retired_at: UtcInstant | None

    @classmethod
    def of(cls, found: Certificate, now: datetime) -> "CertificateOut":
        """Return a certificate as it is answered."""
        days = (found.not_after - now).days
        return cls(
            id=found.certificate_id,
            version=found.version,
            name=found.name,
            state=found.state,
            subject=found.subject,
            fingerprint=found.fingerprint,
            key_bits=found.key_bits,
            not_before=found.not_before,
            not_after=found.not_after,
            days_left=days,
            warning=_warning(days) if found.state == "active" else None,
            pem=found.pem,
            created_at=found.created_at,
            retired_at=found.retired_at,
        )


class CertificatePage(BaseModel):
    """A page of certificates; `next` is the cursor of the one after, null on the last."""

    items: list[CertificateOut]
    next: str | None


class CertificateQuery(ListQuery):
    """Which certificates to list, and how; those that have expired are the active ones with `not_after_until` now."""

    listing: ClassVar = CERTIFICATES

    sort: Sort | Descending = Field("-created_at", description=SORT_WORDS)
    search: Text | None = Field(None, description="in name and subject")
    state: State | None = Field(None, description="only those that are active, or retired")
    fingerprint: str | None = Field(
        None, max_length=95, pattern=r"^[0-9A-Fa-f:]+$", description="part of it, in hex, with colons or without"
    )
    key_bits: int | None = Field(None, ge=1, le=100_000, description="the length of the RSA key")
    not_before_from: When | None = Field(None, description="valid from this instant or later")
    not_before_until: When | None = Field(None, description="valid from before this instant")
    not_after_from: When | None = Field(None, description="expires at this instant or later")
    not_after_until: When | None = Field(None, description="expires before this instant")
    created_from: When | None = Field(None, description="uploaded at this instant or later")
    created_until: When | None = Field(None, description="uploaded before this instant")
    retired_from: When | None = Field(None, description="retired at this instant or later")
    retired_until: When | None = Field(None, description="retired before this instant")


def _warning(days: int) -> str | None:
    if days < 0:
        return "This certificate has expired: nothing can be encrypted for it."
    if days >= WARNING_DAYS[0]:
        return None
    return f"This certificate expires in {days} days." if days > 1 else "This certificate expires within a day or two."


def certificate_routes(certificates: Certificates) -> APIRouter:
    """Return the routes of certificates."""
    routes = APIRouter(prefix="/api/v1/certificates", tags=["certificates"])

    def made(found: Certificate) -> Answer:
        body = CertificateOut.of(found, certificates.now()).model_dump(mode="json")
        headers = {"Location": f"/api/v1/certificates/{found.certificate_id}"}
        return {"status": 201, "headers": headers, "body": body}

    @routes.post(
        "",
        operation_id="uploadCertificate",
        summary="Upload a recipient's certificate, PEM in JSON, or PEM or DER as a file",
        status_code=201,
        response_model=CertificateOut,
        responses=refused(409, 413, 415),
        openapi_extra=_BODIES,
    )
    async def create(who: Writer, request: Request, once: Creating) -> JSONResponse:
        """Keep a recipient's X.509 certificate, PEM or DER; a private key is refused and not kept."""
        name, content = await upload(request)
        return answered(await certificates.upload(who, name, content, once, made))

    @routes.get("", operation_id="listCertificates", summary="List certificates, a page at a time", responses=refused())
    async def index(who: Reader, query: Annotated[CertificateQuery, Query()]) -> CertificatePage:
        """Return a page of certificates, each with its days to expiry, filtered and sorted here."""
        page, now = await certificates.page(who, query.to_wish()), certificates.now()
        return CertificatePage(items=[CertificateOut.of(each, now) for each in page.items], next=query.next_of(page))

    @routes.get(
        "/{certificate_id:uuid}",
        operation_id="getCertificate",
        summary="Read a certificate",
        responses=refused(404),
    )
    async def read(who: Reader, certificate_id: UUID) -> CertificateOut:
        """Return a certificate with its days to expiry, and a warning from 30 days before it."""
        return CertificateOut.of(await certificates.get(who, certificate_id), certificates.now())

    @routes.post(
        "/{certificate_id:uuid}/retire",
        operation_id="retireCertificate",
        summary="Use a certificate for no further export; files made for it stay readable by its owner",
        responses=refused(404),
    )
    async def retire(who: Writer, certificate_id: UUID) -> CertificateOut:
        """Retire a certificate; again changes nothing. Files that were made for it stay readable by its owner."""
        return CertificateOut.of(await certificates.retire(who, certificate_id), certificates.now())

    return routes
