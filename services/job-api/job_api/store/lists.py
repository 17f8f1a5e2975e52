"""The lists: by what each can be sorted and filtered, which is what it shows (rule J11).

Jobs and the audit trail grow without limit, so each of their sorts has an index (tenant_id, column, id). Users, keys
and certificates number thousands per tenant at most, which are sorted for a page faster than the page is sent.
"""

from job_api.store.database import SQL
from shared.http.lists import KeysetList, between

# In the same order for every role; bytewise, as no role's name is the beginning of another's.
_ROLES = "(array_to_string(roles, ',') COLLATE \"C\")"
_ROLE = "CASE {0}::text WHEN 'none' THEN cardinality(roles) = 0 ELSE {0}::text = ANY (roles) END"
_NEVER = "'infinity'::timestamptz"
# A cursor can hold this much of an unlimited text; the id decides between texts that begin alike.
_SORTED_LENGTH = 200


def _contains(column: str) -> str:
    return f"position(lower({{0}}::text) IN {column}) > 0"


JOBS = KeysetList(
    name="jobs",
    statement=SQL["jobs"],
    key="job.job_id",
    sorts={
        "created_at": ("job.created_at", "timestamptz"),
        "title": ("job.title_key", "text"),
        "source": ("job.source", "text"),
        "type": ("job.type", "text"),
        "schedule": ("job.schedule_kind", "text"),
        "state": ("job.state", "text"),
        "status": ("job.status", "text"),
        "last_run_at": ("job.last_run_key", "timestamptz"),
        "next_run_at": ("job.next_run_key", "timestamptz"),
    },
    filters={
        "state": "job.state = {0}::text",
        "status": "job.status = {0}::text",
        "type": "job.type = {0}::text",
        "source": "job.source = {0}::text",
        "schedule": "job.schedule_kind = {0}::text",
        "search": _contains("lower(job.title || ' ' || job.description)"),
        # Jobs that never ran, or are never due, are in neither range.
        "last_run_from": "job.last_run_key >= {0}::timestamptz",
        "last_run_until": "job.last_run_key < {0}::timestamptz AND job.last_run_key > '-infinity'",
        "next_run_from": "job.next_run_key >= {0}::timestamptz AND job.next_run_key < 'infinity'",
        "next_run_until": "job.next_run_key < {0}::timestamptz",
    }
    | between("created", "job.created_at"),
    default_sort="-created_at",
    counting=SQL["count_jobs"],
)

USERS = KeysetList(
    name="users",
    statement=SQL["users"],
    key="user_id",
    sorts={
        "name": ("lower(name)", "text"),
        "roles": (_ROLES, "text"),
        "disabled": ("disabled::text", "text"),
        "created_at": ("created_at", "timestamptz"),
        "issuer": (f"left(coalesce(issuer, ''), {_SORTED_LENGTH})", "text"),
    },
    filters={
        "search": _contains("lower(name)"),
        "role": _ROLE,
        "disabled": "disabled = {0}::boolean",
        "issuer": _contains("lower(issuer)"),
    }
    | between("created", "created_at"),
    default_sort="name",
)

KEYS = KeysetList(
    name="keys",
    statement=SQL["keys"],
    key="identity_id",
    sorts={
        "name": ("lower(name)", "text"),
        "state": ("state", "text"),
        "roles": (_ROLES, "text"),
        "created_at": ("created_at", "timestamptz"),
        "expires_at": (f"coalesce(expires_at, {_NEVER})", "timestamptz"),
        "revoked_at": (f"coalesce(revoked_at, {_NEVER})", "timestamptz"),
    },
    filters={
        "search": _contains("lower(name)"),
        "state": "state = {0}::text",
        "role": _ROLE,
    }
    | between("created", "created_at")
    | between("expires", f"coalesce(expires_at, {_NEVER})")
    | between("revoked", "revoked_at"),
    default_sort="-created_at",
)

CERTIFICATES = KeysetList(
    name="certificates",
    statement=SQL["certificates"],
    key="certificate_id",
    sorts={
        "name": ("lower(name)", "text"),
        "state": ("state", "text"),
        "subject": (f"left(lower(subject), {_SORTED_LENGTH})", "text"),
        "fingerprint": ("fingerprint", "text"),
        "key_bits": ("key_bits", "integer"),
        "not_before": ("not_before", "timestamptz"),
        "not_after": ("not_after", "timestamptz"),
        "created_at": ("created_at", "timestamptz"),
        "retired_at": (f"coalesce(retired_at, {_NEVER})", "timestamptz"),
    },
    filters={
        "search": _contains("lower(name || ' ' || subject)"),
        "state": "state = {0}::text",
        "fingerprint": "position(lower(replace({0}::text, ':', '')) IN fingerprint) > 0",
        "key_bits": "key_bits = {0}::integer",
    }
    | between("not_before", "not_before")
    | between("not_after", "not_after")
    | between("created", "created_at")
    | between("retired", "retired_at"),
    default_sort="-created_at",
)

# The same word for the page, for the API and in the order: untested, passed or failed.
_TEST = """(CASE WHEN tested_at IS NOT NULL AND coalesce((test_report ->> 'passed')::boolean, true) THEN 'passed'
    WHEN test_report IS NOT NULL THEN 'failed' ELSE 'untested' END)"""

DESTINATIONS = KeysetList(
    name="destinations",
    statement=SQL["destinations"],
    key="destination_id",
    sorts={
        "name": ("lower(name)", "text"),
        "kind": ("kind", "text"),
        "state": ("state", "text"),
        "test_state": (_TEST, "text"),
        "created_at": ("created_at", "timestamptz"),
    },
    filters={
        "search": _contains("lower(name)"),
        "kind": "kind = {0}::text",
        "state": "state = {0}::text",
        "test_state": f"{_TEST} = {{0}}::text",
    }
    | between("created", "created_at"),
    default_sort="name",
)

AUDIT = KeysetList(
    name="audit",
    statement=SQL["audit"],
    key="audit_id",
    key_type="bigint",
    sorts={
        "created_at": ("at", "timestamptz"),
        "service": ("service", "text"),
        "actor": ("actor_key", "text"),
        "action": ("action", "text"),
        "object_kind": ("object_kind", "text"),
        "object_id": ("object_id", "uuid"),
    },
    filters={
        "service": "service = {0}::text",
        "action": "action = {0}::text",
        "object_kind": "object_kind = {0}::text",
        "object_id": "object_id = {0}::uuid",
        "actor_id": "actor_id = {0}::uuid",
        "actor": _contains("actor_key"),
        "search": _contains("lower(concat_ws(' ', before::text, after::text))"),
    }
    | between("created", "at"),
    default_sort="-created_at",
)
