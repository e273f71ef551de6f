"""Watch events as the bytes clients read, one set of bytes per event and representation. Pure.

JSON lines, or length-delimited protobuf; each in a chunk of its own.
"""

import time
from typing import Any

import orjson

from kcpfront import tables
from kcpfront.negotiation import PROTOBUF, TABLE, Representation
from kcpfront.printers.columns import Printer
from kcpfront.protobuf.objects import NoProtobuf, encode_event, encode_object, encode_partial
from kcpfront.responses import chunk
from kcpshard.api.errors import InternalError
from kcpshard.api.resource_versions import format_revision
from kcpshard.rpc.contract import WatchedEvent

_PREFIXES = {1: b'{"type":"ADDED","object":', 2: b'{"type":"MODIFIED","object":', 3: b'{"type":"DELETED","object":'}
_NAMES = {1: "ADDED", 2: "MODIFIED", 3: "DELETED"}
_INITIAL_END = {"k8s.io/initial-events-end": "true"}


class _JsonLines:
    """What all JSON forms have in common."""

    __slots__ = ()

    def error(self, status: bytes) -> bytes:
        return error_frame(status)


class PlainFrames(_JsonLines):
    """Objects as they are."""

    __slots__ = ()

    def event(self, event: WatchedEvent) -> bytes:
        frame = event.frames.get("")
        if frame is None:
            frame = event.frames[""] = chunk(_PREFIXES[event.type] + event.object + b"}\n")
        return frame

    def bookmark(self, api_version: str, kind: str, revision: int, initial_end: bool) -> bytes:
        return _line("BOOKMARK", _bookmark_object(api_version, kind, revision, initial_end))


class PartialFrames(_JsonLines):
    """PartialObjectMetadata."""

    __slots__ = ("_version",)

    def __init__(self, version: str) -> None:
        self._version = version

    def event(self, event: WatchedEvent) -> bytes:
        key = "Partial" + self._version
        frame = event.frames.get(key)
        if frame is None:
            shown = tables.partial(orjson.loads(event.object), self._version)
            frame = event.frames[key] = _line(_NAMES[event.type], shown)
        return frame

    def bookmark(self, api_version: str, kind: str, revision: int, initial_end: bool) -> bytes:
        obj = _bookmark_object(api_version, kind, revision, initial_end)
        return _line("BOOKMARK", tables.partial(obj, self._version))


class TableFrames(_JsonLines):
    """A Table of one row per event; the first names the columns. Bytes are shared between tables of one look."""

    __slots__ = ("_headers", "_include", "_printer", "_version")

    def __init__(self, printer: Printer, include: str, version: str) -> None:
        self._printer, self._include, self._version = printer, include, version
        self._headers = True

    def event(self, event: WatchedEvent) -> bytes:
        key = f"Table{self._version}{self._include}{self._headers:d}"
        frame = event.frames.get(key)
        if frame is None:
            frame = event.frames[key] = _line(_NAMES[event.type], self._table(orjson.loads(event.object)))
        self._headers = False
        return frame

    def bookmark(self, api_version: str, kind: str, revision: int, initial_end: bool) -> bytes:
        frame = _line("BOOKMARK", self._table(_bookmark_object(api_version, kind, revision, initial_end)))
        self._headers = False
        return frame

    def _table(self, obj: dict[str, Any]) -> dict[str, Any]:
        return tables.object_table(self._printer, obj, self._include, self._version, time.time(), self._headers)


class ProtobufFrames:
    """Objects, or their PartialObjectMetadata, in protobuf."""

    __slots__ = ("_partial",)

    def __init__(self, partial: str = "") -> None:
        self._partial = partial  # the version of PartialObjectMetadata, "" for whole objects

    def event(self, event: WatchedEvent) -> bytes:
        key = "Protobuf" + self._partial
        frame = event.frames.get(key)
        if frame is None:
            frame = event.frames[key] = self._frame(_NAMES[event.type], orjson.loads(event.object))
        return frame

    def bookmark(self, api_version: str, kind: str, revision: int, initial_end: bool) -> bytes:
        return self._frame("BOOKMARK", _bookmark_object(api_version, kind, revision, initial_end))

    def error(self, status: bytes) -> bytes:
        return chunk(encode_event("ERROR", encode_object(orjson.loads(status))))

    def _frame(self, type_: str, obj: dict[str, Any]) -> bytes:
        try:
            shown = encode_partial(obj, self._partial) if self._partial else encode_object(obj)
            return chunk(encode_event(type_, shown))
        except NoProtobuf:
            # A custom resource under the name of a built-in one. There is no other form to change to in a watch.
            return self.error(InternalError("unable to encode watch object: it has no protobuf form").body())


Frames = PlainFrames | PartialFrames | TableFrames | ProtobufFrames
_PLAIN = PlainFrames()
PROTOBUF_STREAM = f"{PROTOBUF};stream=watch"


def frames_for(shown: Representation, printer: Printer, include: str) -> Frames:
    if shown.media_type is PROTOBUF:
        return ProtobufFrames(shown.version)
    if not shown.as_:
        return _PLAIN
    return TableFrames(printer, include, shown.version) if shown.as_ == TABLE else PartialFrames(shown.version)


def error_frame(status: bytes) -> bytes:
    """An error as a JSON line."""
    return chunk(b'{"type":"ERROR","object":' + status + b"}\n")


def _bookmark_object(api_version: str, kind: str, revision: int, initial_end: bool) -> dict[str, Any]:
    metadata: dict[str, Any] = {"resourceVersion": format_revision(revision), "creationTimestamp": None}
    if initial_end:
        metadata["annotations"] = _INITIAL_END
    return {"kind": kind, "apiVersion": api_version, "metadata": metadata}


def _line(type_: str, obj: dict[str, Any]) -> bytes:
    return chunk(orjson.dumps({"type": type_, "object": obj}) + b"\n")
