"""Requests with a stream of their own: answers one by one, bytes the other way, ends from both sides."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from kcpshard.api.errors import Forbidden
from kcpshard.api.requests import Answer, ListInfo
from kcpshard.callouts.upstream import Upstream
from kcpshard.execution import Execution
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.upgraded_requests import UpgradedRequest, Upstreams
from kcpshard.verbs.outcome import Outcome

END = ListInfo(0, "", -1, "", "")


class Far:
    def __init__(self) -> None:
        self.got: list[bytes] = []
        self.closed = asyncio.Event()

    async def write(self, data: bytes) -> None:
        self.got.append(data)

    def close(self) -> None:
        self.closed.set()


class Verbs:
    """Answers FORWARD by a head, and ends when the client does."""

    def __init__(self) -> None:
        self.upstreams: Upstreams = {}
        self.far = Far()
        self.pieces = [b"a", b"b"]
        self.has_ended = False

    def dispatch(self, request: pb.Request) -> Outcome:
        if request.name == "refused":
            raise Forbidden("no")
        return self._talk(self.upstreams[request.request_id])

    async def _talk(self, upstream: Upstream) -> AsyncIterator[Answer]:
        try:
            yield Answer(200, b"", head=b"{}")
            upstream.join(self.far)
            for piece in self.pieces:
                yield Answer(0, piece)
            await self.far.closed.wait()
            yield Answer(0, b"", END)
        finally:
            self.has_ended = True


@pytest.fixture
async def verbs() -> Verbs:
    return Verbs()


async def test_answers_come_one_by_one_and_bytes_go_the_other_way(verbs: Verbs) -> None:
    async with asyncio.TaskGroup() as tasks:
        request = UpgradedRequest(Execution(verbs.dispatch, tasks), verbs.upstreams, pb.Request(verb=pb.FORWARD))
        request.begin()
        first = await request.next()
        assert first is not None and first.head == b"{}"
        await request.upstream.write(b"hello")
        assert verbs.far.got == [b"hello"]
        pieces = [await request.next(), await request.next()]
        assert [piece.body for piece in pieces if piece is not None] == [b"a", b"b"]
        request.upstream.end()
        assert (await request.next()) is not None
        assert await request.next() is None
        request.close()
    assert not verbs.upstreams


async def test_a_refusal_is_the_only_answer(verbs: Verbs) -> None:
    async with asyncio.TaskGroup() as tasks:
        asked = pb.Request(verb=pb.FORWARD, name="refused")
        request = UpgradedRequest(Execution(verbs.dispatch, tasks), verbs.upstreams, asked)
        request.begin()
        answer = await request.next()
        assert answer is not None and answer.code == 403
        assert await request.next() is None


async def test_a_server_is_no_further_ahead_than_a_few_pieces(verbs: Verbs) -> None:
    verbs.pieces = [b"x"] * 100
    async with asyncio.TaskGroup() as tasks:
        request = UpgradedRequest(Execution(verbs.dispatch, tasks), verbs.upstreams, pb.Request(verb=pb.FORWARD))
        request.begin()
        await asyncio.sleep(0.02)
        assert len(request._answers) <= 3
        request.close()


async def test_a_client_that_leaves_ends_the_verb_and_its_reader(verbs: Verbs) -> None:
    async with asyncio.TaskGroup() as tasks:
        request = UpgradedRequest(Execution(verbs.dispatch, tasks), verbs.upstreams, pb.Request(verb=pb.FORWARD))
        request.begin()
        while (await request.next()).body != b"b":  # type: ignore[union-attr]
            pass
        reading = tasks.create_task(request.next())
        await asyncio.sleep(0)
        request.close()
        assert await reading is None
    assert verbs.has_ended and verbs.far.closed.is_set()
