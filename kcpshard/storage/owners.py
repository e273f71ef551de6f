"""The index owner → dependents: which objects name a uid in metadata.ownerReferences.

Entries are keys in `meta`, written in the batch of the commit that they follow from, so they are exact at any moment
and after any crash, and a logical cluster without owned objects has none. Costs one search for a few bytes in
the JSON of every object that has no owner; only those that have one are decoded.
"""

from typing import NamedTuple

import orjson

from kcpshard.storage import keyspace

# Quotes within strings are escaped, so this is a member of that name; of metadata, if that has one, as it comes first.
MARK = b'"ownerReferences":['


class Dependent(NamedTuple):
    group_resource: str
    namespace: str
    name: str


def owner_uids(json: bytes) -> frozenset[str]:
    """Of an object's JSON."""
    if MARK not in json:
        return frozenset()
    references = orjson.loads(json)["metadata"].get("ownerReferences") or ()
    return frozenset(found for reference in references if (found := reference.get("uid")))


def prefix(cluster_id: int, uid: str) -> bytes:
    return keyspace.OWNERS + keyspace.number(cluster_id) + uid.encode() + b"\0"


def key(cluster_id: int, uid: str, text: bytes) -> bytes:
    """`text` is the dependent as object keys have it: group resource∕namespace∕name."""
    return prefix(cluster_id, uid) + text


def dependent(key: bytes, skip: int) -> Dependent:
    """Of a key that begins with a prefix `skip` bytes long."""
    return Dependent(*key[skip:].decode().split("\0"))
