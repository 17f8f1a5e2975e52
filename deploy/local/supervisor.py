"""Starts the parts of a stack, waits until they are ready, notices when one ends, and stops them in order."""

import http.client
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from deploy.local.errors import LocalError
from deploy.local.ownership import Ownership
from deploy.local.ports import LOOPBACK
from deploy.local.processes import ChildProcess, Command, Reaper, ending

PAUSE = 0.1
_WAKE = signal.SIGURG
"""Does nothing but end a system call that sleeps, so that an interrupt that waits is seen to."""


class Supervisor:
    """The parts of one stack. A part that ends by itself ends the stack."""

    def __init__(self, reaper: Reaper, notes: Path | None = None) -> None:
        self._reaper = reaper
        self._notes = notes
        self._parts: list[ChildProcess] = []
        self._stopping = threading.Event()
        self.crash: LocalError | None = None

    def start(self, command: Command) -> ChildProcess:
        """Start a part, and note it down so that a later stack finds it if we and the reaper are killed together."""
        part = self.adopt(ChildProcess(command, self._reaper))
        if self._notes is not None:
            Ownership(self._notes / command.name, command.name).note(part.pid)
        return part

    def adopt(self, part: ChildProcess) -> ChildProcess:
        """Watch over a part that was started elsewhere."""
        self._parts.append(part)
        return part

    def run(self, *commands: Command, limit: float = 600) -> None:
        """Run commands side by side to their end.

        Raises LocalError with the end of its log for the first that fails, or outlasts the limit (seconds); the others
        are stopped then.
        """
        self.finish([self.begin(command) for command in commands], limit=limit)

    def begin(self, command: Command) -> ChildProcess:
        """Start a command that is to end by itself, for `finish` to wait for."""
        return ChildProcess(command, self._reaper)

    def finish(self, steps: list[ChildProcess], *, limit: float = 600) -> None:
        """Wait for commands that were begun; raises LocalError as `run` does."""
        until = time.monotonic() + limit
        try:
            while any(self._goes_on(step) for step in steps):
                self.check()
                if time.monotonic() > until:
                    slow = next(step for step in steps if step.exit_code() is None)
                    raise LocalError(f"{slow.command.name} took longer than {limit:.0f} s", log=slow.command.log)
                time.sleep(PAUSE)
        finally:
            for step in steps:
                step.stop(grace=2)

    def wait_ready(self, ports: Mapping[str, int], *, limit: float = 90) -> None:
        """Wait until each part answers `/readyz` on its port with 200.

        Raises LocalError when a part ends, or with what it says is missing when it is not ready within the limit.
        """
        until = time.monotonic() + limit
        waiting = dict(ports)
        while waiting:
            self.check()
            for name, port in list(waiting.items()):
                status, said = readiness(port)
                if status == 200:
                    del waiting[name]
                elif time.monotonic() > until:
                    log = next(part.command.log for part in self._parts if part.command.name == name)
                    raise LocalError(f"{name} was not ready after {limit:.0f} s ({said})", log=log)
            time.sleep(PAUSE)

    def check(self) -> None:
        """Raise LocalError, with the last lines of its log, when a part has ended."""
        for part in self._parts:
            code = part.exit_code()
            if code is not None and not self._stopping.is_set():
                self.crash = LocalError(f"{part.command.name} has ended ({ending(code)})", log=part.command.log)
                raise self.crash

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Interrupt the main thread, as Ctrl-C does, when a part ends while the body runs.

        The interrupt leaves as the LocalError that tells which part it was. Call it in the main thread.
        """
        before = signal.signal(_WAKE, lambda _number, _frame: None)
        watcher = threading.Thread(target=self._watch, name="watch", daemon=True)
        watcher.start()
        try:
            try:
                yield
            finally:
                self._stopping.set()
                watcher.join()
                signal.signal(_WAKE, before)
        except KeyboardInterrupt:
            if self.crash is not None:
                raise self.crash from None
            raise

    def stop(self) -> None:
        """Stop all parts, the highest rank first; those of one rank side by side. Safe to call twice."""
        self._stopping.set()
        for rank in sorted({part.command.rank for part in self._parts}, reverse=True):
            parts = [part for part in self._parts if part.command.rank == rank]
            for part in parts:
                part.ask_to_stop()
            until = time.monotonic() + max(part.command.grace for part in parts)
            for part in parts:
                part.stop(grace=max(0.0, until - time.monotonic()))

    def _goes_on(self, step: ChildProcess) -> bool:
        code = step.exit_code()
        if code:
            raise LocalError(f"{step.command.name} failed ({ending(code)})", log=step.command.log)
        return code is None

    def _watch(self) -> None:
        while not self._stopping.wait(PAUSE):
            try:
                self.check()
            except LocalError:
                main = threading.main_thread().ident
                if main is not None:
                    signal.pthread_kill(main, signal.SIGINT)
                # Python handles a signal between two of its steps. One that comes just before the main thread goes to
                # sleep in a system call would wait until something else wakes it.
                while main is not None and not self._stopping.wait(PAUSE):
                    signal.pthread_kill(main, _WAKE)
                return


def readiness(port: int) -> tuple[int, str]:
    """Ask a part whether it is ready: the status of `/readyz` (0: no answer) and what it says."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=10)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        return answer.status, answer.read(2000).decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return 0, f"no answer: {type(error).__name__}"
    finally:
        connection.close()
