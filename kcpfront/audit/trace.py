"""What is gathered of one request that is recorded, while it is answered."""

from collections.abc import Sequence

from kcpfront.audit.policy import REQUEST_RESPONSE, Outcome


class Trace:
    """`shard` is Response.audit, `answer` the JSON of what the client gets; `is_cut`: that is more than is recorded."""

    __slots__ = ("answer", "is_cut", "is_long", "outcome", "received_s", "shard", "source_ips")

    def __init__(self, outcome: Outcome, received_s: float, source_ips: Sequence[str]) -> None:
        self.outcome, self.received_s, self.source_ips = outcome, received_s, source_ips
        self.shard = self.answer = b""
        self.is_cut = False
        self.is_long = False  # a watch that was accepted: it ends later

    def told(self, shard: bytes, answer: bytes) -> None:
        self.shard, self.answer = shard, answer

    @property
    def wants_answer(self) -> bool:
        return self.outcome.level >= REQUEST_RESPONSE
