"""Ids of the sample never collide, at any index of a sample of ten million."""

from deploy.sample.identifiers import Identifiers


def test_ids_are_unique_over_neighbouring_and_distant_indexes() -> None:
    ids = Identifiers("0004", seed=1)
    indexes = [*range(100_000), *range(39_900_000, 40_000_000), *(1 << bit for bit in range(26, 46))]
    assert len({ids.derive(index) for index in indexes}) == len(indexes)


def test_prefixes_separate_kinds_and_seeds_give_other_ids() -> None:
    assert Identifiers("0004", seed=1).derive(5)[4:] == Identifiers("0005", seed=1).derive(5)[4:]
    assert Identifiers("0004", seed=1).derive(5) != Identifiers("0004", seed=2).derive(5)
