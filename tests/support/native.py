"""The native transcoder for tests: the one that is installed, or variants compiled for the occasion."""

import ctypes
import tempfile
from functools import cache
from pathlib import Path

import pytest

from exporter.source.native import NativeMissing, load
from exporter.source.native.build import build, compiler


def native() -> ctypes.CDLL:
    """Return the installed library, or one that is compiled now; skips the test where there is no compiler either."""
    try:
        return load()
    except NativeMissing:
        return variant()


@cache
def variant(*options: str) -> ctypes.CDLL:
    """Return the library compiled with more options; skips the test where there is no compiler."""
    if compiler() is None:
        pytest.skip("there is no C compiler")
    with tempfile.TemporaryDirectory() as folder:
        return load(build(Path(folder) / "transcode.so", options=options))
