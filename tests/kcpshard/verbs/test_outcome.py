import pytest

from kcpshard.verbs.outcome import NotOwned


@pytest.mark.parametrize("shard", [pytest.param(0, id="only the map can tell"), pytest.param(3, id="another shard")])
def test_who_does_not_own_a_cluster_says_where_it_went(shard: int) -> None:
    with pytest.raises(NotOwned, match=f"moved to {shard}") as caught:
        raise NotOwned(shard)
    assert caught.value.moved_to == shard


def test_without_a_destination_only_the_map_can_tell() -> None:
    assert NotOwned().moved_to == 0
