"""Conversations: what the shard says on its two streams, what the readers are told, what the shard is asked next."""

from collections.abc import Iterator
from itertools import count

import pytest

from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc import watch_ledger
from kcpshard.rpc.watch_ledger import FrontWatch, OutOfOrder, Phase, WatchLedger
from tests.contracts.watch_tier import Reader, start


class Talk:
    """One ledger; watches are named by their ids, which count from 1."""

    def __init__(self) -> None:
        ids: Iterator[int] = count(1)
        self.woken = 0
        self.ledger = WatchLedger(self._wake, lambda: next(ids))

    def _wake(self) -> None:
        self.woken += 1

    def open(self, **request: object) -> tuple[FrontWatch, Reader]:
        reader = Reader()
        watch = self.ledger.add(start(**request), reader)  # type: ignore[arg-type]
        reader.handle = watch
        return watch, reader

    def live_watch(self, revision: int = 10) -> tuple[FrontWatch, Reader]:
        watch, reader = self.open(revision=revision)
        self.sent()
        self.catch_up(started=[pb.WatchStarted(watch=watch.id, cluster_id=5)], joined=[joined(watch.id, revision)])
        return watch, reader

    def sent(self) -> list[str]:
        """The next controls, as text."""
        said = []
        for control in self.ledger.take_controls(256, 1 << 20).controls:
            if control.stop:
                said.append(f"stop {control.stop}")
                continue
            s = control.start
            where = f"initial {s.initial_revision} {s.initial_after}" if s.initial else f"after {s.revision}"
            said.append(f"start {s.id} {where}{f' of {s.cluster_id}' if s.resumed else ''}".replace("  ", " ").strip())
        return said

    def live(self, *events: pb.WatchEvent, closed: int = 0, **more: object) -> None:
        self.ledger.feed_live(pb.WatchBatch(events=events, closed_revision=closed, **more))  # type: ignore[arg-type]

    def catch_up(self, *events: pb.WatchEvent, **more: object) -> None:
        self.ledger.feed_catch_up(pb.WatchBatch(events=events, **more))  # type: ignore[arg-type]


def event(revision: int, name: str, *watches: int, position: str = "") -> pb.WatchEvent:
    json = b'{"metadata":{"name":"%s"}}' % name.encode()
    return pb.WatchEvent(type=pb.ADDED, revision=revision, object=json, watches=watches, position=position)


def joined(watch: int, revision: int, cluster_id: int = 5) -> pb.WatchJoined:
    return pb.WatchJoined(watch=watch, revision=revision, cluster_id=cluster_id)


def test_a_watch_from_its_start_to_a_break_and_back() -> None:
    talk = Talk()
    watch, reader = talk.open(initial=True)
    assert talk.sent() == ["start 1 initial 0"]
    assert watch.revision == 0
    talk.catch_up(event(20, "a", 1, position="/a"), started=[pb.WatchStarted(watch=1, cluster_id=5, kind="Thing")])
    assert watch.revision == 0, "not during initial events"
    talk.catch_up(initial_done=[pb.WatchInitialDone(watch=1, revision=20)], joined=[joined(1, 25)])
    assert watch.revision == 25
    talk.live(event(30, "b", 1), closed=31)
    assert watch.revision == 31
    talk.ledger.break_off()
    assert watch.revision == 31
    assert talk.sent() == ["start 1 after 31 of 5"]
    talk.catch_up(event(33, "c", 1), started=[pb.WatchStarted(watch=1, cluster_id=5)], joined=[joined(1, 33)])
    assert reader.log == ["started", "ADDED a", "initial 20", "ADDED b", "ADDED c"]
    assert watch.kind == ""


def test_a_break_within_the_initial_events() -> None:
    talk = Talk()
    _, reader = talk.open(initial=True)
    talk.sent()
    talk.catch_up(event(20, "a", 1, position="default/a"), started=[pb.WatchStarted(watch=1, cluster_id=5)])
    talk.ledger.break_off()
    assert talk.sent() == ["start 1 initial 20 default/a of 5"]
    talk.catch_up(event(20, "b", 1, position="default/b"), started=[pb.WatchStarted(watch=1)])
    assert reader.log == ["started", "ADDED a", "ADDED b"]


def test_live_events_that_come_before_joined_wait_for_it() -> None:
    talk = Talk()
    watch, reader = talk.open(revision=10)
    talk.sent()
    talk.live(event(30, "late", 1), closed=31)
    talk.catch_up(event(20, "early", 1), started=[pb.WatchStarted(watch=1)])
    assert watch.revision == 20
    talk.catch_up(joined=[joined(1, 25)])
    assert reader.log == ["started", "ADDED early", "ADDED late"]
    assert watch.revision == 31
    assert talk.ledger.statistics()["held_bytes"] == 0


def test_too_many_waiting_events_start_the_watch_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_ledger, "HELD_EVENTS", 3)
    talk = Talk()
    _, reader = talk.open(revision=10)
    talk.sent()
    talk.catch_up(event(20, "early", 1), started=[pb.WatchStarted(watch=1, cluster_id=5)])
    for revision in range(30, 34):
        talk.live(event(revision, "held", 1))
    assert talk.sent() == ["stop 1", "start 2 after 19 of 5"]
    talk.live(event(34, "for the old start", 1))
    talk.catch_up(joined=[joined(1, 25)])
    talk.catch_up(
        event(20, "early", 2), event(30, "held", 2), started=[pb.WatchStarted(watch=2)], joined=[joined(2, 40)]
    )
    assert reader.log == ["started", "ADDED early", "ADDED held"]
    assert talk.ledger.statistics()["held_bytes"] == 0


