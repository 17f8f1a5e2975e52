"""I1, I2: schemathesis over a running job API with a real database: no 5xx, nothing undocumented, all checks."""

from pathlib import Path

from tests.integration.job_api.test_process import bootstrap
from tests.support.schemathesis import run_schemathesis
from tests.support.system import System

CONFIG = Path(__file__).with_name("schemathesis.toml")


async def test_I1_the_api_does_what_its_document_says(system: System, tmp_path: Path) -> None:
    service = system.start("job_api", "api")
    await service.wait_ready()
    made = await bootstrap(system, "Schema")
    # Login attempts are limited on purpose, and the session's cookie would replace the token in later requests.
    await run_schemathesis(
        service.url,
        made["api_key"],
        document="/api/v1/openapi/job-api.json",
        config=CONFIG,
        excluded="/api/v1/session",
        folder=tmp_path,
    )
