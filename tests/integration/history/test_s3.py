"""Files over a real S3 server: downloads, ranges, archives, links and deletion, with the store's options."""

import hashlib
import io
import json
import zipfile
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import obstore
import pytest

from history.errors import StoreUnavailable
from history.store.objects import open_objects
from shared.objectstore import open_backend
from tests.integration.history.conftest import History
from tests.integration.history.test_files import fetch_artifacts
from tests.integration.history.test_history import FILE, SUM, new_scenario, wait_for_state
from tests.support.s3 import S3
from tests.unit.history.scenarios import RunScenario


@dataclass
class OverS3:
    """A second API of the same history, whose files lie in a bucket."""

    history: History
    operator: httpx.AsyncClient
    url: str
    options: dict[str, str]

    async def finish_run(self, files: int) -> RunScenario:
        """Return a run that has succeeded, its files in the bucket."""
        scenario = (
            new_scenario(self.history).triggered().queued().started().succeeded(files, packed=len(FILE), sha256=SUM)
        )
        backend = open_backend(self.url, self.options)
        for number in range(1, files + 1):
            name = f"runs/{scenario.run_id}/{scenario.token}/part-{number:04}"
            await obstore.put_async(backend, name, FILE)
        await self.history.system.publish(*scenario.everything)
        await wait_for_state(self.operator, scenario, "succeeded")
        return scenario

    async def keys(self, scenario: RunScenario) -> list[str]:
        """Return the keys of a run's files in the bucket."""
        backend = open_backend(self.url, self.options)
        found = await obstore.list(backend, f"runs/{scenario.run_id}").collect_async()
        return sorted(each["path"].rpartition("/")[2] for each in found)


@pytest.fixture(scope="module")
async def over_s3(history: History, operator: httpx.AsyncClient, s3: S3) -> AsyncIterator[OverS3]:
    url = f"s3://{s3.create_bucket()}/files"
    settings = {"STORE": url, "STORE_OPTIONS": json.dumps(s3.options()), "RETENTION_EVERY": "PT1H"}
    api = history.system.start("history", "api", settings)
    await api.wait_ready()
    async with httpx.AsyncClient(base_url=api.url, headers=operator.headers, timeout=30) as client:
        yield OverS3(history, client, url, s3.options())
    api.process.stop()


async def test_P6_A3_a_file_in_a_bucket_is_downloaded_whole_in_ranges_and_by_a_link(over_s3: OverS3) -> None:
    client, scenario = over_s3.operator, await over_s3.finish_run(1)
    [file] = await fetch_artifacts(client, scenario)
    url = f"/api/v1/artifacts/{file['id']}/content"
    assert hashlib.sha256((await client.get(url)).content).hexdigest() == SUM
    rest = await client.get(url, headers={"Range": "bytes=1000-1999"})
    assert (rest.status_code, rest.content) == (206, FILE[1000:2000])
    link = (await client.post(f"/api/v1/artifacts/{file['id']}/link")).json()
    async with httpx.AsyncClient(base_url=str(client.base_url)) as stranger:
        assert (await stranger.get(link["path"])).content == FILE


async def test_P6_A1_A2_files_in_a_bucket_are_archived_and_deleted(over_s3: OverS3) -> None:
    client, scenario = over_s3.operator, await over_s3.finish_run(3)
    files = await fetch_artifacts(client, scenario)
    response = await client.get("/api/v1/artifacts/archive", params={"id": [file["id"] for file in files]})
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        assert [hashlib.sha256(archive.read(name)).hexdigest() for name in archive.namelist()] == [SUM] * 3
    gone = {"id": [file["id"] for file in files[:2]]}
    assert (await client.delete("/api/v1/artifacts", params=gone)).status_code == 204
    assert await over_s3.keys(scenario) == ["part-0003"]
    assert (await client.get(f"/api/v1/artifacts/{files[0]['id']}/content")).status_code == 410


async def test_R5_the_error_of_a_store_that_refuses_has_no_keys(over_s3: OverS3) -> None:
    wrong = over_s3.options | {"secret_access_key": "not-the-key"}  # a HEAD's response has no body that says so
    with pytest.raises(StoreUnavailable, match="HTTP 403") as caught:
        await open_objects(over_s3.url, wrong).find_size("runs/x")
    assert "not-the-key" not in str(caught.value)
