"""A TCP proxy that injects faults: traffic that stops without a FIN, latency, and connections that are reset.

It runs on a thread and an event loop of its own, so that blocking calls of a test do not delay it. `stall` imitates a
host that has vanished: no byte and no end of a connection is forwarded in either direction, and new connections get no
answer; what has arrived meanwhile is forwarded after `resume`.
"""

import asyncio
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import Thread
from urllib.parse import urlsplit, urlunsplit

_CHUNK = 1 << 16
_CHUNKS_IN_FLIGHT = 64
_LIMIT = 10.0
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@dataclass(eq=False)
class _Path:
    """One client's way through the proxy: its tasks, and the writers of both ends."""

    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    writers: list[asyncio.StreamWriter] = field(default_factory=list)


class FaultyProxy:
    """Forwards connections from a free port of the loopback interface to a target."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self._latency = 0.0
        self._paths: set[_Path] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._stopping = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._run, name="faulty proxy", daemon=True)

    @property
    def port(self) -> int:
        """The port to connect to, on 127.0.0.1."""
        return int(self._listener.getsockname()[1])

    @property
    def connections(self) -> int:
        """The number of clients that are connected now, including those that get no answer."""
        return len(self._paths)

    def redirect(self, address: str) -> str:
        """Return a URL or DSN with this proxy in place of its host and port."""
        parts = urlsplit(address)
        login, at, _ = parts.netloc.rpartition("@")
        return urlunsplit(parts._replace(netloc=f"{login}{at}127.0.0.1:{self.port}"))

    def stall(self) -> None:
        """Forward nothing more, and answer no new connection, until `resume`."""
        self._call(self._flowing.clear)

    def resume(self) -> None:
        """Forward again, beginning with what has arrived meanwhile."""
        self._call(self._flowing.set)

    def delay(self, seconds: float) -> None:
        """Forward all that arrives from now on this much later, in each direction; 0 ends the latency."""

        def set_latency() -> None:
            self._latency = seconds

        self._call(set_latency)

    def cut(self) -> None:
        """Reset every connection, at both ends; new ones are forwarded."""
        self._call(lambda: [self._reset(path) for path in tuple(self._paths)])

    def retarget(self, port: int) -> None:
        """Forward to another port of the same host from now on, and reset every connection, as a failover does."""

        def change() -> None:
            self._target = (self._target[0], port)
            for path in tuple(self._paths):
                self._reset(path)

        self._call(change)

    def start(self) -> None:
        """Accept connections from now on; those that came before are waiting."""
        self._thread.start()

    def close(self) -> None:
        """Reset every connection and accept no more."""
        self._call(self._stopping.set)
        self._thread.join(_LIMIT)
        assert not self._thread.is_alive()

    def _call(self, function: Callable[[], object]) -> None:
        async def call() -> None:
            function()

        asyncio.run_coroutine_threadsafe(call(), self._loop).result(_LIMIT)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._accept, sock=self._listener)
        await self._stopping.wait()
        server.close()
        for path in tuple(self._paths):
            self._reset(path)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = _Path(writers=[writer])
        self._paths.add(path)
        task = asyncio.current_task()
        assert task is not None
        path.tasks.append(task)
        try:
            await self._flowing.wait()
            onward_reader, onward_writer = await asyncio.open_connection(*self._target)
            path.writers.append(onward_writer)
            await asyncio.gather(self._forward(reader, onward_writer), self._forward(onward_reader, writer))
        except (OSError, asyncio.CancelledError):
            self._reset(path)
        finally:
            self._paths.discard(path)
            for each in path.writers:
                each.close()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_CHUNKS_IN_FLIGHT)
        sending = asyncio.create_task(self._send(queue, writer))
        try:
            while True:
                await self._flowing.wait()
                data = await reader.read(_CHUNK)
                await queue.put((self._loop.time() + self._latency, data))
                if not data:
                    break
            await sending
        finally:
            sending.cancel()

    async def _send(self, queue: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
        while True:
            due, data = await queue.get()
            await asyncio.sleep(max(0.0, due - self._loop.time()))
            await self._flowing.wait()
            if not data:
                writer.write_eof()
                return
            writer.write(data)
            await writer.drain()

    @staticmethod
    def _reset(path: _Path) -> None:
        for writer in path.writers:
            with suppress(OSError):
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            writer.transport.abort()
        for task in path.tasks:
            # A path that ends by itself must not leave its own task marked as cancelled, which asyncio reports.
            if task is not asyncio.current_task():
                task.cancel()


@contextmanager
def open_faulty_proxy(address: str) -> Iterator[FaultyProxy]:
    """Run a proxy to the host and port of a URL or DSN; use `redirect` to send clients through it."""
    parts = urlsplit(address)
    assert parts.hostname is not None
    assert parts.port is not None
    proxy = FaultyProxy(parts.hostname, parts.port)
    proxy.start()
    try:
        yield proxy
    finally:
        proxy.close()
