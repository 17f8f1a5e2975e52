"""The chart as Helm lints and renders it, with the sets of values in `sluice/ci`; Helm need not be installed."""

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


class RenderingFailed(Exception):
    """Helm cannot render the chart with these values; the text is Helm's."""


def load_values(name: str) -> dict[str, Any]:
    """Return one of the chart's sets of values in `sluice/ci`."""
    values: dict[str, Any] = yaml.safe_load((CHART / f"ci/{name}.yaml").read_text(encoding="utf-8"))
    return values


def lint(values: Mapping[str, Any], chart: Path = CHART) -> list[str]:
    """Return the warnings and errors of `helm lint --strict`. Raises RenderingFailed."""
    report = json.loads(_run_engine("lint", str(chart), KUBERNETES, values=values))
    return [f"{each['path']}: {each['error']}" for each in report["messages"] if each["severity"] > 1]


def render(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the resources that `helm template` renders. Raises RenderingFailed."""
    files = json.loads(_run_engine("template", str(CHART), NAMESPACE, values=values))
    texts = [text for name, text in sorted(files.items()) if name.endswith(".yaml")]
    return [each for text in texts for each in yaml.safe_load_all(text) if each is not None]


@cache
def render_set(name: str) -> tuple[dict[str, Any], ...]:
    """Return the resources for one of the sets of values. Raises RenderingFailed."""
    return tuple(render(load_values(name)))


def _run_engine(*argv: str, values: Mapping[str, Any]) -> str:
    done = subprocess.run(
        [str(tools() / "python"), str(ENGINE), *argv],
        input=json.dumps(values),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RenderingFailed(done.stderr)
    return done.stdout
