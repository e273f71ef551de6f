"""What changed: the values that travel from the store to watchers."""

from enum import IntEnum
from typing import NamedTuple


class EventType(IntEnum):
    """The numbers are those of the message EventType in proto/shard.proto."""

    ADDED = 1
    MODIFIED = 2
    DELETED = 3


class Change(NamedTuple):
    """One object's step at a revision, as envelopes (see kcpshard.storage.envelope).

    `previous` is None for a creation. For a deletion `value` is the last state with the deletion's revision in it.
    Of a change read from the log, `previous` may hold only a header (no JSON) if labels and selectable fields did not
    change with it.
    """

    type: EventType
    revision: int
    group_resource: str
    namespace: str
    name: str
    value: bytes
    previous: bytes | None


class Commit(NamedTuple):
    """All changes of one revision in one logical cluster. A birth names the path that came to life in `born`."""

    revision: int
    cluster_id: int
    changes: tuple[Change, ...]
    born: str = ""
