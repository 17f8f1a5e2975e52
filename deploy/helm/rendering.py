"""The chart as Helm lints and renders it, with the sets of values in `sluice/ci`; no helm has to be installed."""

import json
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from deploy.helm.tools import tools

CHART = Path(__file__).with_name("sluice")
ENGINE = Path(__file__).with_name("engine.py")
KUBERNETES, NAMESPACE = "1.31.0", "exports"


class Refused(Exception):
    """Helm does not render the chart with these values; says why in Helm's words."""


def value_set(name: str) -> dict[str, Any]:
    """Return one of the chart's sets of values."""
    values: dict[str, Any] = yaml.safe_load((CHART / f"ci/{name}.yaml").read_text(encoding="utf-8"))
    return values


def linted(values: Mapping[str, Any], chart: Path = CHART) -> list[str]:
    """Return what `helm lint --strict` finds in need of mending: its warnings and errors."""
    report = json.loads(_ask("lint", str(chart), KUBERNETES, values=values))
    return [f"{each['path']}: {each['error']}" for each in report["messages"] if each["severity"] > 1]


def templated(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the resources that `helm template` makes. Raises Refused."""
    files = json.loads(_ask("template", str(CHART), NAMESPACE, values=values))
    texts = [text for name, text in sorted(files.items()) if name.endswith(".yaml")]
    return [each for text in texts for each in yaml.safe_load_all(text) if each is not None]


@cache
def rendered(name: str) -> tuple[dict[str, Any], ...]:
    """Return the resources for a set of values."""
    return tuple(templated(value_set(name)))


def _ask(*words: str, values: Mapping[str, Any]) -> str:
    done = subprocess.run(
        [str(tools() / "python"), str(ENGINE), *words],
        input=json.dumps(values),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise Refused(done.stderr)
    return done.stdout
