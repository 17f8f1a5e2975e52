"""Reading an uploaded certificate: JSON, or a form with a file."""

from email.parser import BytesParser
from email.policy import HTTP
from urllib.parse import parse_qsl

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import ConfigDict, Field, ValidationError

from job_api.api.drafts import Body
from job_api.errors import Fault, Invalid
from shared.http.problems import Problem, ProblemType


class CertificateBody(Body):
    """A certificate as text."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "name": "Data protection officer 2027",
                    "pem": "-----BEGIN CERTIFICATE-----\nMIID...\n-----END CERTIFICATE-----\n",
                }
            ]
        },
    )

    name: str = Field(max_length=1_000, description="1 to 200 characters")
    pem: str = Field(
        max_length=1 << 20, description="exactly one X.509 certificate with an RSA key of 2048 bits or more"
    )


async def upload(request: Request) -> tuple[str, bytes]:
    """Return the name and the certificate that a request brings. Raises RequestValidationError, Invalid or Problem."""
    content_type = request.headers.get("content-type", "")
    match content_type.partition(";")[0].strip().lower():
        case "application/json":
            return _from_json(await request.body())
        case "multipart/form-data":
            return _from_form(content_type, await request.body())
        case _:
            raise Problem(ProblemType.UNSUPPORTED_MEDIA_TYPE, "Send application/json or multipart/form-data.")


def _from_json(body: bytes) -> tuple[str, bytes]:
    try:
        found = CertificateBody.model_validate_json(body)
    except ValidationError as error:
        # The input is left out of the errors: it may be a private key.
        errors = error.errors(include_input=False, include_context=False)
        raise RequestValidationError([{**each, "loc": ("body", *each["loc"])} for each in errors]) from None
    return found.name, found.pem.encode()


def _from_form(content_type: str, body: bytes) -> tuple[str, bytes]:
    fields = form_fields(content_type, body)
    if unknown := sorted(set(fields) - {"name", "file"}):
        raise Invalid(*(Fault(name[:200], "there is no such field") for name in unknown))
    if missing := [name for name in ("name", "file") if not fields.get(name)]:
        raise Invalid(*(Fault(name, "is required") for name in missing))
    return fields["name"].decode("utf-8", "replace"), fields["file"]


def form_fields(content_type: str, body: bytes) -> dict[str, bytes]:
    """Return the fields of a form, sent either way that browsers send them; of two with one name, the last."""
    return dict(form_pairs(content_type, body))


def form_pairs(content_type: str, body: bytes) -> list[tuple[str, bytes]]:
    """Return each field of a form with its value, in order. Raises ValueError for one with too many."""
    if not content_type.lower().startswith("multipart/"):
        pairs = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=400)
        return [(name, value.encode()) for name, value in pairs]
    head = f"Content-Type: {content_type}\r\n\r\n".encode("latin-1", "replace")
    message = BytesParser(policy=HTTP).parsebytes(head + body)
    fields = []
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(content, bytes):
            fields.append((name, content))
    return fields
