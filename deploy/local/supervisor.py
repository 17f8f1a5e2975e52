"""Starts the processes of a stack, waits until they are ready, and notices when one ends."""

import http.client
import time
from collections.abc import Mapping

from deploy.local.errors import LocalError
from deploy.local.ports import LOOPBACK
from deploy.local.processes import ChildProcess, ProcessSpec, describe_exit
from deploy.local.reaper import Reaper

PAUSE = 0.1


class Supervisor:
    """The processes of one stack: none may end by itself. The reaper stops them."""

    def __init__(self, reaper: Reaper) -> None:
        self._reaper = reaper
        self._processes: list[ChildProcess] = []

    def start(self, spec: ProcessSpec) -> ChildProcess:
        """Start a process that is to run as long as the stack; raises LocalError when it cannot be started."""
        return self.adopt(ChildProcess(spec, self._reaper))

    def adopt(self, process: ChildProcess) -> ChildProcess:
        """Supervise a process that was started elsewhere."""
        self._processes.append(process)
        return process

    def check(self) -> None:
        """Raise LocalError, with the last lines of its log, when a process has ended."""
        for process in self._processes:
            code, spec = process.exit_code(), process.spec
            if code is not None:
                raise LocalError(f"{spec.name} has ended ({describe_exit(code)})", log=spec.log)

    def begin(self, spec: ProcessSpec) -> ChildProcess:
        """Start a command that ends by itself; `finish` waits for it. Raises LocalError when it cannot be started."""
        return ChildProcess(spec, self._reaper)

    def finish(self, *steps: ChildProcess, limit: float = 600) -> None:
        """Wait until commands have ended; limit in seconds.

        Raises LocalError with the end of its log for the first that fails or exceeds the limit, and stops the others.
        """
        until = time.monotonic() + limit
        try:
            while any(_is_unfinished(step) for step in steps):
                self.check()
                if time.monotonic() > until:
                    slow = next(step for step in steps if step.exit_code() is None)
                    raise LocalError(f"{slow.spec.name} took longer than {limit:.0f} s", log=slow.spec.log)
                time.sleep(PAUSE)
        finally:
            for step in steps:
                step.stop(grace=2)

    def run(self, *specs: ProcessSpec, limit: float = 600) -> None:
        """Run commands together until all have ended; raises LocalError as `finish` does."""
        self.finish(*[self.begin(spec) for spec in specs], limit=limit)

    def wait_until_ready(self, ports: Mapping[str, int], *, limit: float = 90) -> None:
        """Wait until each process answers `/readyz` on its port with 200; limit in seconds.

        Raises LocalError when a process ends, or with its answer when it is not ready within the limit.
        """
        until = time.monotonic() + limit
        waiting = dict(ports)
        while waiting:
            self.check()
            for name, port in list(waiting.items()):
                status, text = check_readiness(port)
                if status == 200:
                    del waiting[name]
                elif time.monotonic() > until:
                    log = next(each.spec.log for each in self._processes if each.spec.name == name)
                    raise LocalError(f"{name} was not ready after {limit:.0f} s ({text})", log=log)
            time.sleep(PAUSE)


def _is_unfinished(step: ChildProcess) -> bool:
    code = step.exit_code()
    if code:
        raise LocalError(f"{step.spec.name} failed ({describe_exit(code)})", log=step.spec.log)
    return code is None


def check_readiness(port: int) -> tuple[int, str]:
    """Return the status of a process's `/readyz` (0 when it does not answer) and its text."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=10)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        return answer.status, answer.read(2000).decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return 0, f"no answer: {type(error).__name__}"
    finally:
        connection.close()
