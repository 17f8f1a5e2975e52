"""The job API's composition root."""

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import httpx
from fastapi import FastAPI

from job_api.api import (
    access,
    audit,
    certificates,
    destinations,
    job_actions,
    jobs,
    keys,
    planning,
    record_schemas,
    sources,
    tenants,
    users,
)
from job_api.api.job_responses import JobResponder
from job_api.api.proxy import LIMITS, STREAM_LIMITS, HistoryProxy
from job_api.api.runs import RunRoutes
from job_api.consumer import TOPICS, create_handler
from job_api.history_client import HistoryClient
from job_api.housekeeping import Housekeeping
from job_api.openapi import OWN_PATH, document_routes
from job_api.pages.app import PagesMount, create_pages_app
from job_api.pages.kit.services import PageServices
from job_api.passwords import PasswordService
from job_api.problems import ERRORS, to_problem
from job_api.service import (
    AccessService,
    AuditService,
    CertificateService,
    DestinationService,
    DraftService,
    JobService,
    LoginService,
    RequestedRunService,
    RunEventHandler,
    SizeEstimator,
    TenantService,
    TokenAuthenticator,
    UserService,
)
from job_api.service.destinations import NO_DELIVERY, DeliveryAccess
from job_api.settings import Settings
from job_api.sign_in import OidcClient, SignInFlow
from job_api.source import SourceStatistics
from job_api.store import Database, UnitOfWorkFactory
from job_api.store.database import SERVICE, Pools
from shared.clock import Clock, SystemClock
from shared.http.app import create_app, handle_errors
from shared.http.limits import DEFAULT_LIMITS, HttpLimits
from shared.http.routing import add_routes
from shared.kafka import Consumer, Producer
from shared.lifecycle import Health, Loop
from shared.oidc import TokenVerifier, make_oidc_authenticator
from shared.oidc_issuer import OidcIssuer
from shared.outbox import Relay
from shared.postgres import check_connection
from shared.sealing import Sealer

TAGS = {
    "jobs": "What to export, and when.",
    "destinations": "The tenant's own storage, to which files are delivered.",
    "certificates": "The recipients' certificates to which exports are encrypted.",
    "records": "The JSON Schemas of exported records.",
    "access": "Sessions, API keys, users, the tenant and the audit trail.",
}
ROUTERS = (
    jobs.router,
    job_actions.router,
    planning.router,
    certificates.router,
    destinations.router,
    sources.router,
    tenants.router,
    record_schemas.router,
    access.router,
    keys.router,
    users.router,
    audit.router,
)


@dataclass(frozen=True)
class Process:
    """The process's application, its background loops, and the checks of its readiness."""

    app: FastAPI
    loops: Mapping[str, Loop]
    health: Health


@dataclass(frozen=True, kw_only=True)
class Services:
    """The services that the API and the pages share."""

    units: UnitOfWorkFactory
    authenticator: TokenAuthenticator
    access: AccessService
    login: LoginService
    jobs: JobService
    drafts: DraftService
    requested_runs: RequestedRunService
    certificates: CertificateService
    destinations: DestinationService
    users: UserService
    tenants: TenantService
    audit: AuditService
    estimator: SizeEstimator


@dataclass(frozen=True)
class HistoryClients:
    """Clients of the history API, with connections of their own for requests and for what takes long."""

    requests: httpx.AsyncClient | None = None
    streams: httpx.AsyncClient | None = None


NO_HISTORY = HistoryClients()


@asynccontextmanager
async def open_process(settings: Settings, *, clock: Clock | None = None) -> AsyncIterator[Process]:
    """Open what the job API needs and assemble it. Raises PostgresUnavailable or KafkaUnavailable."""
    clock = clock or SystemClock()
    async with AsyncExitStack() as stack:
        pools = await stack.enter_async_context(
            Pools.open(settings.postgres, settings.postgres_system, size=settings.postgres_pool, name=SERVICE)
        )
        producer = await stack.enter_async_context(Producer.open(settings.kafka, name=SERVICE))
        history = await stack.enter_async_context(open_history_clients(settings.history_url, settings.history_ca_file))
        issuer = await stack.enter_async_context(OidcIssuer.open(settings.oidc, clock)) if settings.oidc else None
        database, health, delivery = Database(pools), Health(), get_delivery_access(settings)
        consumer = Consumer(
            kafka=settings.kafka,
            group="sluice.job-api",
            topics=TOPICS,
            handle=create_handler(
                RunEventHandler(database, clock),
                AuditService(database),
                DestinationService(database, delivery=delivery),
            ),
            producer=producer,
        )
        relay = Relay(pools.system, producer, dsn=settings.postgres_system, service=SERVICE)
        health.add_check("postgres", lambda: check_connection(pools.tenant))
        health.add_check("postgres system", lambda: check_connection(pools.system))
        health.add_check("runs", consumer.find_fault)
        health.add_check("outbox", relay.find_fault)
        loops = {"runs": consumer.run, "outbox": relay.run, "housekeeping": Housekeeping(database, clock).run}
        app = create_web_app(
            pools,
            clock=clock,
            health=health,
            history=history,
            source=SourceStatistics(settings.source) if settings.source else None,
            issuer=issuer,
            client=get_oidc_client(settings),
            delivery=delivery,
            limits=settings.limits,
        )
        yield Process(app, loops, health)


