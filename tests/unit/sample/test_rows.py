"""The sample's rows: the same for the same seed, and with every difficulty that the documentation names."""

import json
from collections import Counter
from decimal import Decimal
from hashlib import sha256
from itertools import pairwise

import pytest

from deploy.sample.channels import HUGE_MAIL, LONG_MAIL
from deploy.sample.encode import Encoded, encode_batch, iterate_batches
from deploy.sample.files import HUGE, KINDS
from deploy.sample.model import Interaction
from deploy.sample.nasty import NASTY, NASTY_ATTRIBUTES
from deploy.sample.rows import BATCH, Batch, Sample

MEDIA_TYPES = {"email", "chat", "voice", "callback", "sms", "whatsapp", "facebook", "workitem"}
NUMBER = 3 * BATCH
_REQUIRED = {"id", "media_type_id", "start_date", "modified_date", "tenant_id"}
SECOND, DAY = 1_000_000, 86_400_000_000


@pytest.fixture(scope="module")
def rows() -> Batch:
    """Return all rows of a sample of three batches."""
    sample = Sample(seed=1, interactions=NUMBER, tenants=2)
    batches = [sample.batch(number) for number in range(sample.batches)]
    return Batch(
        interactions=[row for batch in batches for row in batch.interactions],
        contacts=[row for batch in batches for row in batch.contacts],
        attachments=[row for batch in batches for row in batch.attachments],
    )


async def _encode_all(workers: int) -> list[Encoded]:
    return [batch async for batch in iterate_batches(seed=7, interactions=4_001, tenants=3, workers=workers)]


async def test_the_bytes_of_a_seed_do_not_depend_on_the_number_of_workers() -> None:
    alone = await _encode_all(1)
    assert [batch.counts[0] for batch in alone] == [2_000, 2_000, 1]
    assert alone == await _encode_all(2)
    assert alone == await _encode_all(3)


def test_a_seed_gives_the_same_rows_on_every_machine_and_python() -> None:
    # When this digest has to change, increment deploy.sample.load.GENERATOR: databases contain samples of the old one.
    streams = encode_batch(3, seed=1, interactions=200_000, tenants=2).streams
    assert sha256(b"".join(streams)).hexdigest() == "e6dc6e2796e2ef60d3d30afbc4594e208390b9ac7bba281441bd5a7dd552d38a"


def test_another_seed_gives_other_rows() -> None:
    one, other = (Sample(seed=seed, interactions=100, tenants=2).batch(0).interactions for seed in (1, 2))
    assert not {row.id for row in one} & {row.id for row in other}
    assert [row.text for row in one] != [row.text for row in other]


def test_a_shorter_sample_is_the_beginning_of_a_longer_one(rows: Batch) -> None:
    short = Sample(seed=1, interactions=1_234, tenants=2).batch(0)
    assert short.interactions == rows.interactions[:1_234]
    assert short.contacts == rows.contacts[:155]
    assert short.attachments == rows.attachments[: len(short.attachments)]


def test_ids_are_unique_of_16_characters_and_not_sorted_by_time(rows: Batch) -> None:
    ids = [row.id for kind in rows for row in kind]
    assert len(set(ids)) == len(ids)
    assert all(len(name) == 16 and name.isascii() and name.isalnum() for name in ids)
    by_time = [row.id for row in sorted(rows.interactions, key=lambda row: row.start_date)]
    rising = sum(a < b for a, b in pairwise(by_time))
    assert 0.4 < rising / len(by_time) < 0.6


def test_counts_are_as_documented(rows: Batch) -> None:
    assert len(rows.interactions) == NUMBER
    assert len(rows.contacts) == NUMBER // 8
    assert NUMBER / 30 < len(rows.attachments) < NUMBER / 20


