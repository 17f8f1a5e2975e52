"""I1, I2: schemathesis over a running job API with a real database: no 5xx, nothing undocumented, all checks."""

import asyncio
import sys
from pathlib import Path

from shared.postgres import migrate
from tests.integration.job_api.test_process import bootstrap
from tests.support.system import System

CONFIG = Path(__file__).with_name("schemathesis.toml")


async def test_I1_the_api_does_what_its_document_says(system: System, tmp_path: Path) -> None:
    await migrate(system.dsn("job_api"), "job_api")
    service = system.start("job_api", "api")
    await service.ready()
    made = await bootstrap(system, "Schema")
    words = ["--config-file", str(CONFIG), "run", f"{service.url}/api/v1/openapi.json"]
    words += ["-H", f"Authorization: Bearer {made['api_key']}", "--checks", "all", "--max-examples", "12"]
    words += ["--generation-deterministic", "--no-color", "--continue-on-failure"]
    # Logging in is limited by intent, and its cookie would stand in for the token in what follows.
    words += ["--exclude-path", "/api/v1/session"]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "schemathesis.cli",
        *words,
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode(errors="replace")[-20_000:]
