"""Apache Kafka as a local process: one node, loopback only, its data in one folder."""

import os
import shutil
import subprocess
from pathlib import Path

from deploy.local.errors import LocalError
from deploy.local.folders import cache_folder, create_folder
from deploy.local.jars import KAFKA_VERSION, fetch_kafka_jars
from deploy.local.java import find_java
from deploy.local.kafka_protocol import is_broker_ready
from deploy.local.ports import LOOPBACK, free_port
from deploy.local.processes import KAFKA_RANK, ProcessSpec, plain_environment
from deploy.local.reaper import Reaper
from deploy.local.server import LocalServer

# Where a small machine differs from a cluster: quick elections and rebalances (a broker that was killed serves again
# after 3.5 s instead of 11.7 s), few internal partitions, small files without preallocation.
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

LOG_OPTIONS = [
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd HH:mm:ss.SSSZ",
    "-Duser.timezone=UTC",
]


class Kafka(LocalServer):
    """A Kafka node over one folder; it can be stopped, killed and started again, and keeps its port."""

    def __init__(
        self, folder: Path, reaper: Reaper, *, port: int | None = None, log: Path | None = None, extra: str = ""
    ) -> None:
        """`extra` holds more lines of server.properties, which win; they may use SETTINGS' placeholders."""
        super().__init__(folder, reaper, name="Kafka", port=port, log=log or folder / "kafka.log")
        self._settings = SETTINGS + extra
        self._properties = folder / "server.properties"

    @property
    def bootstrap(self) -> str:
        """The address for clients; raises LocalError before the first start."""
        return f"{LOOPBACK}:{self.port}"

    def start(self) -> str:
        """Start the node, wait until it lists topics, and return its address.

        Raises LocalError with the end of Kafka's log when it does not become ready.
        """
        create_folder(self.folder).chmod(0o700)
        self._start_process(limit=90)
        return self.bootstrap

    def _spec(self) -> ProcessSpec:
        settings = {"host": LOOPBACK, "port": self.port, "controller": free_port(), "data": self._data}
        self._properties.write_text(self._settings.format(**settings))
        self._format()
        java = find_java()
        return ProcessSpec(
            name="Kafka",
            argv=[*java.command(_class_path()), *LOG_OPTIONS, "kafka.Kafka", str(self._properties)],
            environment=plain_environment(),
            log=self.log,
            folder=self.folder,
            rank=KAFKA_RANK,
        )

    def _is_ready(self) -> bool:
        return is_broker_ready(LOOPBACK, self.port)

    def _format(self) -> None:
        if (self._data / "meta.properties").exists():
            return
        template = cache_folder() / f"kafka-{KAFKA_VERSION}-formatted"
        if not (template / "meta.properties").exists():
            _format_template(template, self._properties, self.log)
        # The folder does not depend on ports, so a copy does as well as a newly formatted one, a second earlier.
        shutil.copytree(template, self._data, dirs_exist_ok=True)


def _format_template(template: Path, properties: Path, log: Path) -> None:
    scratch = template.with_name(f".{template.name}-{os.getpid()}")
    settings = properties.with_name("format.properties")
    settings.write_text(properties.read_text().replace("log.dirs=", f"log.dirs={scratch}\n# "))
    tool = ["kafka.tools.StorageTool", "format", "--standalone", "--cluster-id", "c2x1aWNlLWxvY2FsLWthZg"]
    argv = [*find_java().command(_class_path()), *LOG_OPTIONS, *tool, "--config", str(settings)]
    with log.open("ab") as out:
        done = subprocess.run(argv, env=plain_environment(), stdout=out, stderr=out, check=False)
    if done.returncode != 0:
        raise LocalError("Kafka's data folder could not be formatted", log=log)
    try:
        scratch.rename(template)
    except OSError:
        # Another process was faster; its template is as good.
        shutil.rmtree(scratch, ignore_errors=True)


def _class_path() -> str:
    return os.pathsep.join(str(jar) for jar in fetch_kafka_jars())
