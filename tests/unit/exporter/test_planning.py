"""How runs are divided into slices, and the progress that is reported of them."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from exporter.domain.slicing import MAX_SLICES, SliceStatus, choose_slice_rows, cut_slices, sum_progress

MIB = 1024 * 1024


def test_R4_small_runs_are_not_sliced() -> None:
    assert choose_slice_rows(rows=39_999, record_size=1000, split_size=MIB, min_rows=20_000) is None
    assert choose_slice_rows(rows=0, record_size=1, split_size=MIB, min_rows=100) is None


@given(
    rows=st.integers(0, 10**9),
    record_size=st.floats(1, 10**8),
    split_size=st.integers(MIB, 2**40),
    min_rows=st.integers(100, 10**6),
)
def test_R4_slices_are_neither_too_small_nor_too_many(
    rows: int, record_size: float, split_size: int, min_rows: int
) -> None:
    step = choose_slice_rows(rows=rows, record_size=record_size, split_size=split_size, min_rows=min_rows)
    if step is None:
        return
    assert 2 <= step < rows
    assert step >= min_rows // 2
    part_rows = split_size / record_size
    if part_rows > 100 and step > min_rows // 2:
        assert 0.85 < step / part_rows % 1 < 0.95, "the last part of a slice is nearly full"


def test_P1_a_slice_is_about_a_whole_number_of_parts() -> None:
    step = choose_slice_rows(rows=1_000_000, record_size=1000, split_size=64 * MIB, min_rows=20_000)
    assert step is not None
    assert 0.85 <= step * 1000 / (64 * MIB) <= 0.95


@given(rows=st.integers(0, 1000), step=st.integers(2, 50))
def test_R4_slices_cover_every_key_once_and_add_up(rows: int, step: int) -> None:
    ids = [f"{number:06d}" for number in range(rows)]
    slices = cut_slices("contact", ids[step::step], rows=rows, slice_rows=step)
    assert len(slices) <= MAX_SLICES
    assert [each.number for each in slices] == list(range(1, len(slices) + 1))
    assert slices[0].first is None
    assert slices[-1].before is None
    assert all(one.before == other.first for one, other in pairwise(slices))
    for each in slices:
        keys = [key for key in ids if (each.first or "") <= key < (each.before or "~")]
        assert len(keys) == each.rows
    assert sum(each.rows or 0 for each in slices) == rows


def make_status(number: int, expected: int | None, done: int) -> SliceStatus:
    return SliceStatus(
        kind="contact",
        number=number,
        state="running",
        token=1,
        rows_expected=expected,
        rows_done=done,
        bytes_done=done * 10,
    )


def test_H4_the_estimate_is_the_total_before_planning() -> None:
    found = sum_progress([], {}, {"contact": 70, "interaction": 7})
    assert (found.rows_done, found.rows_total, found.exact, found.slices) == (0, 77, False, None)


def test_H4_a_single_slice_is_exact_once_counted() -> None:
    estimate = sum_progress([make_status(1, None, 5)], {}, {"contact": 3})
    assert (estimate.rows_done, estimate.rows_total, estimate.exact) == (5, 5, False)
    exact = sum_progress([make_status(1, None, 5)], {"contact": 9}, {"contact": 3})
    assert (exact.rows_done, exact.rows_total, exact.exact, exact.slices) == (5, 9, True, None)


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 100)), min_size=2))
def test_H4_a_shared_run_never_passes_its_total(pairs: list[tuple[int, int]]) -> None:
    found = sum_progress([make_status(number, expected, done) for number, (expected, done) in enumerate(pairs)], {}, {})
    assert found.rows_done <= found.rows_total
    assert found.exact
    assert found.slices is not None
    assert len(found.slices) == len(pairs)
    assert found.bytes_done == 10 * found.rows_done
