"""Fixtures that every test may ask for."""

import pytest
from hypothesis import settings

pytest_plugins = ["tests.support.servers", "tests.support.s3"]

# No test depends on speed: a busy machine is no fault of the code.
settings.register_profile("sluice", deadline=None)
settings.load_profile("sluice")

LONGEST = ("scheduler/test_storm", "history/test_faults", "pages/", "exporter/", "deploy/")
"""Where the files lie that take longest: begun first, so that no worker is left alone with one of them at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest first; what is in one file stays together and in its order."""

    def place(item: pytest.Item) -> int:
        where = item.path.as_posix()
        return next((number for number, each in enumerate(LONGEST) if each in where), len(LONGEST))

    items.sort(key=place)
