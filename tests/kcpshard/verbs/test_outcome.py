from kcpshard.verbs.outcome import NotOwned


def test_a_logical_cluster_elsewhere_says_where_or_that_the_map_must_tell() -> None:
    assert NotOwned(3).moved_to == 3
    assert NotOwned().moved_to == 0
