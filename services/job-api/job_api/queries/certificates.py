"""The query parameters of the list of certificates."""

from typing import ClassVar

from pydantic import Field

from job_api.store.certificates import CertificateState
from job_api.store.lists import CERTIFICATES
from shared.http.lists import ListQuery, sort_field
from shared.http.values import Instant, SearchText


class CertificateQuery(ListQuery):
    """Which certificates to list, and in which order; expired ones are active and have `not_after_until` now."""

    rows: ClassVar = CERTIFICATES

    sort: str = sort_field(CERTIFICATES)
    search: SearchText | None = Field(None, description="contained in the name or subject, ignoring case")
    state: CertificateState | None = Field(None, description="whether the certificate is active or retired")
    fingerprint: str | None = Field(
        None, max_length=95, pattern=r"^[0-9A-Fa-f:]+$", description="contained in the fingerprint, with or without `:`"
    )
    key_bits: int | None = Field(
        None, ge=1, le=100_000, description="length of the key in bits: 256, 384 or 521 for EC"
    )
    not_before_from: Instant | None = Field(None, description="valid from this instant or later")
    not_before_until: Instant | None = Field(None, description="valid from before this instant")
    not_after_from: Instant | None = Field(None, description="expires at this instant or later")
    not_after_until: Instant | None = Field(None, description="expires before this instant")
    created_from: Instant | None = Field(None, description="uploaded at this instant or later")
    created_until: Instant | None = Field(None, description="uploaded before this instant")
    retired_from: Instant | None = Field(None, description="retired at this instant or later")
    retired_until: Instant | None = Field(None, description="retired before this instant")
