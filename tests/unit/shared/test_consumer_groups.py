"""Every group of the services is in the table of groups, with the topics that it follows."""

import re
from pathlib import Path

from history.estimating.agents import GROUP
from history.estimating.agents import TOPICS as ESTIMATED
from history.recording.consumer import TOPICS as RECORDED
from job_api.consumer import TOPICS as READ_BY_JOB_API
from shared.topics import CONSUMER_GROUPS, find_replay_topic

ROOT = Path(__file__).parents[3]


def test_every_group_of_a_service_has_its_replay_topic() -> None:
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "services").rglob("*.py")]
    groups = {name for text in texts for name in re.findall(r'group="(sluice\.[a-z.-]+)"', text)}
    assert groups | {GROUP} == {group.name for group in CONSUMER_GROUPS}
    assert find_replay_topic("sluice.exporter") == "sluice.exporter.replay"
    assert find_replay_topic("g") is None


def test_groups_follow_what_the_table_says() -> None:
    topics = {group.name: {topic.name for topic in group.topics} for group in CONSUMER_GROUPS}
    assert topics["sluice.history.recorder"] == {topic.name for topic in RECORDED}
    assert topics[GROUP] == {topic.name for topic in ESTIMATED}
    assert topics["sluice.job-api"] == {topic.name for topic in READ_BY_JOB_API}
