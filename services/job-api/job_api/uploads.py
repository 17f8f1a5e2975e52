"""Reading an uploaded certificate."""

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from job_api.bodies.certificates import CertificateBody
from job_api.errors import FieldFault, InvalidInput
from job_api.forms import InvalidForm, parse_form_fields
from shared.http.problems import Problem, ProblemType


async def read_upload(request: Request) -> tuple[str, bytes]:
    """Return the name and the content of the certificate that a request uploads, as JSON or as a form.

    Raises RequestValidationError, InvalidInput, or Problem 415 for another media type.
    """
    content_type = request.headers.get("content-type", "")
    match content_type.partition(";")[0].strip().lower():
        case "application/json":
            return _parse_json(await request.body())
        case "multipart/form-data":
            return _parse_upload_form(content_type, await request.body())
        case _:
            detail = "Send application/json or multipart/form-data."
            raise Problem(ProblemType.UNSUPPORTED_MEDIA_TYPE, detail)


def _parse_json(body: bytes) -> tuple[str, bytes]:
    try:
        found = CertificateBody.model_validate_json(body)
    except ValidationError as error:
        # Without the input, which may be a private key.
        errors = error.errors(include_input=False, include_context=False)
        raise RequestValidationError([{**each, "loc": ("body", *each["loc"])} for each in errors]) from None
    return found.name, found.pem.encode()


def _parse_upload_form(content_type: str, body: bytes) -> tuple[str, bytes]:
    try:
        fields = dict(parse_form_fields(content_type, body))
    except InvalidForm as error:
        raise InvalidInput(FieldFault("body", f"is no form that can be read: {error}")) from None
    if unknown := sorted(set(fields) - {"name", "file"}):
        raise InvalidInput(*(FieldFault(name[:200], "unknown field") for name in unknown))
    if missing := [name for name in ("name", "file") if not fields.get(name)]:
        words = {"name": "is required", "file": "is empty. Choose a file that contains a certificate"}
        raise InvalidInput(*(FieldFault(name, words[name]) for name in missing))
    return fields["name"].decode("utf-8", "replace"), fields["file"]
