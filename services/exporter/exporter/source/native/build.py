"""`python -m exporter.source.native.build`: compiles `transcode.c` with the installed C compiler.

Without a compiler it prints the reason and succeeds, because the source's server can build the records instead; with
`--require` it fails.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from exporter.source.native import SOURCE, compute_source_checksum, get_library_file

COMPILERS = ("cc", "gcc", "clang")
OPTIONS = ("-std=c11", "-O3", "-fPIC", "-shared", "-fvisibility=hidden", "-Wall", "-Wextra")


class NotBuilt(Exception):
    """The library could not be built; the message gives the reason."""


def find_compiler() -> str | None:
    """Return the path of the C compiler, or None."""
    return next((found for name in COMPILERS if (found := shutil.which(name))), None)


def build(to: Path, *, options: Sequence[str] = ()) -> Path:
    """Compile the library to the file `to`, replacing it, and return that. Raises NotBuilt."""
    program = find_compiler()
    if program is None:
        raise NotBuilt(f"there is no C compiler ({', '.join(COMPILERS)})")
    # Processes that have the old file open keep it, and no process ever sees an incomplete one.
    temporary = to.with_name(f"{to.name}.{os.getpid()}")
    checksum = f'-DSLUICE_SOURCE="{compute_source_checksum()}"'
    argv = [program, *OPTIONS, *options, checksum, "-o", str(temporary), str(SOURCE)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)  # noqa: S603 every argument is ours
    if done.returncode != 0:
        temporary.unlink(missing_ok=True)
        raise NotBuilt(f"{program} failed: {done.stderr.strip()}")
    return temporary.replace(to)


def main() -> int:
    """Build, print the result, and return the exit code."""
    try:
        sys.stdout.write(f"Built {build(get_library_file()).name}\n")
    except NotBuilt as error:
        sys.stdout.write(f"Exports will be slower, because the native transcoder was not built: {error}\n")
        return int("--require" in sys.argv)
    return 0


if __name__ == "__main__":
    sys.exit(main())
