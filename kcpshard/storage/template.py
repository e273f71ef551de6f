"""Objects that every logical cluster shows without holding them: what lies under its own.

    own        a       c'      e        stored; c' was written over the template's c
    template       b   c   d            one for the process
    shown      a   b   c'      e        d has been removed here: a mark is all that is stored

An own object hides the template's of the same place, from its first write on. A deletion is for good: the place is
marked with its revision, and below that revision the object is still shown. The store decides by this in get, list,
past reads and commits, so that watches, patches and preconditions need know nothing of it. Ancestors and the origin of
a fork can lie under a logical cluster in the same way: `value` and `places` are all that the store asks for.

What differs from one logical cluster to the next is made from its id and birth: uid, creationTimestamp and
resourceVersion. Each is written into the object's bytes at a known offset. Some objects are shown by some logical
clusters only, with texts that depend on their path.
"""

import hashlib
import re
import uuid
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from kcpshard.api.objects import timestamp
from kcpshard.storage import envelope
from kcpshard.storage.contract import LogicalCluster

Place = tuple[str, str]  # namespace and name
Texts = Callable[[str], Mapping[str, str] | None]
"""Path → what stands for certain words of the document, behind its annotations' beginning; None: not shown there."""

_UID = "00000000-0000-0000-0000-000000000000"
_MAX_MADE = 512  # of one or two kilobytes; when full all are made anew
BIRTH_TIME = "0000-00-00T00:00:00Z"  # in a document: when the logical cluster was born


class Source(Protocol):
    """An object as its maker has it: no uid, creationTimestamp or resourceVersion."""

    @property
    def group_resource(self) -> str: ...
    @property
    def namespace(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def document(self) -> Mapping[str, Any]: ...


class _Stencil(NamedTuple):
    """The JSON with the offsets of what is filled in."""

    json: bytes
    hole: int
    annotations: int
    uid_at: int
    times_at: tuple[int, ...]  # of its birth
    api_version: str
    labels: bytes
    texts: Texts | None  # None: the same everywhere


class Template:
    """What was asked for lately is kept as it was made: workspace types are, with each workspace."""

    def __init__(self, objects: Iterable[Source] = (), by_path: Iterable[tuple[Source, Texts]] = ()) -> None:
        self._stencils: dict[tuple[str, Place], _Stencil] = {}
        self._places: dict[str, list[Place]] = {}
        everywhere: list[tuple[Source, Texts | None]] = [(each, None) for each in objects]
        for each, texts in [*everywhere, *by_path]:
            place = (each.namespace, each.name)
            self._stencils[each.group_resource, place] = _stencil(each.document, texts)
            self._places.setdefault(each.group_resource, []).append(place)
        for places in self._places.values():
            places.sort()
        self.types = frozenset(self._places)
        self._made: dict[tuple[int, str, Place], bytes] = {}

    def has(self, group_resource: str, place: Place) -> bool:
        return (group_resource, place) in self._stencils

    def value(self, cluster: LogicalCluster, group_resource: str, place: Place) -> bytes | None:
        """The envelope as that logical cluster shows it; None if it does not."""
        key = (cluster.id, group_resource, place)
        made = self._made.get(key)
        if made is not None:
            return made
        found = self._stencils.get((group_resource, place))
        made = None if found is None else _filled(found, cluster, group_resource, place)
        if made is not None:
            if len(self._made) >= _MAX_MADE:
                self._made.clear()
            self._made[key] = made
        return made

    def places(self, group_resource: str, namespace: str, after: Place | None) -> Sequence[Place]:
        """In key order behind `after`; namespace "": of all of them."""
        found = self._places.get(group_resource, [])
        if after is not None:
            found = found[bisect_right(found, after) :]
        return [place for place in found if place[0] == namespace] if namespace else found


NO_TEMPLATE = Template()


def _stencil(document: Mapping[str, Any], texts: Texts | None) -> _Stencil:
    meta = {**document["metadata"], "uid": _UID, "creationTimestamp": BIRTH_TIME}
    json, hole, annotations = envelope.encode_object({**document, "metadata": meta})
    labels = envelope.encode_pairs(meta.get("labels") or {})
    times = tuple(found.start() for found in re.finditer(BIRTH_TIME.encode(), json))
    return _Stencil(json, hole, annotations, json.index(_UID.encode()), times, document["apiVersion"], labels, texts)


def _filled(stencil: _Stencil, cluster: LogicalCluster, group_resource: str, place: Place) -> bytes | None:
    texts = stencil.texts(cluster.path) if stencil.texts is not None else {}
    if texts is None:
        return None
    uid = _uid(cluster.prefix, group_resource, place)
    json = _put_at(stencil.json, stencil.uid_at, uid.encode())
    born = timestamp(cluster.created_revision // 1000).encode()
    for at in stencil.times_at:
        json = _put_at(json, at, born)
    for word, text in texts.items():
        json = json.replace(word.encode(), text.encode())
    revision = cluster.created_revision
    return envelope.encode(
        json, stencil.hole, stencil.annotations, revision, revision, uid, stencil.api_version, stencil.labels, b"", 0
    )


def _put_at(json: bytes, at: int, text: bytes) -> bytes:
    return json[:at] + text + json[at + len(text) :]


def _uid(prefix: bytes, group_resource: str, place: Place) -> str:
    text = "\0".join((group_resource, *place)).encode()
    return str(uuid.UUID(bytes=hashlib.blake2b(prefix + text, digest_size=16).digest(), version=4))
