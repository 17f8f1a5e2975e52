"""U1: signing in through an identity provider, with authorization code, PKCE, state and nonce."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from job_api.app import create_web_app
from job_api.service.attempts import PER_ACCOUNT, PER_ADDRESS
from job_api.sign_in import OidcClient
from shared.events import IdentitySaved
from shared.lifecycle import Health
from shared.oidc_issuer import OidcIssuer
from tests.integration.job_api.test_oidc_tokens import access
from tests.integration.job_api.world import Tenant, World
from tests.support.issuer import CLIENT, SECRET, TestIssuer, run_issuer

PAGES = "http://sluice.test"


@dataclass
class Browser:
    """A browser on the login page, and the issuer that it is redirected to."""

    world: World
    tenant: Tenant
    issuer: TestIssuer
    app: Any

    def __post_init__(self) -> None:
        """Return a new browser session, without cookies."""
        self.pages = self.another()

    def another(self) -> httpx.AsyncClient:
        """Return a browser session without cookies."""
        return httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url=PAGES)

    async def begin(self, path: str = "/jobs") -> str:
        """Follow the login page's link to the issuer; return the address that the issuer redirects to."""
        there = await self.pages.get("/login/oidc", params={"next": path})
        assert there.status_code == 303, there.text
        async with httpx.AsyncClient() as outside:
            back = await outside.get(there.headers["location"])
        assert back.status_code == 302, back.text
        return str(back.headers["location"])

    async def return_by(self, address: str, browser: httpx.AsyncClient | None = None) -> httpx.Response:
        """Follow the issuer's redirect back."""
        found = urlsplit(address)
        return await (browser or self.pages).get(f"{found.path}?{found.query}")


@pytest.fixture
def issuer(world: World) -> Iterator[TestIssuer]:
    with run_issuer(lambda: world.clock.at) as issuer:
        yield issuer


@pytest.fixture
async def browser(world: World, tenant: Tenant, issuer: TestIssuer) -> AsyncIterator[Browser]:
    issuer.person = {
        "sub": "u-4711",
        "https://acme.test/tenant": str(tenant.tenant_id),
        "realm": {"roles": ["sluice-operators"]},
    }
    client = OidcClient(
        client_id=CLIENT, secret=SECRET, public_url=PAGES, scopes="openid profile", title="Acme <login>"
    )
    async with OidcIssuer.open(access(issuer), world.clock) as opened:
        app = create_web_app(world.pools, clock=world.clock, health=Health(), issuer=opened, client=client)
        made = Browser(world, tenant, issuer, app)
        yield made
        await made.pages.aclose()


async def test_U1_the_login_page_offers_it_only_where_it_is_configured(browser: Browser) -> None:
    page = (await browser.pages.get("/login", params={"next": "/runs?job=1&x=2"})).text
    assert 'href="/login/oidc?next=/runs%3Fjob%3D1%26x%3D2"' in page
    assert "Sign in with Acme &lt;login&gt;" in page
    assert "Sign in with" not in (await browser.world.client().get("/login")).text
    assert (await browser.world.client().get("/login/oidc")).status_code == 404


async def test_U1_signing_in_starts_a_session_like_any_other(browser: Browser) -> None:
    answer = await browser.return_by(await browser.begin("/runs?job=1"))
    assert (answer.status_code, answer.headers["location"]) == (303, "/runs?job=1")
    cookies = {each.partition("=")[0]: each for each in answer.headers.get_list("set-cookie")}
    assert "HttpOnly" in cookies["sluice_session"]
    assert "SameSite=lax" in cookies["sluice_session"]
    assert "Max-Age=0" in cookies["sluice_sign_in"]
    me = (await browser.pages.get("/api/v1/me")).json()
    assert (me["name"], me["roles"], me["tenant_id"]) == ("u-4711", ["operator"], str(browser.tenant.tenant_id))
    saved = [event for event in await browser.world.events() if isinstance(event, IdentitySaved)][-1]
    assert (saved.kind, saved.name, saved.roles, saved.revoked) == ("session", "u-4711", ("operator",), False)
    entries = (await browser.tenant.client.get("/api/v1/audit")).json()["items"]
    assert [entry["action"] for entry in entries if entry["actor"] == "u-4711"] == ["session.create", "user.create"]
    same_site = {"Sec-Fetch-Site": "same-origin"}
    assert (await browser.pages.delete("/api/v1/session", headers=same_site)).status_code == 204
    assert (await browser.pages.get("/api/v1/me")).status_code == 401


