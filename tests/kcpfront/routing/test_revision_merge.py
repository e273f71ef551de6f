from hypothesis import given
from hypothesis import strategies as st

from kcpfront.routing.revision_merge import RevisionMerge
from kcpshard.rpc.contract import WatchedEvent


def event(revision: int, text: str = "x") -> WatchedEvent:
    return WatchedEvent(1, revision, text.encode())


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 50)), max_size=40), st.integers(0, 60))
def test_what_is_released_is_in_order_and_complete(moves: list[tuple[int, int]], upto: int) -> None:
    merge, given_ = RevisionMerge(), dict[int, list[int]]()
    for shard, step in moves:
        last = given_.setdefault(shard, [shard])[-1]
        given_[shard].append(last + 3 * step)  # as revisions are: never the same on two shards
        merge.put(shard, event(last + 3 * step))
    found = [e.revision for e in merge.take(upto)]
    everything = sorted(revision for each in given_.values() for revision in each[1:])
    assert found == [revision for revision in everything if revision <= upto]
    assert [e.revision for e in merge.take(1 << 62)] == [revision for revision in everything if revision > upto]
    assert merge.bytes == 0


def test_a_commit_that_two_shards_tell_is_given_once_and_whole() -> None:
    merge = RevisionMerge()
    for shard in (2, 1):
        merge.put(shard, event(7, "a"))
        merge.put(shard, event(7, "b"))
    merge.put(1, event(8, "c"))
    assert [e.object for e in merge.take(10)] == [b"a", b"b", b"c"]


def test_it_knows_who_waits() -> None:
    merge = RevisionMerge()
    merge.put(1, event(5))
    assert (merge.waiting(1), merge.waiting(2), merge.bytes) == (1, 0, 1)
    merge.clear()
    assert (merge.waiting(1), merge.bytes) == (0, 0)
