"""The checker is itself checked: a sound history passes, and each planted fault is found by the check meant for it."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.robustness.checks import NAMESPACES, judge
from tests.robustness.history import Birth, History, Operation, Seen, Watch


def sound_history() -> History:
    """Two clusters, interleaved writes, two watches of each, reads between."""
    history = History()
    clock, revision = 0.0, 1000
    for cluster in ("a", "b"):
        watches = [Watch(n, cluster, 1000) for n in (1, 2)]
        state: dict[str, tuple[int, str]] = {}
        for step in range(30):
            clock, revision = clock + 1, revision + 7
            name, value = f"cm-{step % 4}", f"{cluster}-{step}"
            if step % 9 == 8 and name in state:
                verb, event = "delete", Seen("DELETED", revision, name, state.pop(name)[1], cluster)
            else:
                verb = "update" if name in state else "create"
                event = Seen("MODIFIED" if name in state else "ADDED", revision, name, value, cluster)
                state[name] = (revision, value)
            history.operations.append(Operation(0, verb, cluster, name, clock, clock + 0.5, "ok", 200, value, revision))  # type: ignore[arg-type]
            for watch in watches:
                watch.events.append(event)
                if step % 5 == 0:
                    watch.events.append(Seen("BOOKMARK", revision))
            seen = state.get(name)
            found = (seen[0], seen[1]) if seen else (0, "")
            history.operations.append(
                Operation(1, "get", cluster, name, clock + 0.6, clock + 0.7, "ok", 200, found[1], found[0])
            )
            items = dict(state)
            history.operations.append(
                Operation(1, "list", cluster, "", clock + 0.6, clock + 0.7, "ok", 200, "", revision, items)
            )
        history.watches += watches
        history.final[cluster] = dict(state)
    history.births = [
        Birth("c", "ok", "born-c", 1001, (1001, "born-c"), list(NAMESPACES)),
        Birth("d", "unknown", "born-d", 0, (1002, "born-d"), list(NAMESPACES)),
        Birth("e", "unknown", "born-e"),
    ]
    history.operations.append(Operation(2, "create", "a", "cm-0", 1, 2, "refused", 409, "never"))
    history.operations.append(Operation(2, "create", "a", "cm-0", 1, 2, "unknown", 0, "perhaps"))
    return history


def test_a_sound_history_passes() -> None:
    assert judge(sound_history()) == []


def lose_acknowledged_write(h: History) -> None:
    lost = h.operations[-5]
    assert lost.verb in ("create", "update")
    for watch in h.watches:
        watch.events = [e for e in watch.events if e.revision != lost.revision]
    h.final["b"].pop(lost.name, None)


def lose_acknowledged_delete(h: History) -> None:
    h.operations.append(Operation(3, "delete", "a", "cm-2", h.operations[-3].returned + 1, 99, "ok", 200))


def some_event(watch: Watch) -> int:
    """The place of an event in the middle, not a bookmark."""
    return [i for i, e in enumerate(watch.events) if e.type != "BOOKMARK"][5]


def lose_event(h: History) -> None:
    del h.watches[0].events[some_event(h.watches[0])]


def repeat_event(h: History) -> None:
    place = some_event(h.watches[0])
    h.watches[0].events.insert(place, h.watches[0].events[place])


def reorder_events(h: History) -> None:
    events = [i for i, e in enumerate(h.watches[0].events) if e.type != "BOOKMARK"]
    a, b = events[4], events[5]
    h.watches[0].events[a], h.watches[0].events[b] = h.watches[0].events[b], h.watches[0].events[a]


def foreign_event(h: History) -> None:
    place = some_event(h.watches[0])
    h.watches[0].events[place] = replace(h.watches[0].events[place], origin="b")


def bookmark_ahead(h: History) -> None:
    h.watches[0].events.insert(3, Seen("BOOKMARK", h.watches[0].events[6].revision))


def stale_get(h: History) -> None:
    reads = [o for o in h.operations if o.verb == "get" and o.name == "cm-1" and o.cluster == "a" and o.revision]
    reads[-1].revision, reads[-1].value = reads[0].revision, reads[0].value


def stale_list(h: History) -> None:
    lists = [o for o in h.operations if o.verb == "list" and o.cluster == "a"]
    lists[-1].revision, lists[-1].items = lists[0].revision, lists[0].items


def torn_list(h: History) -> None:
    lists = [o for o in h.operations if o.verb == "list" and o.cluster == "a"]
    lists[-1].items = {**lists[-1].items, "cm-1": lists[2].items["cm-1"]}


def written_twice(h: History) -> None:
    first = h.watches[0].events[0]
    for watch in h.watches[:2]:
        watch.events.append(Seen("MODIFIED", 5_000_000, first.name, first.value, "a"))
    h.final["a"][first.name] = (5_000_000, first.value)


def refused_took_effect(h: History) -> None:
    for watch in h.watches[:2]:
        watch.events.append(Seen("MODIFIED", 5_000_000, "cm-0", "never", "a"))
    h.final["a"]["cm-0"] = (5_000_000, "never")


def revision_against_time(h: History) -> None:
    h.operations[0].revision, h.operations[3].revision = h.operations[3].revision, h.operations[0].revision


def wrong_type(h: History) -> None:
    event = next(e for e in h.watches[0].events if e.type == "MODIFIED")
    event.type = "ADDED"


def lose_birth(h: History) -> None:
    h.births[0].found, h.births[0].namespaces = None, []


def half_a_birth(h: History) -> None:
    h.births[1].namespaces.pop()


def birth_without_its_object(h: History) -> None:
    h.births[2].namespaces = list(NAMESPACES)


@pytest.mark.parametrize(
    ("plant", "check"),
    [
        pytest.param(lose_birth, "births_whole", id="an acknowledged birth is gone"),
        pytest.param(half_a_birth, "births_whole", id="a birth without a namespace"),
        pytest.param(birth_without_its_object, "births_whole", id="a birth without its object"),
        pytest.param(lose_acknowledged_write, "acknowledged_writes_present", id="an acknowledged write is gone"),
        pytest.param(lose_acknowledged_delete, "acknowledged_deletes_present", id="an acknowledged delete is gone"),
        pytest.param(lose_event, "watch_complete", id="an event lost"),
        pytest.param(repeat_event, "watch_order", id="an event repeated"),
        pytest.param(reorder_events, "watch_order", id="events reordered"),
        pytest.param(foreign_event, "watch_foreign", id="a foreign event"),
        pytest.param(bookmark_ahead, "bookmarks_true", id="a bookmark ahead of its events"),
        pytest.param(stale_get, "reads_fresh", id="a stale get"),
        pytest.param(stale_list, "reads_fresh", id="a stale list"),
        pytest.param(torn_list, "reads_fresh", id="a list of two moments"),
        pytest.param(written_twice, "written_once", id="a repeated write took effect twice"),
        pytest.param(refused_took_effect, "written_once", id="a refused write took effect"),
        pytest.param(revision_against_time, "order_of_commits", id="revisions against real time"),
        pytest.param(wrong_type, "watch_types", id="ADDED for an object that existed"),
    ],
)
def test_a_planted_fault_is_found(plant: Callable[[History], None], check: str) -> None:
    history = sound_history()
    plant(history)
    assert check in {breach.split(":")[0] for breach in judge(history)}
