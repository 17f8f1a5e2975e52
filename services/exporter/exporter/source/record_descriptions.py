"""The meaning of each key of a record, for its JSON Schema (rules E2 and E4)."""

from collections.abc import Mapping

from shared.events.values import FileKind

_INTERACTION = {
    "id": "Identifies the interaction; lines are sorted by it, byte by byte",
    "status": "State, as a number of the source",
    "entityTypeId": "Kind of record, as a number of the source",
    "mediaTypeId": "Media type, such as email, chat, voice",
    "typeId": "Direction, such as Inbound, Outbound, Internal",
    "subtypeId": "Subtype within its direction, such as InboundNew",
    "externalId": "Id in another system, such as the Message-ID of an email",
    "ownerId": "The agent who handled it",
    "contactId": "The `id` of the contact",
    "parentId": "The `id` of the interaction to which this one replies",
    "startDate": "When it began",
    "modifiedDate": "When it was last changed",
    "endDate": "When it ended",
    "threadId": "Shared by all interactions of a conversation",
    "categoryId": "Topic, assigned by an agent or by classification",
    "timeShift": "The customer's offset from UTC in minutes",
    "subject": "Subject line",
    "text": "The content as plain text",
    "structuredText": "The content with its structure: HTML, or a transcript as XML or JSON",
    "structTextMimetype": "Media type of structuredText",
    "theComment": "An agent's note",
    "tenantId": "The organization's number in the source",
    "subtenantId": "A division within the organization",
    "threadHash": "Digest by which replies are matched to a thread",
    "canBeParent": "Whether others may reply to it",
    "creatorAppId": "The application that created it",
    "queueName": "The queue through which it was routed",
    "allAttributes": "All further attributes: any JSON, usually an object",
    "isSpam": "Whether it was classified as spam",
    "webSafeEmailStatus": "State of an email that is read and answered in a secure web form",
}
_CONTACT = {
    "id": "Identifies the contact; lines are sorted by it, byte by byte",
    "tenantId": "The organization's number in the source",
    "createdDate": "When the contact was created",
    "modifiedDate": "When the contact was last changed",
    "firstName": "Given name",
    "lastName": "Family name",
    "customerId": "Number or key of the customer in other systems",
    "emailAddresses": "Email addresses; null if not recorded",
    "phoneNumbers": "Telephone numbers; null if not recorded",
    "attributes": "All further attributes of the contact: any JSON, usually an object",
}
_ATTACHMENT = {
    "id": "Identifies the attachment; lines are sorted by it, byte by byte",
    "entityId": "The `id` of the interaction to which it belongs",
    "name": "File name as sent",
    "mimeType": "Media type, such as application/pdf",
    "size": "Bytes of the content, as stated by the source",
    "content": "The bytes in base64; null if no longer stored",
}
DESCRIPTIONS: Mapping[FileKind, Mapping[str, str]] = {
    "interaction": _INTERACTION,
    "contact": _CONTACT,
    "interaction-attachment": _ATTACHMENT,
}
"""By kind of file and key."""
