"""I1, I2: schemathesis over the running API with runs and files behind it: no 5xx, nothing undocumented, all checks."""

import asyncio
import sys
from pathlib import Path

from tests.integration.history.conftest import History
from tests.integration.history.test_files import finished

CONFIG = Path(__file__).with_name("schemathesis.toml")


async def test_I1_the_api_does_what_its_document_says(history: History, tmp_path: Path) -> None:
    admin = await history.client("admin")
    for _ in range(3):
        await finished(history, admin)
    words = ["--config-file", str(CONFIG), "run", f"{history.api.url}/api/v1/openapi.json"]
    words += ["-H", f"Authorization: {admin.headers['authorization']}", "--checks", "all", "--max-examples", "12"]
    words += ["--generation-deterministic", "--no-color", "--continue-on-failure"]
    # A live stream has no end to wait for.
    words += ["--exclude-path", "/api/v1/events"]
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
