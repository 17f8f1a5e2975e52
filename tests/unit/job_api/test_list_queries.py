"""J11: what each list can be sorted and filtered by, in its query parameters and in the README."""

import re
from pathlib import Path

import pytest

from job_api.queries import AuditQuery, CertificateQuery, JobQuery, KeyQuery, UserQuery
from shared.http.lists import ListQuery

LISTS = (JobQuery, UserQuery, KeyQuery, CertificateQuery, AuditQuery)
README = Path(__file__).parents[3] / "services" / "job-api" / "README.md"


@pytest.mark.parametrize("query", LISTS)
def test_J11_a_list_has_a_parameter_for_each_sort_and_filter(query: type[ListQuery]) -> None:
    offered = set(query.model_json_schema()["properties"]["sort"]["enum"])
    columns = set(query.rows.sorts)
    assert offered == columns | {f"-{each}" for each in columns}
    assert set(query.model_fields) == set(query.rows.filters) | {"limit", "cursor", "sort"}


@pytest.mark.parametrize("query", LISTS)
def test_J11_the_readme_names_every_sort_and_filter_of_a_list(query: type[ListQuery]) -> None:
    row = re.search(
        rf"^ *\| `{query.rows.name}` \|([^|]*)\|([^|]*)\|$", README.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert row is not None
    sorts, filters = (set(re.findall(r"`([^`]+)`", cell)) for cell in row.groups())
    both = {f"{each[:-1]}{end}" for each in filters if each.endswith("…") for end in ("from", "until")}
    assert sorts == set(query.rows.sorts)
    assert set(query.rows.filters) <= filters | both
    assert both <= set(query.rows.filters)
