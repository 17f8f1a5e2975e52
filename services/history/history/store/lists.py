"""The lists of the API: what each is sorted and filtered by. Each sort has an index (tenant_id, expression, key)."""

from history.store import SQL
from shared.http.lists import KeysetList, between

RUN_COLUMNS = """run_id, job_id, tenant_id, version, state, removed_at, created_at, slot, cause, title, source, type,
    settings, fate_reason, queued_at, started_at, ended_at, attempt, exporter, window_start, window_end, recipients,
    reason, message, retry_at, ended_by, rows, bytes_raw, bytes_packed, files, manifest, data_complete_through,
    progress_at, phase, units_done, units_total, total_exact, bytes_done, slices, estimated_at, progress, eta_seconds,
    eta_low, eta_high, (
        SELECT jsonb_agg(
            jsonb_build_object(
                'id', delivery_id, 'destination_id', destination_id, 'destination', destination_name,
                'kind', destination_kind, 'state', delivery.state, 'message', delivery.message
            )
        )
        FROM delivery WHERE delivery.run_id = run.run_id
    ) AS deliveries"""
DELIVERY_COLUMNS = """delivery_id, run_id, job_id, destination_id, destination_name, destination_kind, title, slot,
    state, created_at, started_at, ended_at, attempt, deliverer, retry_at, give_up_at, code, message, files, bytes,
    bytes_sent, manifest, (
        SELECT count(*) FROM delivered_file AS done WHERE done.delivery_id = delivery.delivery_id
    ) AS files_done"""
ARTIFACT_COLUMNS = """artifact_id, run_id, job_id, title, type, name, kind, part, rows, bytes_raw, bytes_packed, sha256,
    object, created_at, state, removed_at, removal_fault, downloads, downloaded_at, delivered_until"""
_DURATION = "coalesce(extract(epoch FROM ended_at - started_at), -1)::float8"

# NULL sorts as the least value.
RUNS = KeysetList(
    name="runs",
    statement=SQL["list_runs"].replace("{columns}", RUN_COLUMNS),
    key="run_id",
    sorts={
        "created_at": ("created_at", "timestamptz"),
        "started_at": ("coalesce(started_at, '-infinity')", "timestamptz"),
        "ended_at": ("coalesce(ended_at, '-infinity')", "timestamptz"),
        "duration_seconds": (_DURATION, "float8"),
        "title": ("coalesce(title, '')", "text"),
        "state": ("state", "text"),
        "type": ("coalesce(type, '')", "text"),
        "source": ("coalesce(source, '')", "text"),
        "rows": ("coalesce(rows, -1)", "bigint"),
        "files": ("files::bigint", "bigint"),
    },
    filters={
        "job_id": "job_id = {0}::uuid",
        "state": "state = ANY({0}::text[])",
        "type": "type = {0}::text",
        "source": "source = {0}::text",
        "duration_from": _DURATION + " >= {0}::float8",
        "has_files": "(files > 0) = {0}::boolean",
        "search": "position(lower({0}::text) IN lower(title)) > 0",
    }
    | between("created", "created_at"),
    default_sort="-created_at",
)
ARTIFACTS = KeysetList(
    name="artifacts",
    statement=SQL["list_artifacts"].replace("{columns}", ARTIFACT_COLUMNS),
    key="artifact_id",
    sorts={
        "created_at": ("created_at", "timestamptz"),
        # Files of a tenant are kept equally long, so both orders are the same.
        "expires_at": ("created_at", "timestamptz"),
        "name": ("name", "text"),
        "title": ("title", "text"),
        "type": ("type", "text"),
        "size": ("bytes_packed", "bigint"),
        "state": ("state", "text"),
    },
    filters={
        "job_id": "job_id = {0}::uuid",
        "run_id": "run_id = {0}::uuid",
        "type": "type = {0}::text",
        "state": "state = {0}::text",
        "search": "position(lower({0}::text) IN lower(name || ' ' || title)) > 0",
    }
    | between("created", "created_at"),
    default_sort="-created_at",
)
DELIVERIES = KeysetList(
    name="deliveries",
    statement=SQL["list_deliveries"].replace("{columns}", DELIVERY_COLUMNS),
    key="delivery_id",
    sorts={
        "created_at": ("created_at", "timestamptz"),
        "title": ("title", "text"),
        "destination": ("destination_name", "text"),
        "state": ("state", "text"),
    },
    filters={
        "job_id": "job_id = {0}::uuid",
        "run_id": "run_id = {0}::uuid",
        "destination_id": "destination_id = {0}::uuid",
        "state": "state = ANY({0}::text[])",
        "search": "position(lower({0}::text) IN lower(title || ' ' || destination_name)) > 0",
    }
    | between("created", "created_at"),
    default_sort="-created_at",
)
