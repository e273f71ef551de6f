"""A dispatch for tests of what carries requests: what a request's `name` says is what its verb does."""

import asyncio
from collections.abc import AsyncIterator, Callable

from kcpshard.api.errors import object_not_found
from kcpshard.api.requests import Answer, ListInfo
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.storage.contract import NotDurable, ReadOnly
from kcpshard.verbs.outcome import AfterSync, NotOwned, Outcome


class FakeGroup:
    """Durable when the test says so."""

    def __init__(self) -> None:
        self._callbacks: list[Callable[[], None]] = []
        self._refusals: list[Callable[[ReadOnly], None]] = []
        self.is_durable = False

    def when_durable(self, callback: Callable[[], None]) -> None:
        if self.is_durable:
            callback()
        else:
            self._callbacks.append(callback)

    def when_refused(self, callback: Callable[[ReadOnly], None]) -> None:
        self._refusals.append(callback)

    def refuse(self) -> None:
        for callback in self._refusals:
            callback(ReadOnly("no space left on device"))

    def sync(self) -> None:
        self.is_durable = True
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()


class ScriptedVerbs:
    """`group` is the present unsynced group, `gate` what slow verbs wait for, `requests` copies of all that came."""

    def __init__(self) -> None:
        self.group = FakeGroup()
        self.gate = asyncio.Event()
        self.arrived = asyncio.Event()
        self.requests: list[pb.Request] = []
        self.started = self.cancelled = self.pieces_made = 0
        self.syncs_at_once = True
        self.recorded: dict[bytes, int] = {}

    def dispatch(self, request: pb.Request) -> Outcome:
        copy = pb.Request()
        copy.CopyFrom(request)
        self.requests.append(copy)
        self.arrived.set()
        kind, _, argument = request.name.partition(":")
        outcome: Outcome = getattr(self, f"_{kind}")(request, argument)
        return outcome

    def _echo(self, request: pb.Request, _argument: str) -> Outcome:
        return Answer(200, request.body)

    def _warned(self, request: pb.Request, _argument: str) -> Outcome:
        return Answer(200, b"{}", warnings=["old", "older"], columns=b"[1]", etag='"e"', content_type="text/x")

    def _sized(self, _request: pb.Request, argument: str) -> Outcome:
        return Answer(200, bytes(i % 251 for i in range(1000)) * (int(argument) // 1000))

    def _absent(self, _request: pb.Request, _argument: str) -> Outcome:
        raise object_not_found("", "configmaps", "absent")

    def _bug(self, _request: pb.Request, _argument: str) -> Outcome:
        raise KeyError("a bug")

    def _full(self, _request: pb.Request, _argument: str) -> Outcome:
        raise ReadOnly("no space left on device")

    def _elsewhere(self, _request: pb.Request, argument: str) -> Outcome:
        raise NotOwned(int(argument))

    def _write(self, request: pb.Request, argument: str) -> Outcome:
        """Counts how often each request id took effect; a repeat gets the first result as the real verbs do."""
        if request.repeat and request.request_id in self.recorded:
            return Answer(201, b'{"recorded":true}')
        self.recorded[request.request_id] = self.recorded.get(request.request_id, 0) + 1
        group = self.group
        if self.syncs_at_once:
            asyncio.get_running_loop().call_soon(group.sync)
            self.group = FakeGroup()
        return AfterSync(Answer(201, request.body), group)

    def _unsynced(self, request: pb.Request, _argument: str) -> Outcome:
        if not self.group.is_durable:
            raise NotDurable(self.group)
        return Answer(200, request.body)

    def _slow(self, request: pb.Request, _argument: str) -> Outcome:
        return self._wait(request)

    def _slowwrite(self, request: pb.Request, _argument: str) -> Outcome:
        return self._wait_and_write(request)

    def _slowunsynced(self, request: pb.Request, _argument: str) -> Outcome:
        return self._unsynced_later(request)

    def _slowbug(self, _request: pb.Request, _argument: str) -> Outcome:
        return self._fail_later()

    def _pieces(self, _request: pb.Request, argument: str) -> Outcome:
        count, _, size = argument.partition(":")
        return self._make_pieces(int(count), int(size))

    def _oneslice(self, _request: pb.Request, argument: str) -> Outcome:
        return Answer(200, b"x" * int(argument), ListInfo(9, "", -1, "v1", "ConfigMapList"))

    def _broken(self, _request: pb.Request, argument: str) -> Outcome:
        return self._break_after(int(argument))

    async def _wait(self, request: pb.Request) -> Answer:
        self.started += 1
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            self.arrived.set()
            raise
        return Answer(200, request.body)

    async def _wait_and_write(self, request: pb.Request) -> Answer | AfterSync:
        await self._wait(request)
        outcome = self._write(request, "")
        assert isinstance(outcome, Answer | AfterSync)
        return outcome

    async def _unsynced_later(self, request: pb.Request) -> Answer:
        await asyncio.sleep(0)
        outcome = self._unsynced(request, "")
        assert isinstance(outcome, Answer)
        return outcome

    async def _fail_later(self) -> Answer:
        await asyncio.sleep(0)
        raise KeyError("a bug")

    async def _make_pieces(self, count: int, size: int) -> AsyncIterator[Answer]:
        try:
            for number in range(count):
                self.pieces_made += 1
                last = number == count - 1
                info = ListInfo(7, "next", 3, "v1", "ConfigMapList") if last else None
                yield Answer(200, piece_of(number, size), info, columns=b"[2]")
        finally:
            self.arrived.set()

    async def _break_after(self, count: int) -> AsyncIterator[Answer]:
        for number in range(count):
            yield Answer(200, piece_of(number, 1000))
        raise KeyError("a bug")


def piece_of(number: int, size: int) -> bytes:
    return bytes([number % 256]) * size
