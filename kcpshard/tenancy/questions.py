"""A wait for somebody else's answer, in the shape of a Group: whoever raised NotDurable with it is asked again then."""

from collections.abc import Callable

from kcpshard.storage.contract import ReadOnly


class Question:
    def __init__(self) -> None:
        self._waiting: list[Callable[[], None]] = []
        self._is_settled = False

    def when_durable(self, callback: Callable[[], None]) -> None:
        if self._is_settled:
            callback()
        else:
            self._waiting.append(callback)

    def when_refused(self, callback: Callable[[ReadOnly], None]) -> None:
        """Never: a failure is an answer too."""

    def settle(self) -> None:
        self._is_settled = True
        for callback in self._waiting:
            callback()
        self._waiting.clear()
