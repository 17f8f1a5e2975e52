"""The rows of the sample, batch by batch: each batch depends only on the seed and its number."""

from collections.abc import Iterator
from hashlib import blake2b
from random import Random
from typing import NamedTuple

from deploy.sample.channels import CHANNELS, HUGE_MAIL, LONG_MAIL, Content, long_mail
from deploy.sample.contacts import make_contact
from deploy.sample.files import HUGE, KINDS, file_bytes, file_name, file_size
from deploy.sample.identifiers import Identifiers
from deploy.sample.model import Attachment, Contact, Interaction, Micros
from deploy.sample.oddities import vary
from deploy.sample.phrasebook import Language, load_phrasebook, pick

BATCH = 2_000
"""Interactions in a batch. A different number gives different rows for a seed."""

FIRST_TENANT = 101
"""The tenantId of the tenant with 90 % of the rows; the others follow it."""

_GROUP = 8
"""Interactions per contact; they share a tenant."""

_MINUTE: Micros = 60_000_000
_DAY: Micros = 24 * 60 * _MINUTE
_SPAN: Micros = 730 * _DAY
_EARLIEST_REFERENCE: Micros = 1_790_812_800_000_000  # 2026-10-01T00:00:00Z

_MEDIA = tuple(name for name, (share, _) in CHANNELS.items() for _ in range(share))
_WITH_FILES = {"email": 0.055, "chat": 0.015, "whatsapp": 0.04, "workitem": 0.015}
"""The probability that an interaction of a media type has files; together about one file per 25 interactions."""
_DIRECTIONS = (
    ("Inbound", "InboundNew"),
    ("Outbound", "OutboundReply"),
    ("Inbound", "InboundCustomerReply"),
    ("Internal", "InternalNote"),
)
_ROOT_OF = (0, 0, 0, 3, 3, 5, 5, 5)
"""The first interaction of the thread to which each interaction of a group belongs."""


class Batch(NamedTuple):
    """The rows of one batch, by view."""

    interactions: list[Interaction]
    contacts: list[Contact]
    attachments: list[Attachment]


class _Thread(NamedTuple):
    # What the interactions of one thread have in common.
    root: int
    key: str
    digest: str
    contact: str
    tenant: int
    language: Language
    begin: Micros


