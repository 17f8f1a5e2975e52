"""Waiting for facts."""

import pytest

from tests.support.wait import eventually, eventually_now


async def test_the_first_true_answer_is_returned() -> None:
    answers = iter([0, None, "", "found"])
    assert await eventually(lambda: next(answers)) == "found"


async def test_an_assertion_inside_means_not_yet() -> None:
    tries: list[int] = []

    async def check() -> bool:
        tries.append(1)
        assert len(tries) > 2, "too few"
        return True

    assert await eventually(check)


async def test_what_never_comes_true_fails_with_the_last_answer() -> None:
    with pytest.raises(AssertionError, match=r"not so within 0.1 s; last answer: 0"):
        await eventually(lambda: 0, timeout=0.1)


def test_a_test_without_a_loop_can_wait_too() -> None:
    answers = iter([False, True])
    assert eventually_now(lambda: next(answers))
    with pytest.raises(AssertionError, match="not so within"):
        eventually_now(lambda: False, timeout=0.1)
