"""Exchanges without a connection."""

from collections.abc import Sequence

from multidict import CIMultiDict

from kcpfront.exchange import Exchange
from kcpfront.request_info import parse_request
from kcpshard.api.errors import RequestEntityTooLarge


class Sink:
    """A connection that remembers."""

    def __init__(self) -> None:
        self.written = b""

    def write(self, data: bytes) -> None:
        self.written += data

    def write_all(self, pieces: Sequence[bytes]) -> None:
        self.written += b"".join(pieces)

    async def drain(self) -> None:
        pass

    def peer_address(self) -> str:
        return "192.0.2.7"

    def hand_over(self, protocol: object) -> None:  # type: ignore[misc]
        raise AssertionError("not this one")


def exchange(
    target: str = "/api/v1/namespaces/default/configmaps/a",
    method: str = "GET",
    headers: dict[str, str] | None = None,
    body: bytes = b"",
    certificate: bytes | None = None,
) -> Exchange:
    async def read_body(limit: int) -> bytes:
        if len(body) > limit:
            raise RequestEntityTooLarge("too large")
        return body

    given = CIMultiDict(headers or {})
    made = Exchange(method, target, given, read_body, lambda: certificate, Sink())  # type: ignore[arg-type]
    made.info = parse_request(method, target, None)
    made.audit_id, made.deadline = "id", 60.0
    return made
