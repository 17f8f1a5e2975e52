"""Who works over a server's folder: one server at a time, and none that outlives its owner."""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from deploy.local.errors import LocalError
from deploy.local.folders import make_folder
from deploy.local.processes import command_line, stop_process
from deploy.local.reaper import start_time


class Ownership:
    """The lock on a server's folder and the note of who started the server.

    The server inherits the open lock, so the folder stays taken for as long as the server lives, whatever becomes of
    the program that started it.
    """

    def __init__(self, folder: Path, what: str) -> None:
        self._folder = folder
        self._what = what
        self._note = folder / "owner.json"

    @contextmanager
    def taking(self, *, limit: float = 15) -> Iterator[int]:
        """Lock the folder while a server is started, and give the lock's descriptor for the server to inherit.

        A server whose owner is gone is stopped first. Raises LocalError when the owner lives.
        """
        with (make_folder(self._folder) / "lock").open("a") as lock:
            if not _locked(lock):
                self.stop_orphan()
                until = time.monotonic() + limit
                while not _locked(lock):
                    if time.monotonic() > until:
                        raise LocalError(f"another {self._what} works over {self._folder}", hint="stop it first")
                    time.sleep(0.1)
            yield lock.fileno()

    def note(self, pid: int) -> None:
        """Write down the server just started, and that we own it."""
        owner = os.getpid()
        make_folder(self._folder)
        note = {"pid": pid, "start_time": start_time(pid), "owner": owner, "owner_start_time": start_time(owner)}
        self._note.write_text(json.dumps(note))

    def forget(self) -> None:
        """Remove the note of a server that was stopped."""
        self._note.unlink(missing_ok=True)

    def orphan(self) -> int | None:
        """Return the server that runs though its owner is gone; None when there is none.

        Raises LocalError when it runs and its owner lives.
        """
        try:
            note = json.loads(self._note.read_text())
            pid, owner = int(note["pid"]), int(note["owner"])
        except (OSError, ValueError, KeyError):
            return None
        running = start_time(pid)
        if running is None or running != note.get("start_time") or not command_line(pid):
            return None
        if start_time(owner) is not None and start_time(owner) == note.get("owner_start_time"):
            raise LocalError(f"{self._what} runs over {self._folder} already, started by process {owner}")
        return pid

    def stop_orphan(self) -> None:
        """Stop the server when its owner is gone; raises LocalError when the owner lives."""
        pid = self.orphan()
        if pid is not None:
            stop_process(pid)


def stop_orphans(folder: Path) -> None:
    """Stop every process that was noted under a folder's folders and whose owner is gone."""
    for note in sorted(folder.glob("*/owner.json")):
        ownership = Ownership(note.parent, note.parent.name)
        ownership.stop_orphan()
        ownership.forget()


def _locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
