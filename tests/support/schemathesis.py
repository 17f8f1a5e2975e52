"""Schemathesis over a running API: all its checks, all its phases, from the API's own document."""

import asyncio
import sys
from pathlib import Path


async def try_everything(url: str, token: str, *, config: Path, but: str, folder: Path) -> None:
    """Ask a running API everything that its document allows, and some that it does not, in a process of its own.

    `config` is a schemathesis.toml, `but` the path that is left out, `folder` where it may keep notes. Raises
    AssertionError with what was found.
    """
    argv = ["--config-file", str(config), "run", f"{url}/api/v1/openapi.json"]
    argv += ["-H", f"Authorization: Bearer {token}", "--checks", "all", "--max-examples", "12"]
    argv += ["--generation-deterministic", "--no-color", "--continue-on-failure", "--exclude-path", but]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "schemathesis.cli",
        *argv,
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode(errors="replace")[-20_000:]
