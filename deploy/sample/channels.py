"""The content of interactions, by media type."""

from collections.abc import Callable
from json import dumps
from random import Random
from typing import NamedTuple

from deploy.sample.phrasebook import EMOJI, Language, pick

LONG_MAIL = 100_000
HUGE_MAIL = 1_000_000
"""Lengths of the two kinds of long mail in characters; in UTF-8 up to three times as many bytes."""

_CHAT_XML = (
    '<?xml version="1.0" encoding="utf-8"?>\n'
    '<chatTranscript sessionId="{session}" language="{code}">\n{body}</chatTranscript>\n'
)
_MAIL_HTML = (
    '<!DOCTYPE html>\r\n<html lang="{code}"><head><meta charset="utf-8">'
    "<style>p {{ margin: 0 0 1em; }}</style></head>\r\n"
    '<body style="font-family: &quot;Segoe UI&quot;, sans-serif">{body}'
    "<hr>\r\n<p>&nbsp;&copy; 2026 Example &amp; Co.</p></body></html>\r\n"
)


class Content(NamedTuple):
    """The columns that depend on the media type; `attributes` are members of a JSON object, as text."""

    entity_type_id: int
    queue: str
    attributes: str
    subject: str | None = None
    text: str | None = None
    structured_text: str | None = None
    struct_text_mimetype: str | None = None
    the_comment: str | None = None


def email(rng: Random, language: Language) -> Content:
    """Return a mail; nearly half have the same text as HTML."""
    indexes = _indexes(rng, language, 2 + int(rng.random() * 4))
    message = " ".join([language.sentences[index] for index in indexes])
    text = f"{pick(rng, language.greetings)}\r\n\r\n{message}\r\n\r\n{pick(rng, language.closings)}\r\n"
    html = None
    if rng.random() < 0.45:
        body = "".join([f"<p>{language.marked_up[index]}</p>\r\n" for index in indexes])
        html = _MAIL_HTML.format(code=language.code, body=body)
    subject = f"Re: {pick(rng, language.sentences)}" if rng.random() < 0.4 else pick(rng, language.sentences)
    attributes = f'"_AutoReplyCount": {int(rng.random() * 3)}, "Header_X-Spam-Score": {rng.random() * 10:.3f}'
    return Content(1, "Mail", attributes, subject, text, html, html and "text/html")


def long_mail(rng: Random, language: Language, *, length: int) -> Content:
    """Return a mail of about `length` characters: nested quotations, as they grow over months."""
    page = "\r\n> ".join(_sentences(rng, language, 200))
    text = "\r\n> ".join([page] * (length // len(page) + 1))[:length]
    return Content(1, "Mail", f'"quotedPages": {length // len(page)}', f"Fwd: {pick(rng, language.sentences)}", text)


def chat(rng: Random, language: Language) -> Content:
    """Return a chat with its transcript as XML, as JSON, or as plain text."""
    count = 2 + int(rng.random() * 5)
    kind = rng.random()
    attributes = f'"waitSeconds": {int(rng.random() * 600)}, "rating": {1 + rng.random() * 4:.1f}'
    if kind < 0.5:
        lines = [
            f'<message userId="{who:04X}" timeShift="{17 * who}"><msgText>{line}</msgText></message>\n'
            for who, line in enumerate([language.marked_up[index] for index in _indexes(rng, language, count)])
        ]
        session = f"{rng.getrandbits(64):016x}"
        transcript = _CHAT_XML.format(session=session, code=language.code, body="".join(lines))
        return Content(2, "Chat", attributes, structured_text=transcript, struct_text_mimetype="application/xml")
    sentences = _sentences(rng, language, count)
    if kind < 0.8:
        messages = [
            {"from": "customer" if n % 2 else "agent", "at": n * 17, "text": line} for n, line in enumerate(sentences)
        ]
        transcript = dumps(messages, ensure_ascii=kind < 0.6)
        return Content(2, "Chat", attributes, None, sentences[0], transcript, "application/json")
    return Content(2, "Chat", attributes, text="\n".join(sentences))


def voice(rng: Random, language: Language) -> Content:
    """Return a call, which has at most an agent's note."""
    comment = pick(rng, language.sentences) if rng.random() < 0.4 else None
    number = int(rng.random() * 1_000_000)
    attributes = f'"ANI": "{_phone(rng)}", "DNIS": "+49800{number:06d}", "talkSeconds": {number % 1800}'
    return Content(0, "Voice", attributes, the_comment=comment)


def callback(rng: Random, language: Language) -> Content:
    """Return a requested callback: a number, a preferred time and a note."""
    preferred = 1_700_000_000 + int(rng.random() * 1e9)
    attributes = f'"_CUSTOMER_NUMBER": "{_phone(rng)}", "_DESIRED_TIME": {preferred}, "attempts": 1'
    return Content(4, "Callback", attributes, pick(rng, language.sentences), the_comment=_passage(rng, language, 2))


def sms(rng: Random, language: Language) -> Content:
    """Return a text message of at most 160 characters."""
    return Content(3, "Messages", f'"from": "{_phone(rng)}", "parts": 1', text=_passage(rng, language, 2)[:160])


def whatsapp(rng: Random, language: Language) -> Content:
    """Return a message with emojis, also as JSON."""
    text = f"{_passage(rng, language, 2)} {pick(rng, EMOJI)}{pick(rng, EMOJI)}"
    form = dumps({"type": "text", "body": text, "context": {"forwarded": rng.random() < 0.1}}, ensure_ascii=False)
    return Content(3, "Messages", f'"wa_id": "{_phone(rng)}", "profile": null', None, text, form, "application/json")


def facebook(rng: Random, language: Language) -> Content:
    """Return a public post."""
    attributes = f'"likes": {int(rng.random() ** 4 * 5000)}, "public": true, "postId": {rng.getrandbits(62)}'
    return Content(3, "Social", attributes, text=f"{_passage(rng, language, 3)} {pick(rng, EMOJI)} #support")


def workitem(rng: Random, language: Language) -> Content:
    """Return a task of another system, with an empty text instead of none."""
    due = rng.random() * 99
    attributes = f'"priority": {int(due) % 10}, "dueInHours": {due:.2f}, "source": {{"system": "ERP", "queue": [1, 2]}}'
    comment = pick(rng, language.sentences)
    return Content(5, "Back office", attributes, f"#{rng.getrandbits(32)}", "", the_comment=comment)


CHANNELS: dict[str, tuple[int, Callable[[Random, Language], Content]]] = {
    "email": (36, email),
    "chat": (24, chat),
    "voice": (14, voice),
    "whatsapp": (8, whatsapp),
    "callback": (6, callback),
    "sms": (5, sms),
    "facebook": (4, facebook),
    "workitem": (3, workitem),
}
"""The media types with their share of interactions in percent and the function that generates their content."""


def _indexes(rng: Random, language: Language, count: int) -> list[int]:
    size = len(language.sentences)
    random = rng.random
    return [int(random() * size) for _ in range(count)]


def _sentences(rng: Random, language: Language, count: int) -> list[str]:
    sentences = language.sentences
    return [sentences[index] for index in _indexes(rng, language, count)]


def _passage(rng: Random, language: Language, count: int) -> str:
    return " ".join(_sentences(rng, language, count))


def _phone(rng: Random) -> str:
    return f"+49{1_500_000_000 + int(rng.random() * 300_000_000)}"
