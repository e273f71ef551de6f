"""How many requests one logical cluster may have in flight, and who waits for a turn. Pure."""

from collections import deque
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Credits(Generic[Item]):
    """`limit` in flight per logical cluster, `queue_limit` waiting behind them; beyond that the caller refuses.

    A logical cluster with nothing in flight takes no memory.
    """

    __slots__ = ("_in_flight", "_waiting", "limit", "queue_limit")

    def __init__(self, limit: int, queue_limit: int) -> None:
        self.limit, self.queue_limit = limit, queue_limit
        self._in_flight: dict[str, int] = {}
        self._waiting: dict[str, deque[Item]] = {}

    def take(self, cluster: str) -> bool:
        """True: the request may go. False: it has to wait, or to be refused."""
        count = self._in_flight.get(cluster, 0)
        if count >= self.limit:
            return False
        self._in_flight[cluster] = count + 1
        return True

    def wait(self, cluster: str, item: Item) -> bool:
        """Queue behind the others; False if the queue is full."""
        queue = self._waiting.setdefault(cluster, deque())
        if len(queue) >= self.queue_limit:
            return False
        queue.append(item)
        return True

    def withdraw(self, cluster: str, item: Item) -> bool:
        """Stop waiting; False if `item` was not waiting (then it holds a credit)."""
        queue = self._waiting.get(cluster)
        if queue is None or item not in queue:
            return False
        queue.remove(item)
        if not queue:
            del self._waiting[cluster]
        return True

    def give_back(self, cluster: str) -> Item | None:
        """A request has ended; whoever is returned holds its credit now."""
        count = self._in_flight[cluster]
        queue = self._waiting.get(cluster) if self._waiting else None
        if queue and count <= self.limit:
            item = queue.popleft()
            if not queue:
                del self._waiting[cluster]
            return item
        if count == 1:
            del self._in_flight[cluster]
        else:
            self._in_flight[cluster] = count - 1
        return None

    def in_flight(self, cluster: str) -> int:
        return self._in_flight.get(cluster, 0)
