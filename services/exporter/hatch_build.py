"""Builds the native transcoder into the wheel, or next to its source in an editable installation.

A wheel with it is for any Python 3 on this platform. Without a C compiler the wheel is a pure one.
"""

import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

sys.path.insert(0, str(Path(__file__).parent))

from exporter.source.native import get_library_file
from exporter.source.native.build import NotBuilt, build


class TranscoderHook(BuildHookInterface):  # type: ignore[type-arg]  # hatchling's configuration type is not needed
    """Called by hatchling for each build."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile the transcoder, or warn that it was not built."""
        try:
            library = build(get_library_file())
        except NotBuilt as error:
            self.app.display_warning(f"the native transcoder was not built: {error}")
            return
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{platform}"
        if version != "editable":
            build_data["force_include"][str(library)] = f"exporter/source/native/{library.name}"
