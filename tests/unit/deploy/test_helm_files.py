"""Checks of the chart that need no Helm: its values, its schema, and the files that it copies."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from deploy.helm.topics import FILE, render_topics
from tests.unit.deploy.documents import DEPLOY, load
from tests.unit.deploy.service_settings import image_environment, known_variables

CHART = DEPLOY / "helm/sluice"
SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
VALUES: dict[str, Any] = load(CHART / "values.yaml")
SETS = sorted((CHART / "ci").glob("*.yaml"))


def merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    both = {
        name: merged(base[name], value) if isinstance(value, dict) and isinstance(base.get(name), dict) else value
        for name, value in over.items()
    }
    return base | both


@pytest.mark.parametrize("path", SETS, ids=lambda path: path.stem)
def test_the_sets_of_values_conform_to_the_schema(path: Path) -> None:
    jsonschema.validate(merged(VALUES, load(path)), SCHEMA)


@pytest.mark.parametrize(
    "wrong",
    [
        {"stor": {"url": "s3://a/b"}},
        {"store": {"url": "ftp://a/b"}},
        {"kafka": {"securityProtocol": "TLS"}},
        {"image": {"tag": "latest"}},
        {"exporter": {"slots": 0}},
        {"jobApi": {"settings": {"batch": 1}}},
        {"networkPolicy": {"kafka": {"ports": ["kafka"]}}},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_nonsensical_values_do_not_conform_to_the_schema(wrong: dict[str, Any]) -> None:
    good = merged(VALUES, load(CHART / "ci/minimal.yaml"))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(merged(good, wrong), SCHEMA)


def test_every_value_is_in_the_schema() -> None:
    def missing(values: dict[str, Any], schema: dict[str, Any], path: str = "") -> list[str]:
        known = schema.get("properties")
        if known is None:
            return []
        found = [f"{path}{name}" for name in values if name not in known]
        for name, value in values.items():
            if isinstance(value, dict) and name in known:
                found += missing(value, known[name], f"{path}{name}.")
        return found

    assert missing(VALUES, SCHEMA) == []


def test_the_topics_for_strimzi_are_those_of_the_product() -> None:
    assert FILE.read_text(encoding="utf-8") == render_topics(), "run: python -m deploy.helm.topics"


def test_the_rules_of_the_chart_are_those_of_prometheus() -> None:
    rules = {path.name: path.read_bytes() for path in (DEPLOY / "prometheus/rules").glob("*.yml")}
    assert {path.name: path.read_bytes() for path in (CHART / "files/rules").glob("*.yml")} == rules


def test_templates_name_only_settings_that_exist() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in CHART.glob("templates/*"))
    known = known_variables()
    named = {
        name for name in re.findall(r"SLUICE_[A-Z_]+[A-Z]", text) if name + "_" not in text.replace(name + "_FILE", "")
    }
    assert {name for name in named if name not in known and name.removesuffix("_FILE") not in known} == set()
    # Settings under `$prefix` are checked where the chart is rendered; here at least those of the image.
    assert set(image_environment()) <= known
