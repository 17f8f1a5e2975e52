"""The AsyncAPI 3.0 document of all topics: servers, channels, operations, messages and their headers."""

from datetime import timedelta
from typing import Any

from shared import events
from shared.codec import NAME_OF, TOMBSTONES, ce_type_of, schema_file, schema_id
from shared.schema_ids import SCHEMA_BASE
from shared.topics import TOPIC_OF, TOPICS, Topic

Document = dict[str, Any]

DOCUMENT_ID = SCHEMA_BASE + "asyncapi.json"
_BINDING_VERSION = "0.5.0"
_DESCRIPTION = (
    "The events that Sluice's services exchange over Kafka. Topics tagged `public` are a contract with other systems; "
    "the others are internal and may change in any release. docs/EVENTS.md states the rules. Generated from "
    "shared/topics.py and shared/events/."
)
_HEADERS: dict[str, Document] = {
    "ce_specversion": {"const": "1.0", "description": "The version of the CloudEvents specification."},
    "ce_id": {"type": "string", "format": "uuid", "description": "The event's id, the same for every delivery of it."},
    "ce_type": {"type": "string", "description": "The event's type and version."},
    "ce_source": {
        "type": "string",
        "format": "uri-reference",
        "enum": [f"/sluice/{service}" for service in ("job-api", "scheduler", "exporter", "history")],
        "description": "The service that published the event.",
    },
    "ce_time": {"type": "string", "format": "date-time", "description": "When the event happened, in UTC."},
    "ce_subject": {"type": "string", "format": "uuid", "description": "What the event is about: the message's key."},
    "ce_dataschema": {
        "type": "string",
        "format": "uri",
        "description": "The `$id` of the JSON Schema of the message's value; absent from a message without a value.",
    },
    "content-type": {"const": "application/json", "description": "The format of the message's value."},
    "traceparent": {"type": "string", "description": "The trace that the event belongs to (W3C Trace Context)."},
}


def asyncapi_document() -> Document:
    """Return the document. Its `$ref`s lead to its own components and to the schemas in the same folder."""
    return {
        "asyncapi": "3.0.0",
        "id": DOCUMENT_ID,
        "info": {
            "title": "Sluice events",
            "version": "1",
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
            "tags": [
                {"name": "public", "description": "A contract with other systems: compatible within a version."},
                {"name": "internal", "description": "Between Sluice's services only."},
            ],
        },
        "defaultContentType": "application/json",
        "servers": _servers(),
        "channels": {topic.name: _channel(topic) for topic in TOPICS},
        "operations": _operations(),
        "components": {
            "messages": {event.__name__: _message(event) for event in NAME_OF},
            "schemas": {
                "CloudEventHeaders": {
                    "type": "object",
                    "required": [name for name in _HEADERS if name != "ce_dataschema"],
                    "properties": _HEADERS,
                }
            },
            "securitySchemes": {
                "scramSha512": {"type": "scramSha512", "description": "SASL/SCRAM-SHA-512, the default mechanism."},
                "scramSha256": {"type": "scramSha256", "description": "SASL/SCRAM-SHA-256."},
                "plain": {"type": "plain", "description": "SASL/PLAIN; only over TLS."},
                "clientCertificate": {"type": "X509", "description": "Mutual TLS with a client certificate."},
            },
        },
    }


def _servers() -> Document:
    variables = {"bootstrap": {"description": "A broker's address, host:port.", "default": "localhost:9092"}}
    schemes = ("scramSha512", "scramSha256", "plain", "clientCertificate")
    return {
        "secure": {
            "host": "{bootstrap}",
            "protocol": "kafka-secure",
            "description": "A cluster that requires TLS, and a login or a client certificate: the one for production.",
            "variables": variables,
            "security": [{"$ref": f"#/components/securitySchemes/{scheme}"} for scheme in schemes],
        },
        "local": {
            "host": "{bootstrap}",
            "protocol": "kafka",
            "description": "A cluster of the local stack: no encryption, no login, loopback only.",
            "variables": variables,
        },
    }


def _channel(topic: Topic) -> Document:
    kept = (
        f"Retention: {topic.retention.days} days" if topic.retention else "Compacted: the latest message of a key stays"
    )
    return {
        "address": topic.name,
        "description": f"{topic.description[0].upper()}{topic.description[1:]}. Key: `{topic.key}`. {kept}.",
        "tags": [{"name": "public" if topic.is_public else "internal"}],
        "messages": {event.__name__: {"$ref": f"#/components/messages/{event.__name__}"} for event in topic.events},
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "topicConfiguration": _topic_configuration(topic.retention),
                "bindingVersion": _BINDING_VERSION,
            }
        },
    }


def _topic_configuration(retention: timedelta | None) -> Document:
    if retention is None:
        return {"cleanup.policy": ["compact"]}
    return {"cleanup.policy": ["delete"], "retention.ms": int(retention.total_seconds() * 1000)}


def _operations() -> Document:
    return {
        f"{service}.{action}.{topic.name}": {
            "action": action,
            "channel": {"$ref": f"#/channels/{topic.name}"},
            "summary": f"{service} {verb} {topic.name}",
        }
        for topic in TOPICS
        for action, verb, services in (
            ("send", "publishes to", topic.producers),
            ("receive", "reads", topic.consumers),
        )
        for service in services
    }


def _message(event: type[events.Event]) -> Document:
    summary, _, details = (event.__doc__ or "").strip().partition("\n")
    key = {"type": "string", "format": "uuid", "description": f"The event's `{TOPIC_OF[event].key}`."}
    own: Document = {"properties": {"ce_type": {"const": ce_type_of(event)}}}
    if event not in TOMBSTONES:
        own["properties"]["ce_dataschema"] = {"const": schema_id(event)}
        own["required"] = ["ce_dataschema"]
    return {
        "name": ce_type_of(event),
        "contentType": "application/json",
        "summary": summary,
        **({"description": " ".join(details.split())} if details.strip() else {}),
        "headers": {"allOf": [{"$ref": "#/components/schemas/CloudEventHeaders"}, own]},
        "payload": {"type": "null"} if event in TOMBSTONES else {"$ref": schema_file(event)},
        "bindings": {"kafka": {"key": key, "bindingVersion": _BINDING_VERSION}},
    }
