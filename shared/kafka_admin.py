"""Topics and dead letters from the command line: `python -m shared.kafka_admin create-topics | replay-dead TOPIC`."""

import argparse
import asyncio
import os
import sys
from datetime import timedelta

from shared.errors import SluiceError
from shared.kafka.admin import create_topics, replay_dead_letters
from shared.settings import KafkaSettings, load
from shared.topics import TOPICS


def main() -> None:
    """Run one command with the environment's `SLUICE_KAFKA_*`; exit with a message on failure."""
    parser = argparse.ArgumentParser(prog="python -m shared.kafka_admin", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("create-topics", help="create missing topics, and apply the settings of all")
    replay = commands.add_parser("replay-dead", help="republish a topic's dead letters, each once")
    replay.add_argument("topic", choices=[topic.name for topic in TOPICS])
    arguments = parser.parse_args()
    try:
        settings = load(KafkaSettings, "KAFKA", os.environ)
        if arguments.command == "create-topics":
            created = asyncio.run(create_topics(settings))
            sys.stdout.write(f"topics created: {', '.join(created) or 'none, all exist'}\n")
        else:
            topic = next(each for each in TOPICS if each.name == arguments.topic)
            count = asyncio.run(replay_dead_letters(settings.kafka, topic, quiet=timedelta(seconds=5)))
            sys.stdout.write(f"dead letters republished on {topic.name}: {count}\n")
    except SluiceError as error:
        sys.exit(f"{parser.prog}: {error}")


if __name__ == "__main__":
    main()
