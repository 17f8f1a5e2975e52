"""Events of whole deliveries for tests, step by step."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from shared import events
from tests.unit.history.scenarios import SHA256, SLOT, RunScenario


@dataclass
class DeliveryScenario:
    """The events of one delivery, in order; each step adds an event, one second after the one before."""

    run: RunScenario
    destination_id: UUID = field(default_factory=uuid4)
    everything: list[events.Event] = field(default_factory=list)
    token: int = 0
    seq: int = 0
    at: datetime | None = None

    @property
    def delivery_id(self) -> UUID:
        """Return the delivery's id."""
        return events.derive_delivery_id(self.run.run_id, self.destination_id)

    def created(self, name: str = "Data lake") -> "DeliveryScenario":
        about: dict[str, Any] = {"title": "Nightly export", "slot": SLOT, "files": 2, "bytes": 300}
        kind = {"destination_name": name, "destination_kind": "s3"}
        return self._add(events.DeliveryCreated, **about, **kind, give_up_at=SLOT + timedelta(days=1))

    def started(self, attempt: int = 1) -> "DeliveryScenario":
        self.token, self.seq = self.token + 1, 0
        return self._add(events.DeliveryStarted, deliverer=f"deliverer-{self.token}", attempt=attempt)

    def file(self, name: str, *, sent: bool = True) -> "DeliveryScenario":
        return self._add(events.FileDelivered, name=name, object=f"p/{name}", bytes=150, sha256=SHA256, sent=sent)

    def attempt_failed(self, attempt: int = 1) -> "DeliveryScenario":
        failure = {"code": "unreachable", "message": "The server does not answer."}
        return self._add(events.DeliveryAttemptFailed, attempt=attempt, **failure, retry_at=SLOT + timedelta(hours=1))

    def handed_back(self) -> "DeliveryScenario":
        return self._add(events.DeliveryHandedBack, deliverer="deliverer-1")

    def completed(self) -> "DeliveryScenario":
        return self._add(events.DeliveryCompleted, files=2, bytes=300, bytes_sent=310, manifest="p/manifest.json")

    def failed(self) -> "DeliveryScenario":
        return self._add(events.DeliveryFailed, attempt=1, code="conflict", message="Other content is already there.")

    def cancelled(self) -> "DeliveryScenario":
        return self._add(events.DeliveryCancelled, reason="requested", requested_by=None)

    def retried(self) -> "DeliveryScenario":
        self.token, self.seq = self.token + 1, 0
        return self._add(events.DeliveryRetried, requested_by=None, give_up_at=SLOT + timedelta(days=2))

    def _add(self, kind: Any, **values: Any) -> "DeliveryScenario":
        self.seq += 1
        self.at = (self.at or self.run.at) + timedelta(seconds=1)
        common = {"job_id": self.run.job_id, "tenant_id": self.run.tenant_id, "run_id": self.run.run_id}
        ids = {"delivery_id": self.delivery_id, "destination_id": self.destination_id}
        self.everything.append(kind(**common, **ids, token=self.token, seq=self.seq, at=self.at, **values))
        return self
