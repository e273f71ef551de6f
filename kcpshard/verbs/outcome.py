"""What a verb hands back to the service; see docs/architecture.md, "A request's way"."""

from collections.abc import AsyncIterator, Coroutine
from typing import Any, NamedTuple

from kcpshard.api.requests import Answer
from kcpshard.storage.contract import Group


class AfterSync(NamedTuple):
    """The answer of an accepted write; it leaves when the group is durable."""

    answer: Answer
    group: Group


class NotOwned(Exception):
    """This shard does not serve the logical cluster. `moved_to` is the shard that does, 0 if only the map can tell."""

    def __init__(self, moved_to: int = 0) -> None:
        super().__init__(f"moved to {moved_to}")
        self.moved_to = moved_to


class PlacementRefused(Exception):
    """A path cannot be served where it was wanted; the text is a sentence."""


# A coroutine may itself return AfterSync. Of an async iterator all Answers but the last carry only `body`; the first
# has the code, the last has `info`.
Outcome = Answer | AfterSync | Coroutine[Any, Any, "Answer | AfterSync"] | AsyncIterator[Answer]
