"""Every key on disk: how it is built, taken apart, and which range it belongs to. Every position has one meaning.

    family    key                                                     value
    objects   id∕group resource∕namespace∕name                        envelope of the newest state
    log       id∕revision∕n                                           one change (see commit_log)
    versions  id∕group resource∕namespace∕name∕revision               n of its change in the log; empty: 0
    order     revision                                                id∕retention classes in it, as bits
    meta      format | clock                                          see format.py · revision the clock was raised to
              path∕<path>                                             id∕state of the present incarnation
              name∕id                                                 path
              usage∕id                                                log bytes∕oldest revision of each retention class
              type∕group resource∕id                                  number of objects
              lost∕class                                              newest revision compacted in any logical cluster
              owner∕id∕uid∕group resource∕namespace∕name              nothing; an object that names that uid as an owner
              removed∕id∕group resource∕namespace∕name                revision of a deletion, see template.py
              arriving∕id                                             how far the copy of a moving cluster has come
              departed∕id                                             nothing; what is left of one that has moved away
              dead∕id                                                 when it died, µs; see clearing.py
              fork∕id                                                 id of the origin, see forks.py
              own∕<key>                                               whatever placement and others keep

id and revision are 8 bytes, big endian; n is 2. Strings are UTF-8, joined by NUL, which no name may contain; so byte
order is the order of the tuples, and a logical cluster is one contiguous range.
"""

from typing import NamedTuple

OBJECTS, LOG, VERSIONS, ORDER, META = FAMILIES = ("objects", "log", "versions", "order", "meta")

FORMAT_KEY = b"format"
CLOCK_KEY = b"clock"
PATHS, NAMES, USAGES, TYPES, LOST, OWN = b"path/", b"name/", b"usage/", b"type/", b"lost/", b"own/"
ARRIVING, DEPARTED = b"arriving/", b"departed/"  # see arrival.py, range_removal.py
OWNERS, REMOVED, DEAD = b"owner/", b"removed/", b"dead/"
FORKS = b"fork/"
CONTENTS = b"content/"  # logical cluster → its objects and their bytes
END = b"\xff" * 9  # above every key: no id, revision or text begins with nine of these
MAX_CHANGES = 1 << 16  # of one commit: n has two bytes


class ObjectKey(NamedTuple):
    """Where one object lives; namespace "" marks cluster scope."""

    cluster_id: int
    group_resource: str
    namespace: str
    name: str


def number(value: int) -> bytes:
    return value.to_bytes(8, "big")


def encode_object_key(key: ObjectKey) -> bytes:
    return number(key.cluster_id) + f"{key.group_resource}\0{key.namespace}\0{key.name}".encode()


def decode_object_key(raw: bytes) -> ObjectKey:
    """Raises ValueError if it is not one."""
    group_resource, namespace, name = raw[8:].decode().split("\0")
    return ObjectKey(int.from_bytes(raw[:8], "big"), group_resource, namespace, name)


def type_prefix(prefix: bytes, group_resource: str, namespace: str = "") -> bytes:
    """What the keys of all objects of a type begin with; with a namespace, of those in it."""
    text = f"{group_resource}\0{namespace}\0" if namespace else f"{group_resource}\0"
    return prefix + text.encode()


def after_prefix(prefix: bytes) -> bytes:
    """The end of the range of all keys that begin with `prefix` (which must not be all 0xff)."""
    stripped = prefix.rstrip(b"\xff")
    return stripped[:-1] + bytes((stripped[-1] + 1,))


def log_key(cluster_id: int, revision: int, n: int) -> bytes:
    return number(cluster_id) + number(revision) + n.to_bytes(2, "big")


def decode_log_key(raw: bytes) -> tuple[int, int, int]:
    return int.from_bytes(raw[:8], "big"), int.from_bytes(raw[8:16], "big"), int.from_bytes(raw[16:18], "big")


def version_key(object_key: bytes, revision: int) -> bytes:
    return object_key + b"\0" + number(revision)


def decode_version_key(raw: bytes) -> tuple[bytes, int]:
    """The object's key and the revision."""
    return raw[:-9], int.from_bytes(raw[-8:], "big")


def path_key(path: str) -> bytes:
    return PATHS + path.encode()


def name_key(cluster_id: int) -> bytes:
    return NAMES + number(cluster_id)


def usage_key(cluster_id: int) -> bytes:
    return USAGES + number(cluster_id)


def content_key(cluster_id: int) -> bytes:
    return CONTENTS + number(cluster_id)


def arriving_key(cluster_id: int) -> bytes:
    return ARRIVING + number(cluster_id)


def departed_key(cluster_id: int) -> bytes:
    return DEPARTED + number(cluster_id)


def fork_key(cluster_id: int) -> bytes:
    return FORKS + number(cluster_id)


def dead_key(cluster_id: int) -> bytes:
    return DEAD + number(cluster_id)


def count_key(group_resource: str, prefix: bytes) -> bytes:
    return TYPES + group_resource.encode() + b"\0" + prefix


def lost_key(retention: int) -> bytes:
    return LOST + bytes((retention,))
