"""What a call out of the shard gives."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from kcpshard.callouts.upgraded import UpgradedConnection

ANSWER_BYTES = 3 << 20  # larger ones are refused while they come in


class Answer(NamedTuple):
    code: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes


class Incoming(Protocol):
    """An answer whose head is there. Its body is read once, piece by piece, however long that takes."""

    @property
    def code(self) -> int: ...
    @property
    def headers(self) -> Sequence[tuple[str, str]]:
        """As they came, each line."""

    def pieces(self) -> AsyncIterator[bytes]:
        """At most 64 kB each, as they arrive. Raises Unreachable if the connection breaks in between."""

    def upgraded(self) -> UpgradedConnection:
        """Of a 101, in the place of `pieces`. Raises Unreachable."""

    def close(self) -> None:
        """Whatever has not been read is not wanted: the other side sees its connection end."""
