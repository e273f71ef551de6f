"""One HTTP/1.1 request on a connection of its own, whose answer may be no HTTP any more: an upgrade, or a long body.

Where the other server switches protocols (101) its bytes and ours pass as they are; of any other answer `read` gives
the body, without its framing, and nothing is written any more. Who may be dialled is the caller's to decide.
"""

import asyncio
import ssl
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

import httptools
import orjson

from kcpshard.api.errors import ServiceUnavailable

Header = tuple[str, str]
_READ_BYTES = 64 * 1024
_MAX_HEAD_BYTES = 64 * 1024
_CLOSE_S = 2.0


class Place(NamedTuple):
    """An address that is dialled as it is; with `trust` over TLS, whose certificate must be for `server_name`."""

    address: str
    port: int
    trust: ssl.SSLContext | None
    server_name: str


async def connect(place: Place, method: str, target: str, headers: Sequence[Header]) -> "RawConnection":
    """Send the request and read the head of its answer. Raises ServiceUnavailable; cancel it for a deadline."""
    try:
        reader, writer = await asyncio.open_connection(
            place.address,
            place.port,
            ssl=place.trust,
            server_hostname=place.server_name if place.trust is not None else None,
            limit=_READ_BYTES,
        )
    except OSError as error:
        raise ServiceUnavailable(f"it cannot be connected to: {_shown(error)}") from None
    found = RawConnection(reader, writer)
    try:
        writer.write(encode_request(method, target, headers))
        await writer.drain()
        await found.read_head()
    except OSError as error:
        await found.close()
        raise ServiceUnavailable(f"the connection broke: {_shown(error)}") from None
    except BaseException:
        await found.close()
        raise
    return found


def encode_request(method: str, target: str, headers: Sequence[Header]) -> bytes:
    """Raises ValueError for what would be more than one request."""
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
    for line in lines:
        if any(c in "\r\n\0" for c in line):
            raise ValueError("a header that ends its line")
    if " " in target or " " in method:
        raise ValueError("a target with a space")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape")


class RawConnection:
    """See kcpshard.rpc.contract.Connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self._headers: list[Header] = []
        self._pieces: list[bytes] = []
        self._is_headed = self._is_whole = self._is_until_close = False
        self.head, self.code = b"", 0

    # --- the answer as it comes

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._is_headed:
            self._headers.append((name.decode("latin-1"), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        assert self._parser is not None
        code = self._parser.get_status_code()
        if 100 <= code < 200 and code != 101:
            self._headers.clear()
            return
        names = {name.lower() for name, _ in self._headers}
        self._is_until_close = not names & {"content-length", "transfer-encoding"}
        self.code, self._is_headed = code, True
        self.head = orjson.dumps({"code": code, "headers": self._headers})

    def on_body(self, body: bytes) -> None:
        self._pieces.append(body)

    def on_message_complete(self) -> None:
        self._is_whole = self._is_headed

    def _parse(self, data: bytes) -> None:
        if self._parser is None:
            self._pieces.append(data)
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._parser = None
            if rest := data[upgrade.args[0] :]:
                self._pieces.append(rest)
        except httptools.HttpParserError as error:
            raise ServiceUnavailable(f"the answer is no HTTP: {error}") from None
        if self.code == 101:
            self._parser, self._is_whole = None, False

    async def read_head(self) -> None:
        size = 0
        while not self._is_headed:
            data = await self._reader.read(_READ_BYTES)
            size += len(data)
            if not data or size > _MAX_HEAD_BYTES:
                raise ServiceUnavailable("the connection broke before there was an answer")
            self._parse(data)

    # --- Connection

    async def read(self) -> bytes:
        while not self._pieces:
            if self._is_whole:
                return b""
            try:
                data = await self._reader.read(_READ_BYTES)
            except OSError as error:
                raise ServiceUnavailable(f"the connection broke: {_shown(error)}") from None
            if data:
                self._parse(data)
            elif self._parser is None or self._is_until_close:
                return b""
            else:
                raise ServiceUnavailable("the connection broke in the middle of the answer")
        pieces, self._pieces = self._pieces, []
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def write(self, data: bytes) -> None:
        if self._parser is not None:
            return  # it has answered, and does not speak another protocol
        try:
            self._writer.write(data)
            await self._writer.drain()
        except OSError as error:
            raise ServiceUnavailable(f"the connection broke: {_shown(error)}") from None

    async def close(self) -> None:
        self._writer.close()
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(_CLOSE_S):
                await self._writer.wait_closed()


def _shown(error: OSError) -> str:
    return error.strerror or str(error) or type(error).__name__
