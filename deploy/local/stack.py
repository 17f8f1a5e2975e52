"""The whole system on this machine: servers, set-up, the product's processes, a first user."""

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.local import services
from deploy.local.errors import LocalError
from deploy.local.folders import CHECKOUT, root_folder
from deploy.local.kafka import Kafka
from deploy.local.ownership import stop_orphans
from deploy.local.ports import LOOPBACK, free_port, is_free
from deploy.local.postgres import Postgres
from deploy.local.processes import ChildProcess, Reaper, plain_environment
from deploy.local.services import SERVICES, Addresses
from deploy.local.signals import termination_as_interrupt, uninterrupted
from deploy.local.state import State
from deploy.local.supervisor import Supervisor

TENANT, USER = "demo", "admin"
DATABASE, SOURCE_DATABASE, READER = "sluice", "contact_history", "sluice_reader"
PREFERRED_PORT = 8080
INTERACTIONS = 200_000

Report = Callable[[str], None]


def say(text: str) -> None:
    """Tell the person what happens now, at once even into a pipe."""
    print(text, flush=True)


@dataclass(frozen=True, kw_only=True)
class Login:
    """The first user, as `job_api bootstrap` told it, once."""

    tenant: str
    user: str
    password: str
    api_key: str


@dataclass(frozen=True, kw_only=True)
class Stack:
    """A running system: where everything is. `login` is None when an earlier start has made the first user."""

    api_url: str
    login: Login | None
    kafka_bootstrap: str
    admin_dsn: str
    source_admin_dsn: str
    store_dir: Path
    logs: Path

    @property
    def api_key(self) -> str:
        """The first user's API key; raises LocalError when an earlier start has told it."""
        if self.login is None:
            raise LocalError("the first user's key was told when it was made", hint="make clean-local")
        return self.login.api_key

    def wait(self) -> None:
        """Wait for Ctrl-C (KeyboardInterrupt), or for a part to end (LocalError)."""
        threading.Event().wait()


@contextmanager
def running_stack(
    state: State | None = None,
    *,
    interactions: int | None = None,
    port: int | None = None,
    report: Report = say,
) -> Iterator[Stack]:
    """Run the whole system while the body runs, and stop every process at its end.

    `interactions` is the size of the sample (default: what the state holds, else 200,000); `port` the page's.
    Without a state it works in a temporary folder that is removed with all in it. Call it in the main thread, outside
    of an event loop. Raises LocalError with the end of the log when a part does not come up or ends early: in the body
    too, wherever the body is; `asyncio.run` inside the body is broken off as by Ctrl-C.
    """
    with termination_as_interrupt(), Reaper() as reaper:
        temporary = state is None
        if state is None:
            state = State(temporary_folder(reaper, "sluice-demo-"))
            # Nobody keeps its address, and two of them at once must not reach for the same port.
            port = port or free_port()
        with state.locked():
            size = sample_size(interactions, state.remembered("interactions"))
            setup = _Setup(state, reaper, interactions=size, durable=not temporary, report=report)
            try:
                stack = setup.start(port)
                state.announce(stack.api_url)
                with setup.supervisor.watching():
                    yield stack
            finally:
                with uninterrupted():
                    report("Stopping everything")
                    setup.supervisor.stop()
                    if temporary:
                        state.remove()


def temporary_folder(reaper: Reaper, prefix: str) -> Path:
    """Return a folder that is removed when the reaper closes; under root in one that PostgreSQL's account can enter."""
    return reaper.temporary_folder(prefix, parent=root_folder() if os.geteuid() == 0 else None)


