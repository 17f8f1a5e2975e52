"""Helm's engine as a small program, run by the tools' Python (`tools.py`): values on standard input, JSON as output.

`engine.py lint CHART KUBERNETES` prints the findings of `helm lint --strict`, `engine.py template CHART NAMESPACE` the
output of `helm template` by file. It exits with the reason when the chart rejects the values.
"""

import importlib
import json
import sys
from typing import Any


def main() -> None:
    """Run the command line."""
    # Not installed in .venv, so its types are unknown there.
    helm: Any = importlib.import_module("helm_python")
    command, chart, detail = sys.argv[1:]
    values = json.load(sys.stdin)
    if command == "lint":
        answer = helm.lint(chart, values, strict=True, kube_version=detail)
    else:
        try:
            answer = helm.Chart.load(chart).render(values, name="sluice", namespace=detail)
        except helm.HelmError as error:
            sys.exit(str(error))
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
