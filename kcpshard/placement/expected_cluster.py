"""Who waits for a logical cluster that is being handed over to this shard.

A Group of the store's contract: what "durable" means here is that asking again will be answered.
"""

from collections.abc import Callable

from kcpshard.storage.contract import ReadOnly


class ExpectedCluster:
    """`forget` is called once, before those who wait."""

    def __init__(self, forget: Callable[[], object]) -> None:
        self._forget = forget
        self._waiting: list[Callable[[], None]] = []
        self._is_over = False

    def when_durable(self, callback: Callable[[], None]) -> None:
        if self._is_over:
            callback()
        else:
            self._waiting.append(callback)

    def when_refused(self, callback: Callable[[ReadOnly], None]) -> None:
        """Never: whoever waits asks again in any case."""

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def end(self) -> None:
        """It is ours, or will not be soon: everybody asks again."""
        if self._is_over:
            return
        self._is_over = True
        self._forget()
        waiting, self._waiting = self._waiting, []
        for callback in waiting:
            callback()