class _Setup:
    def __init__(self, state: State, reaper: Reaper, *, interactions: int, durable: bool, report: Report) -> None:
        self.supervisor = Supervisor(reaper, state.parts)
        self._state = state
        self._interactions = interactions
        self._report = report
        self._kafka = Kafka(state.kafka, reaper, log=state.logs / "kafka.log")
        self._postgres = Postgres(state.postgres, reaper, log=state.logs / "postgres.log", durable=durable)

    def start(self, port: int | None) -> Stack:
        stop_orphans(self._state.parts)
        self._state.prepare()
        check_disk(self._state.folder, self._interactions)
        port = self._choose_port(port)
        self._report("Starting PostgreSQL")
        self._postgres.start()
        self._adopt(self._postgres.process)
        sample = self._load_sample()
        self._report("Starting Kafka")
        self._kafka.start()
        self._adopt(self._kafka.process)
        addresses = self._addresses(free_port())
        self._report("Creating topics and migrating each service's schema")
        self._prepare(addresses)
        self._start_parts(addresses, port)
        # Nothing asks the source before there is a job, so its sample is loaded beside all this.
        if self._state.remembered("interactions") is None:
            self._report(f"Loading the sample contact history ({self._interactions:,} interactions)")
        self.supervisor.finish([sample])
        self._state.remember("interactions", self._interactions)
        self._postgres.execute(f"ALTER ROLE {READER} LOGIN PASSWORD '{self._state.secret(READER)}'")
        return Stack(
            api_url=f"http://{LOOPBACK}:{port}",
            login=self._first_user(addresses),
            kafka_bootstrap=addresses.kafka,
            admin_dsn=self._postgres.admin_dsn,
            source_admin_dsn=self._postgres.admin_dsn_of(SOURCE_DATABASE),
            store_dir=self._state.store,
            logs=self._state.logs,
        )

    def _adopt(self, process: ChildProcess | None) -> None:
        if process is not None:
            self.supervisor.adopt(process)

    def _choose_port(self, given: int | None) -> int:
        if given is not None and not is_free(given):
            raise LocalError(f"port {given} is in use", hint="choose another with: make up PORT=...")
        port = given or free_port(preferred=self._state.remembered("port") or PREFERRED_PORT)
        self._state.remember("port", port)
        return port

    def _load_sample(self) -> ChildProcess:
        self._postgres.create_database(DATABASE)
        self._postgres.create_database(SOURCE_DATABASE)
        address, password = self._postgres.admin_login(SOURCE_DATABASE)
        argv = ["deploy.sample", "load", "--dsn", address, "--interactions", str(self._interactions)]
        environment = plain_environment({"PGPASSWORD": password})
        return self.supervisor.begin(services.step("sample", argv, environment, self._state.logs))

    def _addresses(self, history_port: int) -> Addresses:
        databases = {role: self._postgres.dsn(role, self._state.secret(role), DATABASE) for role in SERVICES}
        return Addresses(
            kafka=self._kafka.bootstrap,
            databases=databases,
            source=self._postgres.dsn(READER, self._state.secret(READER), SOURCE_DATABASE),
            store=self._state.store,
            logs=self._state.logs,
            work=self._state.work,
            history_url=f"http://{LOOPBACK}:{history_port}",
        )

    def _prepare(self, addresses: Addresses) -> None:
        logs = self._state.logs
        passwords = {f"SLUICE_PROVISION_{role.upper()}_PASSWORD": self._state.secret(role) for role in SERVICES}
        admin = {"SLUICE_PROVISION_ADMIN_DSN": self._postgres.admin_dsn_of(DATABASE)}
        kafka = plain_environment({"SLUICE_KAFKA_BOOTSTRAP": addresses.kafka})
        topics = services.step("topics", ["shared.kafka_admin", "create-topics"], kafka, logs)
        self.supervisor.run(
            topics, services.step("provision", ["shared.provision"], plain_environment(passwords | admin), logs)
        )
        self.supervisor.run(
            *(
                services.step(
                    f"migrate-{package}", [package, "migrate"], services.service_environment(package, addresses), logs
                )
                for package in SERVICES
            )
        )

    def _start_parts(self, addresses: Addresses, port: int) -> None:
        self._report(f"Starting {len(services.SERVICE_PROCESSES)} processes")
        ports = {part.name: free_port() for part in services.SERVICE_PROCESSES}
        ports["job-api"] = port
        ports["history-api"] = int(addresses.history_url.rpartition(":")[2])
        for part in services.SERVICE_PROCESSES:
            self.supervisor.start(services.service_command(part, addresses, ports[part.name]))
        self.supervisor.wait_ready(ports)

    def _first_user(self, addresses: Addresses) -> Login | None:
        argv = [sys.executable, "-m", "job_api", "bootstrap", "--tenant", TENANT, "--user", USER]
        argv += ["--source-tenant", str(services.SOURCE_TENANT)]
        environment = services.service_environment("job_api", addresses)
        log = self._state.logs / "bootstrap.log"
        with log.open("ab") as errors:
            done = subprocess.run(
                argv, env=environment, cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=errors, check=False
            )
        if done.returncode != 0:
            raise LocalError("the first user could not be made", log=log)
        told = json.loads(done.stdout)
        if told.get("exists"):
            return None
        return Login(tenant=TENANT, user=told["user"], password=told["password"], api_key=told["api_key"])


def sample_size(asked: int | None, loaded: int | None) -> int:
    """Return how many interactions the sample is to have; raises LocalError when another size is loaded already."""
    if loaded is not None and asked is not None and asked != loaded:
        raise LocalError(
            f"the sample that is loaded has {loaded:,} interactions", hint="remove it with: make clean-local"
        )
    return asked or loaded or INTERACTIONS


def check_disk(folder: Path, interactions: int) -> None:
    """Refuse to start where the sample, its export and the logs have no room; raises LocalError."""
    needed = 1_000_000_000 + 5_000 * interactions
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise LocalError(
            f"{folder} has {free / 1e9:.1f} GB free, and {needed / 1e9:.1f} GB are needed",
            hint="free some, or take a smaller sample with: INTERACTIONS=20000",
        )
