"""IncrementalAlterConfigs (KIP-339), which aiokafka's admin client lacks: it changes the named settings and no others.

AlterConfigs, which that client has, replaces all settings of a topic, and so removes those of its operator.
"""

from collections.abc import Mapping, Sequence

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Int8, Int16, Int32, Schema, String

_TOPIC, _SET = 2, 0  # of Kafka's enumerations of resources and of operations


class IncrementalAlterConfigsResponse(Response):  # type: ignore[misc]
    """For each resource an error code, 0 for none, and the broker's message."""

    API_KEY = 44
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "resources",
            Array(
                ("error_code", Int16),
                ("error_message", String("utf-8")),
                ("resource_type", Int8),
                ("resource_name", String("utf-8")),
            ),
        ),
    )


class IncrementalAlterConfigsStruct(RequestStruct):  # type: ignore[misc]
    """For each resource the settings to change, with the operation on each."""

    API_KEY = 44
    API_VERSION = 0
    RESPONSE_TYPE = IncrementalAlterConfigsResponse
    SCHEMA = Schema(
        (
            "resources",
            Array(
                ("resource_type", Int8),
                ("resource_name", String("utf-8")),
                (
                    "configs",
                    Array(
                        ("name", String("utf-8")),
                        ("config_operation", Int8),
                        ("value", String("utf-8")),
                    ),
                ),
            ),
        ),
        ("validate_only", Boolean),
    )


class IncrementalAlterConfigsRequest(Request[IncrementalAlterConfigsStruct]):  # type: ignore[misc]
    """Sets some settings of some topics, and leaves all others as they are."""

    API_KEY = 44

    def __init__(self, changes: Mapping[str, Mapping[str, str]]) -> None:
        """`changes` are the settings to set, by topic."""
        self._changes = changes

    def build(self, request_struct_class: type[IncrementalAlterConfigsStruct]) -> IncrementalAlterConfigsStruct:
        """Return the request in the version that the broker speaks."""
        resources: Sequence[object] = [
            (_TOPIC, topic, [(name, _SET, value) for name, value in config.items()])
            for topic, config in self._changes.items()
        ]
        return request_struct_class(resources, False)


class TopicAdminClient(AIOKafkaAdminClient):  # type: ignore[misc]
    """An admin client that can also set single settings of topics."""

    async def set_topic_configs(self, changes: Mapping[str, Mapping[str, str]]) -> list[tuple[str, int, str | None]]:
        """Set some settings of some topics; return each topic with the broker's error code, 0 for none, and message."""
        answer = await self._send_request(IncrementalAlterConfigsRequest(changes))
        return [(name, code, message) for code, message, _, name in answer.resources]
