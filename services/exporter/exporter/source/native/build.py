"""`python -m exporter.source.native.build`: compiles `transcode.c` with the C compiler that is there.

Without one it says so and ends well, for the exporter then has the server make its records; `--insist` makes it fail.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from exporter.source.native import SOURCE, library_file, source_checksum

COMPILERS = ("cc", "gcc", "clang")
OPTIONS = ("-std=c11", "-O3", "-fPIC", "-shared", "-fvisibility=hidden", "-Wall", "-Wextra")


class NotBuilt(Exception):
    """The library could not be built; says why."""


def compiler() -> str | None:
    """Return the C compiler, if there is one."""
    return next((found for name in COMPILERS if (found := shutil.which(name))), None)


def build(to: Path, *, options: Sequence[str] = ()) -> Path:
    """Compile the library into `to`, in place of what is there, and return it. Raises NotBuilt."""
    program = compiler()
    if program is None:
        raise NotBuilt(f"there is no C compiler ({', '.join(COMPILERS)})")
    # Whoever has the old file open keeps it; nobody ever sees half a file.
    fresh = to.with_name(f"{to.name}.{os.getpid()}")
    words = [program, *OPTIONS, *options, f'-DSLUICE_SOURCE="{source_checksum()}"', "-o", str(fresh), str(SOURCE)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)  # noqa: S603 every word of it is ours
    if done.returncode != 0:
        fresh.unlink(missing_ok=True)
        raise NotBuilt(f"{program} failed: {done.stderr.strip()}")
    return fresh.replace(to)


def main() -> int:
    """Build, and say what came of it; return the exit code."""
    try:
        sys.stdout.write(f"Built {build(library_file()).name}\n")
    except NotBuilt as error:
        sys.stdout.write(f"Exports will be slower, for their native part was not built: {error}\n")
        return int("--insist" in sys.argv)
    return 0


if __name__ == "__main__":
    sys.exit(main())
