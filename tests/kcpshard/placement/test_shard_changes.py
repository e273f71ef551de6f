import pytest

from kcpshard.placement.shard_changes import ChangeRefused, changed, receiving
from kcpshard.placement.shard_map import entry_of, initial_map, with_moved_slots, with_pin
from kcpshard.rpc import shard_pb2 as pb


def installation() -> pb.ShardMap:
    made = initial_map(2)
    for entry in made.shards:
        entry.ownership_epoch, entry.data_id = 1, b"x"
    return made


def change(shard_map: pb.ShardMap, shard: str, change: str = "", weight: int = 0) -> pb.ShardMap:
    return changed(shard_map, pb.ChangeShardRequest(shard=shard, change=change, weight=weight))


def test_weight_cordon_drain_and_back() -> None:
    made = change(installation(), "shard-2", weight=5)
    assert entry_of(made, 2).weight == 5  # type: ignore[union-attr]
    assert change(made, "shard-2", weight=5) is made
    drained = change(change(made, "shard-2", "cordon"), "shard-2", "drain")
    entry = entry_of(drained, 2)
    assert entry is not None and entry.cordoned and entry.draining and entry.weight == 5
    back = entry_of(change(drained, "shard-2", "uncordon"), 2)
    assert back is not None and not back.cordoned and not back.draining


def test_only_an_empty_drained_shard_goes() -> None:
    drained = change(installation(), "shard-2", "drain")
    with pytest.raises(ChangeRefused, match="still has 8192 slots"):
        change(drained, "shard-2", "remove")
    empty = with_moved_slots(drained, range(16384), 1, {})
    assert [entry.number for entry in change(empty, "shard-2", "remove").shards] == [1]


@pytest.mark.parametrize(
    ("shard", "what", "weight", "sentence"),
    [
        ("shard-3", "cordon", 0, "there is no shard shard-3"),
        ("shard-2", "remove", 0, "is not drained"),
        ("shard-2", "explode", 0, "cannot be changed by 'explode'"),
        ("shard-2", "", 100_000, "weight is between"),
    ],
)
def test_refusals(shard: str, what: str, weight: int, sentence: str) -> None:
    with pytest.raises(ChangeRefused, match=sentence):
        change(installation(), shard, what, weight)


def test_pins_and_the_last_one_are_in_the_way_of_a_drain() -> None:
    pinned = with_pin(with_pin(installation(), "root:a", 2), "root:b", 2)
    with pytest.raises(ChangeRefused, match=r"root:a is pinned to shard-2.*and 1 more"):
        change(pinned, "shard-2", "drain")
    with pytest.raises(ChangeRefused, match="no other shard"):
        change(change(installation(), "shard-1", "cordon"), "shard-2", "drain")


def test_who_may_receive() -> None:
    made = installation()
    assert receiving(made, "shard-2").number == 2
    with pytest.raises(ChangeRefused, match="is cordoned"):
        receiving(change(made, "shard-2", "cordon"), "shard-2")
    made.shards[1].ownership_epoch = 0
    with pytest.raises(ChangeRefused, match="never served"):
        receiving(made, "shard-2")
