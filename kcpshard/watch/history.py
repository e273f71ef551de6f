"""A bounded window of recent commits, per logical cluster, so that watchers a little behind need not read the log.

Decides what is kept: the newest commits of the shard up to a number of bytes. `covers` tells whether the window
holds everything after a revision; if not, the caller reads the log of the store.
"""

from collections import deque
from collections.abc import Sequence

from kcpshard.api.events import Commit

# What a commit costs beside its values: tuples, strings, the two queues.
_OVERHEAD_BYTES = 600


class History:
    """Commits with floor < revision, in order.

    floor │ c1(A) c2(B) c3(A) │ newest        of A: c1 c3        of C: nothing, so C is unchanged since the floor
    """

    def __init__(self, floor: int, limit_bytes: int) -> None:
        self.floor = floor
        self._limit = limit_bytes
        self._bytes = 0
        self._all: deque[tuple[Commit, int]] = deque()
        self._of_cluster: dict[int, deque[Commit]] = {}
        self._arrived: dict[int, int] = {}  # logical clusters from other shards: what is older is in the log alone

    def arrived(self, cluster_id: int, revision: int) -> None:
        """The logical cluster has come from another shard: its commits here are above that revision."""
        self._arrived = {id_: since for id_, since in self._arrived.items() if since > self.floor}
        self._arrived[cluster_id] = revision

    def append(self, commit: Commit) -> None:
        """The newest commit. The oldest ones go when the window is over its limit."""
        size = _OVERHEAD_BYTES + sum(len(c.value) + len(c.previous or b"") for c in commit.changes)
        self._all.append((commit, size))
        own = self._of_cluster.get(commit.cluster_id)
        if own is None:
            own = self._of_cluster[commit.cluster_id] = deque()
        own.append(commit)
        self._bytes += size
        while self._bytes > self._limit:
            self._drop_oldest()

    def covers_all(self, after: int) -> bool:
        """The same for every logical cluster."""
        return after >= max(self.floor, max(self._arrived.values(), default=0))

    def covers(self, cluster_id: int, after: int) -> bool:
        return after >= self.floor and (not self._arrived or after >= self._arrived.get(cluster_id, 0))

    def since(self, cluster_id: int, after: int, limit: int) -> Sequence[Commit]:
        """Commits of that cluster with after < revision, whole, about `limit` changes. Only if it `covers` them."""
        own = self._of_cluster.get(cluster_id)
        if own is None or own[-1].revision <= after:
            return ()
        found: list[Commit] = []
        for commit in reversed(own):
            if commit.revision <= after:
                break
            found.append(commit)
        found.reverse()
        return _at_most(found, limit)

    def since_all(self, after: int, limit: int) -> Sequence[Commit]:
        """As `since`, of all logical clusters."""
        found: list[Commit] = []
        for commit, _ in reversed(self._all):
            if commit.revision <= after:
                break
            found.append(commit)
        found.reverse()
        return _at_most(found, limit)

    def statistics(self) -> dict[str, int]:
        return {"commits": len(self._all), "bytes": self._bytes, "clusters": len(self._of_cluster)}

    def _drop_oldest(self) -> None:
        commit, size = self._all.popleft()
        self._bytes -= size
        self.floor = commit.revision
        own = self._of_cluster[commit.cluster_id]
        own.popleft()
        if not own:
            del self._of_cluster[commit.cluster_id]


def _at_most(commits: list[Commit], limit: int) -> list[Commit]:
    if len(commits) <= limit and sum(len(c.changes) for c in commits) <= limit:
        return commits
    changes = 0
    for at, commit in enumerate(commits):
        changes += len(commit.changes)
        if changes >= limit:
            return commits[: at + 1]
    return commits
