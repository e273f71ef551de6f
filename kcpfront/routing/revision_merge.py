"""Events of several shards in the order of their revisions. Pure.

Each shard gives its events in order and says up to which revision they are complete (its *closed* revision). What is at
or below the smallest of these is in order for good: so every event, and the smallest itself, is a point from which a
watch can be resumed exactly. Revisions are unique over all shards, so the same one from two of them (a logical cluster
was on its way) is one commit, and is given once.
"""

from collections import deque

from kcpshard.rpc.contract import WatchedEvent


class RevisionMerge:
    """Events by shard, waiting for the others."""

    def __init__(self) -> None:
        self._waiting: dict[int, deque[WatchedEvent]] = {}
        self.bytes = 0

    def put(self, shard: int, event: WatchedEvent) -> None:
        self._waiting.setdefault(shard, deque()).append(event)
        self.bytes += len(event.object)

    def waiting(self, shard: int) -> int:
        return len(self._waiting.get(shard, ()))

    def take(self, upto: int) -> list[WatchedEvent]:
        """Everything at or below `upto`, in order."""
        parts = [part for shard in self._waiting if (part := self._head(shard, upto))]
        if not parts:
            return []
        found = parts[0] if len(parts) == 1 else _merged(parts)
        self.bytes -= sum(len(event.object) for part in parts for event in part)
        return found

    def _head(self, shard: int, upto: int) -> list[WatchedEvent]:
        queue, found = self._waiting[shard], list[WatchedEvent]()
        while queue and queue[0].revision <= upto:
            found.append(queue.popleft())
        return found

    def clear(self) -> None:
        self._waiting.clear()
        self.bytes = 0


def _merged(parts: list[list[WatchedEvent]]) -> list[WatchedEvent]:
    owner: dict[int, int] = {}
    for number, part in enumerate(parts):
        for event in part:
            owner.setdefault(event.revision, number)
    chosen = [e for number, part in enumerate(parts) for e in part if owner[e.revision] == number]
    chosen.sort(key=lambda event: event.revision)  # stable: the events of one commit stay in their order
    return chosen
