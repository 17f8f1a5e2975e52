"""The folder of a stack: where its data is, its secrets, its lock and its address."""

import fcntl
import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from deploy.local.errors import LocalError
from deploy.local.folders import create_folder
from deploy.local.reaper import PAUSE, start_time
from shared.sealing import generate_key_pair


@dataclass(frozen=True)
class RunningStack:
    """A process of a stack, identified by id and start time, and its address (None at first)."""

    process: int
    started: str | None
    address: str | None

    def is_alive(self) -> bool:
        """Return whether the process still runs."""
        return self.started is not None and start_time(self.process) == self.started


class State:
    """The folder of one stack."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kafka = folder / "kafka"
        self.postgres = folder / "postgres"
        self.store = folder / "store"
        self.logs = folder / "logs"
        self.work = folder / "work"
        self._lock = folder / "lock"
        self._running = folder / "running.json"
        self._secrets = folder / "secrets.json"

    def prepare(self) -> None:
        """Create the folders that no server creates; the logs of the previous start are kept as `logs-before`."""
        create_folder(self.folder)
        # Others may traverse it, as PostgreSQL's account must for root, but not list it.
        self.folder.chmod(0o711)
        earlier = self.folder / "logs-before"
        shutil.rmtree(earlier, ignore_errors=True)
        if self.logs.exists():
            self.logs.rename(earlier)
        for folder in (self.store, self.logs, self.work):
            create_folder(folder).chmod(0o700)

    @contextmanager
    def lock(self, *, patience: float = 30) -> Iterator[int]:
        """Lock the folder for one stack, and yield the lock's descriptor.

        The stack's processes inherit the descriptor, so the folder stays locked until the last of them has ended,
        even if the program that started them was killed; in that case its reaper has `patience` seconds to stop them.
        Raises LocalError with the address of the stack that uses the folder, or with the processes left in it.
        """
        create_folder(self.folder)
        with self._lock.open("a") as lock:
            until = time.monotonic() + patience
            while not _try_lock(lock):
                stack = self._read_running()
                if stack is None or stack.is_alive() or time.monotonic() > until:
                    raise self._refuse(stack)
                time.sleep(PAUSE)
            self._announce(None)
            try:
                yield lock.fileno()
            finally:
                self._running.unlink(missing_ok=True)

    def is_locked(self) -> bool:
        """Return whether a stack, or a process left by one, uses the folder."""
        try:
            with self._lock.open("a") as lock:
                return not _try_lock(lock)
        except OSError:
            return False

    def announce(self, address: str) -> None:
        """Record that the stack runs, and at which address."""
        self._announce(address)

    def find_running(self) -> RunningStack | None:
        """Return the stack that uses the folder now; None when there is none."""
        stack = self._read_running()
        return stack if stack is not None and stack.is_alive() else None

    def secret(self, name: str) -> str:
        """Return a random password, created at the first call and kept as long as the folder."""
        known = self._read_secrets()
        if name not in known:
            self._write_secrets(known | {name: secrets.token_urlsafe(24)})
        return self._read_secrets()[name]

    def get_sealing_keys(self) -> tuple[str, str]:
        """Return the deliverers' private and public key, created at the first call and kept as long as the folder."""
        known = self._read_secrets()
        if "sealing_private" not in known:
            private, public = generate_key_pair()
            known |= {"sealing_private": private, "sealing_public": public}
            self._write_secrets(known)
        return known["sealing_private"], known["sealing_public"]

    def _read_secrets(self) -> dict[str, str]:
        try:
            known: dict[str, str] = json.loads(self._secrets.read_text())
        except FileNotFoundError:
            return {}
        return known

    def _write_secrets(self, known: dict[str, str]) -> None:
        self._secrets.touch(mode=0o600)
        self._secrets.write_text(json.dumps(known))

    def recall(self, name: str) -> int | None:
        """Return a number stored by `remember`, such as the port of the pages; None when there is none."""
        try:
            return int((self.folder / name).read_text())
        except (OSError, ValueError):
            return None

    def remember(self, name: str, number: int) -> None:
        """Store a number as long as the folder exists."""
        (self.folder / name).write_text(str(number))

    def remove(self) -> None:
        """Remove the folder and its content; raises LocalError when something remains."""
        shutil.rmtree(self.folder, ignore_errors=True)
        if self.folder.exists():
            raise LocalError(f"{self.folder} cannot be removed", hint=f"sudo rm -r {self.folder}")

    def _announce(self, address: str | None) -> None:
        stack = RunningStack(os.getpid(), start_time(os.getpid()), address)
        self._running.write_text(json.dumps(asdict(stack)))

    def _read_running(self) -> RunningStack | None:
        try:
            return RunningStack(**json.loads(self._running.read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def _refuse(self, stack: RunningStack | None) -> LocalError:
        if stack is None or (stack.is_alive() and stack.address is None):
            return LocalError("Sluice is already starting or stopping", hint="try again in a minute")
        if stack.is_alive():
            return LocalError(
                f"Sluice is already running at {stack.address} (process {stack.process})",
                hint="stop it with Ctrl-C in its terminal, or with: make clean-local",
            )
        left = " ".join(map(str, find_users(self._lock)))
        return LocalError(f"processes of an earlier start still use {self.folder}", hint=f"stop them with: kill {left}")


def find_users(file: Path) -> list[int]:
    """Return the processes that have a file open, our own excepted; empty where the system has no /proc."""
    users: set[int] = set()
    for descriptor in Path("/proc").glob("[0-9]*/fd/*"):
        with suppress(OSError):  # it has been closed meanwhile, or belongs to another user
            if descriptor.readlink() == file.resolve():
                users.add(int(descriptor.parts[2]))
    return sorted(users - {os.getpid()})


def _try_lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
