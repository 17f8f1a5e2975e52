"""A run's recipients: the certificates that its files are encrypted for, checked before any data is read (rule P3)."""

from collections.abc import Sequence
from datetime import datetime

from exporter.errors import CertificateRefused
from shared.certificates import CertificateRejected, RecipientCertificate, accept_certificate


def accept_recipients(
    certificates: Sequence[bytes], at: datetime, *, are_default: bool = False
) -> list[RecipientCertificate]:
    """Return one recipient for each distinct certificate (PEM or DER), in their order, if all are usable at `at`.

    `are_default` says that they are all active ones of the tenant. Raises CertificateRefused when there is none, for
    the first that breaks the rule of `shared.certificates`, and for two with the same issuer and serial number: nobody
    is left out silently.
    """
    if not certificates:
        raise CertificateRefused(
            "There is no certificate to encrypt for. Give the job or the tenant an active certificate.",
            code="no-certificate",
        )
    advice = " The job uses all active certificates: retire this one, or select others." if are_default else ""
    try:
        accepted = [accept_certificate(data, at=at) for data in certificates]
    except CertificateRejected as error:
        identified = f" with SHA-256 fingerprint {error.fingerprint[:16]}..." if error.fingerprint else ""
        raise CertificateRefused(f"The certificate{identified} {error}.{advice}", code=error.code) from None
    recipients = {each.fingerprint: each for each in accepted}.values()
    first: dict[str, RecipientCertificate] = {}
    for each in recipients:
        other = first.setdefault(each.issuer_and_serial, each)
        if other is not each:
            raise CertificateRefused(
                f"The certificate with SHA-256 fingerprint {each.fingerprint[:16]}... has the issuer and serial number "
                f"of the one with {other.fingerprint[:16]}..., by which programs find the key that opens a file, so "
                f"one of the two owners could open nothing.{advice}",
                code="certificates-indistinguishable",
            )
    return list(recipients)
