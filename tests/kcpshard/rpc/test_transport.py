"""Addresses, alternatives, and what listening says when it cannot."""

import socket
import stat
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import grpc.aio
import pytest

from kcpshard.rpc.transport import Dialler, TlsDirectory, TlsFiles, choose, dial, listen, read_tls_directory

BOTH = "unix:/run/front.sock 10.0.0.1:7000"


@pytest.fixture
def directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir="/tmp") as found:
        yield Path(found)


@pytest.fixture
async def server() -> AsyncIterator[grpc.aio.Server]:
    made = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
    yield made
    await made.stop(None)


@pytest.mark.parametrize(
    ("address", "tls", "chosen"),
    [
        pytest.param("unix:/a", False, "unix:/a", id="socket"),
        pytest.param("unix:/a", True, "unix:/a", id="socket with tls files at hand"),
        pytest.param("h:1", True, "h:1", id="network"),
        pytest.param(BOTH, True, "10.0.0.1:7000", id="both: with tls the network"),
        pytest.param(BOTH, False, "unix:/run/front.sock", id="both: without tls the socket"),
    ],
)
def test_choice_of_an_address(address: str, tls: bool, chosen: str) -> None:
    assert choose(address, tls) == chosen


async def test_the_network_needs_certificates(server: grpc.aio.Server) -> None:
    with pytest.raises(ValueError, match="--tls-directory"):
        dial("h:1", None)
    with pytest.raises(ValueError, match="no address"):
        dial("", None)
    with pytest.raises(ValueError, match="certificate"):
        listen(server, "127.0.0.1:1")


async def test_a_socket_is_for_its_owner(directory: Path, server: grpc.aio.Server) -> None:
    listen(server, f"unix:{directory}/run/front.sock")
    assert stat.S_IMODE((directory / "run" / "front.sock").stat().st_mode) == 0o600
    assert stat.S_IMODE((directory / "run").stat().st_mode) == 0o700
    await server.start()


async def test_a_long_path_is_refused_with_its_limit(directory: Path, server: grpc.aio.Server) -> None:
    with pytest.raises(OSError, match="107"):
        listen(server, f"unix:{directory}/{'x' * 120}")


async def test_an_occupied_port_is_named(directory: Path, server: grpc.aio.Server) -> None:
    from kcp.certificates import Subject, issue, make_authority, now_utc

    authority = make_authority("internal", now_utc())
    pair = issue(authority, Subject("shard-1", unit="shard"), now_utc(), ("127.0.0.1",))
    for name, content in (("ca.crt", authority.certificate), ("tls.crt", pair.certificate), ("tls.key", pair.key)):
        (directory / name).write_bytes(content)
    tls = read_tls_directory(str(directory))
    assert tls == TlsFiles(pair.certificate, pair.key, authority.certificate)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(OSError, match=f"cannot listen on {address}"):
            listen(server, address, tls)


def test_files_are_read_again_once_they_are_others(directory: Path) -> None:
    for name in ("tls.crt", "tls.key", "ca.crt"):
        (directory / name).write_text(name)
    found = TlsDirectory(str(directory))
    first = found.files()
    assert first == TlsFiles(b"tls.crt", b"tls.key", b"ca.crt") == read_tls_directory(str(directory))
    assert found.files() is first
    (directory / "new").write_text("renewed")
    (directory / "new").rename(directory / "tls.crt")
    assert found.files() == TlsFiles(b"renewed", b"tls.key", b"ca.crt")
    (directory / "ca.crt").unlink()
    assert found.files().certificate == b"renewed", "what cannot be read leaves the old in use"


async def test_a_channel_to_a_socket_is_never_outdated() -> None:
    dialler = Dialler(None)
    async with dialler("unix:/nowhere") as channel:
        assert not dialler.is_outdated(channel)
