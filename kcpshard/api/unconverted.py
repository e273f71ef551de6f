"""What stops a decision that needs an object in a version which only a tenant's webhook can make of it."""

from collections.abc import Awaitable, Callable


class NotConverted(Exception):
    """Await `settle`, then decide again from the beginning: nothing has been changed so far.

    `settle` raises ApiError when the webhook cannot be asked, or gives what it may not.
    """

    def __init__(self, settle: Callable[[], Awaitable[None]]) -> None:
        super().__init__("an object has to be converted first")
        self.settle = settle
