"""I2: problem documents, their types and their schema."""

import re
from pathlib import Path

import pytest

from shared.http.problems import (
    EXTRAS,
    FieldError,
    Problem,
    ProblemDocument,
    ProblemType,
    error_responses,
    invalid_request,
    not_found,
)


@pytest.mark.parametrize("problem", ProblemType)
def test_I2_a_problem_of_each_type_is_a_valid_document(problem: ProblemType) -> None:
    document = Problem(problem, problem.meaning, extra=EXTRAS.get(problem)).to_document("/api/v1/jobs")
    assert ProblemDocument.model_validate(document).status == problem.status
    assert document["type"] == f"https://sluice.example/problems/{problem.value}"
    assert ProblemType.from_name(str(problem.value)) is problem


def test_I2_the_schema_enumerates_the_types_with_their_names() -> None:
    schema = ProblemDocument.model_json_schema()["properties"]["type"]
    assert schema["enum"] == [each.uri for each in ProblemType]
    assert schema["x-enum-varnames"] == [each.name for each in ProblemType]
    with pytest.raises(ValueError, match="no-such-type"):
        ProblemType.from_name("no-such-type")


def test_I2_invalid_fields_are_listed_and_named_in_the_detail() -> None:
    problem = invalid_request(
        FieldError("title", "is empty"), FieldError("title", "is short"), FieldError("source", "is odd")
    )
    assert problem.detail == "Invalid: title, source. See errors."
    assert len(problem.to_document("/x")["errors"]) == 3
    assert "errors" not in not_found("job").to_document("/x")


def test_I1_an_operation_documents_each_status_with_its_types() -> None:
    responses = error_responses(ProblemType.NOT_FOUND, ProblemType.RUN_ENDED, ProblemType.FILE_MISSING)
    assert set(responses) == {401, 403, 404, 409, 422, 429, 503}
    examples = responses[404]["content"]["application/problem+json"]["examples"]
    assert set(examples) == {"not-found", "file-missing"}


def test_I2_the_page_of_problems_lists_each_type_with_its_status() -> None:
    page = Path(__file__).parents[4] / "services" / "job-api" / "PROBLEMS.md"
    rows = re.findall(r"^\| `([a-z-]+)` \| (\d{3}) \|", page.read_text(encoding="utf-8"), re.MULTILINE)
    on_pages_only = {ProblemType.STALE_FORM, ProblemType.GONE}
    assert sorted(rows) == sorted((str(each.value), str(each.status)) for each in set(ProblemType) - on_pages_only)
