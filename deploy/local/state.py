"""What a stack keeps in its folder: where each part's data lies, its secrets, its lock and its address."""

import fcntl
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.local.errors import LocalError
from deploy.local.folders import make_folder


@dataclass(frozen=True)
class Announcement:
    """What a running stack tells others: its process and the page's address."""

    process: int
    address: str


class State:
    """The folder of one stack."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kafka = folder / "kafka"
        self.postgres = folder / "postgres"
        self.store = folder / "store"
        self.logs = folder / "logs"
        self.parts = folder / "parts"
        self.work = folder / "work"
        self._secrets = folder / "secrets.json"
        self._running = folder / "running.json"

    def prepare(self) -> None:
        """Make the folder and those in it that no server makes; the last start's logs are kept beside the new."""
        make_folder(self.folder)
        # Others may pass through, as PostgreSQL's account must under root, but not look around.
        self.folder.chmod(0o711)
        earlier = self.folder / "logs-before"
        shutil.rmtree(earlier, ignore_errors=True)
        if self.logs.exists():
            self.logs.rename(earlier)
        for folder in (self.store, self.logs, self.work):
            make_folder(folder).chmod(0o700)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for one stack.

        Raises LocalError with the address of the stack that holds it already.
        """
        make_folder(self.folder)
        with (self.folder / "lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                found = self.announcement()
                where = (
                    f" at {found.address} (process {found.process})" if found else ", and is just starting or stopping"
                )
                raise LocalError(
                    f"Sluice runs already{where}", hint="stop it with Ctrl-C where it runs, or with: make clean-local"
                ) from None
            try:
                yield
            finally:
                self._running.unlink(missing_ok=True)

    def announce(self, address: str) -> None:
        """Write down that the stack runs, and where."""
        self._running.write_text(json.dumps({"process": os.getpid(), "address": address}))

    def announcement(self) -> Announcement | None:
        """Return what the stack that holds the folder has announced; None when it has not."""
        try:
            return Announcement(**json.loads(self._running.read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def is_held(self) -> bool:
        """Tell whether a stack holds the folder now."""
        try:
            with (self.folder / "lock").open("a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def secret(self, name: str) -> str:
        """Return a random password that stays the same as long as the folder; made when first asked for."""
        try:
            known: dict[str, str] = json.loads(self._secrets.read_text())
        except FileNotFoundError:
            known = {}
        if name not in known:
            known[name] = secrets.token_urlsafe(24)
            self._secrets.touch(mode=0o600)
            self._secrets.write_text(json.dumps(known))
        return known[name]

    def remembered(self, name: str) -> int | None:
        """Return a number noted down with `remember`, such as the page's port; None when it never was."""
        try:
            return int((self.folder / name).read_text())
        except (OSError, ValueError):
            return None

    def remember(self, name: str, number: int) -> None:
        """Note a number down for as long as the folder lasts."""
        (self.folder / name).write_text(str(number))

    def remove(self) -> None:
        """Remove the folder with all in it."""
        shutil.rmtree(self.folder, ignore_errors=True)
        if self.folder.exists():
            raise LocalError(f"{self.folder} cannot be removed", hint=f"sudo rm -r {self.folder}")