@asynccontextmanager
async def open_history_clients(url: str | None, ca_file: str | None = None) -> AsyncIterator[HistoryClients]:
    """Provide the clients of the history API; they are None if no URL is configured."""
    if url is None:
        yield HistoryClients()
        return
    trusted = ssl.create_default_context(cafile=ca_file) if ca_file else True
    async with AsyncExitStack() as stack:
        requests, streams = [
            await stack.enter_async_context(
                httpx.AsyncClient(base_url=url, limits=limits, follow_redirects=False, trust_env=False, verify=trusted)
            )
            for limits in (LIMITS, STREAM_LIMITS)
        ]
        yield HistoryClients(requests, streams)


def create_web_app(
    pools: Pools,
    *,
    clock: Clock,
    health: Health,
    history: HistoryClients = NO_HISTORY,
    source: SourceStatistics | None = None,
    issuer: OidcIssuer | None = None,
    client: OidcClient | None = None,
    delivery: DeliveryAccess = NO_DELIVERY,
    limits: HttpLimits = DEFAULT_LIMITS,
) -> FastAPI:
    """Return the application of the API and the pages; with an `issuer`, its tokens are accepted too."""
    services = _create_services(pools, clock, source=source, delivery=delivery)
    proxy = HistoryProxy(history.requests, history.streams)
    verifier = TokenVerifier(issuer, clock) if issuer is not None else None
    external = make_oidc_authenticator(verifier, services.authenticator.authenticate_subject) if verifier else None
    app = create_app(
        title="Sluice",
        service=SERVICE,
        health=health,
        authenticate=services.authenticator.authenticate,
        authenticate_external=external,
        services=(*vars(services).values(), JobResponder(services.jobs), proxy),
        tags=TAGS,
        openapi_url=OWN_PATH,
        limits=limits,
        clock=clock,
    )
    handle_errors(app, to_problem, *ERRORS)
    app.router.routes.extend(document_routes())
    add_routes(app, *ROUTERS)
    app.router.routes.extend(RunRoutes(proxy, services.requested_runs, services.units).to_routes())
    page_services = PageServices(
        units=services.units,
        access=services.access,
        login=services.login,
        jobs=services.jobs,
        requested_runs=services.requested_runs,
        audit=services.audit,
        drafts=services.drafts,
        certificates=services.certificates,
        destinations=services.destinations,
        users=services.users,
        tenants=services.tenants,
        estimator=services.estimator,
        history=HistoryClient(history.requests, clock),
        clock=clock,
        sign_in=SignInFlow(issuer, verifier, client) if issuer and verifier and client else None,
    )
    app.router.routes.append(PagesMount("/", create_pages_app(page_services)))
    return app


def _create_services(
    pools: Pools, clock: Clock, *, source: SourceStatistics | None, delivery: DeliveryAccess
) -> Services:
    database, passwords = Database(pools), PasswordService()
    authenticator = TokenAuthenticator(database, clock)
    return Services(
        units=UnitOfWorkFactory(database, clock),
        authenticator=authenticator,
        access=AccessService(database, clock, authenticator),
        login=LoginService(database, clock, passwords),
        jobs=JobService(database, clock),
        drafts=DraftService(database),
        requested_runs=RequestedRunService(database),
        certificates=CertificateService(database, clock),
        destinations=DestinationService(database, delivery=delivery),
        users=UserService(database, clock, passwords=passwords, authenticator=authenticator),
        tenants=TenantService(database),
        audit=AuditService(database),
        estimator=SizeEstimator(source),
    )


def get_delivery_access(settings: Settings) -> DeliveryAccess:
    """Return what the operator has set up of delivery. Raises InvalidSettings for a public key that is none."""
    key = settings.delivery_public_key
    return DeliveryAccess(Sealer(key) if key is not None else None, settings.address_rules)


def get_oidc_client(settings: Settings) -> OidcClient | None:
    """Return this service's registration with the identity provider, if users can sign in through it."""
    if settings.oidc_client_id is None or settings.oidc_public_url is None:
        return None
    return OidcClient(
        client_id=settings.oidc_client_id,
        secret=settings.oidc_client_secret,
        public_url=settings.oidc_public_url,
        scopes=settings.oidc_scopes,
        title=settings.oidc_title,
    )
