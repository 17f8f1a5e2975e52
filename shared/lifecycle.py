"""The life cycle of a process: loops that run until SIGTERM, with /livez, /readyz and /metrics.

async with open_process(settings) as process:
    await run(process.loops, app=process.app, health=process.health, settings=settings)
"""

import asyncio
import resource
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from shared.errors import InvalidSettings, RestartRequired, SluiceError, TransientError
from shared.http.protocol import HEAD_BYTES_MAX, ConnectionLimits, RequestBound, make_protocol
from shared.observe import LOOP_FAILURES, get_logger, render_metrics
from shared.settings import ServiceSettings, to_variable_name

Loop = Callable[[asyncio.Event], Awaitable[None]]
Check = Callable[[], Awaitable[str | None]]
log = get_logger(__name__)

OK = "ok"
"""What `/readyz` says of a part that is ready."""
_CHECK_LIMIT = 5.0
_LONGEST_PAUSE, _HEALED_SECONDS = 10.0, 60.0


class LoopFailed(SluiceError):
    """A loop cannot go on in this process, which ends with it; its supervisor starts another."""


@dataclass
class Health:
    """The state behind /livez and /readyz: each check returns None, or what is wrong."""

    checks: dict[str, Check] = field(default_factory=dict)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    def add_check(self, name: str, check: Check | Callable[[], str | None]) -> None:
        """Add a condition of readiness under a name."""

        async def run_check() -> str | None:
            fault = check()
            return await fault if isinstance(fault, Awaitable) else fault

        self.checks[name] = run_check

    async def describe_parts(self) -> dict[str, str]:
        """Return the state of each part now, in words: `ok`, or what is wrong.

        A check that takes longer than 5 s is at fault, too; all run at once.
        """
        if self.stopping.is_set():
            return {"process": "stopping"}
        found = await asyncio.gather(*map(_run_limited, self.checks.values()))
        return {name: fault or OK for name, fault in zip(self.checks, found, strict=True)}


async def _run_limited(check: Check) -> str | None:
    checking = asyncio.ensure_future(check())
    await asyncio.wait({checking}, timeout=_CHECK_LIMIT)
    if checking.done():
        error = checking.exception()
        # Texts of others' errors may quote the data.
        return checking.result() if error is None else f"its check failed: {type(error).__name__}"
    # It is not waited for: cleaning up after a check whose server has vanished takes long, too.
    checking.add_done_callback(lambda late: None if late.cancelled() else late.exception())
    checking.cancel()
    return f"no answer within {_CHECK_LIMIT:g} s"


def health_routes(health: Health) -> list[Route]:
    """Return the routes that every process serves without authentication."""

    async def livez(_: Request) -> Response:
        return JSONResponse({"status": "alive"})

    async def readyz(_: Request) -> Response:
        parts = await health.describe_parts()
        ready = all(state == OK for state in parts.values())
        body = {"status": "ready" if ready else "not ready", "parts": parts}
        return JSONResponse(body, 200 if ready else 503, None if ready else {"Retry-After": "1"})

    async def metrics(_: Request) -> Response:
        text, content_type = render_metrics()
        return Response(text, headers={"Content-Type": content_type})

    return [Route("/livez", livez), Route("/readyz", readyz), Route("/metrics", metrics)]


def health_app(health: Health) -> Starlette:
    """Return the application of a process without an API."""
    return Starlette(routes=health_routes(health))


class LoopSupervisor:
    """Starts a loop again whenever it fails, after a pause: one failure must not end all the loops of a process.

    A loop that raises RestartRequired, or that fails while the process stops, ends the process.
    """

    def __init__(self, name: str, loop: Loop) -> None:
        self._name = name
        self._loop = loop
        LOOP_FAILURES.labels(name)  # the first failure is a change, not a new series
        self._failures = 0
        self._failed_at = 0.0
        self._reason = ""

    def find_fault(self) -> str | None:
        """Return why the loop failed, if it did within the last minute."""
        if self._failures and time.monotonic() - self._failed_at < _HEALED_SECONDS:
            return f"{self._name} failed and was started again: {self._reason}"
        return None

    async def run(self, stopping: asyncio.Event) -> None:
        """Run the loop until `stopping` is set.

        Raises LoopFailed, RestartRequired, or an error other than a transient one while stopping.
        """
        while True:
            try:
                await self._loop(stopping)
            except RestartRequired:
                raise
            except Exception as error:
                if stopping.is_set():
                    if not isinstance(error, TransientError):
                        raise
                    # Whatever the loop left undone, the next process does: this one stopped as requested.
                    log.warning("stopped while something was unavailable", loop=self._name, error=str(error))
                    return
                await self._pause(error, stopping)
                if not stopping.is_set():
                    continue
            if not stopping.is_set():
                raise LoopFailed(f"{self._name} ended by itself")
            return

    async def _pause(self, error: Exception, stopping: asyncio.Event) -> None:
        now = time.monotonic()
        self._failures = 1 if now - self._failed_at > _HEALED_SECONDS else self._failures + 1
        # Texts of others' errors may quote the data.
        self._failed_at, self._reason = now, str(error) if isinstance(error, SluiceError) else type(error).__name__
        seconds = min(_LONGEST_PAUSE, 0.5 * 2.0 ** min(self._failures - 1, 10))
        LOOP_FAILURES.labels(self._name).inc()
        log.error("loop failed, starting it again", loop=self._name, in_seconds=seconds, exc_info=error)
        await wait_for_first(stopping, seconds=seconds)


