"""The lists of users, certificates and API keys: their columns, filters and rows (J11)."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from starlette.requests import Request

from job_api.pages.kit.certificates import WARNING_PERIOD, describe_expiry, get_state
from job_api.pages.kit.labels import ROLE_LABELS
from job_api.pages.kit.lists import ListAddress, build_options
from job_api.pages.kit.services import get_services
from job_api.queries import CertificateQuery, KeyQuery, UserQuery
from job_api.store.recipients import CertificateUse
from shared.auth import Identity
from shared.certificates import find_note

USER_COLUMNS = (("Name", "name"), ("State", "disabled"), ("Roles", "roles"), ("Added", "created_at"))
CERTIFICATE_COLUMNS = (
    ("Name", "name"),
    ("State", "state"),
    ("Valid until", "not_after"),
    ("Key", "key_bits"),
    ("SHA-256 fingerprint", "fingerprint"),
    ("Used by", None),
)
KEY_COLUMNS = (
    ("Name", "name"),
    ("State", "state"),
    ("Roles", "roles"),
    ("Created", "created_at"),
    ("Expires", "expires_at"),
)
_UNUSED = CertificateUse(0, None)
_USER_STATES = {"false": "Active", "true": "Disabled"}
_CERTIFICATE_STATES = {
    "active": "Active",
    "expiring": f"Expires within {WARNING_PERIOD.days} days",
    "expired": "Expired",
    "retired": "Retired",
}
_KEY_STATES = {"active": "Active", "expired": "Expired", "revoked": "Revoked"}
_ROLE_OPTIONS = {role: label.partition(":")[0] for role, label in ROLE_LABELS.items()} | {"none": "No role"}
_USER_FILTERS = ("search", "disabled", "role", "created_from", "created_until")
_CERTIFICATE_FILTERS = ("search", "state", "not_after_from", "not_after_until", "key_bits", "fingerprint")
_KEY_FILTERS = ("search", "state", "role", "created_from", "created_until", "expires_from", "expires_until")


async def load_users(request: Request, identity: Identity) -> dict[str, Any]:
    """Return what the template shows of a page of the users."""
    address = ListAddress(request=request, path="/users", name="users")
    query = address.parse(
        UserQuery,
        search=address.get("search"),
        disabled=address.get("disabled"),
        role=address.get("role"),
        created_from=address.get_day("created_from"),
        created_until=address.get_last_day("created_until"),
    )
    page = await get_services(request).users.list_page(identity, query.to_page_request())
    return address.to_template(USER_COLUMNS, query, page, fields=_USER_FILTERS) | {
        "rows": page.items,
        "states": build_options(_USER_STATES, {}, address.get("disabled")),
        "roles": build_options(_ROLE_OPTIONS, {}, address.get("role")),
    }


async def load_certificates(request: Request, identity: Identity, now: datetime) -> dict[str, Any]:
    """Return what the template shows of a page of the certificates: each with state, expiry, note and use."""
    address = _section_address(request, "certificates")
    query = _parse_certificate_query(address, now)
    page = await get_services(request).certificates.list_page(identity, query.to_page_request())
    uses = await get_services(request).certificates.find_uses(identity, [each.certificate_id for each in page.items])
    return address.to_template(CERTIFICATE_COLUMNS, query, page, fields=_CERTIFICATE_FILTERS) | {
        "rows": [
            (
                each,
                get_state(each, now),
                describe_expiry(each.not_after, now),
                find_note(each.pem),
                uses.get(each.certificate_id, _UNUSED),
            )
            for each in page.items
        ],
        "states": build_options(_CERTIFICATE_STATES, {}, address.get("state")),
    }


async def load_keys(request: Request, identity: Identity, now: datetime) -> dict[str, Any]:
    """Return what the template shows of a page of the API keys: each with its state."""
    address = _section_address(request, "keys")
    query = address.parse(
        KeyQuery,
        search=address.get("search"),
        state=address.get("state"),
        role=address.get("role"),
        created_from=address.get_day("created_from"),
        created_until=address.get_last_day("created_until"),
        expires_from=address.get_day("expires_from"),
        expires_until=address.get_last_day("expires_until"),
    )
    page = await get_services(request).access.list_keys(identity, query.to_page_request(), now)
    return address.to_template(KEY_COLUMNS, query, page, fields=_KEY_FILTERS) | {
        "rows": [(each, each.get_state(now)) for each in page.items],
        "states": build_options(_KEY_STATES, {}, address.get("state")),
        "roles": build_options(_ROLE_OPTIONS, {}, address.get("role")),
    }


def _section_address(request: Request, name: str) -> ListAddress:
    return ListAddress(request=request, path="/preferences", name=name, prefix=f"{name}_", anchor=f"#{name}")


def _parse_certificate_query(address: ListAddress, now: datetime) -> CertificateQuery:
    shown, at, soon = address.get("state"), now.isoformat(), (now + WARNING_PERIOD).isoformat()
    # A state on the page is a state of the API together with bounds of its expiry.
    state, expires_from, expires_until = {
        "active": ("active", at, None),
        "expiring": ("active", at, soon),
        "expired": ("active", None, at),
    }.get(shown, (shown, None, None))
    return address.parse(
        CertificateQuery,
        search=address.get("search"),
        state=state,
        not_after_from=max(_given(address.get_day("not_after_from"), expires_from), default=None),
        not_after_until=min(_given(address.get_last_day("not_after_until"), expires_until), default=None),
        key_bits=address.get("key_bits"),
        fingerprint=address.get("fingerprint"),
    )


def _given(*instants: str | None) -> Iterable[str]:
    # All are in UTC and in the same form, so that their texts sort like the instants.
    return (each for each in instants if each)
