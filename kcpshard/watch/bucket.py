"""The live watchers of one resource type in one logical cluster, indexed so that a change asks each question once.

Decides which streams get a change, in which form, for which watches. Leaves queueing to `hub`.
"""

from typing import Generic, NamedTuple, TypeVar

from kcpshard.api.events import Change
from kcpshard.watch.selection import EVENT_TYPES, Form, Selection

L = TypeVar("L")


class LiveEvent(NamedTuple):
    """One event for all the watches of one stream that want it in this form."""

    type: int
    revision: int
    object: bytes
    watches: tuple[int, ...]


class Group(Generic[L]):
    """Watches with one selection on one stream."""

    __slots__ = ("_frozen", "_watches", "link", "selection")

    def __init__(self, selection: Selection, link: L) -> None:
        self.selection, self.link = selection, link
        self._watches: set[int] = set()
        self._frozen: tuple[int, ...] | None = None

    def add(self, watch: int) -> None:
        self._watches.add(watch)
        self._frozen = None

    def discard(self, watch: int) -> bool:
        """Whether the group is empty now."""
        self._watches.discard(watch)
        self._frozen = None
        return not self._watches

    def watches(self) -> tuple[int, ...]:
        """As of now: who joins later must not get what is queued."""
        frozen = self._frozen
        if frozen is None:
            frozen = self._frozen = tuple(self._watches)
        return frozen


class Bucket(Generic[L]):
    """Groups by the place they watch: ("", "") everything, (namespace, ""), (namespace, name), ("", name).

    Objects in a namespace are looked up in all four, others in two, so that a thousand watchers of one object each
    cost a change of another object nothing.
    """

    __slots__ = ("_places",)

    def __init__(self) -> None:
        self._places: dict[tuple[str, str], dict[tuple[Selection, L], Group[L]]] = {}

    def add(self, watch: int, selection: Selection, link: L) -> None:
        place = self._places.setdefault((selection.namespace, selection.name), {})
        group = place.get((selection, link))
        if group is None:
            group = place[selection, link] = Group(selection, link)
        group.add(watch)

    def remove(self, watch: int, selection: Selection, link: L) -> bool:
        """Whether the bucket is empty now."""
        where = (selection.namespace, selection.name)
        place = self._places[where]
        if place[selection, link].discard(watch):
            del place[selection, link]
            if not place:
                del self._places[where]
        return not self._places

    def dispatch(self, change: Change) -> list[tuple[L, LiveEvent]]:
        """What goes to which stream: one event per stream, event type and form."""
        groups = self._covering(change.namespace, change.name)
        if not groups:
            return []
        if len(groups) == 1:
            group = groups[0]
            outcome = group.selection.outcome(change)
            return [(group.link, _event(change, outcome, group.selection, group.watches()))] if outcome else []
        return self._merged(change, groups)

    def _covering(self, namespace: str, name: str) -> list[Group[L]]:
        get = self._places.get
        found: list[Group[L]] = []
        for place in (
            ((namespace, ""), (namespace, name), ("", ""), ("", name)) if namespace else (("", ""), ("", name))
        ):
            groups = get(place)
            if groups is not None:
                found.extend(groups.values())
        return found

    def _merged(self, change: Change, groups: list[Group[L]]) -> list[tuple[L, LiveEvent]]:
        wanted: dict[tuple[L, int, Form], list[Group[L]]] = {}
        for group in groups:
            if outcome := group.selection.outcome(change):
                wanted.setdefault((group.link, outcome, group.selection.form), []).append(group)
        shown: dict[tuple[int, Form], bytes] = {}
        events = []
        for (link, outcome, form), same in wanted.items():
            json = shown.get((outcome, form))
            if json is None:
                json = shown[outcome, form] = same[0].selection.show(change, outcome)
            watches = same[0].watches() if len(same) == 1 else tuple(w for g in same for w in g.watches())
            events.append((link, LiveEvent(EVENT_TYPES[outcome], change.revision, json, watches)))
        return events


def _event(change: Change, outcome: int, selection: Selection, watches: tuple[int, ...]) -> LiveEvent:
    return LiveEvent(EVENT_TYPES[outcome], change.revision, selection.show(change, outcome), watches)
