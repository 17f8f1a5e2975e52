"""The topics, as a table: read this first. Created at deploy with these settings, never by accident."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from shared import events

DEAD_LETTER_SUFFIX = ".dead"


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """One topic: `key` names the event's field that is the record's key; `retention` None means compacted.

    A public topic is a contract with other systems (docs/EVENTS.md); the others may change in any release.
    """

    name: str
    key: Literal["job_id", "certificate_id", "destination_id", "identity_id", "tenant_id"]
    retention: timedelta | None
    events: tuple[type[events.Event], ...]
    description: str
    producers: tuple[str, ...]
    consumers: tuple[str, ...]
    is_public: bool = False
    dead_letters: bool = True
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def dead_letter_topic(self) -> str:
        """The name of this topic's dead-letter topic."""
        return self.name + DEAD_LETTER_SUFFIX


JOBS = Topic(
    name="sluice.jobs",
    key="job_id",
    retention=None,
    events=(events.JobSaved, events.JobDeleted, events.JobTombstone),
    description="the whole job after each change; its deletion, for 90 days",
    producers=("job-api",),
    consumers=("scheduler", "exporter", "history"),
)
CERTIFICATES = Topic(
    name="sluice.certificates",
    key="certificate_id",
    retention=None,
    events=(events.CertificateSaved, events.CertificateDeleted, events.CertificateTombstone),
    description="a recipient's certificate, tenant and state",
    producers=("job-api",),
    consumers=("exporter",),
)
DESTINATIONS = Topic(
    name="sluice.destinations",
    key="destination_id",
    retention=None,
    events=(events.DestinationSaved, events.DestinationDeleted, events.DestinationTombstone),
    description="a customer's own storage: address, state and sealed credentials; its deletion, for 90 days",
    producers=("job-api",),
    consumers=("exporter",),
)
DESTINATION_TESTS = Topic(
    name="sluice.destination-tests",
    key="destination_id",
    retention=timedelta(days=7),
    events=(events.RunDestinationTest, events.DestinationTested),
    description="test this destination; the result, step by step",
    producers=("job-api", "exporter"),
    consumers=("exporter", "job-api"),
)
IDENTITIES = Topic(
    name="sluice.identities",
    key="identity_id",
    retention=None,
    events=(events.IdentitySaved, events.IdentityDeleted, events.IdentityTombstone),
    description="hash, tenant and roles of an API key or session; whether it is revoked",
    producers=("job-api",),
    consumers=("history",),
)
TRIGGERS = Topic(
    name="sluice.triggers",
    key="job_id",
    retention=timedelta(days=30),
    events=(events.SlotTriggered, events.SlotSkipped),
    description="run this job for this slot, with frozen settings; or: slot skipped, with the reason",
    producers=("scheduler",),
    consumers=("exporter", "history", "job-api"),
    is_public=True,
)
COMMANDS = Topic(
    name="sluice.commands",
    key="job_id",
    retention=timedelta(days=7),
    events=(events.CancelRun, events.RunNow, events.RetryDelivery, events.CancelDelivery),
    description="cancel this run; run this job now; retry or cancel this delivery",
    producers=("job-api", "history"),
    consumers=("exporter", "scheduler"),
)
RUNS = Topic(
    name="sluice.runs",
    key="job_id",
    retention=timedelta(days=90),
    events=(
        events.RunQueued,
        events.RunStarted,
        events.PartFinished,
        events.RunAttemptFailed,
        events.RunHandedBack,
        events.RunSucceeded,
        events.RunSucceededV1,
        events.RunFailed,
        events.RunCancelled,
        events.RunSkipped,
        events.FilesExpired,
        events.RunRemoved,
    ),
    description="the life of a run, the expiry of its files, its removal from the run log",
    producers=("exporter", "history"),
    consumers=("history", "job-api", "exporter"),
    is_public=True,
)
PROGRESS = Topic(
    name="sluice.progress",
    key="job_id",
    retention=timedelta(days=2),
    events=(events.RunProgressed,),
    description="rows, bytes, phase and slices of a run in progress",
    producers=("exporter",),
    consumers=("history",),
    is_public=True,
)
ESTIMATES = Topic(
    name="sluice.estimates",
    key="job_id",
    retention=None,
    events=(events.RunEstimated,),
    description="progress and estimated end of the latest run, with band",
    producers=("history",),
    consumers=("history", "job-api"),
    is_public=True,
)
DELIVERIES = Topic(
    name="sluice.deliveries",
    key="job_id",
    retention=timedelta(days=90),
    events=(
        events.DeliveryCreated,
        events.DeliveryStarted,
        events.FileDelivered,
        events.DeliveryAttemptFailed,
        events.DeliveryHandedBack,
        events.DeliveryCompleted,
        events.DeliveryFailed,
        events.DeliveryCancelled,
        events.DeliveryRetried,
    ),
    description="the transfer of a run's files to the customer's destinations",
    producers=("exporter",),
    consumers=("history",),
    is_public=True,
)
AUDIT = Topic(
    name="sluice.audit",
    key="tenant_id",
    retention=timedelta(days=90),
    events=(events.AuditRecorded,),
    description="what users did in history: downloads, links, deletions, cancellations, retention",
    producers=("history",),
    consumers=("job-api",),
)