def test_the_first_tenant_has_ninety_percent_of_the_rows(rows: Batch) -> None:
    shares = Counter(row.tenant_id for row in rows.interactions)
    assert shares == {101: NUMBER * 9 // 10, 102: NUMBER // 10}
    many = Sample(seed=1, interactions=BATCH, tenants=5).batch(0).interactions
    assert {row.tenant_id for row in many} == {101, 102, 103, 104, 105}
    assert {row.tenant_id for row in Sample(seed=1, interactions=BATCH, tenants=1).batch(0).interactions} == {101}


@pytest.mark.parametrize("tenants", [1, 2, 5])
def test_E8_no_row_refers_to_another_tenants_row(tenants: int) -> None:
    sample = Sample(seed=1, interactions=NUMBER, tenants=tenants)
    batches = [sample.batch(number) for number in range(sample.batches)]
    interactions = [row for batch in batches for row in batch.interactions]
    tenant_of = {row.id: row.tenant_id for row in interactions}
    contact_tenant = {row.id: row.tenant_id for batch in batches for row in batch.contacts}
    for row in interactions:
        assert row.contact_id is None or contact_tenant[row.contact_id] == row.tenant_id
        assert row.parent_id is None or tenant_of[row.parent_id] == row.tenant_id
        assert row.thread_id is None or tenant_of[row.thread_id] == row.tenant_id
    for file in (file for batch in batches for file in batch.attachments):
        assert tenant_of[file.entity_id] == file.tenant_id


def test_all_media_types_occur_and_no_others(rows: Batch) -> None:
    assert {row.media_type_id for row in rows.interactions} == MEDIA_TYPES | {None}


def test_all_instants_but_two_are_in_the_two_years_before_a_fixed_day(rows: Batch) -> None:
    until = Sample(seed=1, interactions=1, tenants=1).until
    starts = [row.start_date for row in rows.interactions]
    assert sum(start < 0 for start in starts) == 1
    assert all(until - 730 * DAY <= start < until for start in starts if start > 0)
    assert sum((row.end_date or 0) > until + 100 * 365 * DAY for row in rows.interactions) == 1
    assert all(row.start_date <= row.modified_date <= until for row in rows.interactions)
    assert all(until - 730 * DAY <= row.created_date <= row.modified_date <= until for row in rows.contacts)


def test_instants_have_microseconds_trailing_zeros_and_whole_seconds(rows: Batch) -> None:
    fractions = Counter(
        "none" if row.start_date % SECOND == 0 else "short" if row.start_date % 10_000 == 0 else "full"
        for row in rows.interactions
    )
    assert set(fractions) == {"none", "short", "full"}
    assert any(row.end_date is None for row in rows.interactions)


@pytest.mark.parametrize("name", NASTY)
def test_E7_every_class_of_nasty_text_occurs_early(rows: Batch, name: str) -> None:
    text = NASTY[name]
    found = [row for row in rows.interactions[:2_000] if row.text == text]
    assert found
    assert found[0].subject == text[:4_000]
    assert found[0].the_comment == found[0].structured_text == text
    assert json.loads(found[0].all_attributes or "")[name] == text


@pytest.mark.parametrize("name", NASTY_ATTRIBUTES)
def test_E7_every_class_of_nasty_attributes_occurs_early(rows: Batch, name: str) -> None:
    assert any(row.all_attributes == NASTY_ATTRIBUTES[name] for row in rows.interactions[:2_000])


def test_E7_unusual_but_legal_values_occur_early(rows: Batch) -> None:
    early = rows.interactions[:2_000]
    optional = [name for name in Interaction._fields if name not in _REQUIRED]
    assert any(all(getattr(row, name) is None for name in optional) for row in early)
    assert any(row.subject == row.text == row.the_comment == row.queue_name == "" for row in early)
    assert any(row.owner_id == 2**31 - 1 and row.creator_app_id == -(2**31) for row in early)
    assert any((row.time_shift or 0) < 0 for row in early)
    assert any(len(row.subject or "") == 4_000 for row in early)
    assert any(row.can_be_parent is False and row.is_spam for row in early)


def test_long_mails_occur(rows: Batch) -> None:
    lengths = sorted((len(row.text or "") for row in rows.interactions), reverse=True)
    assert lengths[:4] == [HUGE_MAIL, LONG_MAIL, LONG_MAIL, LONG_MAIL]


def test_texts_contain_no_nul_and_many_languages(rows: Batch) -> None:
    texts = [value for kind in rows for row in kind for value in row if isinstance(value, str)]
    assert not any("\0" in value for value in texts)
    whole = "".join(texts).casefold()
    for sample in (
        "Bestellnummer",
        "pedido",
        "注文",
        "طلب",
        "ऑर्डर",
        "замовлення",
        "ההזמנה",
        "订单",
        "😀",
        "👨\u200d👩\u200d👧",
    ):
        assert sample.casefold() in whole, sample


def test_structured_texts_have_their_media_type(rows: Batch) -> None:
    kinds = {row.struct_text_mimetype for row in rows.interactions}
    assert {"text/html", "application/xml", "application/json", None} <= kinds
    for row in rows.interactions:
        if row.struct_text_mimetype == "application/json":
            json.loads(row.structured_text or "")


def test_attributes_are_json_objects_without_nul(rows: Batch) -> None:
    values = [row.all_attributes for row in rows.interactions] + [row.attributes for row in rows.contacts]
    parsed = [json.loads(value, parse_float=Decimal) for value in values if value is not None]
    assert all(isinstance(value, dict) for value in parsed)
    assert not any("\0" in str(value) for value in parsed)
    assert any("\n" in value for value in values if value)


def test_contacts_have_several_addresses_or_none(rows: Batch) -> None:
    assert {len(row.email_addresses) for row in rows.contacts if row.email_addresses is not None} == {0, 1, 2, 3}
    assert {len(row.phone_numbers) for row in rows.contacts if row.phone_numbers is not None} == {0, 1, 2, 3}
    assert any(row.email_addresses is None for row in rows.contacts)
    assert any(row.first_name == "" for row in rows.contacts)


def test_files_begin_with_the_bytes_of_their_kind(rows: Batch) -> None:
    magic = {kind.mime_type: kind.magic for kind in KINDS}
    assert {row.mime_type for row in rows.attachments} == set(magic)
    for row in rows.attachments:
        if row.content is None:
            continue
        assert row.size == len(row.content)
        assert row.content.startswith(magic[row.mime_type][: row.size])
    sizes = [row.size or 0 for row in rows.attachments]
    assert max(sizes) == HUGE
    assert min(sizes) == 0
    assert any(row.content is None for row in rows.attachments)
