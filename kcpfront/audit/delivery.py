"""Records on their way to one place: a bounded queue, and the thread that takes batches from it.

When the queue is full the newest are dropped and counted: a request never waits for a disk or a server, unless the
operator wants it to (`written`).
"""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

_log = logging.getLogger(__name__)

Write = Callable[[Sequence[bytes]], None]
"""Called on the thread. Raises OSError if the records are lost."""

_COMPLAIN_S = 60.0


class Limits(NamedTuple):
    events: int = 10_000  # kube-apiserver's --audit-log-batch-buffer-size
    bytes: int = 64 << 20
    batch: int = 400  # events handed over at once
    wait_s: float = 0.0  # for a batch to become full


class Delivery:
    def __init__(self, plugin: str, write: Write, limits: Limits | None = None) -> None:
        self.plugin = plugin
        self._write, self._limits = write, limits or Limits()
        self._queue: deque[bytes] = deque()
        self._bytes = 0
        self._changed = threading.Condition()
        self._closing = False
        self._put = self._done = 0  # numbers of records
        self._waiters: list[tuple[int, Callable[[], object]]] = []
        self._complained = 0.0
        self.dropped = self.errors = 0
        self._thread = threading.Thread(target=self._run, name=f"audit-{plugin}", daemon=True)
        self._thread.start()

    def put(self, records: Sequence[bytes]) -> None:
        limits = self._limits
        size = sum(map(len, records))
        with self._changed:
            has_room = len(self._queue) + len(records) <= limits.events and self._bytes + size <= limits.bytes
            if has_room and not self._closing:
                self._queue.extend(records)
                self._bytes += size
                self._put += len(records)
                self._changed.notify()
                return
            for record in records:
                if len(self._queue) >= limits.events or self._bytes + len(record) > limits.bytes or self._closing:
                    self.dropped += 1
                    continue
                self._queue.append(record)
                self._bytes += len(record)
                self._put += 1
            self._changed.notify()

    async def written(self) -> None:
        """Wait until everything put so far is where it belongs, or lost (`dropped`)."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()

        def settle() -> None:
            if not done.done():
                done.set_result(None)

        with self._changed:
            if self._done >= self._put:
                return
            self._waiters.append((self._put, lambda: loop.call_soon_threadsafe(settle)))
        await done

    async def close(self, timeout_s: float) -> None:
        """Hand over what is left."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        await asyncio.get_running_loop().run_in_executor(None, self._thread.join, timeout_s)

    # --- the thread

    def _run(self) -> None:
        while batch := self._take():
            try:
                self._write(batch)
            except OSError as fault:
                self._failed(batch, fault)
            self._settle(len(batch))

    def _take(self) -> Sequence[bytes]:
        """Empty: closed, and nothing is left."""
        limits = self._limits
        with self._changed:
            while not self._queue and not self._closing:
                self._changed.wait()
            due = time.monotonic() + limits.wait_s
            while len(self._queue) < limits.batch and not self._closing and (left := due - time.monotonic()) > 0:
                self._changed.wait(left)
            batch = [self._queue.popleft() for _ in range(min(limits.batch, len(self._queue)))]
            self._bytes -= sum(map(len, batch))
            return batch

    def _failed(self, batch: Sequence[bytes], fault: OSError) -> None:
        with self._changed:
            self.errors += 1
            self.dropped += len(batch)
        if time.monotonic() - self._complained > _COMPLAIN_S:
            self._complained = time.monotonic()
            _log.error("audit records are lost (%s): %s", self.plugin, fault)

    def _settle(self, count: int) -> None:
        with self._changed:
            self._done += count
            ready = [tell for number, tell in self._waiters if number <= self._done]
            self._waiters = [each for each in self._waiters if each[0] > self._done]
        for tell in ready:
            tell()
