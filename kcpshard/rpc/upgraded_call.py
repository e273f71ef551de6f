"""One upgraded connection from the caller's side: a Connect stream (see proto/shard.proto)."""

import asyncio
from typing import Any

import grpc
import grpc.aio

from kcpshard.api.errors import ServiceUnavailable, Timeout
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc.contract import Result, Upgraded
from kcpshard.rpc.messages import ProtocolMismatch, check_hello, result_of

_METHOD = "/kcp.shard.v1.ShardSession/Connect"


class UpgradedCall:
    """An `Upgraded` over gRPC."""

    def __init__(self, call: Any, response: pb.Response) -> None:
        self._call = call
        self.head, self.body, self.audit = response.head, response.body, response.audit

    async def read(self) -> bytes:
        try:
            message = await self._call.read()
        except grpc.RpcError:
            raise ConnectionResetError("the connection broke") from None
        if message is grpc.aio.EOF:
            return b""
        data: bytes = pb.ConnectDown.FromString(message).data
        return data

    async def write(self, data: bytes) -> None:
        try:
            await self._call.write(pb.ConnectUp(data=data).SerializeToString())
        except (grpc.RpcError, asyncio.InvalidStateError):
            raise ConnectionResetError("the connection broke") from None

    async def end(self) -> None:
        try:
            await self._call.done_writing()
        except (grpc.RpcError, asyncio.InvalidStateError):
            return

    def close(self) -> None:
        self._call.cancel()


async def connect(
    channel: grpc.aio.Channel, hello: pb.Hello, request: pb.Request, deadline: float
) -> Upgraded | Result:
    """`deadline` (loop time) is that of the answer. Raises ServiceUnavailable, Timeout."""
    call = channel.stream_stream(_METHOD)()
    try:
        async with asyncio.timeout_at(deadline):
            await call.write(pb.ConnectUp(hello=hello, request=request).SerializeToString())
            first = await call.read()
        if first is grpc.aio.EOF:
            raise ServiceUnavailable("the shard is stopping", retry_after_s=1)
        message = pb.ConnectDown.FromString(first)
        check_hello(message.hello if message.HasField("hello") else None)
    except TimeoutError:
        call.cancel()
        raise Timeout("Timeout: the shard did not answer within the allotted timeout") from None
    except (grpc.RpcError, asyncio.InvalidStateError, ProtocolMismatch):
        call.cancel()
        raise ServiceUnavailable("the shard of this logical cluster cannot be reached", retry_after_s=1) from None
    except BaseException:
        call.cancel()
        raise
    response = message.response
    if not response.head:
        call.cancel()
        return result_of(response, response.body, None)
    return UpgradedCall(call, response)
