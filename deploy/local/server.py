"""What the local Kafka and PostgreSQL have in common: one folder, one port, start, stop and crash."""

from abc import ABC, abstractmethod
from pathlib import Path

from deploy.local.errors import LocalError
from deploy.local.ports import free_port
from deploy.local.processes import ChildProcess, ProcessSpec, wait_until
from deploy.local.reaper import Reaper

PORT_ATTEMPTS = 3


class LocalServer(ABC):
    """A server over one folder; it can be stopped, killed and started again, and keeps its port."""

    def __init__(self, folder: Path, reaper: Reaper, *, name: str, port: int | None, log: Path) -> None:
        """Prepare the server without starting it; `port` is the preferred one."""
        self.folder = folder
        self.log = log
        self.process: ChildProcess | None = None
        self._name = name
        self._data = folder / "data"
        self._reaper = reaper
        self._port = port

    @property
    def port(self) -> int:
        """The TCP port on the loopback address; raises LocalError before the first start."""
        if self._port is None:
            raise LocalError(f"this {self._name} has not been started")
        return self._port

    def stop(self) -> None:
        """Stop the server and wait for it; safe to call twice."""
        if self.process is not None:
            self.process.stop()

    def kill(self) -> None:
        """End the server as a crash would (SIGKILL)."""
        if self.process is not None:
            self.process.kill()

    @abstractmethod
    def _spec(self) -> ProcessSpec:
        """Return the specification of the process, which listens on the port."""

    @abstractmethod
    def _is_ready(self) -> bool:
        """Return whether the server accepts clients."""

    def _start_process(self, *, limit: float) -> None:
        """Start the server, on another port when its port was taken meanwhile; limit in seconds."""
        for attempt in range(1, PORT_ATTEMPTS + 1):
            self._port = free_port(preferred=self._port)
            spec = self._spec()
            earlier = self.log.stat().st_size if self.log.exists() else 0
            self.process = ChildProcess(spec, self._reaper)
            try:
                wait_until(self._is_ready, self.process, limit=limit)
            except LocalError:
                in_use = b"Address already in use" in self.log.read_bytes()[earlier:]
                if attempt == PORT_ATTEMPTS or not in_use:
                    raise
                self._port = None
            else:
                return
