"""Writes the bill of materials of all locked packages as CycloneDX JSON: `make sbom`, or with a file name as argument.

The same lock gives the same bytes. The tool, cyclonedx-py, has an environment of its own, like those that check the
chart.
"""

import subprocess
import sys
from pathlib import Path

from deploy.local.errors import LocalError
from deploy.local.folders import CHECKOUT
from deploy.tool_environment import tool_environment

LOCK = CHECKOUT / "requirements.lock"
TOOLS = Path(__file__).with_name("tools.lock")
DEFAULT_TARGET = CHECKOUT / "sluice.cdx.json"


def write_bill_of_materials(target: Path) -> None:
    """Write the bill of materials to a file. Raises LocalError when the tool cannot be installed or fails."""
    program = tool_environment("supply-chain", TOOLS) / "bin" / "cyclonedx-py"
    argv = [str(program), "requirements", str(LOCK), "--output-reproducible", "--output-format", "JSON"]
    done = subprocess.run(
        [*argv, "--spec-version", "1.6", "--output-file", str(target)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise LocalError(f"cyclonedx-py failed: {done.stderr.strip()}")


def main() -> None:
    """Write the file that the command line names, or `sluice.cdx.json` in the checkout."""
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_TARGET
    try:
        write_bill_of_materials(target)
    except LocalError as error:
        sys.exit(str(error))
    print(target)


if __name__ == "__main__":
    main()
