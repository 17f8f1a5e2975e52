"""Debian's Firefox, driven by its own protocol (WebDriver BiDi), as Playwright drives only builds of its own."""

import itertools
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, ClientWebSocketResponse

from deploy.local.ports import free_port
from deploy.local.processes import ChildProcess, ProcessSpec, plain_environment
from deploy.local.reaper import Reaper
from tests.support.wait import eventually

PREFERENCES = """
user_pref("app.update.enabled", false);
user_pref("browser.shell.checkDefaultBrowser", false);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("network.captive-portal-service.enabled", false);
user_pref("network.connectivity-service.enabled", false);
user_pref("remote.active-protocols", 1);
"""


@dataclass
class Firefox:
    """A tab of Firefox. `faults` are errors of scripts and of the content policy that its pages have reported."""

    socket: ClientWebSocketResponse
    context: str = ""
    faults: list[str] = field(default_factory=list)
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    async def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and return its result. Raises AssertionError with the browser's error."""
        number = next(self._numbers)
        await self.socket.send_json({"id": number, "method": method, "params": parameters})
        while True:
            answer = await self.socket.receive_json(timeout=60)
            if answer.get("method") == "log.entryAdded" and answer["params"]["level"] == "error":
                self.faults.append(str(answer["params"]["text"]))
            elif answer.get("id") == number:
                assert answer["type"] == "success", answer
                result: dict[str, Any] = answer["result"]
                return result

    async def open(self, address: str) -> None:
        """Open a page, and wait until it and everything that it refers to are loaded."""
        await self.send("browsingContext.navigate", context=self.context, url=address, wait="complete")

    async def evaluate(self, expression: str) -> Any:
        """Return the value of an expression that is text, a number or a truth value; a promise is awaited."""
        target = {"context": self.context}
        found = await self.send("script.evaluate", expression=expression, target=target, awaitPromise=True)
        assert found["type"] == "success", found
        return found["result"].get("value")

    async def wait_for(self, expression: str) -> None:
        """Wait until an expression is true."""

        async def is_true() -> bool:
            return await self.evaluate(f"Boolean({expression})") is True

        await eventually(is_true)

    async def press(self, keys: str) -> None:
        """Type on the keyboard."""
        actions = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        source = {"type": "key", "id": "keyboard", "actions": actions}
        await self.send("input.performActions", context=self.context, actions=[source])

    async def set_cookie(self, name: str, value: str, *, host: str) -> None:
        """Set a cookie."""
        cookie = {"name": name, "value": {"type": "string", "value": value}, "domain": host}
        await self.send("storage.setCookie", cookie=cookie)


@asynccontextmanager
async def open_firefox(program: str, folder: Path, reaper: Reaper) -> AsyncIterator[Firefox]:
    """Run Firefox without a window, with a new profile, and open a tab."""
    profile, port = folder / "profile", free_port()
    profile.mkdir()
    (profile / "user.js").write_text(PREFERENCES, encoding="ascii")
    arguments = [program, "--headless", "--no-remote", "--profile", str(profile), f"--remote-debugging-port={port}"]
    environment = plain_environment({"HOME": str(folder), "MOZ_DISABLE_CONTENT_SANDBOX": "1"})
    specification = ProcessSpec(
        name="firefox", argv=arguments, environment=environment, log=folder / "firefox.log", folder=folder
    )
    process = ChildProcess(specification, reaper)
    try:
        async with ClientSession() as session:

            async def connect() -> ClientWebSocketResponse | None:
                try:
                    return await session.ws_connect(f"ws://127.0.0.1:{port}/session", max_msg_size=1 << 24)
                except OSError:
                    return None

            socket = await eventually(connect)
            assert socket is not None
            firefox = Firefox(socket)
            await firefox.send("session.new", capabilities={})
            firefox.context = (await firefox.send("browsingContext.create", type="tab"))["context"]
            await firefox.send("session.subscribe", events=["log.entryAdded"])
            yield firefox
    finally:
        process.stop()


def find_firefox() -> str | None:
    """Return the path of the system's Firefox, if it is installed."""
    return shutil.which("firefox-esr") or shutil.which("firefox")
