"""`/api/v1/certificates`: recipients' certificates (rules C1 and C2)."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from job_api.api.services import Certificates, Units
from job_api.bodies.certificates import CertificateBody
from job_api.commands import respond_once
from job_api.queries import CertificateQuery
from job_api.roles import Operator, Reader
from job_api.store import UnitOfWork
from job_api.store import certificates as store
from job_api.store.certificates import CertificateState
from job_api.uploads import read_upload
from shared.certificate_keys import KeyType
from shared.certificates import find_note
from shared.http.idempotency import Idempotent, RenderedResponse
from shared.http.openapi import json_response
from shared.http.problems import ProblemType, error_responses
from shared.http.routing import create_router

WARNING_DAYS = (30, 7, 1)
_CERTIFICATE: dict[str, Any] = {
    "id": "0d6f4f0c-6c2e-4a55-9d43-4f1b5d6b7a11",
    "version": 1,
    "name": "Data protection officer 2027",
    "state": "active",
    "subject": "CN=officer,O=Example",
    "fingerprint": "9f" * 32,
    "key_type": "rsa",
    "key_bits": 3072,
    "key": "RSA 3072",
    "not_before": "2026-11-01T00:00:00Z",
    "not_after": "2028-11-01T00:00:00Z",
    "days_remaining": 707,
    "warning": None,
    "note": None,
    "pem": "-----BEGIN CERTIFICATE-----\n...\n-----END CERTIFICATE-----\n",
    "created_at": "2026-11-24T10:00:00Z",
    "retired_at": None,
}
_USE = {
    "jobs": 12,
    "last_used_at": "2026-11-24T02:30:04Z",
    "dependent_jobs": 1,
    "dependent_titles": ["Copy for the regulator"],
}
_RETIRED = _CERTIFICATE | {"version": 2, "state": "retired", "retired_at": "2026-12-01T09:30:00Z"}
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
router = create_router("/api/v1/certificates", "certificates")


class Certificate(BaseModel):
    """A recipient's certificate."""

    id: UUID
    version: int
    name: str
    state: CertificateState
    subject: str
    fingerprint: str = Field(description="SHA-256 of the certificate's DER form, in hex")
    key_type: KeyType
    key_bits: int = Field(description="length of the key: 2048 or more for RSA; 256, 384 or 521 for EC")
    key: str = Field(description="the key in words, such as RSA 3072 or EC P-256")
    not_before: datetime
    not_after: datetime
    days_remaining: int = Field(description="whole days until it expires; negative afterwards")
    warning: str | None = Field(description="set from 30 days before an active certificate expires")
    note: str | None = Field(description="what its owner should know although files are encrypted for it; or null")
    pem: str
    created_at: datetime
    retired_at: datetime | None

    @classmethod
    def from_certificate(cls, certificate: store.Certificate, now: datetime) -> "Certificate":
        """Return a certificate as the API shows it at an instant."""
        days = (certificate.not_after - now).days
        return cls(
            id=certificate.certificate_id,
            version=certificate.version,
            name=certificate.name,
            state=certificate.state,
            subject=certificate.subject,
            fingerprint=certificate.fingerprint,
            key_type=certificate.key_type,
            key_bits=certificate.key_bits,
            key=certificate.key,
            not_before=certificate.not_before,
            not_after=certificate.not_after,
            days_remaining=days,
            warning=_find_warning(days) if certificate.state == "active" else None,
            note=find_note(certificate.pem),
            pem=certificate.pem,
            created_at=certificate.created_at,
            retired_at=certificate.retired_at,
        )


class CertificateUse(BaseModel):
    """Which jobs encrypt for a certificate. Jobs that have run once do not count."""

    jobs: int = Field(description="jobs that encrypt for it; one that names no certificate uses all active ones")
    last_used_at: datetime | None = Field(description="when a run last encrypted for it; null: none has yet")
    dependent_jobs: int = Field(description="jobs with no other active recipient: retiring it makes their runs fail")
    dependent_titles: list[str] = Field(description="the titles of the first ten of these")


class CertificatePage(BaseModel):
    """A page of certificates."""

    items: list[Certificate]
    next: str | None = Field(description="the cursor of the next page; null on the last")


