"""The exporter's wheel: with the native transcoder for this platform, or without it for any."""

import subprocess
import sys
import zipfile
from pathlib import Path

from exporter.source.native import SOURCE, load
from exporter.source.native.build import find_compiler

EXPORTER = Path(__file__).parents[3] / "services/exporter"


def test_the_wheel_contains_the_native_transcoder_where_there_is_a_compiler(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(argv, cwd=EXPORTER, check=True, capture_output=True)
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        libraries = [name for name in archive.namelist() if name.endswith(".so")]
        assert f"exporter/source/native/{SOURCE.name}" in archive.namelist(), "its checksum is needed at run time"
        archive.extractall(tmp_path)
    if find_compiler() is None:
        assert (wheel.name.endswith("-py3-none-any.whl"), libraries) == (True, [])
        return
    assert "-py3-none-" in wheel.name
    assert "-any" not in wheel.name
    [library] = libraries
    load(tmp_path / library)
