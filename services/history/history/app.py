"""History's composition roots: one for each of its processes."""

import gc
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fastapi import FastAPI
from starlette.types import ASGIApp

from history.api import artifacts, deliveries, links, live, retention, runs
from history.api.problems import ERRORS, to_problem
from history.estimating.estimates import EstimateService
from history.estimating.intake import EstimateIntake
from history.recording.consumer import LOG_TOPICS, TOPICS, create_handler
from history.recording.rebuild import RebuildResult, rebuild_log
from history.recording.recorder import Recorder
from history.service.artifacts import ArtifactService
from history.service.deliveries import DeliveryService
from history.service.downloads import DownloadService
from history.service.links import LinkService
from history.service.live import LiveService
from history.service.retention import RetentionService
from history.service.runs import RunService
from history.settings import Settings
from history.store import SOURCE
from history.store.artifacts import ArtifactStore
from history.store.deliveries import DeliveryReader
from history.store.estimates import EstimateStore
from history.store.identities import IdentityStore
from history.store.links import LinkStore
from history.store.log import RunLog
from history.store.objects import open_objects
from history.store.rebuilding import RebuiltLog
from history.store.run_log_reader import RunLogReader
from history.store.unit_of_work import UnitOfWorkFactory
from history.views.live import RunStreamEvent
from shared.clock import SystemClock
from shared.http.app import create_app, handle_errors
from shared.http.identity import Authenticate, AuthenticateExternal
from shared.http.limits import DEFAULT_LIMITS, HttpLimits
from shared.http.routing import add_routes
from shared.kafka import Consumer, Producer, Replay
from shared.kafka.handling import DeadLetterWriter
from shared.kafka.notes import KafkaNotes
from shared.lifecycle import Health, Loop, health_app
from shared.oidc import TokenVerifier, make_oidc_authenticator
from shared.oidc_issuer import OidcIssuer
from shared.outbox import Relay
from shared.postgres import check_connection, open_pool

TAGS = {
    "runs": "The run log: every run, its progress, and the accuracy of its estimates",
    "artifacts": "Finished files: lists, downloads, archives, links, deletion",
    "deliveries": "The transfer of runs' files to the tenant's destinations",
    "events": "Live updates as server-sent events",
    "retention": "The retention of files, for administrators",
}


@dataclass(frozen=True)
class Process:
    """The loops and the application of a process, and the checks of its readiness."""

    loops: Mapping[str, Loop]
    app: ASGIApp
    health: Health


def relax_garbage_collection() -> None:
    """Collect garbage less often, in a process that handles batches of thousands of small objects without cycles."""
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)


@asynccontextmanager
async def open_recorder(settings: Settings) -> AsyncIterator[Process]:
    """Open the recorder. Raises PostgresUnavailable or KafkaUnavailable."""
    relax_garbage_collection()
    async with (
        open_pool(settings.postgres, size=settings.postgres_pool, name="history-recorder") as pool,
        Producer.open(settings.kafka, name="history-recorder") as producer,
    ):
        consumer = Consumer(
            kafka=settings.kafka,
            group="sluice.history.recorder",
            topics=TOPICS,
            handle=create_handler(Recorder(RunLog(pool))),
            producer=producer,
            batch=settings.batch,
        )
        health = Health()
        health.add_check("postgres", lambda: check_connection(pool))
        health.add_check("events", consumer.find_fault)
        yield Process({"recorder": consumer.run}, health_app(health), health)


@asynccontextmanager
async def open_estimates(settings: Settings) -> AsyncIterator[Process]:
    """Open the estimates. Raises PostgresUnavailable or KafkaUnavailable."""
    from history.estimating.agents import (  # only this process needs faust
        GROUP,
        FaustLoop,
        attach_agents,
        create_faust_app,
    )

    async with (
        open_pool(settings.postgres, size=settings.postgres_pool, name="history-estimates") as pool,
        Producer.open(settings.kafka, name="history-estimates") as producer,
    ):
        health = Health()
        estimates = EstimateService(EstimateStore(pool), producer)
        notes = KafkaNotes(settings.kafka, producer, group=GROUP)
        intake = EstimateIntake(
            estimates, DeadLetterWriter(producer, group=GROUP, notes=notes), stopping=health.stopping
        )
        app = create_faust_app(settings.kafka)
        attach_agents(app, handle=intake.handle, on_assigned=estimates.retain_partitions)
        faust = FaustLoop(app, stalled_after=settings.stalled_after, find_wait=intake.find_fault)
        health.add_check("postgres", lambda: check_connection(pool))
        health.add_check("events", faust.find_fault)
        loops = {"agents": faust.run, "estimates": estimates.run}
        yield Process(loops, health_app(health), health)


