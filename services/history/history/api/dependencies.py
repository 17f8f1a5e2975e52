"""What routes take from the application and the request: services, the caller in a role, and ids."""

from typing import Annotated
from uuid import UUID

from fastapi import Path, Query

from history.api import examples
from history.service.artifacts import ArtifactService
from history.service.deliveries import DeliveryService
from history.service.downloads import DownloadService
from history.service.links import LinkService
from history.service.live import LiveService
from history.service.retention import RetentionService
from history.service.runs import RunService
from history.store.unit_of_work import UnitOfWorkFactory
from shared.auth import Identity
from shared.http.identity import require_roles
from shared.http.routing import service_of

AnyRole = Annotated[Identity, require_roles("operator", "downloader", "viewer")]
Downloader = Annotated[Identity, require_roles("operator", "downloader")]
Operator = Annotated[Identity, require_roles("operator")]
Admin = Annotated[Identity, require_roles("admin")]

Runs = Annotated[RunService, service_of(RunService)]
Artifacts = Annotated[ArtifactService, service_of(ArtifactService)]
Downloads = Annotated[DownloadService, service_of(DownloadService)]
Deliveries = Annotated[DeliveryService, service_of(DeliveryService)]
Links = Annotated[LinkService, service_of(LinkService)]
Live = Annotated[LiveService, service_of(LiveService)]
RetentionRules = Annotated[RetentionService, service_of(RetentionService)]
Units = Annotated[UnitOfWorkFactory, service_of(UnitOfWorkFactory)]

RunId = Annotated[UUID, Path(description="the id of the run", examples=[examples.RUN_ID])]
ArtifactId = Annotated[UUID, Path(description="the id of the artifact", examples=[examples.ARTIFACT_ID])]
DeliveryId = Annotated[UUID, Path(description="the id of the delivery", examples=[examples.DELIVERY_ID])]
LinkSecret = Annotated[
    str, Path(max_length=200, description="the secret in a link's path", examples=[examples.LINK_SECRET])
]
LinkName = Annotated[str, Path(max_length=300, description="the file's name", examples=[examples.FILE_NAME])]
ArtifactIds = Annotated[
    list[UUID],
    Query(alias="id", min_length=1, max_length=100, description="up to 100 files", examples=[[examples.ARTIFACT_ID]]),
]
JobQuery = Annotated[UUID, Query(description="the id of the job", examples=[examples.JOB_ID])]
JobFilter = Annotated[UUID | None, Query(description="only this job's runs", examples=[examples.JOB_ID])]
RunFilter = Annotated[UUID | None, Query(description="only this run", examples=[examples.RUN_ID])]
