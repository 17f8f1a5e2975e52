"""Reduces the operators' resource definitions to JSON Schemas of the parts that the chart uses.

`python -m deploy.helm.crds FOLDER`, where FOLDER contains the files that SOURCES name, as their projects publish them.
Of the parts that the chart does not use only the names are kept, so that a misspelt name is still rejected.
"""

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from deploy.helm.rendering import render_set

SCHEMAS = Path(__file__).with_name("schemas")
SETS = ("full", "operators")
_KEDA = "KEDA 2.20.2, Apache-2.0: config/crd/bases/keda.sh_scaledobjects.yaml"
_PROMETHEUS = "prometheus-operator 0.93.0, Apache-2.0: example/prometheus-operator-crd/monitoring.coreos.com_"
_STRIMZI = "Strimzi 1.2.0, Apache-2.0: packaging/install/cluster-operator/"
SOURCES = {
    ("keda.sh/v1alpha1", "ScaledObject"): _KEDA,
    ("monitoring.coreos.com/v1", "PrometheusRule"): f"{_PROMETHEUS}prometheusrules.yaml",
    ("monitoring.coreos.com/v1", "ServiceMonitor"): f"{_PROMETHEUS}servicemonitors.yaml",
    ("kafka.strimzi.io/v1", "Kafka"): f"{_STRIMZI}040-Crd-kafka.yaml",
    ("kafka.strimzi.io/v1", "KafkaTopic"): f"{_STRIMZI}043-Crd-kafkatopic.yaml",
    ("kafka.strimzi.io/v1", "KafkaNodePool"): f"{_STRIMZI}045-Crd-kafkanodepool.yaml",
    ("postgresql.cnpg.io/v1", "Cluster"): "CloudNativePG 1.30.0, Apache-2.0: config/crd/bases/"
    "postgresql.cnpg.io_clusters.yaml",
}
_KEPT = ("type", "required", "enum", "pattern", "minimum", "maximum", "minItems", "maxItems", "minLength", "maxLength")


def iterate_resources() -> Iterator[dict[str, Any]]:
    """Yield every resource of an operator that the chart renders with any set of values."""
    for each in (each for name in SETS for each in render_set(name)):
        if (each["apiVersion"], each["kind"]) in SOURCES:
            yield each


def reduce_schema(schema: dict[str, Any], used: list[Any]) -> Any:
    """Return a definition's schema as JSON Schema, without the parts that none of the used values has."""
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    kept: dict[str, Any] = {name: schema[name] for name in _KEPT if name in schema}
    if "properties" in schema:
        members = {name: (member, collect_values(used, name)) for name, member in schema["properties"].items()}
        kept["properties"] = {
            name: reduce_schema(member, values) if values else True for name, (member, values) in members.items()
        }
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            kept["additionalProperties"] = False
    elif isinstance(schema.get("additionalProperties"), dict):
        every = [value for each in used for value in each.values()]
        kept["additionalProperties"] = reduce_schema(schema["additionalProperties"], every)
    if "items" in schema:
        kept["items"] = reduce_schema(schema["items"], [value for each in used for value in each])
    return kept


def collect_values(used: Iterable[dict[str, Any]], name: str) -> list[Any]:
    """Return the values of a property, from the values that have it."""
    return [each[name] for each in used if name in each]


def read_definition(text: str, api: str) -> dict[str, Any]:
    """Return the schema of one version in a definition's file, with the properties of every resource."""
    versions = yaml.safe_load(text)["spec"]["versions"]
    (schema,) = [each["schema"]["openAPIV3Schema"] for each in versions if each["name"] == api.partition("/")[2]]
    known = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"}}
    return {**schema, "properties": {**schema["properties"], **known}}


def main() -> None:
    """Write the schemas."""
    folder = Path(sys.argv[1])
    SCHEMAS.mkdir(exist_ok=True)
    for (api, kind), source in SOURCES.items():
        used = [each for each in iterate_resources() if (each["apiVersion"], each["kind"]) == (api, kind)]
        text = (folder / source.rpartition("/")[2]).read_text(encoding="utf-8")
        schema = {"$comment": f"Reduced by python -m deploy.helm.crds from {source}"} | reduce_schema(
            read_definition(text, api), used
        )
        (SCHEMAS / f"{kind}.json").write_text(json.dumps(schema, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
