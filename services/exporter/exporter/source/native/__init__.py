"""The native transcoder: `transcode.c`, and the file of its compiled library.

`python -m exporter.source.native.build` compiles it; so do the wheel and the editable installation (`hatch_build.py`).
Without it exports are slower but the same. Uses the standard library only, because it runs before anything is
installed.
"""

import ctypes
import hashlib
import sysconfig
from pathlib import Path

SOURCE = Path(__file__).with_name("transcode.c")


class NativeMissing(Exception):
    """There is no usable library; the message gives the reason."""


def get_library_file() -> Path:
    """Return the path of this platform's library, whether it exists or not."""
    platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    return SOURCE.with_name(f"transcode.{platform}.so")


def compute_source_checksum() -> str:
    """Return the SHA-256 (hex) of the source, which a library compiled from it contains."""
    return hashlib.sha256(SOURCE.read_bytes()).hexdigest()


def load(file: Path | None = None) -> ctypes.CDLL:
    """Load the library. Raises NativeMissing when there is none, or when it was compiled from another source."""
    file = file or get_library_file()
    if not file.exists():
        raise NativeMissing(f"{file.name} was not built")
    try:
        library = ctypes.CDLL(str(file))
        built_from = (ctypes.c_char * 64).in_dll(library, "sluice_source").value.decode()
    except (OSError, ValueError) as error:
        raise NativeMissing(f"{file.name} cannot be loaded ({error})") from None
    if built_from != compute_source_checksum():
        raise NativeMissing(f"{file.name} was built from another version of {SOURCE.name}")
    return library
