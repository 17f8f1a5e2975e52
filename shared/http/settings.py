"""The settings of the limits of an HTTP service: what one identity, and one tenant, may ask of each process."""

from pydantic import BaseModel, ConfigDict, Field

from shared.http.limits import HttpLimits, Rate
from shared.http.places import Allowance, Use


class LimitSettings(BaseModel):
    """Limits of identities (a session, an API key, a user of an identity provider) and of tenants."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    requests_per_second: float = Field(200, gt=0, description="requests a second of one identity, in the long run")
    requests_burst: int = Field(1_000, ge=1, description="requests of one identity at once, after a pause")
    tenant_requests_per_second: float = Field(1_000, gt=0, description="requests a second of one tenant")
    tenant_requests_burst: int = Field(5_000, ge=1, description="requests of one tenant at once, after a pause")
    requests_at_once: int = Field(100, ge=1, description="requests of one identity under way at the same time")
    tenant_requests_at_once: int = Field(300, ge=1, description="requests of one tenant under way at the same time")
    streams: int = Field(20, ge=1, description="live streams of one identity; a further one ends its oldest")
    tenant_streams: int = Field(300, ge=1, description="live streams of one tenant")
    downloads: int = Field(16, ge=1, description="downloads of one identity at the same time")
    tenant_downloads: int = Field(100, ge=1, description="downloads of one tenant at the same time")
    archives: int = Field(4, ge=1, description="archives of one identity at the same time")
    tenant_archives: int = Field(16, ge=1, description="archives of one tenant at the same time")

    @property
    def limits(self) -> HttpLimits:
        """The limits that these settings describe."""
        return HttpLimits(
            per_identity=Rate(self.requests_per_second, self.requests_burst),
            per_tenant=Rate(self.tenant_requests_per_second, self.tenant_requests_burst),
            allowances={
                Use.REQUEST: Allowance(self.requests_at_once, self.tenant_requests_at_once),
                Use.STREAM: Allowance(self.streams, self.tenant_streams),
                Use.DOWNLOAD: Allowance(self.downloads, self.tenant_downloads),
                Use.ARCHIVE: Allowance(self.archives, self.tenant_archives),
            },
        )
