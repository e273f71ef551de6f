"""Whether this shard is the keeper, which may change while it serves."""

import asyncio
from collections.abc import Callable

from kcpshard.placement.keeper import Keeper


class KeeperRole:
    """`make` makes a keeper of what is on disk now."""

    def __init__(self, make: Callable[[], Keeper]) -> None:
        self._make = make
        self._changed = asyncio.Event()
        self.keeper: Keeper | None = None

    def gain(self) -> None:
        if self.keeper is None:
            self.keeper = self._make()
            self._tell()

    def lose(self) -> None:
        if self.keeper is not None:
            self.keeper.retire()
            self.keeper = None
            self._tell()

    async def change(self) -> None:
        """Until the role is gained or lost."""
        await self._changed.wait()

    def _tell(self) -> None:
        told, self._changed = self._changed, asyncio.Event()
        told.set()