async def run(
    loops: Mapping[str, Loop],
    *,
    app: ASGIApp,
    health: Health,
    settings: ServiceSettings,
    grace: timedelta = timedelta(seconds=15),
) -> None:
    """Run all loops and the HTTP server until SIGTERM or SIGINT, then let each loop finish its work within `grace`.

    A loop that fails is started again. Raises LoopFailed when one ends by itself, needs a new process, or fails while
    stopping, after stopping the others, and InvalidSettings for a port that is in use or a certificate that cannot be
    loaded.
    """
    stopping = health.stopping
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    limits = ConnectionLimits(connections=min(settings.http_connections, _count_sockets()))
    server = _Server(_server_config(app, settings, limits), limits.handshake_seconds)
    listener = _open_listener(settings)
    log.info("started", host=settings.http_host, port=listener.getsockname()[1], loops=sorted(loops))
    tasks = [
        asyncio.create_task(_supervise(name, loop, health).run(stopping), name=name) for name, loop in loops.items()
    ]
    web = asyncio.create_task(server.serve([listener]), name="http")
    stop = asyncio.create_task(stopping.wait(), name="stop signal")
    began = time.monotonic()
    await asyncio.wait([stop, web, *tasks], return_when=asyncio.FIRST_COMPLETED)
    stopping.set()
    failures = await _finish(tasks, grace)
    server.should_exit = True
    failures += await _finish([web, stop], timedelta(seconds=8))
    log.info("stopped", after_seconds=round(time.monotonic() - began, 1), failures=failures)
    if failures:
        raise LoopFailed("; ".join(failures))


def _supervise(name: str, loop: Loop, health: Health) -> LoopSupervisor:
    supervisor = LoopSupervisor(name, loop)
    health.add_check(f"loop {name}", supervisor.find_fault)
    return supervisor


def _server_config(app: ASGIApp, settings: ServiceSettings, limits: ConnectionLimits) -> uvicorn.Config:
    config = uvicorn.Config(
        RequestBound(app, limits.requests),
        http=make_protocol(limits),
        h11_max_incomplete_event_size=HEAD_BYTES_MAX,
        server_header=False,
        timeout_keep_alive=int(limits.idle_seconds),
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=5,
        ssl_certfile=settings.http_tls_cert_file,
        ssl_keyfile=settings.http_tls_key_file,
        # Session cookies and the login limits depend on the forwarded headers.
        forwarded_allow_ips=settings.trusted_proxies,
    )
    try:
        config.load()
    except OSError as error:
        files = f"{settings.http_tls_cert_file}, {settings.http_tls_key_file}"
        raise InvalidSettings(
            f"{to_variable_name('http_tls_cert_file', settings.service)}, _KEY_FILE ({files}): {error}"
        ) from None
    return config


def _count_sockets() -> int:
    """Return how many connections to serve: a request that is passed on needs two files, and others are needed, too."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return max(50, (hard - 200) // 2)


def _open_listener(settings: ServiceSettings) -> socket.socket:
    try:
        return socket.create_server((settings.http_host, settings.http_port), reuse_port=False, backlog=512)
    except OSError as error:
        host, port = (to_variable_name(field, settings.service) for field in ("http_host", "http_port"))
        raise InvalidSettings(
            f"cannot serve on {settings.http_host}:{settings.http_port} ({error.strerror}); "
            f"set another {port} (0 for a free one) or {host}"
        ) from None


async def _finish(tasks: Sequence[asyncio.Task[object]], grace: timedelta) -> list[str]:
    _, late = await asyncio.wait(tasks, timeout=grace.total_seconds()) if tasks else (set(), set())
    for task in late:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    failures = []
    for task in tasks:
        if task in late:
            failures.append(f"{task.get_name()} did not stop in time")
        elif not task.cancelled() and (error := task.exception()) is not None:
            log.error("loop failed", loop=task.get_name(), exc_info=error)
            failures.append(f"{task.get_name()}: {type(error).__name__}: {error}")
    return failures


async def wait_for_first(*events: asyncio.Event, seconds: float | None = None) -> None:
    """Wait until one of the events is set, or until the seconds have passed."""
    waits = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, handshake_seconds: float) -> None:
        super().__init__(config)
        self._handshake_seconds = handshake_seconds

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve on sockets as uvicorn does, which has no setting for the time of a TLS handshake."""
        await self.lifespan.startup()
        if self.lifespan.should_exit:
            raise LoopFailed("the application did not start")
        loop, config = asyncio.get_running_loop(), self.config

        def make_connection() -> asyncio.Protocol:
            return config.http_protocol_class(config, self.server_state, self.lifespan.state)  # type: ignore[call-arg]

        seconds = self._handshake_seconds if config.ssl else None
        self.servers = [
            await loop.create_server(
                make_connection, sock=each, ssl=config.ssl, ssl_handshake_timeout=seconds, backlog=config.backlog
            )
            for each in sockets or []
        ]
        self.started = True

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to `run`, which stops the loops first."""
        yield