async def test_U1_the_authorization_request_has_pkce_state_and_nonce(browser: Browser) -> None:
    there = await browser.pages.get("/login/oidc", params={"next": "https://evil.test/"})
    asked = {name: each[0] for name, each in parse_qs(urlsplit(there.headers["location"]).query).items()}
    assert asked["redirect_uri"] == f"{PAGES}/login/oidc/callback"
    assert asked["code_challenge_method"] == "S256"
    assert len({asked["state"], asked["nonce"], asked["code_challenge"]}) == 3
    cookie = there.headers["set-cookie"]
    for word in ("HttpOnly", "SameSite=lax", "Path=/login/oidc", "Max-Age=600"):
        assert word in cookie
    again = await browser.pages.get("/login/oidc")
    assert asked["state"] not in again.headers["location"]
    answer = await browser.return_by(await browser.begin("//evil.test/"))
    assert answer.headers["location"] == "/"


async def test_U1_a_callback_of_another_sign_in_is_refused(browser: Browser) -> None:
    stolen = await browser.begin()
    async with browser.another() as victim:
        assert (await browser.return_by(stolen, victim)).status_code == 401
        await victim.get("/login/oidc")
        assert (await browser.return_by(stolen, victim)).status_code == 401
    for wrong in (stolen.replace("state=", "state=x"), stolen.replace("iss=", "iss=https://evil.test/")):
        answer = await browser.return_by(wrong)
        assert answer.status_code == 401
        assert "start again" in answer.text
    assert (await browser.return_by(stolen)).status_code == 303
    assert (await browser.return_by(stolen)).status_code == 401, "a code is valid once"
    assert "sluice_session" not in answer.headers.get("set-cookie", "")


async def test_U1_an_id_token_of_another_sign_in_or_client_is_refused(browser: Browser) -> None:
    person = browser.issuer.person
    for wrong in ({"nonce": "another"}, {"nonce": None}, {"aud": "another"}, {"exp": 1}, {"iss": "https://evil.test"}):
        browser.issuer.person = person | wrong
        answer = await browser.return_by(await browser.begin())
        assert answer.status_code == 401, wrong
        assert "sluice_session" not in answer.headers.get("set-cookie", "")


async def test_U1_a_refused_sign_in_gives_the_reason(browser: Browser) -> None:
    person = browser.issuer.person
    browser.issuer.person = {}
    assert (await browser.return_by(await browser.begin())).status_code == 401
    browser.issuer.person = person | {"https://acme.test/tenant": "elsewhere"}
    answer = await browser.return_by(await browser.begin())
    assert (answer.status_code, "no tenant" in answer.text) == (403, True)
    browser.issuer.person = person
    address = await browser.begin()
    browser.issuer.answering = False
    away = await browser.return_by(address)
    assert (away.status_code, away.headers["retry-after"]) == (503, "10")


async def test_U2_roles_follow_the_issuer_at_each_login(browser: Browser) -> None:
    await browser.return_by(await browser.begin())
    first = browser.pages
    browser.pages = browser.another()
    browser.issuer.person["realm"] = {"roles": ["sluice-readers"]}
    await browser.return_by(await browser.begin())
    await browser.world.clock.sleep(2)
    for each in (first, browser.pages):
        assert (await each.get("/api/v1/me")).json()["roles"] == ["viewer"]
    await first.aclose()


async def test_U1_a_user_disabled_here_cannot_sign_in_through_the_issuer(browser: Browser) -> None:
    await browser.return_by(await browser.begin())
    me = (await browser.pages.get("/api/v1/me")).json()["user_id"]
    assert (await browser.tenant.client.patch(f"/api/v1/users/{me}", json={"disabled": True})).status_code == 200
    await browser.world.clock.sleep(2)
    assert (await browser.pages.get("/api/v1/me")).status_code == 401
    answer = await browser.return_by(await browser.begin())
    assert (answer.status_code, "disabled" in answer.text) == (401, True)


async def test_U4_sign_ins_are_counted_for_each_account_too(browser: Browser) -> None:
    await browser.return_by(await browser.begin())
    me = (await browser.pages.get("/api/v1/me")).json()["user_id"]
    for _ in range(PER_ACCOUNT.burst + 1):  # what succeeds is not counted
        assert (await browser.return_by(await browser.begin())).status_code == 303
    await browser.tenant.client.patch(f"/api/v1/users/{me}", json={"disabled": True})
    answers = [await browser.return_by(await browser.begin()) for _ in range(PER_ACCOUNT.burst + 1)]
    assert [each.status_code for each in answers] == [401] * PER_ACCOUNT.burst + [429]
    assert int(answers[-1].headers["retry-after"]) >= 1
    browser.issuer.person["sub"] = "u-4712"
    assert (await browser.return_by(await browser.begin())).status_code == 303, "another account, from the same address"


async def test_U4_guessing_codes_is_slowed_down(browser: Browser) -> None:
    for _ in range(PER_ADDRESS.burst):
        assert (await browser.pages.get("/login/oidc/callback")).status_code == 401
    answer = await browser.pages.get("/login/oidc/callback")
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) >= 1
