"""The services that routes use, as dependencies."""

from typing import Annotated

from job_api.api.job_responses import JobResponder
from job_api.service import (
    AccessService,
    AuditService,
    CertificateService,
    DestinationService,
    JobService,
    LoginService,
    SizeEstimator,
    TenantService,
    UserService,
)
from job_api.store import UnitOfWorkFactory
from shared.http.routing import service_of

Units = Annotated[UnitOfWorkFactory, service_of(UnitOfWorkFactory)]
Access = Annotated[AccessService, service_of(AccessService)]
Audit = Annotated[AuditService, service_of(AuditService)]
Certificates = Annotated[CertificateService, service_of(CertificateService)]
Destinations = Annotated[DestinationService, service_of(DestinationService)]
Jobs = Annotated[JobService, service_of(JobService)]
Responder = Annotated[JobResponder, service_of(JobResponder)]
Login = Annotated[LoginService, service_of(LoginService)]
Estimator = Annotated[SizeEstimator, service_of(SizeEstimator)]
Tenants = Annotated[TenantService, service_of(TenantService)]
Users = Annotated[UserService, service_of(UserService)]
