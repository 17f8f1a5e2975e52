"""Writes the topics for the chart's Strimzi resources: `python -m deploy.helm.topics`."""

import json
from pathlib import Path

from shared.kafka.topic_configs import to_topic_configs
from shared.topics import TOPICS

FILE = Path(__file__).parent / "sluice/files/topics.json"


def render_topics() -> str:
    """Return every topic with its settings, except those that depend on the number of replicas."""
    configs = to_topic_configs(TOPICS, 1)
    for config in configs.values():
        del config["min.insync.replicas"]
    return json.dumps([{"name": name, "config": config} for name, config in configs.items()], indent=2) + "\n"


if __name__ == "__main__":
    FILE.write_text(render_topics(), encoding="utf-8")
