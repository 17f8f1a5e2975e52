"""The whole system on this machine: servers, set-up, the product's processes, a first user."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.local.errors import LocalError
from deploy.local.folders import CHECKOUT, root_folder
from deploy.local.kafka import Kafka
from deploy.local.ports import LOOPBACK, free_port, is_free
from deploy.local.postgres import Postgres
from deploy.local.processes import ChildProcess, plain_environment
from deploy.local.reaper import Reaper
from deploy.local.services import (
    DELIVERER,
    SERVICE_PROCESSES,
    SERVICES,
    SOURCE_TENANT,
    Addresses,
    deliverer_spec,
    service_environment,
    service_spec,
    setup_spec,
)
from deploy.local.signals import ignore_signals, raise_interrupt_on_termination
from deploy.local.state import State
from deploy.local.supervisor import PAUSE, Supervisor
from shared.provision import OWNER, ROLES

TENANT, USER = "demo", "admin"
DATABASE, SOURCE_DATABASE, READER = "sluice", "contact_history", "sluice_reader"
PREFERRED_PORT = 8080
INTERACTIONS = 200_000

Report = Callable[[str], None]


def print_progress(text: str) -> None:
    """Print what happens now, at once even into a pipe."""
    print(text, flush=True)


@dataclass(frozen=True, kw_only=True)
class FirstUser:
    """The first user, as `job_api bootstrap` printed it once."""

    tenant: str
    user: str
    password: str
    api_key: str


@dataclass(frozen=True, kw_only=True)
class Stack:
    """A running system: where everything is. `login` is None when an earlier start has created the first user."""

    api_url: str
    login: FirstUser | None
    kafka_bootstrap: str
    source_admin_dsn: str
    logs: Path
    supervisor: Supervisor

    @property
    def api_key(self) -> str:
        """The first user's API key; raises LocalError when it was printed by an earlier start."""
        if self.login is None:
            raise LocalError("the first user's API key was printed at the first start only", hint="make clean-local")
        return self.login.api_key

    def wait(self) -> None:
        """Wait until Ctrl-C (KeyboardInterrupt); raises LocalError when a process ends."""
        while True:
            self.supervisor.check()
            time.sleep(PAUSE)


@contextmanager
def run_stack(
    state: State | None = None,
    *,
    interactions: int | None = None,
    port: int | None = None,
    report: Report = print_progress,
) -> Iterator[Stack]:
    """Run the whole system while the body runs, and stop every process at its end.

    `interactions` is the size of the sample (default: what the state holds, else 200,000), `port` the port of the
    pages. Without a state everything is kept in a temporary folder, which is removed. Call it in the main thread.
    Raises LocalError with the end of its log when a process does not become ready; an error in the body that follows
    from the end of a process is replaced by the LocalError that names the process.
    """
    with raise_interrupt_on_termination(), ExitStack() as resources:
        durable = state is not None
        if state is None:
            reaper = resources.enter_context(Reaper())
            state = State(temporary_folder(reaper, "sluice-demo-"))
            # Nobody keeps its address, and two of them must not compete for the preferred port.
            port = port or free_port()
        else:
            lock = resources.enter_context(state.lock())
            reaper = resources.enter_context(Reaper(inherited=(lock,)))
        size = choose_sample_size(interactions, state.recall("interactions"))
        setup = _Setup(state, reaper, interactions=size, durable=durable, report=report)
        try:
            stack = setup.start(port)
            state.announce(stack.api_url)
            yield stack
        except Exception:
            setup.supervisor.check()
            raise
        finally:
            with ignore_signals():
                report("Stopping everything")
                reaper.close()


def temporary_folder(reaper: Reaper, prefix: str) -> Path:
    """Return a folder that is removed when the reaper is closed; for root, one that PostgreSQL's account can enter."""
    return reaper.temporary_folder(prefix, parent=root_folder() if os.geteuid() == 0 else None)