def test_a_revision_that_was_cut_in_two_is_completed_without_repeats() -> None:
    talk = Talk()
    _, reader = talk.live_watch()
    talk.live(event(20, "a", 1), event(20, "b", 1))
    talk.ledger.break_off()
    assert talk.sent() == ["start 1 after 19 of 5"]
    talk.catch_up(event(20, "a", 1), event(20, "b", 1), event(20, "c", 1))
    talk.ledger.break_off()
    assert talk.sent() == ["start 1 after 19 of 5"]
    talk.catch_up(*(event(20, name, 1) for name in "abcd"), joined=[joined(1, 20)])
    assert reader.log == ["started", "ADDED a", "ADDED b", "ADDED c", "ADDED d"]


def test_an_event_out_of_order_is_a_fault() -> None:
    talk = Talk()
    talk.live_watch()
    talk.live(event(20, "a", 1), closed=20)
    with pytest.raises(OutOfOrder):
        talk.live(event(19, "b", 1))


def test_an_event_from_before_joined_is_a_fault() -> None:
    talk = Talk()
    talk.live_watch(revision=10)
    with pytest.raises(OutOfOrder):
        talk.live(event(10, "a", 1))


def test_pause_and_resume_under_a_new_id() -> None:
    talk = Talk()
    watch, reader = talk.live_watch()
    reader.on_event = watch.pause
    talk.live(event(20, "a", 1), event(21, "b", 1), closed=25)
    assert talk.sent() == ["stop 1"]
    assert watch.revision == 20
    talk.live(event(22, "c", 1), closed=26)
    talk.ledger.break_off()
    assert talk.sent() == []
    reader.on_event = lambda: None
    watch.resume()
    watch.resume()
    assert talk.sent() == ["start 2 after 19 of 5"]
    talk.catch_up(*(event(20 + n, name, 2) for n, name in enumerate("abc")), joined=[joined(2, 30)])
    assert reader.log == ["started", "ADDED a", "ADDED b", "ADDED c"]


def test_closing_before_it_was_sent_needs_no_message() -> None:
    talk = Talk()
    watch, _ = talk.open()
    watch.close()
    assert not talk.ledger.has_controls
    assert talk.sent() == []


def test_closing_from_within_an_event() -> None:
    talk = Talk()
    watch, reader = talk.live_watch()
    reader.on_event = watch.close
    talk.live(event(20, "a", 1), event(21, "b", 1))
    assert reader.log == ["started", "ADDED a"]
    assert watch.phase is Phase.CLOSED
    assert talk.sent() == ["stop 1"]
    watch.resume()
    assert talk.sent() == []


def test_an_end_with_a_status_is_the_readers() -> None:
    talk = Talk()
    watch, reader = talk.live_watch()
    talk.live(ended=[pb.WatchEnded(watch=1, status=b'{"code":410}')])
    assert reader.log == ["started", "ended 410"]
    watch.close()
    assert talk.sent() == []
    assert talk.ledger.watches == {}


def test_an_end_without_a_status_is_tried_again_later() -> None:
    talk = Talk()
    _, reader = talk.live_watch()
    talk.live(ended=[pb.WatchEnded(watch=1)], closed=30)
    assert talk.sent() == []
    talk.ledger.queue_later()
    assert talk.sent() == ["start 1 after 10 of 5"]
    assert reader.log == ["started"]


def test_a_moved_watch_is_handed_on_complete() -> None:
    talk = Talk()
    handed: list[tuple[object, pb.StartWatch, int]] = []
    talk.ledger.on_moved = lambda *moved: handed.append(moved)
    watch, _ = talk.live_watch()
    talk.live(event(20, "a", 1), ended=[pb.WatchEnded(watch=1, moved=True, moved_to=3, revision=21)], closed=50)
    ((handle, resume, shard),) = handed
    assert (handle, shard, resume.revision, resume.resumed, resume.cluster_id) == (watch, 3, 21, True, 5)
    assert talk.ledger.watches == {}


def test_a_watch_given_up_within_a_revision_goes_on_elsewhere_without_repeats() -> None:
    talk, other = Talk(), Talk()
    handed: list[pb.StartWatch] = []
    talk.ledger.on_moved = lambda _handle, resume, _shard: handed.append(resume)
    talk.open(revision=10)
    talk.sent()
    talk.catch_up(event(20, "a", 1), event(20, "b", 1), started=[pb.WatchStarted(watch=1, cluster_id=5)])
    talk.ledger.give_up()
    reader = Reader()
    watch = other.ledger.add(handed[0], reader)
    assert other.sent() == ["start 1 after 19 of 5"]
    assert watch.revision == 20
    other.catch_up(*(event(20, name, 1) for name in "abc"), started=[pb.WatchStarted(watch=1)], joined=[joined(1, 20)])
    assert reader.log == ["ADDED c"]


def test_a_birth_tells_the_incarnation() -> None:
    talk = Talk()
    _, _ = talk.open(revision=10)
    talk.sent()
    talk.catch_up(started=[pb.WatchStarted(watch=1)], joined=[joined(1, 10, cluster_id=0)])
    talk.live(event(20, "a", 1), joined=[joined(1, 20, cluster_id=20)], closed=20)
    talk.ledger.break_off()
    assert talk.sent() == ["start 1 after 20 of 20"]


def test_starts_go_in_messages_of_bounded_size() -> None:
    talk = Talk()
    for _ in range(600):
        talk.open()
    sizes = []
    while talk.ledger.has_controls:
        sizes.append(len(talk.ledger.take_controls(256, 1 << 20).controls))
    assert sizes == [256, 256, 88]
