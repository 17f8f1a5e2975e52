"""How to connect to Kafka: addresses, TLS and login."""

import ssl
from dataclasses import dataclass, field
from typing import Any, Literal

from shared.errors import InvalidSettings

Protocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaAccess:
    """Addresses, TLS and login. Files are PEM, and are read again for each new connection."""

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
        """Return the access for Kafka's addresses (`host:port,host:port`), or the argument if it is one already."""
        return cls(bootstrap=kafka) if isinstance(kafka, str) else kafka

    @property
    def uses_sasl(self) -> bool:
        """Whether the client logs in with a name and a password."""
        return self.protocol.startswith("SASL")

    def create_ssl_context(self) -> ssl.SSLContext | None:
        """Return the TLS context, or None without TLS. Raises InvalidSettings for a file that cannot be used."""
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
        """Return the arguments of aiokafka's clients. Raises InvalidSettings as `create_ssl_context` does."""
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
