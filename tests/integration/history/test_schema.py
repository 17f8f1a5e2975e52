"""I1, I2: schemathesis over the running API with runs and files behind it: no 5xx, nothing undocumented, all checks."""

from pathlib import Path

from tests.integration.history.conftest import History
from tests.integration.history.test_files import finish_run
from tests.support.schemathesis import run_schemathesis

CONFIG = Path(__file__).with_name("schemathesis.toml")


async def test_I1_the_api_does_what_its_document_says(history: History, tmp_path: Path) -> None:
    admin = await history.client("admin")
    for _ in range(3):
        await finish_run(history, admin)
    token = admin.headers["authorization"].removeprefix("Bearer ")
    # A live stream has no end to wait for.
    await run_schemathesis(
        history.api.url,
        token,
        document="/api/v1/openapi.json",
        config=CONFIG,
        excluded="/api/v1/events",
        folder=tmp_path,
    )
