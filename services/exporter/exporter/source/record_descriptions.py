"""What each key of a record means, for its JSON Schema (rules E2 and E4)."""

from collections.abc import Mapping

from exporter.source.selection import RecordKind

_INTERACTION = {
    "id": "Identifies the interaction; lines are in the order of its bytes",
    "status": "State, as the source numbers it",
    "entityTypeId": "Kind of record, as the source numbers it",
    "mediaTypeId": "Media type, such as email, chat, voice",
    "typeId": "Direction, such as Inbound, Outbound, Internal",
    "subtypeId": "What it was within its direction, such as InboundNew",
    "externalId": "Id in another system, such as the Message-ID of a mail",
    "ownerId": "The agent who handled it",
    "contactId": "The `id` of the contact",
    "parentId": "The `id` of the interaction that this one answers",
    "startDate": "When it began",
    "modifiedDate": "When it was last changed",
    "endDate": "When it ended",
    "threadId": "The same for all interactions of one conversation",
    "categoryId": "Topic given by an agent or by classification",
    "timeShift": "Minutes that the customer's clock is ahead of UTC",
    "subject": "Subject line",
    "text": "What was said, as plain text",
    "structuredText": "What was said, with its structure: HTML, or a transcript as XML or JSON",
    "structTextMimetype": "Media type of structuredText",
    "theComment": "Note of an agent",
    "tenantId": "The organisation's number in the source",
    "subtenantId": "A division within the organisation",
    "threadHash": "Digest by which replies are matched to a thread",
    "canBeParent": "Whether others may answer it",
    "creatorAppId": "The application that created it",
    "queueName": "The queue it was routed through",
    "allAttributes": "Everything else that is kept about it: any JSON, mostly one object",
    "isSpam": "Whether it was judged to be spam",
    "webSafeEmailStatus": "State of a mail that is read and answered in a secured web form",
}
_CONTACT = {
    "id": "Identifies the contact; lines are in the order of its bytes",
    "tenantId": "The organisation's number in the source",
    "createdDate": "When the contact was first recorded",
    "modifiedDate": "When the contact was last changed",
    "firstName": "Given name",
    "lastName": "Family name",
    "customerId": "Number or key of the customer in other systems",
    "emailAddresses": "E-mail addresses; null where they are not kept",
    "phoneNumbers": "Telephone numbers; null where they are not kept",
    "attributes": "Everything else that is kept about the contact: any JSON, mostly one object",
}
_ATTACHMENT = {
    "id": "Identifies the attachment; lines are in the order of its bytes",
    "entityId": "The `id` of the interaction it belongs to",
    "name": "File name as sent",
    "mimeType": "Media type, such as application/pdf",
    "size": "Bytes of the content, as the source states them",
    "content": "The bytes in base64; null where they are no longer kept",
}
WORDS: Mapping[RecordKind, Mapping[str, str]] = {
    RecordKind.INTERACTION: _INTERACTION,
    RecordKind.CONTACT: _CONTACT,
    RecordKind.ATTACHMENT: _ATTACHMENT,
}
"""By kind of record and key."""
