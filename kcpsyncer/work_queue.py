"""Keys to do: each once however often it is named, by one worker at a time, failures ever more slowly.

A key that fails holds up nobody else: it waits by itself.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

_log = logging.getLogger(__name__)
K = TypeVar("K", bound=Hashable)
FIRST_RETRY_S, MAX_RETRY_S = 0.1, 60.0


class WorkQueue(Generic[K]):
    """`do` returns seconds after which to look again, or None. `refused(key, error)` is told of each failure."""

    def __init__(
        self,
        do: Callable[[K], Awaitable[float | None]],
        workers: int = 4,
        refused: Callable[[K, Exception], None] | None = None,
    ) -> None:
        self._do, self._workers, self._refused = do, workers, refused
        self._ready: dict[K, None] = {}
        self._busy: set[K] = set()
        self._again: set[K] = set()
        self._failures: dict[K, int] = {}
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._wake = asyncio.Event()

    def add(self, key: K) -> None:
        if (timer := self._timers.pop(key, None)) is not None:
            timer.cancel()
        if key in self._busy:
            self._again.add(key)
        else:
            self._ready[key] = None
            self._wake.set()

    def add_after(self, key: K, delay_s: float) -> None:
        """Unless it is to be done earlier anyway."""
        if key in self._ready or key in self._again:
            return
        due = asyncio.get_running_loop().time() + delay_s
        if (timer := self._timers.get(key)) is not None:
            if timer.when() <= due:
                return
            timer.cancel()
        self._timers[key] = asyncio.get_running_loop().call_later(delay_s, self._due, key)

    def __len__(self) -> int:
        """Keys that are ready or being worked on."""
        return len(self._ready) + len(self._busy)

    async def run(self) -> None:
        """Until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                for _ in range(self._workers):
                    tasks.create_task(self._work())
        finally:
            for timer in self._timers.values():
                timer.cancel()
            self._timers.clear()

    def _due(self, key: K) -> None:
        self._timers.pop(key, None)
        self.add(key)

    async def _work(self) -> None:
        while True:
            while not self._ready:
                self._wake.clear()
                await self._wake.wait()
            key = next(iter(self._ready))
            del self._ready[key]
            self._busy.add(key)
            try:
                await self._attempt(key)
            finally:
                self._busy.discard(key)
                if key in self._again:
                    self._again.discard(key)
                    self.add(key)

    async def _attempt(self, key: K) -> None:
        try:
            again_s = await self._do(key)
        except Exception as error:  # noqa: BLE001 - one broken object never stops the rest
            failures = self._failures[key] = self._failures.get(key, 0) + 1
            delay_s = min(FIRST_RETRY_S * 2 ** min(failures - 1, 16), MAX_RETRY_S)
            _log.info("%s failed %s times, again in %.1f s: %s", key, failures, delay_s, error)
            if self._refused is not None:
                self._refused(key, error)
            self.add_after(key, delay_s)
            return
        self._failures.pop(key, None)
        if again_s is not None:
            self.add_after(key, again_s)
