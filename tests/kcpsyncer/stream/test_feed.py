"""What an agent has, whatever streams do: a table of conversations."""

from typing import Any

from kcpshard.rpc import shard_pb2 as pb
from kcpsyncer.stream.feed import NOBODY, Feed, LogicalCluster, Place

WEB, API = Place("deployments.apps", "a", "web"), Place("deployments.apps", "a", "api")


class Told:
    def __init__(self) -> None:
        self.changes: list[tuple[str, str]] = []
        self.feed = Feed(self.changed)

    def changed(self, cluster: LogicalCluster, place: Place) -> None:
        self.changes.append((cluster.path, place.name))

    def say(self, shard: int, *objects: pb.SyncObject, complete: bool = False, **states: Any) -> list[pb.SyncObject]:
        clusters = [pb.SyncCluster(path="root", id=1, incarnation="i", state=s) for s in states.get("root", ())]
        return self.feed.take(shard, pb.SyncDownBatch(clusters=clusters, objects=objects), complete)

    def names(self) -> list[str]:
        return sorted(place.name for place in self.feed.places("root", ["deployments.apps"]))


def obj(name: str, revision: int, json: str = "{}", **more: Any) -> pb.SyncObject:
    return pb.SyncObject(
        cluster_id=1, group="apps", resource="deployments", namespace="a", name=name, revision=revision,
        object=json.encode(), **more,
    )  # fmt: skip


def started() -> Told:
    told = Told()
    told.feed.begin(1)
    told.feed.expect_all(1)
    told.say(1, obj("web", 5), obj("api", 6), root=[pb.SYNC_HERE], complete=True)
    return told


def test_objects_come_change_and_go() -> None:
    told = started()
    assert told.changes == [("root", "web"), ("root", "api")] and told.feed.get("root", WEB) == {}
    told.say(1, obj("web", 7, '{"a":1}'), obj("api", 8, ""))
    assert told.feed.get("root", WEB) == {"a": 1} and told.feed.get("root", API) is None
    told.say(1, obj("web", 7, '{"a":1}'))
    assert told.changes[2:] == [("root", "web"), ("root", "api")]


def test_a_stream_that_breaks_changes_nothing_and_what_is_not_named_again_is_gone() -> None:
    told = started()
    told.feed.begin(1)
    told.feed.expect_all(1)
    assert told.names() == ["api", "web"]
    missing = told.say(1, obj("web", 5, "", unchanged=True))
    assert not missing and told.names() == ["api", "web"]
    told.say(1, complete=True)
    assert told.names() == ["web"] and told.changes[2:] == [("root", "api")]


def test_what_is_said_to_be_unchanged_and_is_not_there_is_asked_for() -> None:
    told = started()
    missing = told.say(1, obj("web", 9, "", unchanged=True), obj("new", 9, "", unchanged=True))
    assert [m.name for m in missing] == ["web", "new"]


def test_a_move_loses_nothing_and_late_words_of_the_old_shard_count_for_nothing() -> None:
    told = started()
    told.say(1, root=[pb.SYNC_MOVED])
    cluster = told.feed.by_path("root")
    assert cluster is not None and cluster.shard == NOBODY and told.names() == ["api", "web"]
    told.say(2, obj("web", 10), root=[pb.SYNC_HERE])
    told.say(1, obj("api", 11), root=[pb.SYNC_MOVED])
    assert cluster.shard == 2 and told.names() == ["api", "web"]
    told.say(2, root=[pb.SYNC_COMPLETE])
    assert told.names() == ["web"]


def test_a_logical_cluster_that_has_died_takes_everything_along() -> None:
    told = started()
    told.say(2, root=[pb.SYNC_GONE])
    assert told.names() == ["api", "web"]  # that is not shard 2's to say
    told.say(1, root=[pb.SYNC_GONE])
    assert told.feed.by_path("root") is None and len(told.changes) == 4


def test_pieces() -> None:
    told = started()
    told.say(1, obj("web", 12, '{"a":', more=True))
    told.say(1, obj("web", 12, "[1]}"))
    assert told.feed.get("root", WEB) == {"a": [1]}
    assert told.feed.statistics() == {"clusters": 1, "objects": 2, "bytes": 11}
    assert [(k.path, k.id) for k in told.feed.known()] == [("root", 1)]
