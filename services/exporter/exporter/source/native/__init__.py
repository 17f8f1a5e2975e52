"""The compiled part: `transcode.c`, and where its library lies when it was built.

`python -m exporter.source.native.build` builds it; so do the wheel and the editable installation (`hatch_build.py`). Nothing
but speed depends on it. Needs the standard library only, for it is also used where nothing is installed yet.
"""

import ctypes
import hashlib
import sysconfig
from pathlib import Path

SOURCE = Path(__file__).with_name("transcode.c")


class NativeMissing(Exception):
    """There is no library that can be used; says why."""


def library_file() -> Path:
    """Return where the library for this platform lies, or would lie."""
    platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    return SOURCE.with_name(f"transcode.{platform}.so")


def source_checksum() -> str:
    """Return the checksum of the source, which its library repeats."""
    return hashlib.sha256(SOURCE.read_bytes()).hexdigest()


def load(file: Path | None = None) -> ctypes.CDLL:
    """Load the library. Raises NativeMissing."""
    file = file or library_file()
    if not file.exists():
        raise NativeMissing(f"{file.name} was not built")
    try:
        library = ctypes.CDLL(str(file))
        built_from = (ctypes.c_char * 64).in_dll(library, "sluice_source").value.decode()
    except (OSError, ValueError) as error:
        raise NativeMissing(f"{file.name} cannot be loaded ({error})") from None
    if built_from != source_checksum():
        raise NativeMissing(f"{file.name} was built from another version of {SOURCE.name}")
    return library
