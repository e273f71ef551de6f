"""A joined process against a whole shard in this process, over TLS."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import grpc.aio
import pytest

from kcp import certificates
from kcp import member as members
from kcp.certificates import Pair, Subject
from kcp.member import Member
from kcp.output import Refused
from kcp.renewal import renew
from kcpshard.options import parse
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc import shard_pb2_grpc
from kcpshard.rpc.placement_client import MapFollower
from kcpshard.rpc.transport import Dialler, TlsDirectory
from kcpshard.server import ShardServer

NOW = certificates.now_utc()
ALMOST = timedelta(days=300)  # of a year


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def write(directory: Path, pair: Pair, authority: Pair) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in (("tls.crt", pair.certificate), ("tls.key", pair.key), ("ca.crt", authority.certificate)):
        (directory / name).write_bytes(content)


class Installation:
    """A shard that lets others join, and the files of it and of a front that joined `age` ago."""

    def __init__(self, root: Path, age: timedelta) -> None:
        self.root, self.port, join = root, free_port(), free_port()
        self.authority = certificates.make_authority("internal", NOW - age)
        own = certificates.issue(self.authority, Subject("shard-1", unit="shard"), NOW - age, ["127.0.0.1"])
        write(root / "shard", own, self.authority)
        pki = root / "pki"
        pki.mkdir()
        (pki / "internal-ca.crt").write_bytes(self.authority.certificate)
        (pki / "internal-ca.key").write_bytes(self.authority.key)
        self.member = Member(root / "front", "front", "front-a", 0, "h:1", (f"127.0.0.1:{self.port}",))
        front = certificates.issue(self.authority, Subject("front-a", unit="front"), NOW - age)
        write(self.member.tls_directory, front, self.authority)
        members.save(self.member)
        sockets = [f"--{name}-socket={root}/{name}.sock" for name in ("front", "admin", "sync")]
        self.arguments = ["--number=1", "--engine=memory", *sockets, f"--listen=127.0.0.1:{self.port}"]
        self.arguments += [f"--tls-directory={root / 'shard'}"]
        self.joining = [f"--join-listen=127.0.0.1:{join}", f"--pki={pki}"]

    def certificate(self) -> bytes:
        return (self.member.tls_directory / "tls.crt").read_bytes()

    def left(self) -> timedelta:
        return certificates.time_left(self.certificate(), NOW)


@asynccontextmanager
async def shard(arguments: list[str]) -> AsyncIterator[ShardServer]:
    async with asyncio.TaskGroup() as tasks:
        server = ShardServer(parse(arguments), tasks)
        await server.start()
        try:
            yield server
        finally:
            await server.stop()


async def test_an_old_certificate_is_renewed_and_used(tmp_path: Path) -> None:
    made = Installation(tmp_path, ALMOST)
    dialler = Dialler(TlsDirectory(str(made.member.tls_directory)))
    async with shard([*made.arguments, *made.joining]), dialler(f"127.0.0.1:{made.port}") as channel:
        assert not dialler.is_outdated(channel)
        assert await asyncio.to_thread(renew, made.member)
        assert timedelta(days=364) < made.left() < timedelta(days=366)
        assert (made.member.tls_directory / "tls.crt").stat().st_mode & 0o777 == 0o600
        assert dialler.is_outdated(channel), "whoever connects again makes another"
        assert not await asyncio.to_thread(renew, made.member), "once is enough"
        follower = MapFollower(dialler, "front-a")
        maps = follower.follow(f"127.0.0.1:{made.port}", 0)
        assert (await anext(maps)).epoch > 0
        await maps.aclose()


async def test_a_young_one_stays(tmp_path: Path) -> None:
    made = Installation(tmp_path, timedelta(days=10))
    before = made.certificate()
    assert not renew(made.member)
    assert made.certificate() == before


async def test_what_is_in_the_way_is_told_and_leaves_the_old(tmp_path: Path) -> None:
    made = Installation(tmp_path, ALMOST)
    before = made.certificate()
    with pytest.raises(Refused, match="front-a"):
        await asyncio.to_thread(renew, made.member)
    async with shard(made.arguments):
        with pytest.raises(Refused, match="another shard lets processes join"):
            await asyncio.to_thread(renew, made.member)
    assert made.certificate() == before


async def test_a_shard_shows_its_renewed_certificate_to_new_connections(tmp_path: Path) -> None:
    made = Installation(tmp_path, timedelta(days=10))
    async with shard(made.arguments):
        stranger = certificates.make_authority("stranger", NOW)
        write(
            tmp_path / "shard", certificates.issue(stranger, Subject("x", unit="shard"), NOW, ["127.0.0.1"]), stranger
        )
        front = certificates.issue(stranger, Subject("front-b", unit="front"), NOW)
        write(tmp_path / "other", front, stranger)
        follower = MapFollower(Dialler(TlsDirectory(str(tmp_path / "other"))), "front-b")
        maps = follower.follow(f"127.0.0.1:{made.port}", 0)
        assert isinstance(await anext(maps), pb.ShardMap)
        await maps.aclose()


async def test_who_shows_no_certificate_gets_none(tmp_path: Path) -> None:
    made = Installation(tmp_path, timedelta(days=10))
    async with shard([*made.arguments, *made.joining]), Dialler(None)(f"unix:{tmp_path}/admin.sock") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await shard_pb2_grpc.ShardAdminStub(channel).Renew(pb.RenewRequest())  # type: ignore[no-untyped-call]
        assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
