"""The lists of users, certificates and API keys: columns, filters, and what a page shows of each (J11)."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from starlette.requests import Request

from job_api.api.access import KeyQuery
from job_api.api.certificates import CertificateQuery
from job_api.api.users import UserQuery
from job_api.pages.jobs.notices import WARN_FROM, ends_in_words
from job_api.pages.kit.lists import View, day, options
from job_api.service import Access, Certificates, Users
from job_api.store.certificates import Certificate
from shared.auth import Identity
from shared.events.values import Role

ROLE_WORDS: dict[Role, str] = {
    "admin": "Administrator: everything in the tenant",
    "operator": "Operator: jobs, certificates and runs",
    "downloader": "Downloader: history and files",
    "viewer": "Viewer: looks, and downloads nothing",
}
USERS = (("Name", "name"), ("Standing", "disabled"), ("Roles", "roles"), ("Added", "created_at"))
CERTIFICATES = (
    ("Name", "name"),
    ("Standing", "state"),
    ("Valid until", "not_after"),
    ("Key", "key_bits"),
    ("SHA-256 fingerprint", "fingerprint"),
)
KEYS = (
    ("Name", "name"),
    ("Standing", "state"),
    ("Roles", "roles"),
    ("Made", "created_at"),
    ("Good until", "expires_at"),
)
_USER_STATES = {"active": "Active", "disabled": "Disabled"}
_CERTIFICATE_STATES = {
    "active": "Active",
    "soon": f"Expires within {WARN_FROM.days} days",
    "expired": "Expired",
    "retired": "Retired",
}
_KEY_STATES = {"active": "Active", "expired": "Expired", "revoked": "Revoked"}
_HELD_ROLES = {role: words.partition(":")[0] for role, words in ROLE_WORDS.items()} | {"none": "No role"}


async def users_shown(users: Users, who: Identity, request: Request) -> dict[str, Any]:
    """Return what is shown of a page of the users."""
    view = View(request=request, path="/users", name="users")
    state = view.given("state")
    query = view.query(
        UserQuery,
        search=view.given("search"),
        disabled={"active": "false", "disabled": "true"}.get(state, state),
        role=view.given("role"),
        created_from=day(view.given("since")),
        created_until=day(view.given("until"), after=True),
    )
    page = await users.page(who, query.to_wish())
    return view.shown(USERS, query, page, ("search", "state", "role", "since", "until")) | {
        "rows": page.items,
        "states": options(_USER_STATES, {}, state),
        "roles": options(_HELD_ROLES, {}, view.given("role")),
    }


async def certificates_shown(
    certificates: Certificates, who: Identity, request: Request, now: datetime
) -> dict[str, Any]:
    """Return what is shown of a page of the certificates: each with its standing, and when it ends in words."""
    view = _part(request, "certificates")
    query = _certificate_query(view, now)
    page = await certificates.page(who, query.to_wish())
    fields = ("search", "state", "since", "until", "key_bits", "fingerprint")
    return view.shown(CERTIFICATES, query, page, fields) | {
        "rows": [(each, standing(each, now), ends_in_words(each.not_after, now)) for each in page.items],
        "states": options(_CERTIFICATE_STATES, {}, view.given("state")),
    }


async def keys_shown(access: Access, who: Identity, request: Request, now: datetime) -> dict[str, Any]:
    """Return what is shown of a page of the API keys: each with its standing."""
    view = _part(request, "keys")
    query = view.query(
        KeyQuery,
        search=view.given("search"),
        state=view.given("state"),
        role=view.given("role"),
        created_from=day(view.given("since")),
        created_until=day(view.given("until"), after=True),
        expires_from=day(view.given("ends_since")),
        expires_until=day(view.given("ends_until"), after=True),
    )
    page = await access.keys(who, query.to_wish(), now)
    fields = ("search", "state", "role", "since", "until", "ends_since", "ends_until")
    return view.shown(KEYS, query, page, fields) | {
        "rows": [(each, each.state_at(now)) for each in page.items],
        "states": options(_KEY_STATES, {}, view.given("state")),
        "roles": options(_HELD_ROLES, {}, view.given("role")),
    }


def standing(certificate: Certificate, now: datetime) -> str:
    """Return how a certificate stands: active, soon to expire, expired, or retired."""
    if certificate.state == "retired":
        return "retired"
    left = certificate.not_after - now
    return "expired" if left <= timedelta(0) else "soon" if left < WARN_FROM else "active"


def _part(request: Request, name: str) -> View:
    return View(request=request, path="/preferences", name=name, prefix=f"{name}_", anchor=f"#{name}")


def _certificate_query(view: View, now: datetime) -> CertificateQuery:
    state, at, soon = view.given("state"), now.isoformat(), (now + WARN_FROM).isoformat()
    # What the page calls its standing is, for the API, a state and when it ends.
    known, least, most = {
        "active": ("active", at, None),
        "soon": ("active", at, soon),
        "expired": ("active", None, at),
    }.get(state, (state, None, None))
    return view.query(
        CertificateQuery,
        search=view.given("search"),
        state=known,
        not_after_from=max(_said(day(view.given("since")), least), default=None),
        not_after_until=min(_said(day(view.given("until"), after=True), most), default=None),
        key_bits=view.given("key_bits"),
        fingerprint=view.given("fingerprint"),
    )


def _said(*instants: str | None) -> Iterable[str]:
    # All of them in UTC, and written alike: the order of the texts is that of the instants.
    return (each for each in instants if each)