TOPICS: tuple[Topic, ...] = (
    *(JOBS, CERTIFICATES, DESTINATIONS, DESTINATION_TESTS, IDENTITIES),
    *(TRIGGERS, COMMANDS, RUNS, PROGRESS, ESTIMATES, DELIVERIES, AUDIT),
)
DEAD_LETTER_RETENTION = timedelta(days=30)
DELETION_RETENTION = timedelta(days=90)
"""How long a compacted topic keeps a deletion before a tombstone takes its place: longer than any outage to survive."""
TOMBSTONE_RETENTION = timedelta(days=90)
"""How long tombstones remain on compacted topics, for consumers that read them late."""

TOPIC_OF: dict[type[events.Event], Topic] = {event: topic for topic in TOPICS for event in topic.events}
"""The one topic that each event travels on."""

HANDLING_TOPIC = "sluice.handling"
"""Internal and compacted: which messages operators have set aside, and where consumers have paused."""


@dataclass(frozen=True, slots=True)
class ConsumerGroup:
    """A group of equal consumers and the topics that it follows; its own replay topic comes on top."""

    name: str
    topics: tuple[Topic, ...]

    @property
    def replay_topic(self) -> str:
        """The name of the topic on which dead letters are handed to this group, and to no other."""
        return f"{self.name}.replay"


CONSUMER_GROUPS: tuple[ConsumerGroup, ...] = (
    ConsumerGroup("sluice.scheduler", (JOBS, COMMANDS)),
    ConsumerGroup("sluice.exporter", (TRIGGERS, COMMANDS, JOBS, CERTIFICATES)),
    ConsumerGroup("sluice.exporter.numbers", (JOBS,)),
    ConsumerGroup("sluice.exporter.deliveries", (RUNS, COMMANDS, DESTINATIONS, DESTINATION_TESTS)),
    ConsumerGroup("sluice.job-api", (TRIGGERS, RUNS, ESTIMATES, AUDIT, DESTINATION_TESTS)),
    ConsumerGroup("sluice.history.recorder", (TRIGGERS, RUNS, PROGRESS, ESTIMATES, DELIVERIES, IDENTITIES, JOBS)),
    ConsumerGroup("sluice.history.estimates", (TRIGGERS, RUNS, PROGRESS)),
)


def list_topics(group: str) -> tuple[Topic, ...]:
    """Return the topics that a group follows; none for a group that is not of Sluice's services."""
    return next((each.topics for each in CONSUMER_GROUPS if each.name == group), ())


def find_replay_topic(group: str) -> str | None:
    """Return the replay topic of a group, or None for a group that is not of Sluice's services."""
    return next((each.replay_topic for each in CONSUMER_GROUPS if each.name == group), None)
