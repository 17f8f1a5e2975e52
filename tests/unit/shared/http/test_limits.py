"""The rate limiter: token buckets that are forgotten when there are too many."""

from shared.http.limits import RateLimiter


def test_a_bucket_holds_its_burst_and_refills() -> None:
    limiter = RateLimiter(per_second=2, burst=2)
    assert [limiter.take("a", now=0.0) for _ in range(3)] == [0, 0, 0.5]
    assert limiter.take("b", now=0.0) == 0
    assert limiter.take("a", now=0.5) == 0
    assert limiter.take("a", now=0.25) == 0.5, "a clock that steps back gives no tokens"


def test_the_buckets_least_recently_used_are_forgotten() -> None:
    limiter = RateLimiter(per_second=1, burst=2)
    for name in range(30_000):
        assert limiter.take(name, now=float(name)) == 0
    assert len(limiter) <= 20_001
