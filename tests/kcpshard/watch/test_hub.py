import pytest

from kcpshard.api.events import Change, Commit, EventType
from kcpshard.storage import envelope
from kcpshard.watch.history import History
from kcpshard.watch.hub import Ended, Hub, Joined, Link, Watch
from kcpshard.watch.selection import Form, Selection
from tests.contracts.stored_objects import put

ALL = Selection(Form(envelope, "v1", lambda json: json))


def commit(revision: int, cluster_id: int = 1, size: int = 10, changes: int = 1, born: str = "") -> Commit:
    made = put("a", data="x" * size)
    value = envelope.encode(made.json, made.hole, made.annotations, revision, 1, "u", "v1", b"", b"", 0)
    change = Change(EventType.MODIFIED, revision, "configmaps", "default", "a", value, value)
    return Commit(revision, cluster_id, (change,) * changes, born)


@pytest.fixture
def hub() -> Hub:
    return Hub(History(0, 1 << 20), queue_bytes=10_000)


def live(hub: Hub, link: Link, id_: int, cluster_id: int = 1, path: str = "root") -> Watch:
    watch = Watch(id_, link, path, "configmaps", ALL)
    hub.begin(watch)
    hub.join(watch, cluster_id)
    return watch


def revisions(link: Link, max_events: int = 100, max_bytes: int = 1 << 20) -> list[int]:
    return [event.revision for event in link.take(max_events, max_bytes)]


def test_a_commit_wakes_only_the_streams_of_its_bucket(hub: Hub) -> None:
    link, other = hub.open(), hub.open()
    live(hub, link, 1)
    live(hub, other, 2, cluster_id=2)
    hub.on_commit([commit(5), commit(6)])
    assert (link.live_wake.is_set(), other.live_wake.is_set()) == (True, False)
    assert revisions(link) == [5, 6]
    assert link.queued_bytes == 0


def test_a_message_ends_between_revisions(hub: Hub) -> None:
    link = hub.open()
    live(hub, link, 1)
    hub.on_commit([commit(5, changes=2), commit(6, changes=3), commit(7)])
    assert revisions(link, max_events=1) == [5, 5]
    assert revisions(link, max_events=2) == [6, 6, 6]
    assert revisions(link, max_bytes=1) == [7], "at least one"


def test_a_front_that_does_not_read_is_cut_and_forgotten(hub: Hub) -> None:
    link, good = hub.open(), hub.open()
    cut: list[bool] = []
    link.on_cut = lambda: (cut.append(True), hub.close(link))[0]  # type: ignore[func-returns-value]
    live(hub, link, 1)
    live(hub, good, 2)
    for revision in range(5, 9):
        hub.on_commit([commit(revision, size=3_000)])
        good.take(100, 1 << 20)
    assert cut == [True]
    statistics = hub.statistics()
    assert (statistics["links"], statistics["watches"], statistics["buckets"], statistics["cut"]) == (1, 1, 1, 1)


def test_a_birth_brings_waiting_watches_to_life_before_its_own_changes(hub: Hub) -> None:
    link = hub.open()
    watch = Watch(1, link, "late", "configmaps", ALL)
    hub.begin(watch)
    hub.await_birth(watch)
    hub.on_commit([commit(5, cluster_id=2)])
    assert revisions(link) == []
    hub.on_commit([commit(9, cluster_id=9, born="late"), commit(10, cluster_id=9)])
    assert revisions(link) == [9, 10]
    assert link.joined == [Joined(1, 9, 9)]
    assert hub.statistics()["unborn"] == 0


def test_a_stopped_watch_leaves_nothing_behind(hub: Hub) -> None:
    link = hub.open()
    live(hub, link, 1)
    unborn = Watch(2, link, "late", "configmaps", ALL)
    hub.begin(unborn)
    hub.await_birth(unborn)
    assert hub.stop(link, 1) is not None
    assert hub.stop(link, 2) is unborn
    assert hub.stop(link, 3) is None
    hub.on_commit([commit(5), commit(9, cluster_id=9, born="late")])
    statistics = hub.statistics()
    assert (statistics["watches"], statistics["buckets"], statistics["unborn"]) == (0, 0, 0)
    assert revisions(link) == []


def test_a_gone_type_ends_its_watches_after_what_is_queued(hub: Hub) -> None:
    link = hub.open()
    live(hub, link, 1)
    live(hub, link, 2, cluster_id=2)
    hub.on_commit([commit(5)])
    hub.end_cluster(1, b"gone", "configmaps")
    hub.on_commit([commit(6)])
    assert revisions(link) == [5]
    assert link.ended == [Ended(1, b"gone")]
    assert list(link.watches) == [2]


def test_a_released_path_sends_its_watches_on(hub: Hub) -> None:
    link = hub.open()
    live(hub, link, 1)
    live(hub, link, 2, cluster_id=2, path="other")
    hub.release("root", 3, 77)
    assert link.ended == [Ended(1, b"", True, 3, 77)]
    assert list(link.watches) == [2]


class Seeing:
    """A view of many logical clusters that sees everything."""

    def show_now(self, cluster_id: int, change: Change) -> tuple[EventType, bytes]:
        return change.type, change.name.encode()

    def foresee(self, cluster_id: int) -> None:
        """Nothing is looked up."""


def test_whoever_watches_all_logical_clusters_is_told_what_a_fork_shows(hub: Hub) -> None:
    link = hub.open()
    watch = Watch(1, link, "*", "configmaps", ALL)
    watch.view = Seeing()  # type: ignore[assignment]
    hub.begin(watch)
    hub.join(watch, 0)
    made = put("shared")
    value = envelope.encode(made.json, made.hole, made.annotations, 3, 3, "u", "v1", b"", b"", 0)
    hub.shown_at_birth = lambda _id, type_: [Change(EventType.ADDED, 9, type_, "default", "shared", value, None)]
    hub.is_fork = lambda id_: id_ == 9
    hub.on_commit([commit(8, cluster_id=8, born="plain"), commit(9, cluster_id=9, born="fork")])
    assert [(event.revision, event.object) for event in link.take(10, 1 << 20)] == [
        (8, b"a"), (9, b"shared"), (9, b"a"),
    ]  # fmt: skip