def _find_warning(days: int) -> str | None:
    if days < 0:
        return "This certificate has expired: nothing can be encrypted to it."
    if days >= WARNING_DAYS[0]:
        return None
    return f"This certificate expires in {days} days." if days > 1 else "This certificate expires within two days."


@router.post(
    "",
    operation_id="uploadCertificate",
    summary="Upload a certificate",
    status_code=201,
    response_model=Certificate,
    responses=json_response(_CERTIFICATE, status=201, headers=("Location",))
    | error_responses(
        ProblemType.CERTIFICATE_EXISTS,
        ProblemType.IDEMPOTENCY_CONFLICT,
        ProblemType.TOO_LARGE,
        ProblemType.UNSUPPORTED_MEDIA_TYPE,
    ),
    openapi_extra=_BODIES,
)
async def upload_certificate(
    identity: Operator, *, http_request: Request, request: Idempotent, units: Units, certificates: Certificates
) -> Response:
    """Upload a recipient's X.509 certificate, as text in JSON, or as a file in a form.

    PEM, bare base64, DER, and PKCS#7 with one certificate are accepted. A private key, in any form, is refused and not
    stored.
    """
    name, content = await read_upload(http_request)

    async def upload(work: UnitOfWork) -> RenderedResponse:
        return _render_certificate(await certificates.upload(work, name, content))

    return await respond_once(units, identity, request, command=upload)


@router.get(
    "",
    operation_id="listCertificates",
    summary="List certificates",
    responses=json_response({"items": [_CERTIFICATE], "next": None}) | error_responses(),
)
async def list_certificates(
    identity: Reader, query: Annotated[CertificateQuery, Query()], certificates: Certificates
) -> CertificatePage:
    """Return a page of certificates, each with the days until it expires, filtered and sorted."""
    page, now = await certificates.list_page(identity, query.to_page_request()), certificates.now()
    items = [Certificate.from_certificate(each, now) for each in page.items]
    return CertificatePage(items=items, next=query.next_cursor(page))


@router.get(
    "/{certificate_id:uuid}",
    operation_id="getCertificate",
    summary="Get a certificate",
    responses=json_response(_CERTIFICATE) | error_responses(ProblemType.NOT_FOUND),
)
async def get_certificate(identity: Reader, certificate_id: UUID, certificates: Certificates) -> Certificate:
    """Return a certificate with the days until it expires, and a warning from 30 days before."""
    found = await certificates.get(identity, certificate_id)
    return Certificate.from_certificate(found, certificates.now())


@router.get(
    "/{certificate_id:uuid}/use",
    operation_id="getCertificateUse",
    summary="Get who uses a certificate",
    responses=json_response(_USE) | error_responses(ProblemType.NOT_FOUND),
)
async def get_certificate_use(identity: Reader, certificate_id: UUID, certificates: Certificates) -> CertificateUse:
    """Return how many jobs encrypt for a certificate, when a run last did, and what would fail without it."""
    found = await certificates.get_use(identity, certificate_id)
    dependent = await certificates.find_dependent_jobs(identity, certificate_id)
    return CertificateUse(
        jobs=found.jobs,
        last_used_at=found.last_used_at,
        dependent_jobs=dependent.count,
        dependent_titles=list(dependent.titles),
    )


@router.post(
    "/{certificate_id:uuid}/retire",
    operation_id="retireCertificate",
    summary="Retire a certificate",
    responses=json_response(_RETIRED) | error_responses(ProblemType.NOT_FOUND),
)
async def retire_certificate(
    identity: Operator, *, certificate_id: UUID, units: Units, certificates: Certificates
) -> Certificate:
    """Use a certificate for no further export; its owner can still read files encrypted to it.

    Repeating it changes nothing.
    """
    async with units.begin(identity) as work:
        return Certificate.from_certificate(await certificates.retire(work, certificate_id), work.at)


def _render_certificate(certificate: store.Certificate) -> RenderedResponse:
    body = Certificate.from_certificate(certificate, certificate.created_at).model_dump(mode="json")
    return RenderedResponse(body, headers={"Location": f"/api/v1/certificates/{certificate.certificate_id}"})
