"""The files of deploy/ as data."""

from functools import cache
from pathlib import Path
from typing import Any

import yaml

DEPLOY = Path(__file__).parents[3] / "deploy"


class _Strict(yaml.SafeLoader):
    """Rejects duplicate keys, of which YAML would use the last."""


def _mapping(loader: _Strict, node: yaml.MappingNode) -> dict[Any, Any]:
    keys = [loader.construct_object(key, deep=True) for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
    twice = {key for key in keys if keys.count(key) > 1}
    if twice:
        raise ValueError(f"{node.start_mark}: given twice: {', '.join(map(str, twice))}")
    loader.flatten_mapping(node)
    return {
        loader.construct_object(key, deep=True): loader.construct_object(value, deep=True) for key, value in node.value
    }


_Strict.add_constructor("tag:yaml.org,2002:map", _mapping)


def load(path: Path) -> Any:
    """Return the only document of a YAML file."""
    return yaml.load(path.read_text(encoding="utf-8"), Loader=_Strict)


def load_all(text: str) -> list[Any]:
    """Return the documents of a YAML stream, without empty ones."""
    return [each for each in yaml.load_all(text, Loader=_Strict) if each is not None]


@cache
def rules() -> list[dict[str, Any]]:
    """Return every recording and alerting rule of Prometheus."""
    files = sorted((DEPLOY / "prometheus/rules").glob("*.yml"))
    return [rule for file in files for group in load(file)["groups"] for rule in group["rules"]]
