"""The native transcoder for tests: the installed library, or variants compiled on demand."""

import ctypes
import tempfile
from functools import cache
from pathlib import Path

import pytest

from exporter.source.native import NativeMissing, load
from exporter.source.native.build import build, find_compiler


def load_native() -> ctypes.CDLL:
    """Return the installed library, or one compiled now; skips the test where there is no compiler either."""
    try:
        return load()
    except NativeMissing:
        return compile_variant()


@cache
def compile_variant(*options: str) -> ctypes.CDLL:
    """Return the library compiled with additional options; skips the test where there is no compiler."""
    if find_compiler() is None:
        pytest.skip("there is no C compiler")
    with tempfile.TemporaryDirectory() as folder:
        return load(build(Path(folder) / "transcode.so", options=options))
