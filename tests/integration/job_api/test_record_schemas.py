"""E4: the JSON Schemas of exported records are served by the API."""

import json

import jsonschema
import pytest

from shared.record_schemas import LATEST, RECORD_TYPES, read_record_schema
from tests.integration.job_api.world import Tenant, World

SCHEMAS = "/api/v1/record-schemas"


async def test_E4_every_record_type_is_listed_with_the_location_of_its_schema(tenant: Tenant) -> None:
    items = (await tenant.client.get(SCHEMAS)).json()["items"]
    assert [item["type"] for item in items] == list(RECORD_TYPES)
    for item in items:
        assert item["version"] == LATEST
        assert (await tenant.client.get(item["location"])).status_code == 200


@pytest.mark.parametrize("record_type", RECORD_TYPES)
async def test_E4_a_schema_is_served_unchanged_and_is_valid(tenant: Tenant, record_type: str) -> None:
    answer = await tenant.client.get(f"{SCHEMAS}/{record_type}")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/schema+json"
    assert answer.text == read_record_schema(next(each for each in RECORD_TYPES if each == record_type))
    jsonschema.Draft202012Validator.check_schema(json.loads(answer.text))


@pytest.mark.parametrize("record_type", ["info_mart", "../settings", "contact.v1", "%2e%2e"])
async def test_E4_another_record_type_is_not_found(tenant: Tenant, record_type: str) -> None:
    answer = await tenant.client.get(f"{SCHEMAS}/{record_type}")
    assert answer.status_code == 404
    assert answer.json()["type"].endswith("/not-found")


async def test_E4_a_downloader_may_read_the_schemas(world: World, tenant: Tenant) -> None:
    loader = world.client(await tenant.key("downloader"))
    assert (await loader.get(f"{SCHEMAS}/interaction")).status_code == 200
