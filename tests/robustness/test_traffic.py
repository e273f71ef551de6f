"""The driver of the kills sends what it counts, no more."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from tests.robustness.traffic import sent_once


@asynccontextmanager
async def a_server_that_dies_with_each_request(seen: list[str]) -> AsyncIterator[str]:
    """Reads the head of a request, notes its method, closes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append((await reader.readuntil(b"\r\n\r\n")).split(b" ")[0].decode())
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "POST", "PATCH"])
async def test_a_request_on_a_dying_connection_is_sent_once_and_told_as_broken(method: str) -> None:
    seen: list[str] = []
    async with (
        a_server_that_dies_with_each_request(seen) as url,
        aiohttp.ClientSession(middlewares=(sent_once,)) as session,
    ):
        with pytest.raises(aiohttp.ClientError, match="the connection broke"):
            await session.request(method, url)
    assert seen == [method]


async def test_without_that_a_put_is_written_twice() -> None:
    """Why it is needed. When this fails, aiohttp has changed its mind and `sent_once` may go."""
    seen: list[str] = []
    async with a_server_that_dies_with_each_request(seen) as url, aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientError):
            await session.put(url)
    assert seen == ["PUT", "PUT"]
