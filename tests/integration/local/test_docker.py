"""Docker is optional: without a working engine, tests use local processes."""

import http.server
import threading
from contextlib import ExitStack

import pytest

from tests.support.containers import is_docker_available, kafka_container
from tests.support.servers import start_container


class EmptyEngine(http.server.BaseHTTPRequestHandler):
    """A Docker engine that answers, but has no image and cannot pull one."""

    def do_GET(self) -> None:
        """Answer the ping and the version, and fail otherwise."""
        known = {"/_ping": b"OK", "/version": b'{"ApiVersion": "1.44"}'}
        answer = known.get(self.path.removeprefix("/v1.44"))
        self.send_response(200 if answer else 500)
        self.end_headers()
        self.wfile.write(answer or b'{"message": "no such image"}')

    do_POST = do_GET  # noqa: N815 - the name in the base class

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the name in the base class
        """Log nothing."""


def test_a_local_process_replaces_a_container_that_cannot_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = http.server.ThreadingHTTPServer(("127.0.0.1", 0), EmptyEngine)
    threading.Thread(target=engine.serve_forever, daemon=True).start()
    monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{engine.server_port}")
    assert is_docker_available()
    with ExitStack() as stack, pytest.warns(UserWarning, match="a local process is used"):
        assert start_container(stack, kafka_container) is None
    engine.shutdown()
    engine.server_close()


def test_without_an_engine_docker_is_not_available(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    assert not is_docker_available()
