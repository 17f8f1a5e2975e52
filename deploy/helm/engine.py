"""Helm's engine as a small program, run by the tools' Python (`tools.py`): values on standard input, JSON out.

`engine.py lint CHART KUBERNETES` answers with what `helm lint --strict` finds, `engine.py template CHART NAMESPACE`
with what `helm template` makes of each file; values that the chart refuses end it with the reason.
"""

import importlib
import json
import sys
from typing import Any


def main() -> None:
    """Do what the command line asks."""
    # Not among the packages of .venv, so nothing is known of its types there.
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
