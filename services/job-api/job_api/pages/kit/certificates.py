"""When certificates expire, in plain words, and the warnings about those that soon will (C2)."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from job_api.store.certificates import Certificate

WARNING_PERIOD = timedelta(days=30)


def warn_of_expiry(active: Sequence[Certificate], now: datetime) -> list[str]:
    """Return a sentence for each certificate that has expired or soon will, the most urgent first."""
    if not active:
        return ["No certificate is active, so exports cannot be encrypted. Upload a certificate."]
    expiring = sorted(
        (each for each in active if each.not_after - now < WARNING_PERIOD), key=lambda each: each.not_after
    )
    return [
        f"The certificate “{each.name}” {describe_expiry(each.not_after, now)}. Upload a replacement."
        for each in expiring
    ]


def describe_expiry(not_after: datetime, now: datetime) -> str:
    """Return when a certificate expires, as the end of a sentence: expires in 6 days."""
    left = not_after - now
    if left <= timedelta(0):
        return f"expired on {not_after:%Y-%m-%d}"
    if left < timedelta(days=1):
        return "expires within a day"
    return "expires in 1 day" if left.days == 1 else f"expires in {left.days:,} days"


def find_risk(named: Sequence[UUID] | None, active: Sequence[Certificate], now: datetime) -> str:
    """Return why runs of a job fail or soon will, from the ids of certificates that it names (None: all active ones).

    `active` are the tenant's active certificates. Empty where nothing is wrong within 30 days.
    """
    used = [each for each in active if named is None or each.certificate_id in named]
    if not used:
        return "no active certificate" if named is None else "all its certificates are retired"
    # Where a job names none, the warnings above the list say which of all active ones expires.
    first = (min if named is not None else max)(used, key=lambda each: each.not_after)
    return f"“{first.name}” {describe_expiry(first.not_after, now)}" if first.not_after - now < WARNING_PERIOD else ""


def get_state(certificate: Certificate, now: datetime) -> str:
    """Return the state that pages show of a certificate: active, expiring, expired or retired."""
    if certificate.state == "retired":
        return "retired"
    left = certificate.not_after - now
    return "expired" if left <= timedelta(0) else "expiring" if left < WARNING_PERIOD else "active"