class _Setup:
    def __init__(self, state: State, reaper: Reaper, *, interactions: int, durable: bool, report: Report) -> None:
        self.supervisor = Supervisor(reaper)
        self._state = state
        self._interactions = interactions
        self._report = report
        self._kafka = Kafka(state.kafka, reaper, log=state.logs / "kafka.log")
        self._postgres = Postgres(state.postgres, reaper, log=state.logs / "postgres.log", durable=durable)

    def start(self, port: int | None) -> Stack:
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
        self._set_up(addresses)
        self._start_processes(addresses, port)
        # Nothing reads the source before there is a job, so its sample is loaded during all of this.
        if self._state.recall("interactions") is None:
            self._report(f"Loading the sample contact history ({self._interactions:,} interactions)")
        self.supervisor.finish(sample)
        self._state.remember("interactions", self._interactions)
        self._postgres.execute(f"ALTER ROLE {READER} LOGIN PASSWORD '{self._state.secret(READER)}'")
        self._postgres.execute(f"GRANT CONNECT ON DATABASE {SOURCE_DATABASE} TO {READER}")
        return Stack(
            api_url=f"http://{LOOPBACK}:{port}",
            login=self._create_first_user(addresses),
            kafka_bootstrap=addresses.kafka,
            source_admin_dsn=self._postgres.admin_dsn_of(SOURCE_DATABASE),
            logs=self._state.logs,
            supervisor=self.supervisor,
        )

    def _adopt(self, process: ChildProcess | None) -> None:
        if process is not None:
            self.supervisor.adopt(process)

    def _choose_port(self, given: int | None) -> int:
        if given is not None and not is_free(given):
            raise LocalError(f"port {given} is in use", hint="choose another with: make up PORT=...")
        port = given or free_port(preferred=self._state.recall("port") or PREFERRED_PORT)
        self._state.remember("port", port)
        return port

    def _load_sample(self) -> ChildProcess:
        self._postgres.create_database(DATABASE)
        self._postgres.create_database(SOURCE_DATABASE)
        self._postgres.close_to_others(DATABASE, SOURCE_DATABASE, "postgres")
        address, password = self._postgres.admin_login(SOURCE_DATABASE)
        argv = ("deploy.sample", "load", "--dsn", address, "--interactions", str(self._interactions))
        environment = plain_environment({"PGPASSWORD": password})
        return self.supervisor.begin(setup_spec("sample", *argv, environment=environment, logs=self._state.logs))

    def _addresses(self, history_port: int) -> Addresses:
        databases = {role: self._postgres.dsn(role, self._state.secret(role), DATABASE) for role in (OWNER, *ROLES)}
        return Addresses(
            kafka=self._kafka.bootstrap,
            databases=databases,
            source=self._postgres.dsn(READER, self._state.secret(READER), SOURCE_DATABASE),
            store=self._state.store,
            logs=self._state.logs,
            work=self._state.work,
            history_url=f"http://{LOOPBACK}:{history_port}",
            sealing_keys=self._state.get_sealing_keys(),
        )

    def _set_up(self, addresses: Addresses) -> None:
        logs = self._state.logs
        kafka = plain_environment({"SLUICE_KAFKA_BOOTSTRAP": addresses.kafka})
        passwords = {f"SLUICE_PROVISION_{role.upper()}_PASSWORD": self._state.secret(role) for role in ROLES}
        passwords["SLUICE_PROVISION_OWNER_PASSWORD"] = self._state.secret(OWNER)
        admin = plain_environment(passwords | {"SLUICE_PROVISION_ADMIN_DSN": self._postgres.admin_dsn_of(DATABASE)})
        self.supervisor.run(
            setup_spec("topics", "shared.kafka_admin", "create-topics", environment=kafka, logs=logs),
            setup_spec("provision", "shared.provision", environment=admin, logs=logs),
        )
        owner = plain_environment({"SLUICE_MIGRATE_POSTGRES": addresses.databases[OWNER]})
        self.supervisor.run(
            *(
                setup_spec(f"migrate-{package}", package, "migrate", environment=owner, logs=logs)
                for package in SERVICES
            )
        )

    def _start_processes(self, addresses: Addresses, port: int) -> None:
        self._report(f"Starting {len(SERVICE_PROCESSES) + 1} processes")
        ports = {process.name: free_port() for process in (*SERVICE_PROCESSES, DELIVERER)}
        ports["job-api"] = port
        ports["history-api"] = int(addresses.history_url.rpartition(":")[2])
        for process in SERVICE_PROCESSES:
            self.supervisor.start(service_spec(process, addresses, ports[process.name]))
        self.supervisor.start(deliverer_spec(addresses, ports[DELIVERER.name]))
        self.supervisor.wait_until_ready(ports)

    def _create_first_user(self, addresses: Addresses) -> FirstUser | None:
        argv = [sys.executable, "-m", "job_api", "bootstrap", "--tenant", TENANT, "--user", USER]
        argv += ["--source-tenant", str(SOURCE_TENANT)]
        environment = service_environment("job_api", addresses)
        log = self._state.logs / "bootstrap.log"
        with log.open("ab") as errors:
            done = subprocess.run(
                argv, env=environment, cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=errors, check=False
            )
        if done.returncode != 0:
            raise LocalError("the first user could not be created", log=log)
        answer = json.loads(done.stdout)
        if answer.get("exists"):
            return None
        return FirstUser(tenant=TENANT, user=answer["user"], password=answer["password"], api_key=answer["api_key"])


def choose_sample_size(requested: int | None, loaded: int | None) -> int:
    """Return the number of interactions in the sample; raises LocalError when another size is already loaded."""
    if loaded is not None and requested is not None and requested != loaded:
        raise LocalError(f"the sample already has {loaded:,} interactions", hint="remove it with: make clean-local")
    return requested or loaded or INTERACTIONS


def check_disk(folder: Path, interactions: int) -> None:
    """Raise LocalError unless the disk has room for the sample, its export and the logs."""
    needed = 1_000_000_000 + 5_000 * interactions
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise LocalError(
            f"{folder} has {free / 1e9:.1f} GB of free space, and {needed / 1e9:.1f} GB are needed",
            hint="free some space, or use a smaller sample with: INTERACTIONS=20000",
        )
