"""`kcp shard --join` and `kcp front --join` against the real bootstrap service; the processes only pretend."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import grpc.aio
import pytest

from kcp import certificates, credentials, installation
from kcp.installation import Installation
from kcpshard.bootstrap.authority import Authority
from kcpshard.bootstrap.token_file import TokenFile
from kcpshard.bootstrap_service import BootstrapService
from kcpshard.rpc import shard_pb2 as pb
from kcpshard.rpc import shard_pb2_grpc, transport

FAKE = Path(__file__).with_name("fake_program.py")
SCRIPT = f"""
import sys, kcp.join
kcp.join.PYTHON = (sys.executable, {str(FAKE)!r}, "-m")
from kcp.__main__ import main
main(prog_name="kcp")
"""


class Keeper:
    """Hands out number 4."""

    async def reserve(self, name: str) -> tuple[int, str]:
        return 4, name or "shard-4"


@dataclass
class Site:
    """An installation whose first shard lets others join at `server`."""

    made: Installation
    server: str
    place: Path

    def token(self, role: str) -> str:
        authority = certificates.fingerprint((self.made.pki / "internal-ca.crt").read_bytes())
        tokens = TokenFile(self.made.pki / "join-tokens")
        return tokens.create(authority, (role,), certificates.now_utc(), timedelta(hours=1))

    async def run(self, role: str, *options: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", SCRIPT, role, "--root-directory", str(self.place), *options),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=os.environ | {"KCP_FAKE_JOURNAL": str(self.made.root / "journal")},
        )

    async def refusal(self, role: str, *options: str) -> str:
        process = await self.run(role, *options)
        output, errors = await asyncio.wait_for(process.communicate(), 60)
        assert (process.returncode, output) == (1, b""), errors
        return errors.decode()

    async def ready(self, role: str, *options: str) -> asyncio.subprocess.Process:
        process = await self.run(role, *options)
        assert process.stdout and process.stderr
        line = await asyncio.wait_for(process.stdout.readline(), 60)
        assert b" is ready on " in line, await process.stderr.read()
        return process

    async def serves(self, role: str, *options: str) -> None:
        """It becomes ready, and stops when asked."""
        process = await self.ready(role, *options)
        process.send_signal(signal.SIGTERM)
        _, errors = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode == 0, errors


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    made = replace(installation.plan(tmp_path / "first", 1), internal_listen="127.0.0.1:1")
    made.root.mkdir()
    credentials.make(made, "https://127.0.0.1:6443", [])
    port = free_port()
    shards = [pb.ShardEntry(number=1, address="unix:/x 10.0.0.1:7444", admin_address="unix:/y 10.0.0.1:7444")]
    maps = SimpleNamespace(current=pb.ShardMap(epoch=1, shards=shards))
    authority = Authority((made.pki / "internal-ca.crt").read_bytes(), (made.pki / "internal-ca.key").read_bytes())
    tokens = TokenFile(made.pki / "join-tokens")

    def front_files() -> Mapping[str, bytes]:
        names = ("serving-ca.crt", "serving-ca.key", "client-ca.crt")
        return {name: (made.pki / name).read_bytes() for name in names} | {"tokens.csv": made.token_file.read_bytes()}

    service = BootstrapService(authority, tokens, cast(Any, maps), Keeper().reserve, front_files, certificates.now_utc)
    server = grpc.aio.server()
    shard_pb2_grpc.add_ShardBootstrapServicer_to_server(service, server)
    tls = transport.read_tls_directory(str(made.tls_directory("shard-1")))
    transport.listen(server, f"127.0.0.1:{port}", tls, ask_certificate=False)
    await server.start()
    yield Site(made, f"127.0.0.1:{port}", tmp_path / "second")
    await server.stop(None)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


async def test_a_shard_joins_once_and_then_starts_by_itself(site: Site) -> None:
    listen = f"127.0.0.1:{free_port()}"
    await site.serves("shard", "--join", site.token("shard"), "--server", site.server, "--listen", listen)
    document = json.loads((site.place / "member.json").read_text())
    assert (document["name"], document["number"], document["shards"]) == ("shard-4", 4, ["10.0.0.1:7444"])
    certificate = (site.place / "tls" / "tls.crt").read_bytes()
    assert certificates.certificate_hosts(certificate) == ["127.0.0.1"]
    for path in (each for each in site.place.rglob("*") if each.is_file()):
        assert path.stat().st_mode & 0o077 == 0, path
    await site.serves("shard")
    assert (site.place / "tls" / "tls.crt").read_bytes() == certificate


async def test_a_front_gets_what_it_needs_and_makes_its_own_serving_certificate(site: Site) -> None:
    listen = f"127.0.0.1:{free_port()}"
    await site.serves("front", "--join", site.token("front"), "--server", site.server, "--listen", listen)
    assert (site.place / "tokens.csv").read_bytes() == site.made.token_file.read_bytes()
    assert "localhost" in certificates.certificate_hosts((site.place / "pki" / "serving.crt").read_bytes())
    moved = f"127.0.0.1:{free_port()}"
    await site.serves("front", "--listen", moved)
    assert json.loads((site.place / "member.json").read_text())["listen"] == moved


async def test_the_wrong_token_leaves_nothing_behind(site: Site) -> None:
    options = ("--server", site.server, "--listen", f"127.0.0.1:{free_port()}")
    id_, _, digest = site.token("shard").split(".")
    assert "cannot join: the join token is not valid" in await site.refusal(
        "shard", "--join", f"{id_}.guess.{digest}", *options
    )
    assert not site.place.exists()


async def test_a_token_of_another_installation_is_not_shown_to_this_one(site: Site) -> None:
    id_, secret, _ = site.token("shard").split(".")
    token = f"{id_}.{secret}.{'0' * 64}"
    options = ("--server", site.server, "--listen", f"127.0.0.1:{free_port()}")
    assert "does not belong to the installation" in await site.refusal("shard", "--join", token, *options)


async def test_the_first_time_everything_is_needed(site: Site) -> None:
    assert "has not joined yet: --join, --server and --listen are needed" in await site.refusal("shard")
    assert not site.place.exists()


async def test_nobody_there(site: Site) -> None:
    options = ("--server", f"127.0.0.1:{free_port()}", "--listen", f"127.0.0.1:{free_port()}")
    assert "cannot join: cannot connect" in await site.refusal("shard", "--join", site.token("shard"), *options)


async def test_a_shard_cannot_move(site: Site) -> None:
    listen = f"127.0.0.1:{free_port()}"
    await site.serves("shard", "--join", site.token("shard"), "--server", site.server, "--listen", listen)
    assert f"joined with the address {listen}" in await site.refusal("shard", "--listen", "127.0.0.1:1")


async def test_an_occupied_port_does_not_use_the_token_up(site: Site) -> None:
    token, join = site.token("shard"), ("--server", site.server, "--listen")
    with socket.create_server(("127.0.0.1", 0)) as other:
        listen = f"127.0.0.1:{other.getsockname()[1]}"
        assert "is in use by another program" in await site.refusal("shard", "--join", token, *join, listen)
    await site.serves("shard", "--join", token, *join, listen)


async def test_a_second_process_in_the_directory_is_refused(site: Site) -> None:
    listen = f"127.0.0.1:{free_port()}"
    process = await site.ready("shard", "--join", site.token("shard"), "--server", site.server, "--listen", listen)
    assert f"is in use by process {process.pid}" in await site.refusal("shard")
    process.send_signal(signal.SIGTERM)
    await process.communicate()
