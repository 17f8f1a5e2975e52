"""Fixtures that every test may ask for."""

from hypothesis import settings

pytest_plugins = ["tests.support.servers", "tests.support.s3"]

# No test depends on speed: a busy machine is no fault of the code.
settings.register_profile("sluice", deadline=None)
settings.load_profile("sluice")
