"""A stored value: a small binary header plus the JSON that a client receives.

    0         8        16           24    28    32           36      40      44   45           46      47     48
    revision  created  fingerprint  body  hole  annotations  labels  fields  uid  api version  key id  flags  texts JSON

`body` is where the JSON begins; `hole` and `annotations` are offsets within the JSON; the others from `labels` on are
lengths of the texts that follow in the order uid, apiVersion, labels, fields. Labels and fields are JSON objects with
sorted keys, empty if there are none, so that equal sets are equal bytes. `key id` is not used (0). `flags`: see
`sealing`, which alone sets one; whoever gets a value from the store sees it in the clear.

Decides the bytes of a value; leaves to the writer when the hole is filled. Everything a selector, a precondition or a
list needs is read without decoding the JSON.
"""

import struct
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import orjson

from kcpshard.api.resource_versions import DIGITS

_HEADER = struct.Struct(">QQQIIIIIBBBB")
_SIZE = HEADER_BYTES = _HEADER.size
FLAGS_AT = 47
_BODY = struct.Struct(">I")
_HOLE = struct.Struct(">II")
_NUMBER = struct.Struct(">Q")
_TEXTS = struct.Struct(">IIBB")
_BODY_AT, _HOLE_AT, _TEXTS_AT = 24, 28, 36
_NO_PAIRS: Mapping[str, str] = {}
_MARK = b'"resourceVersion":"'
_BRACE, _END_BRACE = b"{}"

_body_offset = _BODY.unpack_from
_hole_offsets = _HOLE.unpack_from
_number = _NUMBER.unpack_from
_texts = _TEXTS.unpack_from


def encode_object(document: Mapping[str, Any]) -> tuple[bytes, int, int]:
    """JSON for storage, with the hole's offset and the place of annotations (see `annotated_body`).

    apiVersion, kind and metadata come first, resourceVersion first within metadata, then annotations if there are any.
    An empty `annotations` is left out, as Kubernetes does.
    """
    metadata = dict(document["metadata"])
    metadata.pop("resourceVersion", None)
    annotations = metadata.pop("annotations", None)
    first: dict[str, Any] = {"resourceVersion": "0000000000000000000"}
    if annotations:
        first["annotations"] = annotations
    first.update(metadata)
    ordered = {"apiVersion": document["apiVersion"], "kind": document["kind"], "metadata": first}
    for key, value in document.items():
        if key not in ordered:
            ordered[key] = value
    json = orjson.dumps(ordered)
    # Quotes inside strings are escaped, so the first match is the key itself.
    hole = json.index(_MARK) + len(_MARK)
    return json, hole, hole + DIGITS + (len(',"annotations":{') + 1 if annotations else 1)


def encode_pairs(pairs: Mapping[str, str]) -> bytes:
    return orjson.dumps(pairs, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS) if pairs else b""


def encode(
    json: bytes,
    hole: int,
    annotations: int,
    revision: int,
    created_revision: int,
    uid: str,
    api_version: str,
    labels: bytes,
    fields: bytes,
    fingerprint: int,
) -> bytes:
    """A whole value; `labels` and `fields` as `encode_pairs` gives them. The hole is filled with `revision`."""
    raw_uid, raw_version = uid.encode(), api_version.encode()
    texts = (raw_uid, raw_version, labels, fields)
    label_size, field_size, uid_size, version_size = len(labels), len(fields), len(raw_uid), len(raw_version)
    body_at = _SIZE + uid_size + version_size + label_size + field_size
    header = _HEADER.pack(
        revision, created_revision, fingerprint, body_at, hole, annotations, label_size, field_size, uid_size,
        version_size, 0, 0,
    )  # fmt: skip
    return b"".join((header, *texts, json[:hole], b"%019d" % revision, json[hole + DIGITS :]))


def body(value: bytes) -> bytes:
    """The JSON that a client receives."""
    return value[_body_offset(value, _BODY_AT)[0] :]


def bodies(values: Iterable[bytes]) -> list[bytes]:
    """`body` of many: a call for each of them would cost as much as the copy."""
    offset, at = _body_offset, _BODY_AT
    return [value[offset(value, at)[0] :] for value in values]


def hole(value: bytes) -> int:
    """Where in the body the resourceVersion stands: what a Remove of this very state is given."""
    return int(_hole_offsets(value, _HOLE_AT)[0])


def revision(value: bytes) -> int:
    return int.from_bytes(value[:8], "big")


def created_revision(value: bytes) -> int:
    return int.from_bytes(value[8:16], "big")


def fingerprint(value: bytes) -> int:
    return int.from_bytes(value[16:24], "big")


def uid(value: bytes) -> str:
    return value[_SIZE : _SIZE + value[44]].decode()


def api_version(value: bytes) -> str:
    start = _SIZE + value[44]
    return value[start : start + value[45]].decode()


def raw_labels(value: bytes) -> bytes:
    label_size, _, uid_size, version_size = _texts(value, _TEXTS_AT)
    start = _SIZE + uid_size + version_size
    return value[start : start + label_size]


