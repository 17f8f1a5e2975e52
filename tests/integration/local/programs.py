"""Small real programs in place of the product's processes, for tests of the local stack."""

import sys
from pathlib import Path

from deploy.local.processes import ProcessSpec, plain_environment

SERVER = """
import http.server, pathlib, signal, sys, time
port, folder = int(sys.argv[1]), pathlib.Path(sys.argv[2])
name = sys.argv[3]
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/crash":
            for number in range(100):
                print(f"{name} line {number}", flush=True)
            import os
            os._exit(3)
        ready = (folder / f"{name}.ready").exists()
        self.send_response(200 if ready else 503)
        self.end_headers()
        self.wfile.write(b"ready" if ready else b"waiting for the file")
    def log_message(self, *_):
        pass
def stop(*_):
    with open(folder / "stopped", "a") as file:
        file.write(name + chr(10))
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""

STUBBORN = """
import signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", flush=True)
while True:
    time.sleep(60)
"""

OWNER = """
import sys, time
from pathlib import Path
from deploy.local.kafka import Kafka
from deploy.local.postgres import Postgres
from deploy.local.processes import ChildProcess, ProcessSpec, plain_environment
from deploy.local.reaper import Reaper
what, folder = sys.argv[1], Path(sys.argv[2])
reaper = Reaper()
if what == "program":
    (folder / "temporary").write_text(str(reaper.temporary_folder("sluice-test-")))
    argv = [sys.executable, "-c", "import time; time.sleep(3600)"]
    log = folder / "program.log"
    command = ProcessSpec(name="program", argv=argv, environment=plain_environment(), log=log, folder=folder)
    child = ChildProcess(command, reaper)
else:
    server = Kafka(folder, reaper) if what == "kafka" else Postgres(folder, reaper, durable=False)
    server.start()
    child = server.process
print(child.pid, reaper.pid, flush=True)
time.sleep(3600)
"""


def server(name: str, port: int, folder: Path, *, rank: int = 2) -> ProcessSpec:
    """Return a program that serves `/readyz` (200 once the folder contains `<name>.ready`) and `/crash`."""
    return ProcessSpec(
        name=name,
        argv=[sys.executable, "-c", SERVER, str(port), str(folder), name],
        environment=plain_environment(),
        log=folder / f"{name}.log",
        folder=folder,
        rank=rank,
        grace=10,
    )


def script(name: str, text: str, folder: Path, *, grace: float = 10) -> ProcessSpec:
    """Return a program of a few lines."""
    return ProcessSpec(
        name=name,
        argv=[sys.executable, "-c", text],
        environment=plain_environment(),
        log=folder / f"{name}.log",
        folder=folder,
        grace=grace,
    )
