"""A Kafka with TLS and logins, and an authority for its certificates."""

import secrets
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.local.jars import fetch_kafka_jars
from deploy.local.java import find_java
from deploy.local.kafka import SETTINGS, Kafka
from deploy.local.ports import LOOPBACK, free_port
from deploy.local.processes import plain_environment
from deploy.local.reaper import Reaper
from tests.support.authority import Authority

PROPERTIES = """\
listeners=PLAINTEXT://{{host}}:{{port}},CONTROLLER://{{host}}:{{controller}},SASL_SSL://{{host}}:{login},SSL://{{host}}:{mutual}
advertised.listeners=PLAINTEXT://{{host}}:{{port}},SASL_SSL://{{host}}:{login},SSL://{{host}}:{mutual}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL,SSL:SSL
inter.broker.listener.name=PLAINTEXT
ssl.keystore.type=PEM
ssl.keystore.location={keystore}
ssl.truststore.type=PEM
ssl.truststore.location={truststore}
listener.name.ssl.ssl.client.auth=required
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512
listener.name.sasl_ssl.plain.sasl.jaas.config={login_module}.plain.PlainLoginModule required user_sluice="{password}";
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config={login_module}.scram.ScramLoginModule required;
"""


@dataclass(frozen=True)
class SecureKafka:
    """Its addresses: with TLS and a login, and with TLS and a client certificate."""

    login: str
    mutual: str
    password: str
    authority: Authority


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Return the authority that signs all certificates of these tests."""
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def secure_kafka(authority: Authority, reaper: Reaper, servers_folder: Path) -> Iterator[SecureKafka]:
    """Run a Kafka whose open listener only this fixture uses."""
    certificate, key = authority.sign("kafka", LOOPBACK)
    keystore = certificate.with_name("kafka-keystore.pem")
    keystore.write_bytes(key.read_bytes() + certificate.read_bytes())
    given = SecureKafka(f"{LOOPBACK}:{free_port()}", f"{LOOPBACK}:{free_port()}", secrets.token_hex(16), authority)
    extra = PROPERTIES.format(
        login=given.login.rpartition(":")[2],
        mutual=given.mutual.rpartition(":")[2],
        keystore=keystore,
        truststore=authority.ca,
        password=given.password,
        login_module="org.apache.kafka.common.security",
    )
    # One per test file: a worker may run several of them with the same servers' folder.
    folder = Path(tempfile.mkdtemp(prefix="kafka-secure-", dir=servers_folder))
    format_with_login(folder, given.password)
    server = Kafka(folder, reaper, extra=extra)
    server.start()
    yield given
    server.stop()


def format_with_login(folder: Path, password: str, *, user: str = "sluice") -> None:
    """Format the folder of a Kafka with a SCRAM login from its first start."""
    properties = folder / "format.properties"
    properties.write_text(SETTINGS.format(host=LOOPBACK, port=1, controller=2, data=folder / "data"))
    java = find_java()
    argv = [str(java.program), *java.flags, "-cp", ":".join(str(jar) for jar in fetch_kafka_jars())]
    argv += ["kafka.tools.StorageTool", "format", "--standalone", "--cluster-id", "c2x1aWNlLXNlY3VyZS1rYQ"]
    argv += ["--config", str(properties), "--add-scram", f"SCRAM-SHA-512=[name={user},password={password}]"]
    done = subprocess.run(argv, env=plain_environment(), check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
