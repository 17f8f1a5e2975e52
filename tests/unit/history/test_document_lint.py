"""I1: history's OpenAPI document is valid and complete by the same rules as the job API's."""

from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.support.openapi_lint import find_faults
from tests.unit.history.test_document import DOCUMENT


def test_I1_the_document_is_valid_openapi_31() -> None:
    OpenAPIV31SpecValidator(DOCUMENT).validate()


def test_I1_every_operation_can_be_used_by_who_reads_the_document_alone() -> None:
    assert find_faults(DOCUMENT) == []
