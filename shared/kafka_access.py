"""How Kafka is reached: its addresses, and what proves each side to the other."""

import ssl
from dataclasses import dataclass, field
from typing import Any, Literal

from shared.errors import InvalidSettings

Protocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaAccess:
    """Addresses, TLS and login; files are PEM, and are read anew for each connection that is opened."""

    bootstrap: str
    protocol: Protocol = "PLAINTEXT"
    mechanism: Mechanism = "SCRAM-SHA-512"
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None

    @classmethod
    def parse(cls, kafka: "str | KafkaAccess") -> "KafkaAccess":
        """Return how to reach a Kafka of which perhaps only the addresses are given."""
        return cls(bootstrap=kafka) if isinstance(kafka, str) else kafka

    @property
    def uses_sasl(self) -> bool:
        """Whether a name and a password are told to Kafka."""
        return self.protocol.startswith("SASL")

    def create_ssl_context(self) -> ssl.SSLContext | None:
        """Return what to trust and to show, or None without TLS. Raises InvalidSettings for a file that is no use."""
        if not self.protocol.endswith("SSL"):
            return None
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
            if self.cert_file is not None:
                context.load_cert_chain(self.cert_file, self.key_file)
        except OSError as error:
            files = ", ".join(file for file in (self.ca_file, self.cert_file, self.key_file) if file)
            raise InvalidSettings(f"SLUICE_KAFKA_CA_FILE, _CERT_FILE, _KEY_FILE ({files}): {error}") from None
        return context

    def client_options(self) -> dict[str, Any]:
        """Return aiokafka's arguments for this."""
        login = {
            "sasl_mechanism": self.mechanism,
            "sasl_plain_username": self.username,
            "sasl_plain_password": self.password,
        }
        return {
            "bootstrap_servers": self.bootstrap,
            "security_protocol": self.protocol,
            "ssl_context": self.create_ssl_context(),
            **(login if self.uses_sasl else {}),
        }
