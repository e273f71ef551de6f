"""Whose turn it is when there is more to do than can be done: whoever has used least. Pure.

Start-time fair queueing over *measured* cost: each key (a logical cluster) has a virtual time that grows by what its
items cost, divided by its weight, and the key whose virtual time is lowest comes first. A key that was idle starts at
the present virtual time: silence is not saved up. What an item costs is known when it has run; until then it counts
as much as the key's last one did, so that a burst of a known spender does not slip through before the first bill.
"""

import heapq
from collections import deque
from collections.abc import Iterator
from itertools import count
from typing import Generic, TypeVar

Item = TypeVar("Item")

_REMEMBERED = 4096  # keys with nothing waiting; beyond that the ones that owe nothing are forgotten


class _Account:
    __slots__ = ("expected", "items", "used", "weight")

    def __init__(self, used: float) -> None:
        self.used, self.expected, self.weight = used, 0.0, 1.0
        self.items: deque[object] = deque()


class FairTurns(Generic[Item]):
    """At most `limit` items wait in all and `key_limit` of one key."""

    __slots__ = ("_accounts", "_heap", "_now", "_order", "_waiting", "key_limit", "limit")

    def __init__(self, limit: int, key_limit: int) -> None:
        self.limit, self.key_limit = limit, key_limit
        self._accounts: dict[str, _Account] = {}
        self._heap: list[tuple[float, int, str]] = []  # one entry per key with something waiting
        self._order = count()
        self._now = 0.0
        self._waiting = 0

    def __len__(self) -> int:
        return self._waiting

    def waiting(self, key: str) -> int:
        account = self._accounts.get(key)
        return len(account.items) if account is not None else 0

    def put(self, key: str, item: Item) -> bool:
        """False if there is no room: the caller refuses."""
        account = self._account(key)
        if self._waiting >= self.limit or len(account.items) >= self.key_limit:
            return False
        if not account.items:
            account.used = max(account.used, self._now)
            heapq.heappush(self._heap, (account.used, next(self._order), key))
        account.items.append(item)
        self._waiting += 1
        return True

    def take(self) -> tuple[str, Item] | None:
        """The next item; `charge` its key once it is known what it cost."""
        while self._heap:
            used, _, key = heapq.heappop(self._heap)
            account = self._accounts[key]
            if not account.items:  # withdrawn meanwhile
                continue
            if account.used > used:  # was billed since: look again where it stands now
                heapq.heappush(self._heap, (account.used, next(self._order), key))
                continue
            self._now = max(self._now, used)
            item = account.items.popleft()
            self._waiting -= 1
            account.used += account.expected / account.weight
            if account.items:
                heapq.heappush(self._heap, (account.used, next(self._order), key))
            return key, item  # type: ignore[return-value]
        return None

    def charge(self, key: str, cost: float, taken: bool = True) -> None:
        """What an item of the key cost, in any one unit. `taken`: it came from `take`, where it was charged for
        provisionally."""
        account = self._account(key)
        if taken:
            account.used += (cost - account.expected) / account.weight
            account.expected = cost
        else:
            account.used = max(account.used, self._now) + cost / account.weight

    def weigh(self, key: str, weight: float) -> None:
        """A key of weight 2 gets twice the share of one of weight 1."""
        self._account(key).weight = weight

    def debt(self, key: str) -> float:
        """How far the key's virtual time is ahead of the one whose turn it is."""
        account = self._accounts.get(key)
        return max(0.0, account.used - self._now) if account is not None else 0.0

    def withdraw(self, key: str, item: Item) -> bool:
        """False if it does not wait any more."""
        account = self._accounts.get(key)
        if account is None or item not in account.items:
            return False
        account.items.remove(item)
        self._waiting -= 1
        return True

    def drain(self) -> Iterator[Item]:
        """Everything that waits, in turn."""
        while (found := self.take()) is not None:
            yield found[1]

    def _account(self, key: str) -> _Account:
        account = self._accounts.get(key)
        if account is None:
            if len(self._accounts) >= _REMEMBERED:
                self._forget()
            account = self._accounts[key] = _Account(self._now)
        return account

    def _forget(self) -> None:
        waiting = {key for key, account in self._accounts.items() if account.items}
        queued = {key for _, _, key in self._heap}
        kept = waiting | queued
        self._accounts = {k: a for k, a in self._accounts.items() if k in kept or a.used > self._now}
