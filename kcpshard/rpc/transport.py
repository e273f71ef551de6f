"""How processes of an installation connect: channel and server options, TLS files, addresses.

Addresses are "unix:/path/front.sock" or "host:port"; the latter always with TLS, both sides showing a certificate. A
shard that listens on both has both in the map, separated by a space: a process with TLS files takes the network
address, one without them lives on the shard's machine and takes the socket.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple
from weakref import WeakKeyDictionary

import grpc
import grpc.aio

MAX_MESSAGE_BYTES = 4 * 1024 * 1024  # ours stay under 1 MiB; anything above this ends the call, not the process

_KEEPALIVE = (
    # A peer that died without a word is noticed within 15 s: a ping after 10 s of silence, 5 s for its answer.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
)
CHANNEL_OPTIONS = (
    *_KEEPALIVE,
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    # A restart of a shard takes about a second: look for it often, but without end.
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 1_000),
    ("grpc.max_reconnect_backoff_ms", 500),
    # Two channels to one address are two connections: a large answer on one must not hold up the other.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),
    # Our batches are built and counted by us; retries and their buffers would be wasted.
    ("grpc.enable_retries", 0),
)
SERVER_OPTIONS = (
    *_KEEPALIVE,
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 4_000),
    ("grpc.so_reuseport", 0),  # an occupied port is an error
)
MAX_SOCKET_PATH = 107  # sun_path of Linux less its final zero


class TlsFiles(NamedTuple):
    """A process's certificate, key and the internal CA, PEM."""

    certificate: bytes
    key: bytes
    authority: bytes


class TlsDirectory:
    """The files as they are now: a renewed certificate is used for every connection made from then on."""

    def __init__(self, directory: str) -> None:
        """Raises OSError."""
        self._paths = [Path(directory) / name for name in ("tls.crt", "tls.key", "ca.crt")]
        self._files = TlsFiles(*(path.read_bytes() for path in self._paths))
        self._stamp = self.stamp()

    def stamp(self) -> tuple[tuple[int, int], ...]:
        """Another one once the files are others. Raises OSError."""
        found = [path.stat() for path in self._paths]
        return tuple((stat.st_mtime_ns, stat.st_ino) for stat in found)

    def files(self) -> TlsFiles:
        """What cannot be read leaves the old in use."""
        with suppress(OSError):
            stamp = self.stamp()
            if stamp != self._stamp:
                self._files = TlsFiles(*(path.read_bytes() for path in self._paths))
                self._stamp = stamp
        return self._files


Tls = TlsFiles | TlsDirectory


def read_tls_directory(directory: str) -> TlsFiles:
    return TlsDirectory(directory).files()


def files_of(tls: Tls) -> TlsFiles:
    return tls.files() if isinstance(tls, TlsDirectory) else tls


def is_unix(address: str) -> bool:
    return address.startswith("unix:")


def choose(address: str, tls: bool) -> str:
    """One of the alternatives of an address in the map. Raises ValueError where we have no way to any."""
    found = sorted(address.split(), key=is_unix, reverse=not tls)
    if not found:
        raise ValueError("a shard has no address in the map")
    if not is_unix(found[0]) and not tls:
        raise ValueError(f"{found[0]} needs a certificate of this installation: start with --tls-directory")
    return found[0]


def dial(address: str, tls: Tls | None) -> grpc.aio.Channel:
    """A new channel; it connects when it is used, always with the certificate of this moment. Raises ValueError as
    `choose` does."""
    keep_poller()
    address = choose(address, tls is not None)
    if tls is None or is_unix(address):
        return grpc.aio.insecure_channel(address, CHANNEL_OPTIONS)
    files = files_of(tls)
    credentials = grpc.ssl_channel_credentials(files.authority, files.key, files.certificate)
    return grpc.aio.secure_channel(address, credentials, CHANNEL_OPTIONS)


@cache
def keep_poller() -> None:
    """Have gRPC poll until this process ends. Otherwise it joins its poller when the last channel goes; if the
    collector of garbage comes upon that channel before it has come to a call that was given up, that never returns."""
    grpc.aio.init_grpc_aio()


class Dialler:
    """Channels of one process, and whether one made earlier shows a certificate that has been replaced since."""

    def __init__(self, tls: Tls | None) -> None:
        self._tls = tls
        self._made: WeakKeyDictionary[grpc.aio.Channel, TlsFiles | None] = WeakKeyDictionary()

    def __call__(self, address: str) -> grpc.aio.Channel:
        """Raises ValueError as `choose` does."""
        channel = dial(address, self._tls)
        self._made[channel] = self._newest()
        return channel

    def is_outdated(self, channel: grpc.aio.Channel) -> bool:
        return bool(self._made.get(channel) != self._newest())

    def _newest(self) -> TlsFiles | None:
        return files_of(self._tls) if self._tls is not None else None


def _nobody() -> bytes:
    return b""


def listen(
    server: grpc.aio.Server,
    address: str,
    tls: Tls | None = None,
    ask_certificate: bool = True,
    also: Callable[[], bytes] = _nobody,
) -> None:
    """Raises OSError with a sentence if the address cannot be listened on. `also`: PEM of further authorities whose
    certificates callers may show, asked before each handshake on a thread of gRPC's.

    Without `ask_certificate` the server proves itself but anybody may call (joining); with it every caller has a
    certificate of the internal CA. Unix sockets are for the owner only.
    """
    try:
        if is_unix(address):
            _listen_on_socket(server, address.removeprefix("unix:"))
        elif tls is None:
            raise ValueError(f"{address} needs a certificate")
        else:
            server.add_secure_port(address, _server_credentials(tls, ask_certificate, also))
    except RuntimeError as error:
        raise OSError(f"cannot listen on {address}: the address is in use or not of this machine") from error


def _server_credentials(tls: Tls, ask_certificate: bool, also: Callable[[], bytes]) -> grpc.ServerCredentials:
    def configuration(files: TlsFiles, others: bytes) -> grpc.ServerCertificateConfiguration:
        authority = files.authority + others if ask_certificate else None
        return grpc.ssl_server_certificate_configuration([(files.key, files.certificate)], authority)

    in_use = files_of(tls), also()

    def newer() -> grpc.ServerCertificateConfiguration | None:
        """Asked by gRPC before each handshake, on a thread of its own."""
        nonlocal in_use
        found = files_of(tls), also()
        if found == in_use:
            return None
        in_use = found
        return configuration(*found)

    return grpc.dynamic_ssl_server_credentials(configuration(*in_use), newer, ask_certificate)


def _listen_on_socket(server: grpc.aio.Server, path: str) -> None:
    if len(os.fsencode(path)) > MAX_SOCKET_PATH:
        raise OSError(f"the path of a unix socket has at most {MAX_SOCKET_PATH} bytes: {path}")
    Path(path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    server.add_insecure_port(f"unix:{path}")
    # gRPC makes the file with the process's umask; a socket bound but not yet served by us answers nobody.
    Path(path).chmod(0o600)
