"""What one agent is still to be sent, in which order, and when it has everything. Pure.

Level-triggered: a place is named as *dirty* however often its object changes, and is read when its turn comes; so what
waits is bounded by the number of objects, not of changes. Nothing of objects is sent beyond the agent's credit.
"""

from collections.abc import Hashable, Iterable, Mapping
from typing import NamedTuple

from kcpshard.syncing.placed_index import Place


class Mark(NamedTuple):
    """`what` is to be said once all of `places` have been named."""

    what: Hashable
    places: set[Place]


class AgentFeed:
    def __init__(self) -> None:
        self._dirty: dict[Place, bool] = {}  # whether the agent may have it as it is
        self._marks: list[Mark] = []
        self._needed: dict[Place, frozenset[Place]] = {}  # companions, by the placed object
        self._users: dict[Place, int] = {}
        self.credit_bytes = 0

    # --- what is to be sent

    def touch(self, place: Place) -> None:
        """It has changed."""
        self._dirty[place] = False

    def name_all(self, what: Hashable, places: Mapping[Place, bool]) -> None:
        """Name each of them and what they need, also what has not changed; True: the agent may have it."""
        everything = {**dict.fromkeys(self._users, True), **places}
        for place, may_have in everything.items():
            self._dirty[place] = self._dirty.get(place, True) and may_have
        self._marks.append(Mark(what, set(everything)))

    def next(self) -> tuple[Place, bool] | None:
        """Without taking it. None: nothing, or no credit."""
        if self.credit_bytes <= 0 or not self._dirty:
            return None
        return next(iter(self._dirty.items()))

    def named(self, place: Place, size: int) -> None:
        """It has gone into a message, as it was when that was made."""
        self._dirty.pop(place, None)
        self.credit_bytes -= size
        for mark in self._marks:
            mark.places.discard(place)

    def put_off(self, place: Place) -> None:
        """Behind the others: it cannot be read now."""
        if place in self._dirty:
            self._dirty[place] = self._dirty.pop(place)

    def reached(self) -> list[Hashable]:
        """What is to be said now, each once."""
        found = [mark.what for mark in self._marks if not mark.places]
        if found:
            self._marks = [mark for mark in self._marks if mark.places]
        return found

    def forget_marks(self) -> None:
        self._marks.clear()

    @property
    def is_empty(self) -> bool:
        return not self._dirty

    @property
    def waiting(self) -> int:
        return len(self._dirty)

    def drop_cluster(self, cluster_id: int) -> None:
        """Nothing of it is to be sent any more."""
        for place in [place for place in self._dirty if place.cluster_id == cluster_id]:
            self.named(place, 0)
        for place in [place for place in self._needed if place.cluster_id == cluster_id]:
            del self._needed[place]
        for place in [place for place in self._users if place.cluster_id == cluster_id]:
            del self._users[place]

    # --- companions

    def need(self, user: Place, companions: Iterable[Place]) -> None:
        """From now on `user` needs exactly these."""
        wanted = frozenset(companions)
        before = self._needed.get(user, frozenset())
        if wanted:
            self._needed[user] = wanted
        else:
            self._needed.pop(user, None)
        for place in wanted - before:
            count = self._users[place] = self._users.get(place, 0) + 1
            if count == 1:
                # In the middle of naming everything the agent may have it from before.
                self._dirty[place] = bool(self._marks) and self._dirty.get(place, True)
                for mark in self._marks:  # what the agent has of it from before must not be taken for left over
                    mark.places.add(place)
        for place in before - wanted:
            self._users[place] -= 1
            if not self._users[place]:
                del self._users[place]
                self.touch(place)

    def is_needed(self, place: Place) -> bool:
        return place in self._users

    @property
    def companions(self) -> int:
        return len(self._users)