class Sample:
    """The sample contact history of a seed, a number of interactions and of tenants; generates rows, keeps none."""

    def __init__(self, *, seed: int, interactions: int, tenants: int) -> None:
        self.interactions = interactions
        self.batches = -(-interactions // BATCH)
        self.until = _EARLIEST_REFERENCE + seed % 28 * _DAY
        """The instant, in microseconds, before which everything happened; depends only on the seed."""
        self._seed = seed
        self._tenants = tenants
        self._languages = load_phrasebook(seed)
        self._keys = Identifiers("0004", seed)
        self._contact_keys = Identifiers("0005", seed)
        self._file_keys = Identifiers("0006", seed)

    def batch(self, number: int) -> Batch:
        """Return the rows of a batch, numbered from 0; a shorter last batch is the beginning of the full one."""
        first = number * BATCH
        indexes = range(first, min(first + BATCH, self.interactions))
        rng = Random(f"{self._seed}:{number}")
        rows: list[Interaction] = []
        thread = self._thread(first)
        for index in indexes:
            if (root := _root(index)) != thread.root:
                thread = self._thread(root)
            row = self._interaction(rng, index, thread, parent=rows[-1].id if index != root else None)
            rows.append(vary(row, index))
        file_rng = Random(f"{self._seed}:{number}:files")
        files = [
            file for index, row in zip(indexes, rows, strict=True) for file in self._attachments(file_rng, index, row)
        ]
        contact_rng = Random(f"{self._seed}:{number}:contacts")
        contacts = [self._contact(contact_rng, index // _GROUP) for index in indexes if index % _GROUP == 0]
        return Batch(rows, contacts, files)

    def _tenant(self, group: int) -> int:
        if self._tenants == 1 or group % 10 != 7:
            return FIRST_TENANT
        return FIRST_TENANT + 1 + group // 10 % (self._tenants - 1)

    def _contact(self, rng: Random, group: int) -> Contact:
        created = self.until - _SPAN + int(rng.random() * _SPAN)
        return make_contact(
            rng,
            self._languages,
            key=self._contact_keys.derive(group),
            tenant=self._tenant(group),
            created=created,
            until=self.until,
        )

    def _thread(self, root: int) -> _Thread:
        group = root // _GROUP
        key = self._keys.derive(root)
        # It begins at any time in the two years and lasts some days; ids do not follow time.
        scatter = (root * 11_400_714_819_323_198_485 & 0xFFFFFFFFFFFFFFFF) / 2**64
        return _Thread(
            root=root,
            key=key,
            digest=blake2b(key.encode(), digest_size=16).hexdigest(),
            contact=self._contact_keys.derive(self._contact_group(root)),
            tenant=self._tenant(group),
            language=self._languages[(root * 7919) % len(self._languages)],
            begin=self.until - _SPAN + int(scatter * (_SPAN - 10 * _DAY)),
        )

    def _interaction(self, rng: Random, index: int, thread: _Thread, *, parent: str | None) -> Interaction:
        place = index - thread.root
        language = thread.language
        media, content = _content(rng, index, language)
        start, modified, end = self._instants(rng, thread.begin + place * _DAY)
        direction, reason = _DIRECTIONS[place] if media not in ("voice", "workitem") else ("Inbound", None)
        chance = rng.random()
        number = int(chance * 1_000_000)
        return Interaction(
            id=self._keys.derive(index),
            status=1 if end is None else 3,
            entity_type_id=content.entity_type_id,
            media_type_id=media,
            type_id=direction,
            subtype_id=reason,
            external_id=f"<{rng.getrandbits(64):016x}@mail.example.com>" if media == "email" else None,
            owner_id=None if chance < 0.1 else 100 + number % 400,
            contact_id=thread.contact if chance < 0.95 else None,
            parent_id=parent,
            start_date=start,
            modified_date=modified,
            end_date=end,
            thread_id=thread.key,
            category_id=f"cat-{number % 37:02d}" if chance < 0.6 else None,
            time_shift=-720 + number % 105 * 15,
            subject=content.subject,
            text=content.text,
            structured_text=content.structured_text,
            struct_text_mimetype=content.struct_text_mimetype,
            the_comment=content.the_comment,
            tenant_id=thread.tenant,
            subtenant_id=number % 5 or None,
            thread_hash=thread.digest,
            can_be_parent=media != "voice",
            creator_app_id=3000 + number % 7,
            queue_name=f"{content.queue}_{language.code}",
            all_attributes=f'{{"Language": "{language.code}", "ConnId": "{number:06x}a7", {content.attributes}}}',
            is_spam=number % 20 == 0 if media == "email" else None,
            web_safe_email_status="Sent" if media == "email" and number % 10 == 0 else None,
        )

    def _contact_group(self, root: int) -> int:
        # A few contacts write often: step back to an earlier group of the same tenant, mostly a near one.
        group = root // _GROUP
        scatter = (root * 2_654_435_761 >> 8 & 0xFFFF) / 0x10000
        back = int(40 * scatter**3) * 10 * max(1, self._tenants - 1)
        return group - back if group >= back else group

    def _instants(self, rng: Random, earliest: Micros) -> tuple[Micros, Micros, Micros | None]:
        start = earliest + int(rng.random() * _DAY)
        precision = rng.random()
        if precision < 0.1:
            start -= start % 1_000_000
        elif precision < 0.3:
            start -= start % 10_000
        end = start + 1 + int(rng.random() ** 3 * 3 * _DAY)
        later = end + int(rng.random() * 30 * _DAY) if precision > 0.95 else end + 1_500
        is_open = 0.5 < precision < 0.52
        return start, min(start if is_open else later, self.until), None if is_open else end

    def _attachments(self, rng: Random, index: int, row: Interaction) -> Iterator[Attachment]:
        is_huge = index % 50_000 == 40
        if not is_huge and rng.random() >= _WITH_FILES.get(row.media_type_id or "", 0.0):
            return
        for place in range(1 + int(rng.random() * 2)):
            kind = pick(rng, KINDS)
            content = file_bytes(rng, kind, seed=self._seed, size=HUGE if is_huge and place == 0 else file_size(rng))
            is_gone = rng.random() < 0.01
            yield Attachment(
                id=self._file_keys.derive(index * 4 + place),
                entity_id=row.id,
                tenant_id=row.tenant_id,
                name=file_name(rng, kind),
                mime_type=kind.mime_type,
                size=len(content),
                content=None if is_gone and not is_huge else content,
            )


def _root(index: int) -> int:
    return index - index % _GROUP + _ROOT_OF[index % _GROUP]


def _content(rng: Random, index: int, language: Language) -> tuple[str, Content]:
    if index % 50_000 == 20:
        return "email", long_mail(rng, language, length=HUGE_MAIL)
    if index % 2_500 == 30:
        return "email", long_mail(rng, language, length=LONG_MAIL)
    media = pick(rng, _MEDIA)
    return media, CHANNELS[media][1](rng, language)
