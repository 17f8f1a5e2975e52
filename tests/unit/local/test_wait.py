"""Waiting until something is true."""

import pytest

from tests.support.wait import eventually, eventually_now


async def test_the_first_true_result_is_returned() -> None:
    answers = iter([0, None, "", "found"])
    assert await eventually(lambda: next(answers)) == "found"


async def test_an_assertion_inside_means_not_yet() -> None:
    tries: list[int] = []

    async def check() -> bool:
        tries.append(1)
        assert len(tries) > 2, "too few"
        return True

    assert await eventually(check)


async def test_what_never_becomes_true_fails_with_the_last_result() -> None:
    with pytest.raises(AssertionError, match=r"not true within 0.1 s; last result: 0"):
        await eventually(lambda: 0, timeout=0.1)


def test_a_test_without_an_event_loop_can_wait() -> None:
    answers = iter([False, True])
    assert eventually_now(lambda: next(answers))
    with pytest.raises(AssertionError, match="not true within"):
        eventually_now(lambda: False, timeout=0.1)
