from kcpshard.api.events import Change, EventType
from kcpshard.api.selectors import parse_label_selector
from kcpshard.storage import envelope
from kcpshard.watch.bucket import Bucket, LiveEvent
from kcpshard.watch.selection import Form, Selection
from tests.contracts.stored_objects import put

FORM = Form(envelope, "v1", lambda json: json)
OTHER = Form(envelope, "v2", lambda json: b"other")
ALL = Selection(FORM)


def change(name: str = "a", namespace: str = "default", app: str = "", before: str | None = None) -> Change:
    def value(app: str) -> bytes:
        made = put(name, namespace, labels={"app": app})
        labels = envelope.encode_pairs(made.labels)
        return envelope.encode(made.json, made.hole, made.annotations, 7, 1, "u", "v1", labels, b"", 0)

    type_ = EventType.ADDED if before is None else EventType.MODIFIED
    return Change(type_, 7, "configmaps", namespace, name, value(app), None if before is None else value(before))


def shown(events: list[tuple[str, LiveEvent]]) -> list[tuple[str, int, list[int]]]:
    return sorted((link, event.type, sorted(event.watches)) for link, event in events)


def test_a_stream_gets_an_event_once_for_all_its_watches() -> None:
    bucket: Bucket[str] = Bucket()
    for watch, link in ((1, "f1"), (2, "f1"), (3, "f2")):
        bucket.add(watch, ALL, link)
    bucket.add(4, Selection(FORM, "default"), "f1")
    assert shown(bucket.dispatch(change())) == [("f1", EventType.ADDED, [1, 2, 4]), ("f2", EventType.ADDED, [3])]


def test_only_watches_of_the_place_are_asked() -> None:
    bucket: Bucket[str] = Bucket()
    places = [("", ""), ("default", ""), ("default", "a"), ("", "a"), ("other", ""), ("default", "b"), ("", "b")]
    for watch, (namespace, name) in enumerate(places):
        bucket.add(watch, Selection(FORM, namespace, name), "f1")
    assert shown(bucket.dispatch(change())) == [("f1", EventType.ADDED, [0, 1, 2, 3])]
    assert shown(bucket.dispatch(change(namespace=""))) == [("f1", EventType.ADDED, [0, 3])]


def test_types_and_forms_are_events_of_their_own() -> None:
    bucket: Bucket[str] = Bucket()
    bucket.add(1, ALL, "f1")
    bucket.add(2, Selection(FORM, labels=parse_label_selector("app=x")), "f1")
    bucket.add(3, Selection(FORM, labels=parse_label_selector("app=y")), "f1")
    bucket.add(4, Selection(OTHER), "f1")
    events = bucket.dispatch(change(app="x", before="y"))
    assert shown(events) == [
        ("f1", EventType.ADDED, [2]),
        ("f1", EventType.MODIFIED, [1]),
        ("f1", EventType.MODIFIED, [4]),
        ("f1", EventType.DELETED, [3]),
    ]
    assert [event.object for _, event in events if event.watches == (4,)] == [b"other"]


def test_who_joins_later_is_not_in_what_was_dispatched_before() -> None:
    bucket: Bucket[str] = Bucket()
    bucket.add(1, ALL, "f1")
    ((_, event),) = bucket.dispatch(change())
    bucket.add(2, ALL, "f1")
    assert event.watches == (1,)
    assert shown(bucket.dispatch(change())) == [("f1", EventType.ADDED, [1, 2])]


def test_a_bucket_is_empty_when_the_last_watch_leaves() -> None:
    bucket: Bucket[str] = Bucket()
    place = Selection(FORM, "default")
    bucket.add(1, ALL, "f1")
    bucket.add(2, place, "f1")
    assert not bucket.remove(1, ALL, "f1")
    assert shown(bucket.dispatch(change(namespace="other"))) == []
    assert shown(bucket.dispatch(change())) == [("f1", EventType.ADDED, [2])]
    assert bucket.remove(2, place, "f1")
