"""Places: no identity and no tenant takes all there is, and the oldest live stream gives way."""

from uuid import UUID, uuid4

import pytest

from shared.http.places import Allowance, Holder, Place, Places, Use
from shared.http.problems import Problem

TENANT, OTHER_TENANT = uuid4(), uuid4()
ALLOWANCES = {use: Allowance(2, 3) for use in Use}


def identity_of(tenant: UUID = TENANT) -> Holder:
    return uuid4(), tenant


def fill(places: Places, holder: Holder, use: Use) -> list[Place]:
    return [places.take(holder, use) for _ in range(2)]


@pytest.mark.parametrize("use", [Use.REQUEST, Use.DOWNLOAD, Use.ARCHIVE])
def test_an_identity_has_so_many_places_and_gets_429_for_more(use: Use) -> None:
    places, ana, ben = Places(ALLOWANCES), identity_of(), identity_of()
    [first, _] = fill(places, ana, use)
    with pytest.raises(Problem) as refused:
        places.take(ana, use)
    assert (refused.value.status, refused.value.headers["Retry-After"]) == (429, "5")
    assert use.value in refused.value.detail
    places.take(ben, use)
    places.leave(first)
    places.take(ana, use)


@pytest.mark.parametrize("use", list(Use))
def test_a_tenant_has_so_many_places_and_others_have_their_own(use: Use) -> None:
    places = Places(ALLOWANCES)
    fill(places, identity_of(), use)
    places.take(identity_of(), use)
    with pytest.raises(Problem):
        places.take(identity_of(), use)
    fill(places, identity_of(OTHER_TENANT), use)


def test_uses_do_not_take_each_others_places() -> None:
    places, ana = Places(ALLOWANCES), identity_of()
    for use in Use:
        fill(places, ana, use)


def test_the_oldest_stream_of_an_identity_gives_way_to_a_newer_one() -> None:
    places, ana = Places(ALLOWANCES), identity_of()
    streams = [places.take(ana, Use.STREAM) for _ in range(1_000)]
    assert [each.ended.is_set() for each in streams] == [True] * 998 + [False] * 2
    for each in streams:
        places.leave(each)
    assert places.count_taken(Use.STREAM, ana[0]) == places.count_taken(Use.STREAM, TENANT) == 0


def test_in_a_full_tenant_a_stream_gives_way_to_those_of_its_own_identity_only() -> None:
    places, ana, ben = Places(ALLOWANCES), identity_of(), identity_of()
    [first, second] = fill(places, ana, Use.STREAM)
    bens = places.take(ben, Use.STREAM)
    with pytest.raises(Problem):
        places.take(identity_of(), Use.STREAM)
    places.take(ben, Use.STREAM)
    assert (bens.ended.is_set(), first.ended.is_set(), second.ended.is_set()) == (True, False, False)


def test_strangers_have_places_by_their_address() -> None:
    places = Places(ALLOWANCES)
    fill(places, ("192.0.2.1", None), Use.DOWNLOAD)
    with pytest.raises(Problem):
        places.take(("192.0.2.1", None), Use.DOWNLOAD)
    places.take(("192.0.2.2", None), Use.DOWNLOAD)
