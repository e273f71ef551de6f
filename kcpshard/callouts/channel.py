"""One https origin as one logical cluster calls it: the only importer of the HTTP client.

A channel dials addresses, never names: what was checked is what is dialled, and no second look-up can differ. The name
is in Host, in the TLS handshake, and is what the certificate must be for. Connections are kept for `KEEP_S` and are
used by this channel alone, so by one logical cluster with one CA bundle.
"""

import asyncio
import errno
import os
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from types import SimpleNamespace

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from kcpshard.callouts.answers import ANSWER_BYTES, Answer
from kcpshard.callouts.errors import InvalidTarget, Unreachable, UnusableAnswer
from kcpshard.callouts.upgraded import UpgradedConnection

KEEP_S = 30.0
_PIECE = 64 << 10
_DEFAULTS = {"Accept-Encoding": "identity", "User-Agent": "kcp"}
_DIALLING_S = 3.0  # of one address while there is another one to try


class Channel:
    """`name` is what the certificate must be for, `authority` what the Host header says. `calls` under way are
    counted by whoever uses it, who may `close` it when there are none."""

    def __init__(self, name: str, authority: str, port: int, trust: ssl.SSLContext) -> None:
        self._name, self._authority, self._port, self._trust = name, authority, port, trust
        self._session: aiohttp.ClientSession | None = None
        self._good = ""  # the address that answered last
        self.calls = 0

    async def send(
        self, method: str, addresses: Sequence[str], path: str, headers: Mapping[str, str], body: bytes
    ) -> Answer:
        """The whole answer, whatever its code. The caller sets the deadline. `addresses` are checked ones, not empty;
        `path` has its query.

        Raises Unreachable, UnusableAnswer, each without the URL.
        """
        found = await self.open(method, addresses, path, {**_DEFAULTS, **headers}, body)
        try:
            return await found.whole()
        finally:
            found.close()

    async def open(
        self,
        method: str,
        addresses: Sequence[str],
        path: str,
        headers: "Mapping[str, str] | CIMultiDict[str]",
        body: bytes,
        again: bool = True,
    ) -> "IncomingAnswer":
        """As `send`, but only until the head of the answer is there; to be closed by the caller. `again`: on a kept
        connection that turns out to be closed the request may be sent a second time."""
        ordered = sorted(addresses, key=lambda address: address != self._good)
        for place, address in enumerate(ordered):
            try:
                async with asyncio.timeout(_DIALLING_S if place + 1 < len(ordered) else None) as dialling:
                    answer = await self._open(method, address, path, headers, body, dialling, again)
            except (_NotConnected, TimeoutError) as error:
                if place + 1 == len(ordered):
                    if isinstance(error, TimeoutError):
                        raise
                    raise Unreachable(str(error)) from None
            else:
                self._good = address
                return answer
        raise AssertionError("no addresses")

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _open(
        self,
        method: str,
        address: str,
        path: str,
        headers: "Mapping[str, str] | CIMultiDict[str]",
        body: bytes,
        dialling: asyncio.Timeout,
        again: bool,
    ) -> "IncomingAnswer":
        for _ in range(2):
            trace = SimpleNamespace(dialling=dialling, reused=False)
            try:
                return await self._once(method, address, path, headers, body, trace)
            except aiohttp.ServerDisconnectedError:
                # The other side closed a kept connection while we took it up: nothing was answered on it.
                if not trace.reused or not again:
                    raise Unreachable("EOF") from None
            except aiohttp.ClientConnectorCertificateError as error:
                raise Unreachable(_certificate_fault(error.certificate_error, self._name)) from None
            except aiohttp.ClientConnectorSSLError as error:
                raise Unreachable(_tls_fault(error)) from None
            except aiohttp.ClientConnectorError as error:
                raise _NotConnected(self._dial_fault(address, error.os_error)) from None
            except aiohttp.ClientOSError as error:
                raise Unreachable(_broken(error)) from None
            except aiohttp.ClientResponseError as error:
                raise UnusableAnswer(f"malformed HTTP response: {error.message}") from None
        raise Unreachable("EOF")

    async def _once(
        self,
        method: str,
        address: str,
        path: str,
        headers: "Mapping[str, str] | CIMultiDict[str]",
        body: bytes,
        trace: SimpleNamespace,
    ) -> "IncomingAnswer":
        if self._session is None:
            self._session = self._opened()
        host = f"[{address}]" if ":" in address else address
        made = CIMultiDict(headers)
        made["Host"] = self._authority
        try:
            response = await self._session.request(
                method,
                URL(f"https://{host}:{self._port}{path}", encoded=True),
                data=body or None,
                headers=made,
                skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
                ssl=self._trust,
                server_hostname=self._name,
                allow_redirects=False,
                trace_request_ctx=trace,
            )
        except _Broke as broke:
            raise broke.error from None
        return IncomingAnswer(response)

    def _opened(self) -> aiohttp.ClientSession:
        trace = aiohttp.TraceConfig()
        trace.on_connection_reuseconn.append(_note_reuse)
        trace.on_connection_create_end.append(_note_connected)
        trace.on_connection_reuseconn.append(_note_connected)
        return aiohttp.ClientSession(
            # limit: the callers are counted already. No proxy of the environment, no cookies, no names looked up.
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_S, resolver=_NoNames(), ssl=self._trust),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
            auto_decompress=False,
            trust_env=False,
            middlewares=(_sent_once,),
            trace_configs=[trace],
        )

    def _dial_fault(self, address: str, error: OSError) -> str:
        if not error.errno:  # connected, and cut off in the middle of the handshake
            return "EOF"
        shown = f"[{address}]" if ":" in address else address
        reason = os.strerror(error.errno).lower()
        return f"dial tcp {shown}:{self._port}: connect: {reason}"


