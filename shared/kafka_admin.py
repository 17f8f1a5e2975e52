"""Topics and dead letters from the command line: `python -m shared.kafka_admin COMMAND --help`."""

import argparse
import asyncio
import os
import sys

from shared.errors import SluiceError
from shared.kafka.admin import create_topics
from shared.kafka.letter_replay import replay_dead_letters, set_aside
from shared.kafka.notes import Note
from shared.settings import KafkaSettings, load
from shared.topics import CONSUMER_GROUPS, TOPICS


def main() -> None:
    """Run one command with the environment's `SLUICE_KAFKA_*`; exit with a message on failure."""
    parser = _create_parser()
    arguments = parser.parse_args()
    try:
        sys.stdout.write(asyncio.run(_run(arguments, load(KafkaSettings, "KAFKA", os.environ))) + "\n")
    except SluiceError as error:
        sys.exit(f"{parser.prog}: {error}")


def _create_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m shared.kafka_admin", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("create-topics", help="create missing topics, and add missing settings to existing ones")
    groups = [group.name for group in CONSUMER_GROUPS]
    replay = commands.add_parser("replay-dead", help="hand a topic's dead letters to their group again, each once")
    replay.add_argument("--group", required=True, choices=groups, help="the group whose letters they are")
    replay.add_argument("topic", choices=[topic.name for topic in TOPICS])
    aside = commands.add_parser("set-aside", help="let a group set messages aside that it cannot handle")
    aside.add_argument("--group", required=True, choices=groups)
    aside.add_argument("--topic", required=True, help="the topic on which the message waits")
    aside.add_argument("--partition", required=True, type=int)
    aside.add_argument("--offset", required=True, type=int, help="the offset at which the group waits")
    aside.add_argument("--until", type=int, help="the last offset, to set several messages aside")
    aside.add_argument("--reason", required=True, help="why, in words; it is kept with the dead letter")
    return parser


async def _run(arguments: argparse.Namespace, settings: KafkaSettings) -> str:
    match arguments.command:
        case "create-topics":
            return "\n".join((await create_topics(settings)).describe())
        case "replay-dead":
            topic = next(each for each in TOPICS if each.name == arguments.topic)
            count = await replay_dead_letters(settings.kafka, topic, group=arguments.group)
            return f"dead letters of {topic.name} replayed to {arguments.group}: {count}"
        case _:
            note = Note(
                kind="set-aside",
                group=arguments.group,
                topic=arguments.topic,
                partition=arguments.partition,
                first=arguments.offset,
                last=max(arguments.offset, arguments.until or 0),
                reason=arguments.reason,
            )
            await set_aside(settings.kafka, note)
            return f"{note.group} will set aside {note.topic}[{note.partition}] {note.first} to {note.last}"


if __name__ == "__main__":
    main()
