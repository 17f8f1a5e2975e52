"""The lists that there are: what each is sorted by and filtered by, which is what it shows (J11).

Jobs and the audit trail grow without end: each column that they are sorted by has an index (tenant_id, column, id). Of
users, keys and certificates a tenant has thousands at most, which are sorted for a page faster than it is sent.
"""

from job_api.store.listing import Listing

# Under the same words everywhere; the order of bytes, as no role's name begins with another's.
_ROLES = "(array_to_string(roles, ',') COLLATE \"C\")"
_ROLE = "CASE {0} WHEN 'none' THEN cardinality(roles) = 0 ELSE {0} = ANY (roles) END"
_NEVER = "'infinity'::timestamptz"
# As much of a text without limit as a cursor can hold; of those that begin alike the id decides.
_SORTED_BY = 200


def _between(name: str, column: str) -> dict[str, str]:
    """Return the two filters of an instant: from when on, and until when, that instant left out."""
    return {f"{name}_from": f"{column} >= ({{0}})::timestamptz", f"{name}_until": f"{column} < ({{0}})::timestamptz"}


JOBS = Listing(
    query="jobs",
    key="job.job_id",
    sorts={
        "created_at": ("job.created_at", "timestamptz"),
        "title": ("job.title_key", "text"),
        "source": ("job.source", "text"),
        "type": ("job.type", "text"),
        "schedule": ("job.schedule_kind", "text"),
        "state": ("job.state", "text"),
        "status": ("job.status", "text"),
        "last_run": ("job.last_run_key", "timestamptz"),
        "next_run": ("job.next_run_key", "timestamptz"),
    },
    filters={
        "state": "job.state = {0}",
        "status": "job.status = {0}",
        "type": "job.type = {0}",
        "source": "job.source = {0}",
        "schedule": "job.schedule_kind = {0}",
        "last_run_from": "job.last_run_key >= ({0})::timestamptz",
        "next_run_until": "job.next_run_key < ({0})::timestamptz",
        "search": "position(lower({0}) IN lower(job.title || ' ' || job.description)) > 0",
    },
)

USERS = Listing(
    query="users",
    key="user_id",
    sorts={
        "name": ("lower(name)", "text"),
        "roles": (_ROLES, "text"),
        "disabled": ("disabled::text", "text"),
        "created_at": ("created_at", "timestamptz"),
        "issuer": (f"left(coalesce(issuer, ''), {_SORTED_BY})", "text"),
    },
    filters={
        "search": "position(lower({0}) IN lower(name)) > 0",
        "role": _ROLE,
        "disabled": "disabled = ({0})::boolean",
        "issuer": "position(lower({0}) IN lower(issuer)) > 0",
    }
    | _between("created", "created_at"),
)

KEYS = Listing(
    query="keys",
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
        "search": "position(lower({0}) IN lower(name)) > 0",
        "state": "state = {0}",
        "role": _ROLE,
    }
    | _between("created", "created_at")
    | _between("expires", f"coalesce(expires_at, {_NEVER})")
    | _between("revoked", "revoked_at"),
)

CERTIFICATES = Listing(
    query="certificates",
    key="certificate_id",
    sorts={
        "name": ("lower(name)", "text"),
        "state": ("state", "text"),
        "subject": (f"left(lower(subject), {_SORTED_BY})", "text"),
        "fingerprint": ("fingerprint", "text"),
        "key_bits": ("key_bits", "integer"),
        "not_before": ("not_before", "timestamptz"),
        "not_after": ("not_after", "timestamptz"),
        "created_at": ("created_at", "timestamptz"),
        "retired_at": (f"coalesce(retired_at, {_NEVER})", "timestamptz"),
    },
    filters={
        "search": "position(lower({0}) IN lower(name || ' ' || subject)) > 0",
        "state": "state = {0}",
        "fingerprint": "position(lower(replace({0}, ':', '')) IN fingerprint) > 0",
        "key_bits": "key_bits = ({0})::integer",
    }
    | _between("not_before", "not_before")
    | _between("not_after", "not_after")
    | _between("created", "created_at")
    | _between("retired", "retired_at"),
)

AUDIT = Listing(
    query="audit",
    key="audit_id",
    key_kind="bigint",
    sorts={
        "at": ("at", "timestamptz"),
        "actor": ("actor_key", "text"),
        "action": ("action", "text"),
        "kind": ("object_kind", "text"),
        "object_id": ("object_id", "uuid"),
    },
    filters={
        "action": "action = {0}",
        "kind": "object_kind = {0}",
        "object_id": "object_id = ({0})::uuid",
        "actor_id": "actor_id = ({0})::uuid",
        "actor": "position(lower({0}) IN actor_key) > 0",
        "search": "position(lower({0}) IN lower(concat_ws(' ', before::text, after::text))) > 0",
    }
    | _between("at", "at"),
)
