"""Writes the topics for the chart's Strimzi resources: `python -m deploy.helm.topics`."""

import json
from pathlib import Path

from shared.kafka.admin import to_dead_letter_config, to_topic_config
from shared.topics import TOPICS

FILE = Path(__file__).parent / "sluice/files/topics.json"


def render_topics() -> str:
    """Return every topic with its settings, except those that depend on the number of replicas."""
    configs = {topic.name: to_topic_config(topic, 1) for topic in TOPICS}
    configs |= {topic.dead_letter_topic: to_dead_letter_config(1) for topic in TOPICS if topic.dead_letters}
    for config in configs.values():
        del config["min.insync.replicas"]
    return json.dumps([{"name": name, "config": config} for name, config in configs.items()], indent=2) + "\n"


if __name__ == "__main__":
    FILE.write_text(render_topics(), encoding="utf-8")
