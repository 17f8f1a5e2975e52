"""History's composition roots: one for each of its three processes."""

import gc
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from starlette.types import ASGIApp

from history.api.artifacts import artifact_routes
from history.api.documents import include
from history.api.governance import governance_routes
from history.api.live import event_routes
from history.api.runs import run_routes
from history.estimating.estimates import EstimateService
from history.estimating.intake import EstimateIntake
from history.recording.consumer import LOG_TOPICS, TOPICS, create_handler
from history.recording.rebuild import RebuildResult, rebuild_log
from history.recording.recorder import Recorder
from history.service.artifacts import Filing
from history.service.downloads import Downloads
from history.service.live import Live
from history.service.retention import Retention
from history.service.runs import Browsing
from history.settings import Settings
from history.store import SOURCE
from history.store.estimates import EstimateStore
from history.store.files import Files
from history.store.log import RunLog
from history.store.objects import open_objects
from history.store.reading import Reading
from history.store.rebuilding import RebuiltLog
from history.store.subjects import Subjects
from history.store.writing import Requests
from shared.clock import SystemClock
from shared.http.app import create_app
from shared.http.identity import AuthenticateExternal
from shared.kafka import Consumer, Producer, Replay
from shared.lifecycle import Health, Loop, health_app
from shared.oidc import TokenVerifier, make_oidc_authenticator
from shared.oidc_issuer import OidcIssuer
from shared.outbox import Relay
from shared.postgres import Pool, check_connection, open_pool


@dataclass(frozen=True)
class Process:
    """What a process runs and serves, and what its readiness rests on."""

    loops: Mapping[str, Loop]
    app: ASGIApp
    health: Health


def look_for_circles_less() -> None:
    """Spare a process that works in batches, of thousands of small objects without circles, time and again."""
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)


@asynccontextmanager
async def recording(settings: Settings) -> AsyncIterator[Process]:
    """Put the recorder together. Raises PostgresUnavailable or KafkaUnavailable."""
    look_for_circles_less()
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
async def estimating(settings: Settings) -> AsyncIterator[Process]:
    """Put the estimates together. Raises PostgresUnavailable or KafkaUnavailable."""
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
        intake = EstimateIntake(estimates, producer, group=GROUP, stopping=health.stopping)
        app = create_faust_app(settings.kafka)
        attach_agents(app, handle=intake.handle, on_assigned=estimates.retain_partitions)
        faust = FaustLoop(app, stalled_after=settings.stalled_after)
        health.add_check("postgres", lambda: check_connection(pool))
        health.add_check("events", faust.find_fault)
        loops = {"agents": faust.run, "estimates": estimates.run, "intake": intake.run}
        yield Process(loops, health_app(health), health)


async def rebuilt_log(settings: Settings) -> RebuildResult:
    """Rebuild the run log; the recorder may go on meanwhile. Raises PostgresUnavailable or KafkaUnavailable."""
    look_for_circles_less()
    async with (
        open_pool(settings.postgres, size=2, name="history-rebuild") as pool,
        Replay.open(settings.kafka, LOG_TOPICS) as replay,
        RebuiltLog.open_empty(pool) as log,
    ):
        return await rebuild_log(log, replay)


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[Process]:
    """Put the API together. Raises PostgresUnavailable or KafkaUnavailable."""
    async with (
        open_pool(settings.postgres, size=settings.postgres_pool, name="history-api") as pool,
        Producer.open(settings.kafka, name="history-api") as producer,
        AsyncExitStack() as stack,
    ):
        health, reading = Health(), Reading(pool)
        live = Live(reading, dsn=settings.postgres, stopping=health.stopping)
        objects, files = open_objects(settings.store, settings.store_options), Files(pool)
        retention = Retention(files, objects, kept=settings.retention, every=settings.retention_every)
        filing = Filing(reading, files, objects, retention, kept=settings.retention)
        browsing = Browsing(reading, filing, Downloads(objects), requests=Requests(pool), files=files)
        relay = Relay(pool, producer, dsn=settings.postgres, service=SOURCE)
        api = create_app(
            title="Sluice history",
            service=SOURCE,
            health=health,
            authenticate=reading.identity_of,
            authenticate_external=await stack.enter_async_context(recognising(settings, pool)),
        )
        include(
            api,
            run_routes(browsing),
            governance_routes(filing),
            artifact_routes(filing),
            event_routes(live, heartbeat=settings.heartbeat, patience=settings.live_patience),
        )
        health.add_check("postgres", lambda: check_connection(pool))
        yield Process({"live": live.run, "outbox": relay.run, "retention": retention.run}, api, health)


@asynccontextmanager
async def recognising(settings: Settings, pool: Pool) -> AsyncIterator[AuthenticateExternal | None]:
    """Give what recognises the tokens of an identity provider, or None where none is configured."""
    if settings.oidc is None:
        yield None
        return
    clock = SystemClock()
    async with OidcIssuer.open(settings.oidc, clock) as issuer:
        yield make_oidc_authenticator(TokenVerifier(issuer, clock), Subjects(pool).identity_of)
