"""The running system behind the pages, and people who look at them in a real browser."""

import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from uuid import UUID

import axe_playwright_python
import httpx
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, Request

from job_api.service.bootstrap import bootstrap_tenant
from job_api.store import Database
from shared.clock import SystemClock
from shared.events.values import Role
from shared.http.identity import SESSION_COOKIE
from shared.postgres import open_pool
from tests.integration.job_api.certs import make_certificate, pem
from tests.integration.job_api.world import Tenant
from tests.support.system import Service, System

PASSWORD = "a long enough password"
AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@dataclass
class Site:
    """The job API's process, which serves the pages.

    History runs where a test asks for that fixture, over the folder `store`.
    """

    system: System
    api: Service
    history_port: int
    store: Path | None = None
    _sessions: dict[tuple[UUID, tuple[Role, ...]], str] = field(default_factory=dict)
    _clients: list[httpx.AsyncClient] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Return the pages' address."""
        return self.api.url

    def client(self, token: str) -> httpx.AsyncClient:
        """Return a client of the API."""
        made = httpx.AsyncClient(base_url=self.url, headers={"Authorization": f"Bearer {token}"}, timeout=20)
        self._clients.append(made)
        return made

    async def tenant(self, *, certificate: bool = True) -> Tenant:
        """Make a tenant with an administrator, and an active certificate unless the arguments say otherwise."""
        name, user = f"tenant {secrets.token_hex(4)}", f"ana-{secrets.token_hex(3)}"
        async with open_pool(self.system.dsn("job_api"), size=2, name="test") as pool:
            made = await bootstrap_tenant(Database(pool), SystemClock(), tenant=name, source_tenant=101, user=user)
        client, known = self.client(made["api_key"]), ""
        if certificate:
            body = {"name": "Data protection officer", "pem": pem(make_certificate(now=SystemClock().now()))}
            answer = await client.post("/api/v1/certificates", json=body)
            assert answer.status_code == 201, answer.text
            known = answer.json()["id"]
        tenant_id = UUID(made["tenant_id"])
        return Tenant(tenant_id, name, user, made["password"], made["api_key"], client, known)

    async def session(self, tenant: Tenant, *roles: Role) -> str:
        """Return a session's token: of the administrator, or of a user with these roles."""
        wanted = (tenant.tenant_id, roles)
        if wanted not in self._sessions:
            login = {"user": tenant.user, "password": tenant.password, "tenant": tenant.name}
            if roles != ("admin",):
                login |= {"user": f"ben {secrets.token_hex(3)}", "password": PASSWORD}
                body = {"name": login["user"], "password": PASSWORD, "roles": roles}
                assert (await tenant.client.post("/api/v1/users", json=body)).status_code == 201
            async with httpx.AsyncClient(base_url=self.url, timeout=20) as client:
                answer = await client.post("/api/v1/session", json=login)
            assert answer.status_code == 201, answer.text
            self._sessions[wanted] = answer.cookies[SESSION_COOKIE]
        return self._sessions[wanted]

    async def aclose(self) -> None:
        """Close the clients."""
        for client in self._clients:
            await client.aclose()


@dataclass
class Watch:
    """Notes what a page must not do: write to the console, break its own policy, ask another host."""

    origin: str
    seen: list[str] = field(default_factory=list)

    def over(self, page: Page) -> None:
        """Watch a page from now on."""
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.seen.append(f"error: {error}"))
        page.on("request", self._request)

    def _console(self, message: ConsoleMessage) -> None:
        # A page that was refused is an answer, not a fault; a file of ours that is missing is one.
        refused = message.text.startswith("Failed to load resource: the server responded with a status of")
        if message.type in {"error", "warning"} and not (refused and "/static/" not in message.location["url"]):
            self.seen.append(f"console {message.type}: {message.text}")

    def _request(self, request: Request) -> None:
        if not request.url.startswith((self.origin, "data:", "blob:", "about:")):
            self.seen.append(f"asked elsewhere: {request.url}")


@dataclass
class PageOpener:
    """Opens pages for people, each in a browser window of their own; everything is watched."""

    browser: Browser
    site: Site
    _opened: list[tuple[BrowserContext, Watch]] = field(default_factory=list)

    async def __call__(
        self,
        tenant: Tenant | None,
        *roles: Role,
        javascript: bool = True,
        width: int = 1280,
        height: int = 860,
        zone: str = "Europe/Berlin",
    ) -> Page:
        """Return a page of a user logged in with these roles (none given: the administrator), or of nobody."""
        context = await self.browser.new_context(
            base_url=self.site.url,
            java_script_enabled=javascript,
            viewport={"width": width, "height": height},
            timezone_id=zone,
            locale="en-GB",
        )
        context.set_default_timeout(30_000)
        if tenant is not None:
            token = await self.site.session(tenant, *(roles or ("admin",)))
            await context.add_cookies([{"name": SESSION_COOKIE, "value": token, "url": self.site.url}])
        page, watch = await context.new_page(), Watch(self.site.url)
        watch.over(page)
        self._opened.append((context, watch))
        return page

    async def aclose(self) -> list[str]:
        """Close all windows, and return what pages did that they must not."""
        for context, _ in self._opened:
            await context.close()
        return [each for _, watch in self._opened for each in watch.seen]


async def audited(page: Page) -> list[str]:
    """Return what axe finds on a page as it is shown, light and dark."""
    found = []
    for scheme in SCHEMES:
        await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        await page.evaluate(AXE)
        result = await page.evaluate("tags => axe.run(document, {runOnly: tags})", WCAG)
        found += [
            f"{scheme} {page.url} {each['id']}: {node['target']} {node['failureSummary']}"
            for each in result["violations"]
            for node in each["nodes"]
        ]
    await page.emulate_media(color_scheme="light")
    return found


async def too_wide(page: Page) -> int:
    """Return by how many pixels a page is wider than its window."""
    excess: int = await page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    return max(0, excess)
