"""When a certificate is valid: from `not_before` to `not_after`, both included (RFC 5280, section 4.1.2.5)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

_FORMAT = "%Y-%m-%d %H:%M"


@dataclass(frozen=True, slots=True)
class ValidityFault:
    """Why a certificate is not valid; `message` completes a sentence that begins with the certificate."""

    code: Literal["certificate-not-yet-valid", "certificate-expired"]
    message: str


def find_validity_fault(not_before: datetime, not_after: datetime, at: datetime) -> ValidityFault | None:
    """Return why a certificate with these bounds is not valid at an instant, or None; all three are aware, in UTC."""
    if at < not_before:
        return ValidityFault("certificate-not-yet-valid", f"is not valid before {not_before:{_FORMAT}} UTC")
    if at > not_after:
        return ValidityFault("certificate-expired", f"expired on {not_after:{_FORMAT}} UTC")
    return None
