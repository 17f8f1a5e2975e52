"""The job API's settings."""

from typing import ClassVar, Self

from pydantic import Field, model_validator

from shared.http.settings import LimitSettings
from shared.oidc_access import is_safe_url
from shared.settings import OidcSettings, OutgoingSettings, ServiceSettings


class Settings(LimitSettings, OidcSettings, OutgoingSettings, ServiceSettings):
    """`SLUICE_JOB_API_*`."""

    service: ClassVar[str] = "JOB_API"

    postgres_system: str = Field(
        description="DSN of PostgreSQL with the role job_api_system, for what concerns all tenants: logins, events",
        pattern=r"^postgres(ql)?://",
    )
    source: str | None = Field(
        None, pattern=r"^postgres(ql)?://", description="DSN of the source, to estimate exports from its statistics"
    )
    history_url: str | None = Field(
        None, description="base URL of the history API, to which requests for runs, artifacts and events are forwarded"
    )
    history_ca_file: str | None = Field(
        None, description="PEM file of the authorities to trust for an https history URL; default: public authorities"
    )
    delivery_public_key: str | None = Field(
        None,
        description="public key of the deliverers, to which credentials of destinations are sealed; none: no delivery",
    )
    oidc_client_id: str | None = Field(None, description="client id at the issuer, for signing in on the login page")
    oidc_client_secret: str | None = Field(
        None, repr=False, description="client secret at the issuer, if it issued one"
    )
    oidc_public_url: str | None = Field(None, description="base URL at which browsers reach the pages")
    oidc_scopes: str = Field("openid profile", description="scopes that signing in requests from the issuer")
    oidc_title: str = Field("single sign-on", description="the issuer's title on the login page: Sign in with ...")

    @model_validator(mode="after")
    def _check_login_settings(self) -> Self:
        if bool(self.oidc_client_id) != bool(self.oidc_public_url):
            raise ValueError("OIDC_CLIENT_ID and OIDC_PUBLIC_URL must be set together")
        if self.oidc_client_id and self.oidc is None:
            raise ValueError("OIDC_CLIENT_ID needs SLUICE_OIDC_ISSUER and SLUICE_OIDC_AUDIENCE")
        if self.oidc_client_secret and not self.oidc_client_id:
            raise ValueError("OIDC_CLIENT_SECRET needs OIDC_CLIENT_ID")
        if self.oidc_public_url and not is_safe_url(self.oidc_public_url):
            raise ValueError("OIDC_PUBLIC_URL must be an https address (http on this machine only)")
        if "openid" not in self.oidc_scopes.split():
            raise ValueError("OIDC_SCOPES must include openid")
        return self
