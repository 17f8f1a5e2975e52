"""Every exported line validates against the published schemas: the sample's, nasty ones, and Hypothesis's."""

import json
from pathlib import Path

import pytest

from deploy.sample.load import load
from exporter.source.selection import RecordKind, Selection
from tests.integration.stream.conftest import Export
from tests.integration.stream.history import History
from tests.integration.stream.schemas import validator
from tests.integration.stream.test_content import NASTY_ROWS
from tests.support.servers import Databases


@pytest.fixture(scope="module")
async def sample(postgres: Databases) -> str:
    dsn = await postgres.fresh()
    await load(dsn, interactions=2_500)
    return dsn


@pytest.mark.parametrize("tenant", [101, 102])
@pytest.mark.parametrize("kind", RecordKind)
async def test_E4_every_line_of_the_sample_export_validates(
    sample: str, tmp_path: Path, kind: RecordKind, tenant: int
) -> None:
    lines = await Export(sample, tmp_path).lines(Selection(kind, tenant))
    assert lines
    check = validator(kind)
    for line in lines:
        check.validate(json.loads(line))


async def test_E4_nasty_lines_validate(history: History, export: Export) -> None:
    await history.add(RecordKind.INTERACTION, *NASTY_ROWS)
    lines = await export.lines(Selection(RecordKind.INTERACTION, 1))
    assert len(lines) == len(NASTY_ROWS)
    check = validator(RecordKind.INTERACTION)
    for line in lines:
        check.validate(json.loads(line))


async def test_E4_instants_that_no_calendar_has_validate(history: History, export: Export) -> None:
    ends = ("infinity", "-infinity", "294276-12-31 23:59:59.999999+00", "4713-01-01 00:00:00+00 BC", "10000-01-01+00")
    for number, instant in enumerate(ends):
        await history.connection.execute(
            f"INSERT INTO interaction_table (id, tenant_id, end_date) VALUES ('{number}', 1, '{instant}')"
        )
    lines = await export.lines(Selection(RecordKind.INTERACTION, 1))
    check = validator(RecordKind.INTERACTION)
    for line in lines:
        check.validate(json.loads(line))
    assert [json.loads(line)["endDate"] for line in lines[:2]] == ["infinity", "-infinity"]
