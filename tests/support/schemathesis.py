"""Runs schemathesis against an API: all checks and phases, from the API's own document."""

import asyncio
import sys
from pathlib import Path


async def run_schemathesis(url: str, token: str, *, document: str, config: Path, excluded: str, folder: Path) -> None:
    """Send a running API everything that its document allows, and some requests that it does not, in a new process.

    `document` is the path of the API's document, `config` is a schemathesis.toml, `excluded` the path that is left
    out, `folder` the working folder. Raises AssertionError with the findings.
    """
    argv = ["--config-file", str(config), "run", f"{url}{document}"]
    argv += ["-H", f"Authorization: Bearer {token}", "--checks", "all", "--max-examples", "12"]
    argv += ["--generation-deterministic", "--no-color", "--continue-on-failure", "--exclude-path", excluded]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "schemathesis.cli",
        *argv,
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode(errors="replace")[-20_000:]
