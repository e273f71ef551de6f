"""Offers are taken once and in time; what is open is counted for each logical cluster."""

import orjson
import pytest

from kcpshard.api.errors import ServiceUnavailable, TooManyRequests
from kcpshard.connections import offers
from kcpshard.connections.offers import OFFERED_S, USE_CONNECTION, Offers


class Ended:
    head = b"{}"

    async def read(self) -> bytes:
        return b""

    async def write(self, data: bytes) -> None: ...

    async def close(self) -> None: ...


class ToNowhere:
    def __init__(self) -> None:
        self.heads: list[bytes] = []
        self.is_open = True

    async def open(self, head: bytes) -> Ended:
        self.heads.append(head)
        if not self.is_open:
            raise ServiceUnavailable("it is away")
        return Ended()


def ticket(made: Offers, way: ToNowhere, path: str = "a") -> bytes:
    answer = made.offer(path, way)
    assert answer.code == USE_CONNECTION
    return bytes.fromhex(orjson.loads(answer.body)["ticket"])


async def test_an_offer_is_taken_once() -> None:
    made, way = Offers(), ToNowhere()
    shown = ticket(made, way)
    await (await made.use(shown, b"head")).close()
    assert way.heads == [b"head"]
    with pytest.raises(ServiceUnavailable, match="not taken in time"):
        await made.use(shown, b"head")


async def test_an_offer_gets_old_and_the_oldest_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    made, way = Offers(lambda: now[0]), ToNowhere()
    shown = ticket(made, way)
    now[0] = OFFERED_S + 1
    with pytest.raises(ServiceUnavailable):
        await made.use(shown, b"")
    monkeypatch.setattr(offers, "_MAX_OFFERS", 2)
    first, *others = (ticket(made, way) for _ in range(3))
    with pytest.raises(ServiceUnavailable):
        await made.use(first, b"")
    for each in others:
        await made.use(each, b"")


async def test_one_logical_cluster_does_not_take_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offers, "MAX_OPEN", 1)
    made, way = Offers(), ToNowhere()
    connection = await made.use(ticket(made, way), b"")
    with pytest.raises(TooManyRequests):
        made.offer("a", way)
    ticket(made, way, "b")
    assert made.statistics() == {"offered": 1, "open": 1}
    await connection.close()
    await connection.close()
    way.is_open = False
    shown = ticket(made, way)
    with pytest.raises(ServiceUnavailable, match="it is away"):
        await made.use(shown, b"")
    assert made.statistics()["open"] == 0
