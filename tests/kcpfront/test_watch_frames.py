from typing import Any

import orjson

from kcpfront.negotiation import PLAIN, negotiate_watch
from kcpfront.printers.builtin import PRINTERS
from kcpfront.protobuf.decoding import decode_object
from kcpfront.protobuf.wire import raw_fields
from kcpfront.watch_frames import frames_for
from kcpshard.api.errors import Expired
from kcpshard.rpc.contract import WatchedEvent

OBJ = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "a", "resourceVersion": "7"}, "data": {"x": "y"}}
PRINTER = PRINTERS["", "configmaps"]
TABLE = negotiate_watch("application/json;as=Table;v=v1;g=meta.k8s.io")
PARTIAL = negotiate_watch("application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io")
REVISION = 1_700_000_000_000_000_001


def read(frame: bytes) -> Any:
    """What is in one chunk; the chunk must be well formed and hold one line."""
    size, _, rest = frame.partition(b"\r\n")
    assert len(rest) == int(size, 16) + 2 and rest.endswith(b"\n\r\n")
    return orjson.loads(rest)


def event(type_: int = 2) -> WatchedEvent:
    return WatchedEvent(type_, REVISION, orjson.dumps(OBJ))


def test_objects_as_they_are() -> None:
    frames = frames_for(PLAIN, PRINTER, "Metadata")
    for type_, name in ((1, "ADDED"), (2, "MODIFIED"), (3, "DELETED")):
        assert read(frames.event(event(type_))) == {"type": name, "object": OBJ}


def test_an_event_is_framed_once_for_all_watches() -> None:
    shared = event()
    first, second = frames_for(PLAIN, PRINTER, "Metadata"), frames_for(PLAIN, PRINTER, "Metadata")
    assert first.event(shared) is second.event(shared)


def test_metadata_only() -> None:
    found = read(frames_for(PARTIAL, PRINTER, "Metadata").event(event()))
    assert found["object"] == {
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": OBJ["metadata"],
    }


def test_tables_name_their_columns_once() -> None:
    frames = frames_for(TABLE, PRINTER, "None")
    first, second = read(frames.event(event()))["object"], read(frames.event(event()))["object"]
    assert [c["name"] for c in first["columnDefinitions"]] == ["Name", "Data", "Age"]
    assert second["columnDefinitions"] is None
    assert first["rows"] == second["rows"] == [{"cells": ["a", 1, "<unknown>"]}]


def test_tables_of_one_look_share_their_bytes() -> None:
    shared = event()
    first, second = frames_for(TABLE, PRINTER, "None"), frames_for(TABLE, PRINTER, "None")
    assert first.event(shared) is second.event(shared)
    assert frames_for(TABLE, PRINTER, "Object").event(shared) is not first.event(shared)


def test_bookmarks() -> None:
    found = read(frames_for(PLAIN, PRINTER, "Metadata").bookmark("v1", "ConfigMap", REVISION, initial_end=False))
    assert found == {
        "type": "BOOKMARK",
        "object": {
            "kind": "ConfigMap",
            "apiVersion": "v1",
            "metadata": {"resourceVersion": str(REVISION), "creationTimestamp": None},
        },
    }


def test_the_bookmark_after_the_initial_events_says_so() -> None:
    for shown in (PLAIN, PARTIAL):
        found = read(frames_for(shown, PRINTER, "Metadata").bookmark("v1", "ConfigMap", REVISION, initial_end=True))
        assert found["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    row = read(frames_for(TABLE, PRINTER, "Metadata").bookmark("v1", "ConfigMap", REVISION, True))["object"]["rows"][0]
    assert row["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


def test_errors() -> None:
    assert read(frames_for(PLAIN, PRINTER, "").error(b'{"code":410}')) == {"type": "ERROR", "object": {"code": 410}}


PROTOBUF = negotiate_watch("application/vnd.kubernetes.protobuf", True)
PARTIAL_PROTOBUF = PROTOBUF._replace(as_="PartialObjectMetadata", version="v1")


def read_protobuf(frame: bytes) -> tuple[str, Any]:
    """Type and object of the one event in one chunk."""
    size, _, rest = frame.partition(b"\r\n")
    assert len(rest) == int(size, 16) + 2 and int.from_bytes(rest[:4], "big") == len(rest) - 6
    fields: dict[int, Any] = raw_fields(rest[4:-2])
    found: dict[int, Any] = raw_fields(fields[2])
    return fields[1].decode(), decode_object(found[1])


def test_objects_in_protobuf() -> None:
    frames, shared = frames_for(PROTOBUF, PRINTER, "Metadata"), event(1)
    assert read_protobuf(frames.event(shared)) == ("ADDED", OBJ)
    assert frames_for(PROTOBUF, PRINTER, "Metadata").event(shared) is frames.event(shared)


def test_metadata_in_protobuf() -> None:
    _, found = read_protobuf(frames_for(PARTIAL_PROTOBUF, PRINTER, "Metadata").event(event()))
    assert (found["kind"], found["metadata"]) == ("PartialObjectMetadata", OBJ["metadata"])
    assert "data" not in found


def test_bookmarks_and_errors_in_protobuf() -> None:
    frames = frames_for(PROTOBUF, PRINTER, "Metadata")
    type_, found = read_protobuf(frames.bookmark("v1", "ConfigMap", REVISION, True))
    assert (type_, found["metadata"]["resourceVersion"]) == ("BOOKMARK", str(REVISION))
    assert found["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    gone = Expired("too old")
    assert read_protobuf(frames.error(gone.body())) == ("ERROR", gone.status())


def test_an_event_without_protobuf_form_is_an_error() -> None:
    odd = WatchedEvent(1, REVISION, orjson.dumps({**OBJ, "data": 7}))
    type_, status = read_protobuf(frames_for(PROTOBUF, PRINTER, "Metadata").event(odd))
    assert (type_, status["code"]) == ("ERROR", 500)
