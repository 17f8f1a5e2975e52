"""The job API's composition root."""

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import httpx
from fastapi import FastAPI

from job_api.api.access import access_routes, key_routes
from job_api.api.audit import audit_routes
from job_api.api.certificates import certificate_routes
from job_api.api.clones import clone_routes
from job_api.api.jobs import job_routes
from job_api.api.planning import planning_routes
from job_api.api.problems import ERRORS, problem_of
from job_api.api.proxy import LIMITS, PATHS, proxy_routes
from job_api.api.record_schemas import record_schema_routes
from job_api.api.single_sign_on import single_sign_on_routes
from job_api.api.sources import source_routes
from job_api.api.switches import switch_routes
from job_api.api.tenants import tenant_routes
from job_api.api.users import user_routes
from job_api.consumer import run_changes
from job_api.history_client import HistoryClient
from job_api.housekeeping import Housekeeping
from job_api.pages.app import PagesMount, create_pages_app
from job_api.pages.kit.services import PageServices
from job_api.passwords import Passwords
from job_api.service import Access, Certificates, Door, Estimates, Jobs, Recognition, Runs, Tenants, Trail, Users
from job_api.settings import Settings
from job_api.sign_in import Client, SignIn
from job_api.source import Source
from job_api.store import Database
from job_api.store.database import SOURCE
from shared.clock import Clock, SystemClock
from shared.http.app import create_app, handle_errors
from shared.http.limits import RateLimiter, limit_rate
from shared.kafka import Consumer, Producer
from shared.lifecycle import Health, Loop
from shared.oidc import TokenVerifier, make_oidc_authenticator
from shared.oidc_issuer import OidcIssuer
from shared.outbox import Relay
from shared.postgres import Pool, check_connection, open_pool
from shared.topics import ESTIMATES, RUNS, TRIGGERS

REQUESTS_PER_SECOND, REQUESTS_AT_ONCE = 200.0, 1000
"""What one token may ask of one process of this service."""


@dataclass(frozen=True)
class Process:
    """What the process runs and serves, and what its readiness rests on."""

    app: FastAPI
    loops: Mapping[str, Loop]
    health: Health


@asynccontextmanager
async def running(settings: Settings, *, clock: Clock | None = None) -> AsyncIterator[Process]:
    """Open what the job API needs and put it together. Raises PostgresUnavailable or KafkaUnavailable."""
    clock = clock or SystemClock()
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(open_pool(settings.postgres, size=settings.postgres_pool, name=SOURCE))
        producer = await stack.enter_async_context(Producer.open(settings.kafka, name=SOURCE))
        history = await stack.enter_async_context(history_client(settings.history_url, settings.history_ca_file))
        database, health = Database(pool), Health()
        consumer = Consumer(
            kafka=settings.kafka,
            group="sluice.job-api",
            topics=[TRIGGERS, RUNS, ESTIMATES],
            handle=run_changes(Runs(database, clock)),
            producer=producer,
        )
        relay = Relay(pool, producer, dsn=settings.postgres, service=SOURCE)
        health.add_check("postgres", lambda: check_connection(pool))
        health.add_check("runs", consumer.find_fault)
        loops = {"runs": consumer.run, "outbox": relay.run, "housekeeping": Housekeeping(database, clock).run}
        source = Source(settings.source) if settings.source else None
        issuer = await stack.enter_async_context(OidcIssuer.open(settings.oidc, clock)) if settings.oidc else None
        api = web(
            pool,
            clock=clock,
            health=health,
            history=history,
            source=source,
            issuer=issuer,
            client=client_of(settings),
        )
        yield Process(api, loops, health)


@asynccontextmanager
async def history_client(url: str | None, ca_file: str | None = None) -> AsyncIterator[httpx.AsyncClient | None]:
    """Give a client of the history API, or None where none is configured."""
    if url is None:
        yield None
        return
    trusted = ssl.create_default_context(cafile=ca_file) if ca_file else True
    async with httpx.AsyncClient(
        base_url=url, limits=LIMITS, follow_redirects=False, trust_env=False, verify=trusted
    ) as client:
        yield client


def web(
    pool: Pool,
    *,
    clock: Clock,
    health: Health,
    history: httpx.AsyncClient | None = None,
    source: Source | None = None,
    issuer: OidcIssuer | None = None,
    client: Client | None = None,
    requests_per_second: float = REQUESTS_PER_SECOND,
) -> FastAPI:
    """Return the API and the pages over a database; tokens of an issuer are taken beside our own where there is one."""
    database, passwords = Database(pool), Passwords()
    recognition = Recognition(database, clock)
    access, door = Access(database, clock, passwords, recognition), Door(database, clock, passwords)
    jobs, certificates = Jobs(database, clock), Certificates(database, clock)
    users, estimates = Users(database, clock, passwords, recognition), Estimates(source)
    verifier = TokenVerifier(issuer, clock) if issuer is not None else None
    recognise = make_oidc_authenticator(verifier, recognition.identity_of_subject) if verifier is not None else None
    limiter = RateLimiter(per_second=requests_per_second, burst=REQUESTS_AT_ONCE)
    app = create_app(
        title="Sluice",
        service=SOURCE,
        health=health,
        authenticate=limit_rate(access.identity_of, limiter, clock),
        authenticate_external=limit_rate(recognise, limiter, clock) if recognise is not None else None,
        streamed=PATHS,
    )
    handle_errors(app, problem_of, *ERRORS)
    for routes in (
        job_routes(jobs, clock),
        switch_routes(jobs, clock),
        clone_routes(jobs, history),
        planning_routes(jobs, estimates),
        certificate_routes(certificates),
        source_routes(jobs),
        tenant_routes(Tenants(database, clock)),
        record_schema_routes(),
        access_routes(access, door),
        key_routes(access),
        user_routes(users),
        audit_routes(Trail(database)),
    ):
        app.include_router(routes)
    app.router.routes.extend(proxy_routes(history))
    sign_in = SignIn(issuer, verifier, client) if issuer and verifier and client else None
    app.router.routes.extend(single_sign_on_routes(sign_in, door))
    services = PageServices(
        access=access,
        login=door,
        jobs=jobs,
        certificates=certificates,
        users=users,
        estimates=estimates,
        history=HistoryClient(history, clock),
        clock=clock,
        sign_in_title=client.title if client is not None else None,
    )
    app.router.routes.append(PagesMount("/", create_pages_app(services)))
    return app


def client_of(settings: Settings) -> Client | None:
    """Return this service as the issuer knows it, where people log in there."""
    if settings.oidc_client_id is None or settings.oidc_public_url is None:
        return None
    return Client(
        client_id=settings.oidc_client_id,
        secret=settings.oidc_client_secret,
        public_url=settings.oidc_public_url,
        scopes=settings.oidc_scopes,
        title=settings.oidc_title,
    )
