"""Every exported line validates against the published schemas: those of the sample and difficult ones."""

import json
from pathlib import Path

import pytest

from deploy.sample.load import load
from exporter.source.selection import Selection
from shared.events.values import FileKind
from shared.record_schemas import RECORD_TYPES
from tests.integration.stream.conftest import Export
from tests.integration.stream.history import ContactHistory
from tests.integration.stream.schemas import make_validator
from tests.integration.stream.test_content import DIFFICULT_ROWS
from tests.support.servers import Databases


@pytest.fixture(scope="module")
async def sample(postgres: Databases) -> str:
    dsn = await postgres.create()
    await load(dsn, interactions=2_500)
    return dsn


@pytest.mark.parametrize("tenant", [101, 102])
@pytest.mark.parametrize("kind", RECORD_TYPES)
async def test_E4_every_line_of_the_sample_export_validates(
    sample: str, tmp_path: Path, kind: FileKind, tenant: int
) -> None:
    lines = await Export(sample, tmp_path).read_lines(Selection(kind, tenant))
    assert lines
    validator = make_validator(kind)
    for line in lines:
        validator.validate(json.loads(line))


async def test_E4_difficult_lines_validate(history: ContactHistory, export: Export) -> None:
    await history.add("interaction", *DIFFICULT_ROWS)
    lines = await export.read_lines(Selection("interaction", 1))
    assert len(lines) == len(DIFFICULT_ROWS)
    validator = make_validator("interaction")
    for line in lines:
        validator.validate(json.loads(line))


async def test_E4_instants_beyond_rfc_3339_validate(history: ContactHistory, export: Export) -> None:
    ends = ("infinity", "-infinity", "294276-12-31 23:59:59.999999+00", "4713-01-01 00:00:00+00 BC", "10000-01-01+00")
    for number, instant in enumerate(ends):
        await history.connection.execute(
            f"INSERT INTO interaction_table (id, tenant_id, end_date) VALUES ('{number}', 1, '{instant}')"
        )
    lines = await export.read_lines(Selection("interaction", 1))
    validator = make_validator("interaction")
    for line in lines:
        validator.validate(json.loads(line))
    assert [json.loads(line)["endDate"] for line in lines[:2]] == ["infinity", "-infinity"]
