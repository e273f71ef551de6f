from hypothesis import given
from hypothesis import strategies as st

from kcpshard.api.events import Change, Commit, EventType
from kcpshard.watch.history import History


def commit(revision: int, cluster_id: int, changes: int = 1, size: int = 10) -> Commit:
    change = Change(EventType.ADDED, revision, "configmaps", "default", "a", b"x" * size, None)
    return Commit(revision, cluster_id, (change,) * changes)


def test_a_cluster_without_commits_since_the_floor_is_unchanged() -> None:
    history = History(10, 10_000)
    history.append(commit(11, 1))
    assert list(history.since(2, 10, 100)) == []
    assert not history.covers(1, 9)


def test_a_slice_ends_with_a_whole_commit() -> None:
    history = History(0, 100_000)
    for revision in range(1, 6):
        history.append(commit(revision, 1, changes=3))
    assert [c.revision for c in history.since(1, 1, 4)] == [2, 3]
    assert [c.revision for c in history.since(1, 4, 1)] == [5]


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(0, 900)), max_size=60), st.integers(0, 60))
def test_what_is_covered_is_complete_and_memory_is_bounded(made: list[tuple[int, int]], after: int) -> None:
    history, known = History(0, 5_000), []
    for revision, (cluster_id, size) in enumerate(made, 1):
        known.append(commit(revision, cluster_id, size=size))
        history.append(known[-1])
        assert history.statistics()["bytes"] <= 5_000
    if history.covers(1, after):
        for cluster_id in range(1, 5):
            wanted = [c for c in known if c.cluster_id == cluster_id and c.revision > after]
            assert list(history.since(cluster_id, after, 1_000)) == wanted
