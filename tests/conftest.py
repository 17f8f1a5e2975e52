"""Fixtures that every test may use, and how the tests run."""

import gc

import pytest
import structlog
from hypothesis import settings

pytest_plugins = ["tests.support.servers", "tests.support.s3"]

# By default structlog renders tracebacks with rich, which takes seconds for each.
structlog.configure(
    processors=[
        *structlog.get_config()["processors"][:-1],
        structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
    ]
)

# No test depends on speed: a busy machine is not an error of the code. `make properties` searches far longer.
settings.register_profile("sluice", deadline=None, max_examples=50)
settings.register_profile("thorough", deadline=None, max_examples=2_000)
settings.load_profile("sluice")

LONGEST = (
    *("e2e/test_chaos_system", "scheduler/test_storm", "job_api/test_schema", "history/test_faults", "e2e/"),
    *("history/test_schema", "pages/", "integration/exporter/", "integration/deploy/", "integration/together/"),
    *("unit/job_api/test_lifecycle_model", "unit/shared/test_timetable", "unit/sample/", "unit/stream/"),
)
"""Parts of the paths of the longest files: run first, so that no worker is left alone with one of them at the end."""


def pytest_collection_finish(session: pytest.Session) -> None:
    """Exclude all imported modules from garbage collection, which otherwise takes a third of the unit tests' time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first."""

    def place(item: pytest.Item) -> int:
        where = item.path.as_posix()
        return next((number for number, each in enumerate(LONGEST) if each in where), len(LONGEST))

    items.sort(key=place)