async def rebuild(settings: Settings) -> RebuildResult:
    """Rebuild the run log, while the recorder may run. Raises PostgresUnavailable or KafkaUnavailable."""
    relax_garbage_collection()
    async with (
        open_pool(settings.postgres, size=2, name="history-rebuild") as pool,
        Replay.open(settings.kafka, LOG_TOPICS) as replay,
        RebuiltLog.open_empty(pool) as log,
    ):
        return await rebuild_log(log, replay)


@asynccontextmanager
async def open_api(settings: Settings) -> AsyncIterator[Process]:
    """Open the API, with the loops of live updates, the outbox and retention.

    Raises PostgresUnavailable, KafkaUnavailable or InvalidSettings.
    """
    async with (
        open_pool(settings.postgres, size=settings.postgres_pool, name="history-api") as pool,
        Producer.open(settings.kafka, name="history-api") as producer,
        open_external_authentication(settings, IdentityStore(pool)) as authenticate_external,
    ):
        health, objects = Health(), open_objects(settings.store, settings.store_options)
        health.add_check("postgres", lambda: check_connection(pool))
        identities, log = IdentityStore(pool), RunLogReader(pool)
        live_updates = LiveService(
            log,
            identities,
            dsn=settings.postgres,
            stopping=health.stopping,
            heartbeat=settings.heartbeat,
            send_timeout=settings.live_patience,
        )
        retention = RetentionService(pool, objects, kept=settings.retention, interval=settings.retention_every)
        relay = Relay(pool, producer, dsn=settings.postgres, service=SOURCE)
        health.add_check("live", live_updates.find_fault)
        health.add_check("outbox", relay.find_fault)
        files = ArtifactService(ArtifactStore(pool), retention)
        downloads = DownloadService(files, ArtifactStore(pool), objects)
        services = (
            *(RunService(log, files, downloads), files, downloads, LinkService(LinkStore(pool), downloads)),
            *(live_updates, retention, UnitOfWorkFactory(pool), DeliveryService(DeliveryReader(pool))),
        )
        api = create_api(
            health,
            identities.authenticate,
            authenticate_external=authenticate_external,
            services=services,
            limits=settings.limits,
        )
        yield Process({"live": live_updates.run, "outbox": relay.run, "retention": retention.run}, api, health)


def create_api(
    health: Health,
    authenticate: Authenticate,
    *,
    authenticate_external: AuthenticateExternal | None = None,
    services: Sequence[object] = (),
    limits: HttpLimits = DEFAULT_LIMITS,
) -> FastAPI:
    """Return the application with all routes, which use these services."""
    api = create_app(
        title="Sluice history",
        service=SOURCE,
        health=health,
        authenticate=authenticate,
        authenticate_external=authenticate_external,
        services=services,
        tags=TAGS,
        schemas=[RunStreamEvent],
        limits=limits,
    )
    handle_errors(api, to_problem, *ERRORS)
    # Paths with fixed names come before those with an id.
    add_routes(api, *(each.router for each in (runs, retention, links, artifacts, deliveries, live)))
    return api


@asynccontextmanager
async def open_external_authentication(
    settings: Settings, identities: IdentityStore
) -> AsyncIterator[AuthenticateExternal | None]:
    """Open the authentication of an identity provider's tokens; None where no provider is configured."""
    if settings.oidc is None:
        yield None
        return
    clock = SystemClock()
    async with OidcIssuer.open(settings.oidc, clock) as issuer:
        yield make_oidc_authenticator(TokenVerifier(issuer, clock), identities.authenticate_subject)
