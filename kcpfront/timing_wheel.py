"""When something is due, for very many things at once: one slot per second, one timer for all. Pure."""

from typing import Generic, TypeVar

Item = TypeVar("Item")


class TimingWheel(Generic[Item]):
    """Items by the second they are due. An item may be in one slot at a time; its owner remembers which."""

    def __init__(self, now_s: int) -> None:
        self._slots: dict[int, set[Item]] = {}
        self._done = now_s  # every slot up to here has been taken

    def add(self, item: Item, due_s: int) -> int:
        """Returns the slot, for `remove`: never one that has been taken already."""
        slot = max(due_s, self._done + 1)
        self._slots.setdefault(slot, set()).add(item)
        return slot

    def remove(self, item: Item, slot: int) -> None:
        members = self._slots.get(slot)
        if members is not None:
            members.discard(item)
            if not members:
                del self._slots[slot]

    def take(self, now_s: int) -> list[Item]:
        """Everything due up to and including `now_s`, in order of time."""
        found: list[Item] = []
        if now_s - self._done > len(self._slots):
            due = sorted(slot for slot in self._slots if slot <= now_s)
        else:
            due = list(range(self._done + 1, now_s + 1))
        for slot in due:
            found.extend(self._slots.pop(slot, ()))
        self._done = max(self._done, now_s)
        return found
