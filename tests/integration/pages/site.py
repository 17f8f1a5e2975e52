"""The running services behind the pages, and the pages that users open in a browser."""

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
from job_api.store.database import Pools
from shared.clock import SystemClock
from shared.events.values import Role
from shared.http.identity import SESSION_COOKIE
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

    History runs for tests that use its fixture, with the folder `store` as its object store.
    """

    system: System
    api: Service
    history_port: int
    store: Path | None = None
    _sessions: dict[tuple[UUID, tuple[Role, ...]], str] = field(default_factory=dict)
    _clients: list[httpx.AsyncClient] = field(default_factory=list)
    _tenants: int = 0

    @property
    def url(self) -> str:
        """The address of the pages."""
        return self.api.url

    def open_client(self, token: str) -> httpx.AsyncClient:
        """Return a client of the API, which is closed with the site."""
        client = httpx.AsyncClient(base_url=self.url, headers={"Authorization": f"Bearer {token}"}, timeout=20)
        self._clients.append(client)
        return client

    async def create_tenant(self, *, certificate: bool = True) -> Tenant:
        """Create a tenant with an administrator, and with an active certificate unless it is to have none."""
        name, user = f"tenant {secrets.token_hex(4)}", f"ana-{secrets.token_hex(3)}"
        self._tenants += 1
        dsns = self.system.dsn("job_api"), self.system.dsn("job_api_system")
        async with Pools.open(*dsns, size=2, name="test") as pools:
            created = await bootstrap_tenant(
                Database(pools), SystemClock(), tenant=name, source_tenant=100 + self._tenants, user=user
            )
        client, certificate_id = self.open_client(created["api_key"]), ""
        if certificate:
            body = {"name": "Data protection officer", "pem": pem(make_certificate(now=SystemClock().now()))}
            answer = await client.post("/api/v1/certificates", json=body)
            assert answer.status_code == 201, answer.text
            certificate_id = answer.json()["id"]
        tenant_id = UUID(created["tenant_id"])
        return Tenant(tenant_id, name, user, created["password"], created["api_key"], client, certificate_id)

    async def log_in(self, tenant: Tenant, *roles: Role) -> str:
        """Return the token of a session of the administrator, or of a new user with these roles."""
        key = (tenant.tenant_id, roles)
        if key not in self._sessions:
            login = {"user": tenant.user, "password": tenant.password, "tenant": tenant.name}
            if roles != ("admin",):
                login |= {"user": f"ben {secrets.token_hex(3)}", "password": PASSWORD}
                body = {"name": login["user"], "password": PASSWORD, "roles": roles}
                assert (await tenant.client.post("/api/v1/users", json=body)).status_code == 201
            async with httpx.AsyncClient(base_url=self.url, timeout=20) as client:
                answer = await client.post("/api/v1/session", json=login)
            assert answer.status_code == 201, answer.text
            self._sessions[key] = answer.cookies[SESSION_COOKIE]
        return self._sessions[key]

    async def aclose(self) -> None:
        """Close the clients."""
        for client in self._clients:
            await client.aclose()


@dataclass
class PageMonitor:
    """Records what pages must not do: write to the console, violate their policy, request anything from other hosts."""

    origin: str
    faults: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        """Record the faults of a page from now on."""
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        page.on("request", self._request)

    def _console(self, message: ConsoleMessage) -> None:
        # A page may answer with an error status; a static file may not.
        is_error_status = message.text.startswith("Failed to load resource: the server responded with a status of")
        if message.type in {"error", "warning"} and not (is_error_status and "/static/" not in message.location["url"]):
            self.faults.append(f"console {message.type}: {message.text}")

    def _request(self, request: Request) -> None:
        if not request.url.startswith((self.origin, "data:", "blob:", "about:")):
            self.faults.append(f"request to another host: {request.url}")


@dataclass
class PageOpener:
    """Opens pages for users, each in a browser context of its own, and monitors them."""

    browser: Browser
    site: Site
    _opened: list[tuple[BrowserContext, PageMonitor]] = field(default_factory=list)

    async def __call__(
        self,
        tenant: Tenant | None,
        *roles: Role,
        javascript: bool = True,
        width: int = 1280,
        height: int = 860,
        zone: str = "Europe/Berlin",
    ) -> Page:
        """Return a page for a user with these roles, by default the administrator; without a tenant, logged out."""
        context = await self.browser.new_context(
            base_url=self.site.url,
            java_script_enabled=javascript,
            viewport={"width": width, "height": height},
            timezone_id=zone,
            locale="en-GB",
        )
        context.set_default_timeout(30_000)
        if tenant is not None:
            token = await self.site.log_in(tenant, *(roles or ("admin",)))
            await context.add_cookies([{"name": SESSION_COOKIE, "value": token, "url": self.site.url}])
        page, monitor = await context.new_page(), PageMonitor(self.site.url)
        monitor.watch(page)
        self._opened.append((context, monitor))
        return page

    async def aclose(self) -> list[str]:
        """Close all pages, and return their faults."""
        for context, _ in self._opened:
            await context.close()
        return [fault for _, monitor in self._opened for fault in monitor.faults]


async def find_axe_violations(page: Page) -> list[str]:
    """Return the violations that axe finds on a page in its present state, light and dark."""
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


async def measure_overflow(page: Page) -> int:
    """Return by how many pixels a page is wider than its viewport."""
    excess: int = await page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    return max(0, excess)
