"""Logical clusters that began as another one's state: they share its objects until one of the two is written.

    fork      a'        c  ✗        e      own, removed, made
    origin    a    b    c' d             held now; c' was written after the fork, so the fork was given c first
    shown     a'   b    c           e

A fork holds what was written in it. Anything else is the origin's, as long as the origin's is as old as the fork: a
write to the origin first gives each of its forks what it showed (`given`), in the same batch, as an object of the
fork's own with the revision it had. So nothing is copied when a fork is made, no revision of the origin has to be kept
for it, and the origin's end, which deletes its objects, leaves its forks whole. What a fork removes is marked like an
object of the template. A fork of a fork looks through both.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from kcpshard.storage import keyspace
from kcpshard.storage.contract import KeyValueEngine
from kcpshard.storage.writer import WriteGroup, Writer

MOST_FORKS = 32  # of one logical cluster: each costs its writes a look
MOST_LEVELS = 4  # forks of forks: each costs a read a look
_PAGE = 256


class ForkRefused(Exception):
    """There cannot be one; the text is a sentence."""


class Shared(NamedTuple):
    """An object that a fork shows without holding it; `text` is its key without the logical cluster."""

    text: bytes
    value: bytes


Removed = Callable[[int], dict[bytes, int]]  # id → what has been removed there of what lies beneath


class Forks:
    """`origins`: fork → origin. `of`: origin → its forks. Both are in memory, as many as there are."""

    def __init__(self, engine: KeyValueEngine, writer: Writer, removed: Removed) -> None:
        self._engine, self._writer, self._removed = engine, writer, removed
        self._get_object = engine.getter(keyspace.OBJECTS)
        self.origins: dict[int, int] = {}
        self.of: dict[int, list[int]] = {}
        start, end = keyspace.FORKS, keyspace.after_prefix(keyspace.FORKS)
        while pairs := engine.scan(keyspace.META, start, end, _PAGE):
            for key, value in pairs:
                self._add(int.from_bytes(key[-8:], "big"), int.from_bytes(value, "big"))
            start = pairs[-1][0] + b"\0"

    def check(self, origin_id: int) -> None:
        """Raises ForkRefused if it can have no further fork."""
        if len(self.of.get(origin_id, ())) >= MOST_FORKS:
            raise ForkRefused(f"it has {MOST_FORKS} forks already")
        if len(list(self._chain(origin_id))) >= MOST_LEVELS:
            raise ForkRefused(f"it is a fork of a fork, {MOST_LEVELS} levels deep")

    def begin(self, group: WriteGroup, fork_id: int, origin_id: int) -> None:
        self._add(fork_id, origin_id)
        self._writer.put_meta(group, keyspace.fork_key(fork_id), keyspace.number(origin_id))
        group.when_refused(lambda _cause: self._drop(fork_id))

    def end(self, group: WriteGroup, fork_id: int) -> None:
        """It holds all that it shows, or is no more."""
        origin_id = self.origins.get(fork_id)
        if origin_id is None:
            return
        self._drop(fork_id)
        self._writer.put_meta(group, keyspace.fork_key(fork_id), None)
        group.when_refused(lambda _cause: self._add(fork_id, origin_id))

    def _add(self, fork_id: int, origin_id: int) -> None:
        if fork_id not in self.origins:
            self.origins[fork_id] = origin_id
            self.of.setdefault(origin_id, []).append(fork_id)

    def _drop(self, fork_id: int) -> None:
        origin_id = self.origins.pop(fork_id, None)
        if origin_id is not None:
            self.of[origin_id].remove(fork_id)
            if not self.of[origin_id]:
                del self.of[origin_id]

    def _chain(self, cluster_id: int) -> Iterator[tuple[int, int]]:
        """(origin, the newest revision of it that is shown), from the nearest on."""
        while (origin_id := self.origins.get(cluster_id)) is not None:
            yield origin_id, cluster_id
            cluster_id = origin_id

    def shared(self, fork_id: int, text: bytes) -> bytes | None:
        """What the origin gives the fork at that place, whatever the fork holds or has removed there."""
        for origin_id, bound in self._chain(fork_id):
            key = keyspace.number(origin_id) + text
            pending = self._writer.overlay.get(key)
            value = self._get_object(key) if pending is None else pending[0]
            if value is not None:
                return value if int.from_bytes(value[:8], "big") <= bound else None
            if origin_id in self.origins and text in self._removed(origin_id):
                return None
        return None

    def all_shared(self, fork_id: int, start: bytes, end: bytes) -> Iterator[Shared]:
        """The same for a range of texts, in order. Nothing may be written while it is read."""
        origin_id = self.origins.get(fork_id)
        if origin_id is None:
            return
        for text, value in self._held_or_shared(origin_id, start, end):
            if int.from_bytes(value[:8], "big") <= fork_id:
                yield Shared(text, value)

    def _held_or_shared(self, cluster_id: int, start: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        held = self._held(keyspace.number(cluster_id), start, end)
        if cluster_id not in self.origins:
            yield from held
            return
        removed = self._removed(cluster_id)
        beneath = (each for each in self.all_shared(cluster_id, start, end) if each.text not in removed)
        mine, theirs = next(held, None), next(beneath, None)
        while mine is not None or theirs is not None:
            if theirs is None or (mine is not None and mine[0] <= theirs.text):
                assert mine is not None
                if theirs is not None and theirs.text == mine[0]:
                    theirs = next(beneath, None)
                yield mine
                mine = next(held, None)
            else:
                yield theirs
                theirs = next(beneath, None)

    def _held(self, prefix: bytes, start: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        at, stop = prefix + start, prefix + end
        while pairs := self._engine.scan(keyspace.OBJECTS, at, stop, _PAGE):
            for key, value in pairs:
                yield key[8:], value
            if len(pairs) < _PAGE:
                return
            at = pairs[-1][0] + b"\0"

    def types(self, cluster_id: int) -> set[bytes]:
        """The group resources that it may show, its origins' included: one look for each."""
        found: set[bytes] = set()
        for each in (cluster_id, *(origin_id for origin_id, _ in self._chain(cluster_id))):
            prefix = keyspace.number(each)
            start, end = prefix, keyspace.after_prefix(prefix)
            while pairs := self._engine.scan(keyspace.OBJECTS, start, end, 1):
                raw = pairs[0][0][8 : pairs[0][0].index(b"\0", 8)]
                found.add(raw)
                start = prefix + raw + b"\1"
        return found
