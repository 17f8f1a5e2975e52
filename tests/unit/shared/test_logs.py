"""Logged tracebacks contain no local variables."""

import logging
import secrets
from collections.abc import Iterator
from typing import Literal

import pytest
import structlog

from shared.observe import configure_logging, get_logger


@pytest.fixture(autouse=True)
def _restore_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def fail(password: str) -> None:
    raise ValueError(f"failed with {len(password)} characters")


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_traceback_has_no_local_variables(
    capsys: pytest.CaptureFixture[str], form: Literal["json", "console"]
) -> None:
    password = secrets.token_hex(14)
    configure_logging(level="info", form=form, service="test")
    try:
        fail(password)
    except ValueError:
        get_logger("test").exception("unforeseen error")
    shown = capsys.readouterr().err
    assert "unforeseen error" in shown
    assert "failed with 28 characters" in shown
    assert password not in shown
