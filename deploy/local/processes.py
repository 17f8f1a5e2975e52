"""Processes that the local stack starts: each in its own session, with a log file, registered with the reaper."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.local.errors import LocalError
from deploy.local.reaper import PAUSE, Reaper, send_signal
from deploy.local.signals import defer_signals

# Higher ranks are stopped first: clients of a server before the server.
SERVICE_RANK, KAFKA_RANK, POSTGRES_RANK = 2, 1, 0


@dataclass(frozen=True, kw_only=True)
class ProcessSpec:
    """What to start: arguments, the whole environment, the log, and how it is stopped (grace in seconds)."""

    name: str
    argv: list[str]
    environment: Mapping[str, str]
    log: Path
    folder: Path
    stop_signal: signal.Signals = signal.SIGTERM
    grace: float = 20
    rank: int = SERVICE_RANK
    user: int | None = None
    group: int | None = None


class ChildProcess:
    """One started process."""

    def __init__(self, spec: ProcessSpec, reaper: Reaper) -> None:
        """Start it; raises LocalError when the program cannot be started."""
        self.spec = spec
        self._reaper = reaper
        spec.log.parent.mkdir(parents=True, exist_ok=True)
        with spec.log.open("ab") as log, defer_signals():
            try:
                self._process = subprocess.Popen(
                    spec.argv,
                    env=dict(spec.environment),
                    cwd=spec.folder,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    user=spec.user,
                    group=spec.group,
                    extra_groups=None if spec.user is None else [],
                    umask=0o077,
                    pass_fds=reaper.inherited,
                )
            except OSError as error:
                raise LocalError(f"{spec.name} cannot be started: {error}") from error
            reaper.watch(self.pid, rank=spec.rank, stop_signal=spec.stop_signal, grace=spec.grace)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def exit_code(self) -> int | None:
        """Return the exit code, negative for the signal that ended it; None while it runs."""
        return self._process.poll()

    def request_stop(self) -> None:
        """Send the stop signal without waiting."""
        if self._process.poll() is None:
            self._process.send_signal(self.spec.stop_signal)

    def stop(self, *, grace: float | None = None) -> int:
        """Stop it, kill it after its grace (seconds), and return its exit code; safe to call twice."""
        self.request_stop()
        try:
            self._process.wait(self.spec.grace if grace is None else grace)
        except subprocess.TimeoutExpired:
            return self.kill()
        return self._reap()

    def kill(self) -> int:
        """End it and its children with SIGKILL, and return its exit code."""
        send_signal(self.pid, signal.SIGKILL, group=True)
        self._process.wait()
        return self._reap()

    def pause(self, *, paused: bool) -> None:
        """Freeze the process (SIGSTOP), or resume it (SIGCONT)."""
        self._process.send_signal(signal.SIGSTOP if paused else signal.SIGCONT)

    def _reap(self) -> int:
        # Children that it did not stop are in the same process group, unless they created sessions of their own.
        send_signal(self.pid, signal.SIGKILL, group=True)
        self._reaper.forget(self.pid)
        return self._process.wait()


def wait_until(ready: Callable[[], bool], process: ChildProcess, *, limit: float = 60) -> None:
    """Wait until a started process is ready; limit in seconds.

    Raises LocalError with the end of its log when it ends first or is not ready within the limit.
    """
    until = time.monotonic() + limit
    while not ready():
        code, spec = process.exit_code(), process.spec
        if code is not None:
            raise LocalError(f"{spec.name} has ended during its start ({describe_exit(code)})", log=spec.log)
        if time.monotonic() > until:
            process.stop(grace=5)
            raise LocalError(f"{spec.name} was not ready after {limit:.0f} s", log=spec.log)
        time.sleep(PAUSE)


def describe_exit(code: int) -> str:
    """Describe how a process ended: "exit code 3", "killed by SIGKILL"."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


def plain_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return a minimal environment: the variables that every program needs, and the extra ones."""
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR")
    return {name: os.environ[name] for name in kept if name in os.environ} | {"TZ": "UTC"} | dict(extra or {})
