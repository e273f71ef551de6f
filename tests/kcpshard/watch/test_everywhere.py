from collections.abc import Sequence
from typing import NamedTuple

import pytest

from kcpshard.api.events import Change, Commit, EventType
from kcpshard.watch.cursor import Phase
from kcpshard.watch.everywhere import Place, WildcardCursor, decode_place, encode_place
from kcpshard.watch.history import History


class Item(NamedTuple):
    namespace: str
    name: str
    value: bytes


class Slice(NamedTuple):
    cluster_id: int
    path: str
    items: Sequence[Item]


class Scan:
    """One logical cluster a slice."""

    def __init__(self, slices: list[Slice]) -> None:
        self.slices, self.is_done = slices, False

    def next_slice(self, limit: int, most_clusters: int) -> list[Slice]:
        found, self.slices = self.slices[:1], self.slices[1:]
        self.is_done = not self.slices
        return found


class View:
    """Shows everything but what is called `hidden`; fails once where told."""

    fails = False

    def show(self, cluster_id: int, change: Change) -> tuple[int, bytes] | None:
        return None if change.name == "hidden" else (int(change.type), b"%d/" % cluster_id + change.name.encode())

    show_now = show

    def item(self, cluster_id: int, path: str, namespace: str, name: str, value: bytes) -> bytes | None:
        if self.fails:
            self.fails = False
            raise LookupError
        return None if name == "hidden" else f"{path}/{name}".encode()

    def foresee(self, cluster_id: int) -> None:
        pass

    def forget(self, cluster_id: int) -> None:
        pass

    async def changed(self) -> bool:
        return False


class Source:
    durable_revision = 9

    def __init__(self) -> None:
        self.commits: list[Commit] = []

    def log_all(self, after: int, upto: int, limit: int, group_resource: str, retention: int) -> list[Commit]:
        return [c for c in self.commits if after < c.revision <= upto][:limit]


SLICES = [Slice(3, "a", [Item("d", "x", b""), Item("d", "hidden", b"")]), Slice(5, "b", [Item("d", "y", b"")])]


def commit(revision: int, cluster_id: int, name: str, group_resource: str = "configmaps") -> Commit:
    change = Change(EventType.ADDED, revision, group_resource, "d", name, b"", None)
    return Commit(revision, cluster_id, (change,))


def cursor(phase: Phase, revision: int, view: View | None = None) -> WildcardCursor:
    starts: list[tuple[int, Place | None]] = []

    def scan(at: int, after: Place | None) -> Scan:
        starts.append((at, after))
        return Scan([s for s in SLICES if after is None or s.cluster_id > after.cluster_id])

    made = WildcardCursor("configmaps", 0, view or View(), phase, revision, None, scan)
    made.starts = starts  # type: ignore[attr-defined]
    return made


def test_first_the_objects_with_places_to_resume_from() -> None:
    found, history = cursor(Phase.INITIAL, 9), History(0, 1 << 20)
    first = found.step(Source(), history)
    assert [(e.object, e.position) for e in first.events] == [(b"a/x", "3/d/x")]
    assert not first.initial_done
    last = found.step(Source(), history)
    assert ([e.object for e in last.events], last.initial_done, last.caught_up) == ([b"b/y"], 9, True)


def test_a_step_that_fails_is_taken_again() -> None:
    view = View()
    found = cursor(Phase.INITIAL, 9, view)
    found.step(Source(), History(0, 1 << 20))
    view.fails = True
    with pytest.raises(LookupError):
        found.step(Source(), History(0, 1 << 20))
    again = found.step(Source(), History(0, 1 << 20))
    assert [e.object for e in again.events] == [b"b/y"]
    assert found.starts[-1] == (9, Place(3, "d", "hidden"))  # type: ignore[attr-defined]


def test_then_the_log_of_all() -> None:
    source = Source()
    source.commits = [commit(4, 3, "old"), commit(6, 3, "n"), commit(7, 5, "hidden"), commit(8, 5, "s", "secrets")]
    found = cursor(Phase.REPLAY, 5)
    step = found.step(source, History(9, 1 << 20))
    assert [(e.revision, e.object) for e in step.events] == [(6, b"3/n")]
    done = found.step(source, History(9, 1 << 20))
    assert (done.events, done.caught_up, found.revision) == ([], True, 9)


def test_what_is_recent_is_read_from_memory() -> None:
    history = History(0, 1 << 20)
    for each in (commit(6, 3, "n"), commit(7, 5, "m")):
        history.append(each)
    assert [e.object for e in cursor(Phase.REPLAY, 6).step(Source(), history).events] == [b"5/m"]


def test_places_are_written_and_read() -> None:
    for place in (Place(1 << 60, "ns", "a.b"), Place(7, "", "system:x")):
        assert decode_place(encode_place(place)) == place