def raw_fields(value: bytes) -> bytes:
    label_size, field_size, uid_size, version_size = _texts(value, _TEXTS_AT)
    start = _SIZE + uid_size + version_size + label_size
    return value[start : start + field_size]


def labels(value: bytes) -> Mapping[str, str]:
    raw = raw_labels(value)
    return orjson.loads(raw) if raw else _NO_PAIRS


def fields(value: bytes) -> Mapping[str, str]:
    """The selectable fields that were given with the write; metadata.name and namespace are in the key."""
    raw = raw_fields(value)
    return orjson.loads(raw) if raw else _NO_PAIRS


def has_body(value: bytes) -> bool:
    """Whether the JSON is there: a `previous` read from the log may be a header only."""
    return len(value) > int(_body_offset(value, _BODY_AT)[0])


def header(value: bytes, at_revision: int) -> bytes:
    """The value without its JSON, as of another revision with equal labels and fields."""
    return at_revision.to_bytes(8, "big") + value[8 : _body_offset(value, _BODY_AT)[0]]


def selection(value: bytes) -> bytes:
    """What selectors look at, labels and fields, as bytes to compare."""
    label_size, field_size, uid_size, version_size = _texts(value, _TEXTS_AT)
    start = _SIZE + uid_size + version_size
    # The sizes are part of it, so that moving a byte from one text to the other is a difference.
    return value[36:44] + value[start : start + label_size + field_size]


def body_at(value: bytes, at_revision: int) -> bytes:
    """The JSON with another resourceVersion in it (a DELETED event shows the last state at the deletion's revision)."""
    start = _body_offset(value, _BODY_AT)[0]
    hole = start + _hole_offsets(value, _HOLE_AT)[0]
    return b"".join((value[start:hole], b"%019d" % at_revision, value[hole + DIGITS :]))


def at_revision(value: bytes, json: bytes, hole: int, new_revision: int, annotations: int) -> bytes:
    """A value with the header of `value` and other JSON: what the log keeps of a deletion."""
    start = _body_offset(value, _BODY_AT)[0]
    head = b"".join((new_revision.to_bytes(8, "big"), value[8:_HOLE_AT], _HOLE.pack(hole, annotations)))
    return b"".join((head, value[_TEXTS_AT:start], json[:hole], b"%019d" % new_revision, json[hole + DIGITS :]))


def annotations_offset(json: bytes, hole: int) -> int:
    """Where `encode_object` would have said that annotations go, for JSON that it made."""
    mark = b',"annotations":{'
    end = hole + DIGITS + 1
    return end + len(mark) if json.startswith(mark, end) else end


@lru_cache(20_000)
def annotation_of(cluster_path: str) -> bytes:
    """The annotation kcp.io/cluster as it stands in JSON: what reads over many logical clusters show."""
    return b'"kcp.io/cluster":' + orjson.dumps(cluster_path)


def annotated_body(value: bytes, annotation: bytes, at_revision: int = 0) -> bytes:
    """The JSON with that annotation, put in without decoding; `at_revision`: with another resourceVersion."""
    start = _body_offset(value, _BODY_AT)[0]
    hole, at = _hole_offsets(value, _HOLE_AT)
    if at_revision:
        hole += start
        value = b"".join((value[:hole], b"%019d" % at_revision, value[hole + DIGITS :]))
    if value.find(b'"kcp.io/cluster"', start) >= 0:
        # A client stored the annotation itself, or mentions it somewhere: rare enough to decode.
        return annotated_document(value[start:], annotation)
    at += start
    if value[at - 1] != _BRACE:
        return b"".join((value[start:at], b',"annotations":{', annotation, b"}", value[at:]))
    return b"".join((value[start:at], annotation, b"," if value[at] != _END_BRACE else b"", value[at:]))


def annotated_document(json: bytes, annotation: bytes) -> bytes:
    """The same of any object's JSON."""
    document = orjson.loads(json)
    found = document["metadata"].get("annotations") or {}
    document["metadata"]["annotations"] = {**found, **orjson.loads(b"{%b}" % annotation)}
    return orjson.dumps(document)


def faults(value: bytes) -> list[str]:
    """What is wrong with a value as bytes: offsets, JSON, and the resourceVersion in the hole. Empty if sound."""
    if len(value) < _SIZE:
        return ["shorter than a header"]
    start = int(_body_offset(value, _BODY_AT)[0])
    label_size, field_size, uid_size, version_size = _texts(value, _TEXTS_AT)
    if start != _SIZE + label_size + field_size + uid_size + version_size or start >= len(value):
        return ["texts and JSON do not fit the header"]
    found = []
    hole = start + _hole_offsets(value, _HOLE_AT)[0]
    if value[hole : hole + DIGITS] != b"%019d" % revision(value):
        found.append("the resourceVersion in the JSON is not the header's revision")
    try:
        document = orjson.loads(value[start:])
        if document["metadata"]["resourceVersion"].encode() != value[hole : hole + DIGITS]:
            found.append("the hole is not at metadata.resourceVersion")
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        found.append("the JSON is not an object with metadata.resourceVersion")
    return found
