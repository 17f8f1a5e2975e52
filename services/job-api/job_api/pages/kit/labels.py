"""What pages call the values of states, types, sources and roles."""

from job_api.domain.catalog import SOURCES
from shared.events.values import Role

RUN_STATE_LABELS = {
    "none": "Not run yet",
    "queued": "Waiting",
    "running": "In progress",
    "succeeded": "Succeeded",
    "failed": "Failed",
    "cancelled": "Cancelled",
    "skipped": "Skipped",
}
SOURCE_LABELS = {source.source_id: source.title for source in SOURCES}
TYPE_LABELS: dict[str, str] = {kind: label for source in SOURCES for kind, label in source.types}
FILE_KIND_LABELS = TYPE_LABELS | {"interaction-attachment": "Attachments"}
SCHEDULE_LABELS = {"once": "Once", "hourly": "Hourly", "daily": "Daily", "weekly": "Weekly", "monthly": "Monthly"}
ROLE_LABELS: dict[Role, str] = {
    "admin": "Administrator: everything in the tenant",
    "operator": "Operator: jobs, certificates and runs",
    "downloader": "Downloader: history and files",
    "viewer": "Viewer: read only, no downloads",
}
OPERATOR_REQUIRED = "This requires the role operator; ask an administrator."
DOWNLOADER_REQUIRED = "This requires the role downloader or operator; ask an administrator."
