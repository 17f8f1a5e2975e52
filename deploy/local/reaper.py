"""Stops the processes of a stack when the program that started them has gone, even if it was killed.

Run as a program, it reads lines of JSON from its standard input, which only its owner holds open:
`{"add": pid, "rank": 2, "signal": 15, "grace": 20}`, `{"forget": pid}`, `{"folder": path}`. At the end of the input,
whether the owner closed it or was killed, it stops the remaining processes, the highest rank first, waits for each rank
as long as its grace (seconds), kills the rest, and removes the folders. Only the standard library is imported here, so
that the program starts in milliseconds and without the environment.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

PAUSE = 0.05


class Reaper:
    """The owner's end: a companion process that cleans up after this one."""

    def __init__(self, *, inherited: tuple[int, ...] = ()) -> None:
        """Start the process. It and every child keep the `inherited` descriptors open, such as a folder's lock."""
        self.inherited = inherited
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__],
            stdin=subprocess.PIPE,
            text=True,
            start_new_session=True,
            pass_fds=inherited,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """The process id of the reaper."""
        return self._process.pid

    def watch(self, pid: int, *, rank: int, stop_signal: int, grace: float) -> None:
        """Register a process to be stopped; grace in seconds."""
        self._send({"add": pid, "rank": rank, "signal": int(stop_signal), "grace": grace})

    def forget(self, pid: int) -> None:
        """Unregister a process that has ended."""
        self._send({"forget": pid})

    def temporary_folder(self, prefix: str, *, parent: Path | None = None) -> Path:
        """Create a folder that is removed with its content when the reaper is closed or its owner is killed."""
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        if os.geteuid() == 0:
            # Servers that refuse to run as root work inside it under another account.
            folder.chmod(0o711)
        self._send({"folder": str(folder)})
        return folder

    def close(self) -> None:
        """Stop every registered process, remove the folders, and wait until that is done; safe to call twice."""
        pipe = self._process.stdin
        if pipe is not None and not pipe.closed:
            with suppress(BrokenPipeError):
                pipe.close()
        self._process.wait()

    def _send(self, order: Mapping[str, object]) -> None:
        pipe = self._process.stdin
        if pipe is None or pipe.closed:
            raise RuntimeError("the reaper is closed")
        # A reaper that was killed can no longer help, but that is no reason to stop working.
        with suppress(BrokenPipeError):
            pipe.write(json.dumps(order) + "\n")
            pipe.flush()


class Child(NamedTuple):
    """A registered process. Its start time distinguishes it from a later process with the same id."""

    pid: int
    rank: int
    stop_signal: int
    grace: float
    started: str | None

    def is_running(self) -> bool:
        """Return whether the process has not ended."""
        return self.started is not None and start_time(self.pid) == self.started


def start_time(pid: int) -> str | None:
    """Return when a process started, in ticks since boot; None when it has ended, "" where the system has no /proc."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:  # noqa: PTH123 - no pathlib needed
            fields = file.read().rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return "" if not os.path.isdir("/proc/self") and _exists(pid) else None  # noqa: PTH112
    return None if fields[0] in {"Z", "X"} else fields[19]


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def send_signal(pid: int, number: int, *, group: bool) -> None:
    """Send a signal to a process or to its whole process group; one that has ended is ignored."""
    with suppress(ProcessLookupError, PermissionError):
        (os.killpg if group else os.kill)(pid, number)


def stop_children(children: Iterable[Child]) -> None:
    """Stop processes, the highest rank first; those of one rank together."""
    running = [child for child in children if child.is_running()]
    for rank in sorted({child.rank for child in running}, reverse=True):
        same_rank = [child for child in running if child.rank == rank]
        for child in same_rank:
            send_signal(child.pid, child.stop_signal, group=False)
        limit = time.monotonic() + max(child.grace for child in same_rank)
        while time.monotonic() < limit and any(child.is_running() for child in same_rank):
            time.sleep(PAUSE)
        for child in same_rank:
            send_signal(child.pid, signal.SIGKILL, group=True)


def main() -> None:
    """Carry out the owner's orders until the input ends; then clean up."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    children: dict[int, Child] = {}
    folders: list[str] = []
    for line in sys.stdin:
        try:
            order = json.loads(line)
        except ValueError:
            continue  # the owner was killed in the middle of a line
        if "add" in order:
            pid = order["add"]
            children[pid] = Child(pid, order["rank"], order["signal"], order["grace"], start_time(pid))
        elif "forget" in order:
            children.pop(order["forget"], None)
        elif "folder" in order:
            folders.append(order["folder"])
    stop_children(children.values())
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
