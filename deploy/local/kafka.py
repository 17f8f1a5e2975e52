"""Apache Kafka as a process of this machine: one node, loopback only, its data in one folder."""

import os
import shutil
import subprocess
from pathlib import Path

from deploy.local.errors import LocalError
from deploy.local.folders import cache_folder, make_folder
from deploy.local.jars import KAFKA_VERSION, kafka_jars
from deploy.local.java import find_java
from deploy.local.kafka_wire import lists_topics
from deploy.local.ownership import Ownership
from deploy.local.ports import LOOPBACK, free_port
from deploy.local.processes import KAFKA_RANK, ChildProcess, Command, Reaper, plain_environment, wait_until

# What a small machine needs otherwise than a cluster: quick elections and rebalances (a broker that was killed serves
# again after 3.5 s instead of 11.7 s), few internal partitions, small files that are not allocated ahead.
SETTINGS = """\
process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller}
advertised.listeners=PLAINTEXT://{host}:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.quorum.bootstrap.servers={host}:{controller}
log.dirs={data}
auto.create.topics.enable=false
num.partitions=1
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=4
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=300
log.segment.bytes=67108864
log.index.size.max.bytes=1048576
log.preallocate=false
log.cleaner.dedupe.buffer.size=16777216
"""

QUIET = [
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd HH:mm:ss.SSSZ",
    "-Duser.timezone=UTC",
]


class Kafka:
    """A Kafka node over one folder; it can be stopped, killed and started again, and keeps its port."""

    def __init__(
        self, folder: Path, reaper: Reaper, *, port: int | None = None, log: Path | None = None, extra: str = ""
    ) -> None:
        """`extra` is further lines of server.properties, which win; `{port}` and such stand in them as in SETTINGS."""
        self._settings = SETTINGS + extra
        self.folder = folder
        self.log = log or folder / "kafka.log"
        self._data = folder / "data"
        self._reaper = reaper
        self._port = port
        self._ownership = Ownership(folder, "Kafka")
        self.process: ChildProcess | None = None

    @property
    def bootstrap(self) -> str:
        """The address clients begin with; raises LocalError before the first start."""
        if self._port is None:
            raise LocalError("this Kafka has not been started yet")
        return f"{LOOPBACK}:{self._port}"

    def start(self) -> str:
        """Start the node, wait until it lists topics, and return its address.

        One that an earlier owner left running over the same folder is stopped first. Raises LocalError with the end of
        Kafka's log when it does not come up.
        """
        make_folder(self.folder).chmod(0o700)
        with self._ownership.taking() as lock:
            self._start_process(lock)
        return self.bootstrap

    def stop(self) -> None:
        """Stop the node and wait for it; safe to call twice."""
        if self.process is not None:
            self.process.stop()
            self._ownership.forget()

    def kill(self) -> None:
        """End the node as a crash would (SIGKILL)."""
        if self.process is not None:
            self.process.kill()

    def _start_process(self, lock: int) -> None:
        properties = self.folder / "server.properties"
        for attempt in range(3):
            self._port = free_port(preferred=self._port)
            settings = self._settings.format(host=LOOPBACK, port=self._port, controller=free_port(), data=self._data)
            properties.write_text(settings)
            self._format(properties)
            process = ChildProcess(self._command(properties, lock), self._reaper)
            self.process = process
            self._ownership.note(process.pid)
            began = self.log.stat().st_size
            try:
                wait_until(self._is_ready, process, limit=90)
            except LocalError:
                taken = b"Address already in use" in self.log.read_bytes()[began:]
                if attempt == 2 or not taken:
                    raise
                self._port = None
            else:
                return

    def _is_ready(self) -> bool:
        return self._port is not None and lists_topics(LOOPBACK, self._port)

    def _command(self, properties: Path, lock: int) -> Command:
        java = find_java()
        return Command(
            name="Kafka",
            argv=[str(java.program), *java.flags, *QUIET, "-cp", _class_path(), "kafka.Kafka", str(properties)],
            environment=plain_environment(),
            log=self.log,
            folder=self.folder,
            rank=KAFKA_RANK,
            keep_open=(lock,),
        )

    def _format(self, properties: Path) -> None:
        if (self._data / "meta.properties").exists():
            return
        template = cache_folder() / f"kafka-{KAFKA_VERSION}-formatted"
        if not (template / "meta.properties").exists():
            _format_once(template, properties, self.log)
        # The folder knows nothing of ports, so a copy serves as well as one formatted anew, a second sooner.
        shutil.copytree(template, self._data, dirs_exist_ok=True)


def _format_once(template: Path, properties: Path, log: Path) -> None:
    java = find_java()
    scratch = template.with_name(f".{template.name}-{os.getpid()}")
    settings = properties.with_name("format.properties")
    settings.write_text(properties.read_text().replace("log.dirs=", f"log.dirs={scratch}\n# "))
    tool = ["kafka.tools.StorageTool", "format", "--standalone", "--cluster-id", "c2x1aWNlLWxvY2FsLWthZg"]
    argv = [str(java.program), *java.flags, *QUIET, "-cp", _class_path(), *tool, "--config", str(settings)]
    with log.open("ab") as out:
        done = subprocess.run(argv, env=plain_environment(), stdout=out, stderr=out, check=False)
    if done.returncode != 0:
        raise LocalError("Kafka's folder could not be formatted", log=log)
    try:
        scratch.rename(template)
    except OSError:
        # Somebody else was quicker; theirs is as good.
        shutil.rmtree(scratch, ignore_errors=True)


def _class_path() -> str:
    return os.pathsep.join(str(jar) for jar in kafka_jars())
