"""Which objects no run will ever show."""

from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.runs.sweep import folder_of_run, folder_of_slice, is_garbage
from exporter.store.runs import Standing

RUN = uuid4()
MANIFEST = folder_of_run(RUN, 2) + "/manifest.json"
PART = folder_of_slice(RUN, "interaction", 3, 2) + "/part.zip.p7m"


@pytest.mark.parametrize(
    ("state", "token", "slices", "parts", "garbage"),
    [
        ("running", 2, {("interaction", 3): 2}, set(), False),  # may yet be noted
        ("running", 2, {("interaction", 3): 3}, set(), True),  # somebody else has the slice
        ("running", 2, {("interaction-attachment", 3): 2}, set(), True),  # another kind's
        ("running", 2, {}, set(), True),  # the slice is done or given back, and the part was not noted
        ("running", 2, {}, {PART}, False),
        ("running", 9, {("interaction", 3): 9}, {PART}, False),  # finished parts stay after a takeover
        ("queued", 2, {}, {PART}, False),
        ("queued", 2, {}, set(), True),
        ("succeeded", 2, {}, {PART}, False),
        ("succeeded", 2, {}, set(), True),
        ("failed", 2, {}, {PART}, True),
        ("cancelled", 2, {}, {PART}, True),
    ],
)
def test_R2_which_parts_are_garbage(
    state: str, token: int, slices: dict[tuple[str, int], int], parts: set[str], garbage: bool
) -> None:
    assert is_garbage(PART, Standing(state, token, slices, parts)) is garbage


@pytest.mark.parametrize(
    ("state", "token", "garbage"),
    [
        ("running", 2, False),
        ("running", 3, True),
        ("queued", 2, True),
        ("succeeded", 2, False),
        ("succeeded", 3, True),
        ("failed", 2, True),
    ],
)
def test_R2_which_manifests_are_garbage(state: str, token: int, garbage: bool) -> None:
    assert is_garbage(MANIFEST, Standing(state, token, {}, set())) is garbage


@given(st.sampled_from(["running", "queued", "succeeded"]), st.integers(1, 5), st.integers(1, 5), st.integers(1, 5))
def test_R2_a_noted_part_of_a_living_run_is_never_garbage(state: str, run: int, held: int, mine: int) -> None:
    key = folder_of_slice(RUN, "contact", 1, mine) + "/x"
    assert not is_garbage(key, Standing(state, run, {("contact", 1): held}, {key}))
