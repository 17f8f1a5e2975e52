"""Writes the topics for the chart's Strimzi resources: `python -m deploy.helm.topics`."""

import json
from pathlib import Path

from shared.kafka.admin import to_dead_letter_config, to_topic_config
from shared.topics import TOPICS

FILE = Path(__file__).parent / "sluice/files/topics.json"


def topics() -> str:
    """Return every topic with its settings, but for what follows from the number of replicas, which the chart knows."""
    wanted = {topic.name: to_topic_config(topic, 1) for topic in TOPICS}
    wanted |= {topic.dead_letter_topic: to_dead_letter_config(1) for topic in TOPICS if topic.dead_letters}
    for config in wanted.values():
        del config["min.insync.replicas"]
    return json.dumps([{"name": name, "config": config} for name, config in wanted.items()], indent=2) + "\n"


if __name__ == "__main__":
    FILE.write_text(topics(), encoding="utf-8")
