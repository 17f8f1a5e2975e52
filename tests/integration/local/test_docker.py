"""Docker, where it is, is not in the way."""

import http.server
import threading
from contextlib import ExitStack

import pytest

from tests.support.containers import docker_answers, kafka_container
from tests.support.servers import contained


class EmptyEngine(http.server.BaseHTTPRequestHandler):
    """A Docker engine that answers and has nothing: no image, and no way to get one."""

    def do_GET(self) -> None:
        """Answer the ping and the version; refuse all else."""
        known = {"/_ping": b"OK", "/version": b'{"ApiVersion": "1.44"}'}
        answer = known.get(self.path.removeprefix("/v1.44"))
        self.send_response(200 if answer else 500)
        self.end_headers()
        self.wfile.write(answer or b'{"message": "no such image"}')

    do_POST = do_GET  # noqa: N815 - the base class looks for this name

    def log_message(self, format: str, *words: object) -> None:  # noqa: A002 - the base class names it so
        """Say nothing."""


def test_an_engine_that_cannot_give_a_server_leaves_the_way_to_a_local_process(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = http.server.ThreadingHTTPServer(("127.0.0.1", 0), EmptyEngine)
    threading.Thread(target=engine.serve_forever, daemon=True).start()
    monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{engine.server_port}")
    assert docker_answers()
    with ExitStack() as stack, pytest.warns(UserWarning, match="a local process is used"):
        assert contained(stack, kafka_container) is None
    engine.shutdown()
    engine.server_close()


def test_without_an_engine_nothing_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    assert not docker_answers()
