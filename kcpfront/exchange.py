"""One HTTP request in hand, without the HTTP library: what came, what the filters learned, where the answer goes.

The HTTP edge (`http_edge`) makes an Exchange per request; filters fill it in; a handler returns a Reply, or writes to
the connection itself and returns None.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

from kcpfront.audit.trace import Trace
from kcpfront.request_info import RequestInfo


class Headers(Protocol):
    """Request headers, by case-insensitive name."""

    def get(self, key: str, /) -> str | None: ...
    def getall(self, key: str, default: list[str], /) -> list[str]: ...
    def __iter__(self) -> Iterator[str]:
        """Names as they came, one for each line."""


class Connection(Protocol):
    """Where an answer goes when it is more than one Reply."""

    def write(self, data: bytes) -> None:
        """Queue bytes; nothing is copied or delayed."""

    def write_all(self, pieces: Sequence[bytes]) -> None:
        """The same for several pieces; large ones are not joined, small ones travel together."""

    async def drain(self) -> None:
        """Wait until the client has taken enough. Raises ConnectionError when it is gone."""

    def peer_address(self) -> str:
        """The IP address at the other end; "" if it has none any more."""

    def hand_over(self, protocol: asyncio.Protocol) -> asyncio.Transport:
        """Take the connection away from the HTTP library for an answer without end; `hand_back` returns it."""


class Reply(NamedTuple):
    """A whole answer. `headers` are further header lines, each ending in CRLF."""

    code: int
    body: bytes
    content_type: str = "application/json"
    headers: bytes = b""


class Exchange:
    """What came is set by the edge; the rest by the filters in the order of `handler_chain`."""

    __slots__ = (
        "audit",
        "audit_id",
        "body",
        "certificate",
        "connection",
        "deadline",
        "duplicate_fields",
        "flow",
        "headers",
        "identity",
        "impersonation",
        "info",
        "keep_alive",
        "method",
        "proof",
        "read_body",
        "started",
        "target",
        "token_review",
        "user_agent",
    )  # fmt: skip

    info: RequestInfo
    deadline: float  # loop time
    identity: bytes  # JSON of who asks, one object per credential; empty before authentication and for nobody
    proof: bytes  # JSON of what must still be true of the credential, for the shard to find out; mostly empty
    impersonation: bytes  # JSON of whom the client asks to act as; mostly empty
    audit_id: str
    flow: bytes  # header lines that name its FlowSchema and PriorityLevelConfiguration, once a shard has told

    def __init__(
        self,
        method: str,
        target: str,
        headers: Headers,
        read_body: Callable[[int], Awaitable[bytes]],
        certificate: Callable[[], bytes | None],
        connection: Connection,
        keep_alive: bool = True,
    ) -> None:
        self.method, self.target, self.headers = method, target, headers
        self.read_body = read_body  # takes the limit in bytes; raises RequestEntityTooLarge
        self.certificate = certificate  # DER of the client's verified certificate
        self.connection = connection
        self.keep_alive = keep_alive  # after this answer; a handler may turn it off
        self.identity = self.proof = self.impersonation = self.body = self.token_review = self.flow = b""
        self.audit_id = ""
        self.audit: Trace | None = None  # what an audit record will say; None: there will be none
        self.user_agent = headers.get("User-Agent") or ""
        self.duplicate_fields: list[str] = []
        self.started = False  # the head of the answer is on its way: no other answer is possible
