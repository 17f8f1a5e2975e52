"""The tools that check the chart: Helm's own engine, and checkov, by version and checksum.

They have an environment of their own: nothing else of Sluice needs them, and `.venv` stays 150 MB smaller.
"""

from functools import cache
from pathlib import Path

from deploy.tool_environment import tool_environment

LOCK = Path(__file__).with_name("tools.lock")


@cache
def tools() -> Path:
    """Return the folder of the tools' programs. Raises LocalError when they cannot be installed."""
    return tool_environment("helm", LOCK) / "bin"