class IncomingAnswer:
    """An `Incoming`."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.code = response.status
        self.headers = list(response.headers.items())
        self._is_upgraded = response.status == 101  # nothing else can come on its connection

    async def pieces(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._response.content.iter_any():
                for start in range(0, len(piece), _PIECE):
                    yield piece[start : start + _PIECE]
        except (aiohttp.ClientPayloadError, aiohttp.ClientOSError) as error:
            raise Unreachable(_broken(error)) from None

    async def whole(self) -> Answer:
        response = self._response
        if response.headers.get("Content-Encoding", "identity") not in ("", "identity"):
            raise UnusableAnswer("the answer is compressed, which was not asked for")
        found = {name.lower(): value for name, value in response.headers.items()}
        try:
            return Answer(response.status, found, await _read(response))
        except (aiohttp.ClientPayloadError, aiohttp.ClientOSError) as error:
            raise Unreachable(_broken(error)) from None

    def upgraded(self) -> UpgradedConnection:
        """After a 101: the connection without HTTP. Raises Unreachable if it has ended already."""
        connection = self._response.connection
        if connection is None or connection.protocol is None or connection.transport is None:
            raise Unreachable("unexpected EOF")
        early = _Early()
        connection.protocol.set_parser(early, early)
        return UpgradedConnection(connection.transport, early.data)

    def close(self) -> None:
        """A connection whose answer was read to its end is kept."""
        if self._is_upgraded:
            self._response.close()
        elif self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()


class _Early:
    """What the HTTP client has read behind the head of a 101."""

    def __init__(self) -> None:
        self.data = b""

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        self.data += data
        return False, b""

    def feed_eof(self) -> None:
        pass

    def set_exception(self, *_: object) -> None:
        pass

    def is_eof(self) -> bool:
        return True


class _Broke(aiohttp.ClientError):
    def __init__(self, error: aiohttp.ClientOSError | aiohttp.ServerDisconnectedError) -> None:
        super().__init__("the connection broke")
        self.error = error


async def _sent_once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """aiohttp sends GET, PUT and DELETE again by itself when a connection breaks, also if they may have been carried
    out. Whether to send again is for the channel to decide."""
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise _Broke(error) from None


class _NotConnected(Exception):
    """The next address may do better."""


class _NoNames(aiohttp.abc.AbstractResolver):
    """Names are resolved, and their addresses checked, before a channel hears of them."""

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> "list[aiohttp.abc.ResolveResult]":
        raise OSError(f"{host} was not resolved before")

    async def close(self) -> None:
        pass


async def _note_reuse(_session: object, context: SimpleNamespace, _params: object) -> None:
    context.trace_request_ctx.reused = True


async def _note_connected(_session: object, context: SimpleNamespace, _params: object) -> None:
    """From here on only the call's own deadline counts."""
    context.trace_request_ctx.dialling.reschedule(None)


async def _read(response: aiohttp.ClientResponse) -> bytes:
    pieces, size = [], 0
    async for piece in response.content.iter_chunked(_PIECE):
        size += len(piece)
        if size > ANSWER_BYTES:
            response.close()
            raise UnusableAnswer(f"the answer is larger than {ANSWER_BYTES} bytes")
        pieces.append(piece)
    return b"".join(pieces)


# --- trust


def show(context: ssl.SSLContext, pair: bytes) -> None:
    """Have servers that ask shown this certificate: PEM, with its key. The file that OpenSSL wants is in memory."""
    descriptor = os.memfd_create("certificate")
    try:
        os.write(descriptor, pair)
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)


def trust(bundle: bytes, insecure: bool = False) -> ssl.SSLContext:
    """What a server's certificate is judged by; without a bundle the machine's roots. Raises InvalidTarget.

    Any certificate of the bundle is an anchor, as in Go: also an intermediate or the server's own.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.hostname_checks_common_name = False
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if not bundle:
        context.load_default_certs()
        return context
    try:
        context.load_verify_locations(cadata=bundle.decode("ascii"))
    except (ssl.SSLError, ValueError):
        raise InvalidTarget("unable to load root certificates: unable to parse bytes as PEM block") from None
    return context


# --- faults in Go's words

_UNKNOWN_ISSUER = frozenset((2, 18, 19, 20, 21, 24))  # X509_V_ERR_…
_NOT_YET_VALID, _EXPIRED, _OTHER_NAME, _OTHER_ADDRESS = 9, 10, 62, 64


def _certificate_fault(error: Exception, host: str) -> str:
    code = getattr(error, "verify_code", 0)
    start = "tls: failed to verify certificate: x509: "
    if code in _UNKNOWN_ISSUER:
        return f"{start}certificate signed by unknown authority"
    if code in (_NOT_YET_VALID, _EXPIRED):
        return f"{start}certificate has expired or is not yet valid"
    if code in (_OTHER_NAME, _OTHER_ADDRESS):
        return f"{start}certificate is not valid for {host}"
    return f"{start}{getattr(error, 'verify_message', '') or error}"


def _tls_fault(error: aiohttp.ClientConnectorSSLError) -> str:
    reason = getattr(error.os_error, "reason", "") or str(error.os_error)
    if reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST"):
        return "http: server gave HTTP response to HTTPS client"
    return f"tls: {str(reason).replace('_', ' ').lower()}"


def _broken(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno == errno.ECONNRESET:
        return "read: connection reset by peer"
    return "unexpected EOF"
