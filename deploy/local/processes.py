"""Processes that the local stack starts: each in a session of its own, with a log file, and never left behind."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from deploy.local import reaper as reaper_program
from deploy.local.errors import LocalError
from deploy.local.signals import held_back

# Higher ranks are stopped first: what uses a server goes before the server.
SERVICE_RANK, KAFKA_RANK, POSTGRES_RANK = 2, 1, 0


@dataclass(frozen=True, kw_only=True)
class Command:
    """What to start: the words, the whole environment, where it logs, and how it is stopped."""

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
    keep_open: tuple[int, ...] = field(default=())


class Reaper:
    """A process beside ours that stops all we started if we are killed without a chance to do it ourselves."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", reaper_program.__file__],
            stdin=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def watch(self, pid: int, command: Command) -> None:
        """Put a process into the reaper's care."""
        self._say({"add": pid, "rank": command.rank, "signal": int(command.stop_signal), "grace": command.grace})

    def forget(self, pid: int) -> None:
        """Take back a process that has ended."""
        self._say({"forget": pid})

    def temporary_folder(self, prefix: str, *, parent: Path | None = None) -> Path:
        """Make a folder that is removed, with all in it, when the reaper is closed or we are killed."""
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        if os.geteuid() == 0:
            # Servers that refuse to be root work inside as somebody else.
            folder.chmod(0o711)
        self._say({"folder": str(folder)})
        return folder

    def close(self) -> None:
        """Have everything stopped that still runs, and wait for it; safe to call twice."""
        pipe = self._process.stdin
        if pipe is not None and not pipe.closed:
            with suppress(BrokenPipeError):
                pipe.close()
        self._process.wait()

    def _say(self, order: Mapping[str, object]) -> None:
        pipe = self._process.stdin
        if pipe is None or pipe.closed:
            raise RuntimeError("the reaper is closed already")
        # A reaper that somebody killed cannot help any more, but that is no reason to stop working.
        with suppress(BrokenPipeError):
            pipe.write(json.dumps(order) + "\n")
            pipe.flush()


class ChildProcess:
    """One started process."""

    def __init__(self, command: Command, reaper: Reaper) -> None:
        self.command = command
        self._reaper = reaper
        command.log.parent.mkdir(parents=True, exist_ok=True)
        with command.log.open("ab") as log, held_back():
            try:
                self._process = subprocess.Popen(
                    command.argv,
                    env=dict(command.environment),
                    cwd=command.folder,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    user=command.user,
                    group=command.group,
                    extra_groups=None if command.user is None else [],
                    umask=0o077,
                    pass_fds=command.keep_open,
                )
            except OSError as error:
                raise LocalError(f"{command.name} cannot be started: {error}") from error
            reaper.watch(self._process.pid, command)

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    def exit_code(self) -> int | None:
        """Return how the process ended (negative: by that signal); None while it runs."""
        return self._process.poll()

    def ask_to_stop(self) -> None:
        """Send the signal that stops it, and do not wait."""
        if self._process.poll() is None:
            self._process.send_signal(self.command.stop_signal)

    def stop(self, *, grace: float | None = None) -> int:
        """Stop it, kill it when it takes longer than its grace, and return how it ended; safe to call twice."""
        self.ask_to_stop()
        try:
            self._process.wait(self.command.grace if grace is None else grace)
        except subprocess.TimeoutExpired:
            return self.kill()
        return self._gone()

    def kill(self) -> int:
        """End it and its children with SIGKILL at once, and return how it ended."""
        reaper_program.end(self.pid, signal.SIGKILL, group=True)
        self._process.wait()
        return self._gone()

    def pause(self, *, paused: bool) -> None:
        """Freeze the process (SIGSTOP), or let it go on (SIGCONT)."""
        self._process.send_signal(signal.SIGSTOP if paused else signal.SIGCONT)

    def _gone(self) -> int:
        # What it started and did not stop is in the same group, unless it made sessions of its own.
        reaper_program.end(self.pid, signal.SIGKILL, group=True)
        self._reaper.forget(self.pid)
        return self._process.wait()


def wait_until(ready: Callable[[], bool], running: ChildProcess, *, limit: float = 60) -> None:
    """Wait until a started process is ready.

    Raises LocalError with the end of its log when it ends first, or is not ready within the limit (seconds).
    """
    until = time.monotonic() + limit
    while not ready():
        code = running.exit_code()
        if code is not None:
            raise LocalError(f"{running.command.name} ended ({ending(code)}) at its start", log=running.command.log)
        if time.monotonic() > until:
            running.stop(grace=5)
            raise LocalError(f"{running.command.name} was not ready after {limit:.0f} s", log=running.command.log)
        time.sleep(0.05)


def stop_process(pid: int, *, grace: float = 20) -> None:
    """Stop a process that is not our child: SIGTERM, the grace (seconds), SIGKILL."""
    charge = {"rank": 1, "signal": int(signal.SIGTERM), "grace": grace, "start_time": reaper_program.start_time(pid)}
    reaper_program.stop_all({pid: charge})
    until = time.monotonic() + 5
    while reaper_program.start_time(pid) == charge["start_time"] is not None and time.monotonic() < until:
        time.sleep(0.05)


def ending(code: int) -> str:
    """Say in words how a process ended: "exit code 3", "killed by SIGKILL"."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


def command_line(pid: int) -> str:
    """Return the words a running process was started with, joined by spaces; empty when it cannot be told."""
    if reaper_program.start_time(pid) is None:
        return ""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        answer = subprocess.run(["ps", "-p", str(pid), "-o", "command="], capture_output=True, text=True, check=False)
        return answer.stdout


def plain_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return a clean environment: only what every program needs of ours, and what is given."""
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR")
    return {name: os.environ[name] for name in kept if name in os.environ} | {"TZ": "UTC"} | dict(extra or {})
