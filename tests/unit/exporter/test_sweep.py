"""Which objects no run will ever show."""

from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.runs.sweep import get_run_folder, get_slice_folder, is_garbage
from exporter.store.runs import RunOwnership

RUN = uuid4()
MANIFEST = get_run_folder(RUN, 2) + "/manifest.json"
PART = get_slice_folder(RUN, "interaction", 3, token=2) + "/part.zip.p7m"


@pytest.mark.parametrize(
    ("state", "token", "slices", "parts", "garbage"),
    [
        ("running", 2, {("interaction", 3): 2}, set(), False),  # may still be saved as a part
        ("running", 2, {("interaction", 3): 3}, set(), True),  # another claim has the slice
        ("running", 2, {("interaction-attachment", 3): 2}, set(), True),  # a slice of another kind
        ("running", 2, {}, set(), True),  # the slice is done or released, and the part was not saved
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
    assert is_garbage(PART, RunOwnership(state=state, token=token, slices=slices, parts=parts)) is garbage


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
    assert is_garbage(MANIFEST, RunOwnership(state=state, token=token, slices={}, parts=set())) is garbage


@given(st.sampled_from(["running", "queued", "succeeded"]), st.integers(1, 5), st.integers(1, 5), st.integers(1, 5))
def test_R2_a_saved_part_of_an_open_run_is_never_garbage(state: str, run: int, current: int, own: int) -> None:
    key = get_slice_folder(RUN, "contact", 1, token=own) + "/x"
    assert not is_garbage(key, RunOwnership(state=state, token=run, slices={("contact", 1): current}, parts={key}))


@pytest.mark.parametrize(
    "key", ["runs/r/notes.txt", "runs/r/old/part", "runs/r/interaction.1/part", "runs/r/-1/x", "x"]
)
def test_R2_objects_that_no_exporter_wrote_are_left_alone(key: str) -> None:
    assert not is_garbage(key, RunOwnership(state="failed", token=9, slices={}, parts=set()))
