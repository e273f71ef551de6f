"""Seats and queues of the priority levels of one logical cluster. Pure: whoever puts items in runs them.

The seats of a logical cluster are divided among its levels by their shares, as kube-apiserver does it. Lending is
settled when a seat is asked for and not every ten seconds: a level that has none left takes one of those that others
may lend and do not use. What it has borrowed it gives back when its request ends, so a lender may have to bear that
many more requests than seats for a while.

A level with queues deals each flow a hand of them (shuffle sharding); a request joins the shortest, and queues are
served in turn. Requests of a level that was deleted do not wait.
"""

import hashlib
import sys
from collections import deque
from collections.abc import Mapping
from math import ceil
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")

UNLIMITED = sys.maxsize


class Level(Generic[Item]):
    """`used` of `nominal` seats. `nominal` is UNLIMITED for an exempt level, and nothing ever waits for it."""

    __slots__ = ("hand", "lendable", "lines", "most", "name", "nominal", "order", "queue_limit", "queues", "shares",
                 "uid", "used", "waiting")  # fmt: skip

    def __init__(self, name: str) -> None:
        self.name, self.uid = name, ""
        self.nominal = self.most = UNLIMITED  # `most`: what is borrowed included
        self.lendable = 0
        self.queues = self.hand = self.queue_limit = 0  # queues 0: whatever has no seat is refused
        self.used = self.waiting = 0
        self.shares = 0  # seats by shares, also of an exempt level
        self.lines: dict[int, deque[Item]] = {}
        self.order: deque[int] = deque()  # queues with something in them

    @property
    def is_short(self) -> bool:
        """Of seats of its own."""
        return self.used >= self.nominal or self.waiting > 0

    def configure(self, uid: str, spec: Mapping[str, Any], seats: int) -> None:
        self.uid, self.shares = uid, seats
        given = spec.get("limited") or {} if spec.get("type") == "Limited" else spec.get("exempt") or {}
        self.lendable = round(seats * (given.get("lendablePercent") or 0) / 100)
        self.nominal = self.most = UNLIMITED
        self.queues = self.hand = self.queue_limit = 0
        if spec.get("type") != "Limited":
            return
        self.nominal, percent = seats, given.get("borrowingLimitPercent")
        if percent is not None:
            self.most = seats + round(seats * percent / 100)
        queuing = (given.get("limitResponse") or {}).get("queuing")
        if queuing:
            self.queues, self.queue_limit = queuing["queues"], queuing["queueLengthLimit"]
            self.hand = min(queuing["handSize"], self.queues)

    def put(self, flow: str, item: Item) -> bool:
        """False if it may not wait: no queues, or the shortest of its hand is full."""
        if not self.queues:
            return False
        digest = int.from_bytes(hashlib.blake2b(flow.encode(), digest_size=16).digest(), "big")
        place = min(deal(digest, self.queues, self.hand), key=lambda each: len(self.lines.get(each, ())))
        line = self.lines.setdefault(place, deque())
        if len(line) >= self.queue_limit:
            return False
        if not line:
            self.order.append(place)
        line.append(item)
        self.waiting += 1
        return True

    def take(self) -> Item:
        """The next one that waits; there must be one."""
        place = self.order.popleft()
        line = self.lines[place]
        item = line.popleft()
        self.waiting -= 1
        if line:
            self.order.append(place)
        else:
            del self.lines[place]
        return item

    def withdraw(self, item: Item) -> None:
        for place, line in self.lines.items():
            if item in line:
                line.remove(item)
                self.waiting -= 1
                if not line:
                    del self.lines[place]
                    self.order.remove(place)
                return


def deal(value: int, cards: int, hand: int) -> list[int]:
    """`hand` different cards out of `cards`, by the value alone."""
    dealt: list[int] = []
    for left in range(cards, cards - hand, -1):
        value, card = divmod(value, left)
        for earlier in sorted(dealt):
            card += card >= earlier
        dealt.append(card)
    return dealt


class Levels(Generic[Item]):
    """The levels of one logical cluster. `take` and `release` seats; `wait` for one; `next` who gets one."""

    __slots__ = ("_gone", "by_name", "used", "waiting")

    def __init__(self) -> None:
        self.by_name: dict[str, Level[Item]] = {}
        self._gone: list[Level[Item]] = []  # deleted ones that something still waits in
        self.used = self.waiting = 0

    def configure(self, specs: Mapping[str, tuple[str, Mapping[str, Any]]], seats: int) -> None:
        """`specs` by name: uid and spec of each PriorityLevelConfiguration. What runs and waits stays where it is."""
        for name in self.by_name.keys() - specs.keys():
            gone = self.by_name.pop(name)
            gone.nominal = gone.most = UNLIMITED
            gone.lendable = 0
            if gone.waiting:
                self._gone.append(gone)
        shares = {name: _shares(spec) for name, (_, spec) in specs.items()}
        total = sum(shares.values())
        for name, (uid, spec) in specs.items():
            level = self.by_name.get(name)
            if level is None:
                level = self.by_name[name] = Level(name)
            level.configure(uid, spec, ceil(seats * shares[name] / total) if total else 0)

    def may_start(self, level: Level[Item]) -> bool:
        """Whether there is a seat, its own or one that another level may lend."""
        if level.used < level.nominal:
            return True
        return level.used < level.most and self._to_lend() > 0

    def _to_lend(self) -> int:
        """What may be lent and is not used, less what is borrowed."""
        lent = 0
        for each in self.by_name.values():
            if each.lendable:
                lent += max(0, min(each.lendable, each.shares - each.used))
            if each.used > each.nominal:
                lent -= each.used - each.nominal
        return lent

    def take(self, level: Level[Item]) -> None:
        level.used += 1
        self.used += 1

    def release(self, level: Level[Item]) -> None:
        level.used -= 1
        self.used -= 1

    def wait(self, level: Level[Item], flow: str, item: Item) -> bool:
        """False: refused."""
        if not level.put(flow, item):
            return False
        self.waiting += 1
        return True

    def withdraw(self, level: Level[Item], item: Item) -> None:
        before = level.waiting
        level.withdraw(item)
        self.waiting -= before - level.waiting

    def next(self) -> Item | None:
        """Who waits and may start now; the caller takes the seat before it asks again."""
        if not self.waiting:
            return None
        for level in (*self.by_name.values(), *self._gone):
            if level.waiting and self.may_start(level):
                self.waiting -= 1
                item = level.take()
                if not level.waiting and level in self._gone:
                    self._gone.remove(level)
                return item
        return None


def _shares(spec: Mapping[str, Any]) -> int:
    given = spec.get("limited") if spec.get("type") == "Limited" else spec.get("exempt")
    return (given or {}).get("nominalConcurrencyShares") or 0
