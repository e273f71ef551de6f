"""The listening socket: accepts as long as there are file descriptors, changes certificates without a gap."""

import asyncio
import logging
import os
import resource
import socket
import ssl
from collections.abc import Callable

from kcpfront.metrics import Metrics
from kcpfront.settings import Settings

_log = logging.getLogger(__name__)


# How long a closed connection stays for its client's goodbye: an idle one says none, and a drain waits for all.
_SHUTDOWN_S = 1.0


class ListenError(Exception):
    """The address cannot be listened on; the text is one sentence for the operator."""


def bind(host: str, port: int, reuse_port: bool, backlog: int) -> socket.socket:
    """A bound, listening socket. Raises ListenError."""
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if reuse_port:
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            _find_dead_clients(listening)
            listening.bind(address)
            listening.listen(backlog)
        except OSError:
            listening.close()
            raise
    except OSError as error:
        raise ListenError(f"cannot listen on {host}:{port}: {error.strerror or error}") from error
    listening.setblocking(False)
    return listening


def _find_dead_clients(listening: socket.socket) -> None:
    """Connections inherit these: a client that vanished without a word is noticed within a minute and a half."""
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, option):
            listening.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


def raise_descriptor_limit() -> int:
    """As many as the system allows; returns how many."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


class Listener:
    """accepting ⇄ paused (no descriptor left) → closed. Waiting connections stay in the kernel's backlog meanwhile."""

    def __init__(
        self,
        listening: socket.socket,
        factory: Callable[[], asyncio.BaseProtocol],
        settings: Settings,
        metrics: Metrics,
    ) -> None:
        self._socket, self._factory = listening, factory
        self._settings, self._metrics = settings, metrics
        self._loop = asyncio.get_running_loop()
        self._context: ssl.SSLContext | None = None
        self._server: asyncio.Server | None = None
        self._paused = self._closed = False
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        port: int = self._socket.getsockname()[1]
        return port

    @property
    def paused(self) -> bool:
        return self._paused

    async def start(self, context: ssl.SSLContext | None) -> None:
        """Accept connections, new ones with this context from now on."""
        self._context = context
        if not self._paused and not self._closed:
            await self._accept()

    async def _accept(self) -> None:
        old = self._server
        timeout = self._settings.handshake_s if self._context is not None else None
        self._server = await self._loop.create_server(
            self._made,
            sock=self._socket.dup(),  # closing a server closes its socket; ours stays, and with it the backlog
            ssl=self._context,
            ssl_handshake_timeout=timeout,
            ssl_shutdown_timeout=_SHUTDOWN_S if self._context is not None else None,
            backlog=self._settings.backlog,
        )
        if old is not None:
            old.close()

    def _made(self) -> asyncio.BaseProtocol:
        if not self._paused and not _descriptors_left(self._settings.reserved_descriptors):
            self._paused = True
            self._metrics.accept_pauses += 1
            _log.error("no file descriptors left: accepting no connections until some are closed")
            self._loop.call_soon(self._pause)
        return self._factory()

    def _pause(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()
        self._loop.call_later(self._settings.accept_pause_s, self._try_again)

    def _try_again(self) -> None:
        if self._closed:
            return
        if not _descriptors_left(2 * self._settings.reserved_descriptors):
            self._loop.call_later(self._settings.accept_pause_s, self._try_again)
            return
        self._paused = False
        task = self._loop.create_task(self._accept())  # a server can only be made by awaiting
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        self._closed = True
        if self._server is not None:
            self._server.close()
        self._socket.close()


def _descriptors_left(reserve: int) -> bool:
    """Whether more than `reserve` can still be opened: the lowest free number tells, without counting."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        probe = os.dup(0)
    except OSError:
        return False
    os.close(probe)
    return probe < limit - reserve
