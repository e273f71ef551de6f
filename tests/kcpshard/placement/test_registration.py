import pytest

from kcpshard.placement.registration import RegistrationRefused, register, too_few_shards
from kcpshard.placement.shard_map import entry_of, initial_map
from kcpshard.rpc import shard_pb2 as pb

ID, OTHER = b"a" * 16, b"b" * 16


def reported(number: int = 1, data_id: bytes = ID, **values: str | int) -> pb.ShardEntry:
    return pb.ShardEntry(number=number, data_id=data_id, **values)  # type: ignore[arg-type]


def registered(number: int = 1, epoch: int = 1) -> pb.ShardMap:
    return register(initial_map(2), reported(number), epoch, 9)


def test_the_first_directory_of_a_shard_is_remembered() -> None:
    entry = entry_of(register(initial_map(2), reported(2, address="a"), 0, 1), 2)
    assert entry is not None
    assert (entry.data_id, entry.address, entry.name, entry.weight) == (ID, "a", "shard-2", 1)


def test_a_new_shard_joins() -> None:
    found = register(initial_map(2), reported(7, weight=3), 0, 1)
    assert [entry.number for entry in found.shards] == [1, 2, 7]
    assert found.shards[-1].weight == 3


def test_what_changes_nothing_makes_no_new_map() -> None:
    first = registered()
    assert register(first, reported(), 1, 9) is first
    assert register(first, reported(address="new"), 1, 9).epoch == first.epoch + 1


def test_weight_and_cordon_are_the_operators() -> None:
    found = registered()
    found.shards[0].weight, found.shards[0].cordoned = 5, True
    entry = register(found, reported(weight=1, address="new"), 1, 9).shards[0]
    assert (entry.weight, entry.cordoned) == (5, True)


@pytest.mark.parametrize(
    ("entry", "epoch", "text"),
    [
        pytest.param(reported(0), 0, "between 1 and 999", id="number too low"),
        pytest.param(reported(1000), 0, "between 1 and 999", id="number too high"),
        pytest.param(reported(1, b""), 0, "did not say", id="no identity"),
        pytest.param(reported(1, OTHER), 1, "another data directory", id="another directory"),
        pytest.param(reported(1, ID), 2, "old copy.*epoch is 2.*knows 4", id="old disk"),
        pytest.param(reported(1, ID), 10, "keeps the map is an old copy", id="old keeper"),
        pytest.param(reported(5, OTHER), 3, "another installation", id="foreign"),
    ],
)
def test_who_must_not_serve(entry: pb.ShardEntry, epoch: int, text: str) -> None:
    with pytest.raises(RegistrationRefused, match=text):
        register(registered(1, 4), entry, epoch, 9)


def test_fewer_shards_than_hold_data_are_refused() -> None:
    both = register(registered(1), reported(2, OTHER), 1, 9)
    assert too_few_shards(both, 2) == ""
    assert too_few_shards(both, 4) == ""
    assert "would leave out shard-2" in too_few_shards(both, 1)
