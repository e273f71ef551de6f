"""`make attack`: everything here against two fronts and three shards, and a hole planted in each tier that it finds.

--examples N  attacks of each credential on the plain path [all of them]; --spelled N: on each other spelling [6]
--only PART   http, grpc, strain, holes; --seed N
"""

import argparse
import asyncio
import os
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson
import yaml

from kcp.certificates import Pair, make_authority, now_utc
from kcpshard.api.slots import decode_table, slot_of
from tests.attack import processes, strain
from tests.attack.plants import sitecustomize
from tests.attack.suite import Names, Siege, Site
from tests.clients.tier import Tier
from tests.contracts.webhook_server import Asked, Reply, json_reply, webhook_server
from tests.kcpfront.issuer import LocalIssuer

PARTS = ("http", "grpc", "strain", "holes")
SHARDS = 3
_HOOK_TOKEN = "hook-token-of-eve"
_SHOWN = 20


class Vouchers:
    """Others that vouch for tokens: an OpenID Connect provider and an authentication webhook, in a thread."""

    def __init__(self) -> None:
        self._issuer = LocalIssuer()
        self._ready, self._stop = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def __enter__(self) -> "Vouchers":
        self._thread.start()
        self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        async with webhook_server(self._answer) as server:
            self._issuer.server = server
            self._ready.set()
            await self._stop.wait()

    def _answer(self, asked: Asked) -> Reply:
        if asked.path.partition("?")[0] != "/hook":
            return self._issuer.answer(asked)
        good = asked.json["spec"]["token"] == _HOOK_TOKEN
        status = {"authenticated": True, "user": {"username": "hook:eve"}} if good else {"authenticated": False}
        return json_reply({"apiVersion": asked.json["apiVersion"], "kind": "TokenReview", "status": status})

    def tokens(self) -> tuple[tuple[str, str], ...]:
        return (("oidc", self._issuer.token(sub="eve", exp=int(time.time()) + 86_400)), ("hook", _HOOK_TOKEN))

    def options(self, directory: Path) -> Sequence[str]:
        """Of `kcp start`."""
        config, hook, proxies = directory / "oidc.yaml", directory / "hook.yaml", directory / "proxies.crt"
        config.write_bytes(orjson.dumps(self._issuer.document()))
        bundle = directory / "bundle.crt"
        bundle.write_bytes(self._issuer.server.bundle)
        cluster = {"server": self._issuer.server.url("/hook"), "certificate-authority": str(bundle)}
        document = {
            "clusters": [{"name": "hook", "cluster": cluster}],
            "contexts": [{"name": "hook", "context": {"cluster": "hook", "user": ""}}],
            "current-context": "hook",
        }
        hook.write_text(yaml.safe_dump(document))
        proxies.write_bytes(make_authority("proxies", now_utc()).certificate)
        said = {
            "--authentication-config": config,
            "--authentication-token-webhook-config-file": hook,
            "--requestheader-client-ca-file": proxies,
        }
        headers = ("--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group")
        return [*(f"{name}={value}" for name, value in said.items()), *headers]


class Ground:
    """A tier of processes with everything that could let somebody in."""

    def __init__(self, tier: Tier, internal_port: int, vouchers: Vouchers) -> None:
        self.tier, self._internal_port = tier, internal_port
        pki = tier.root / "pki"
        self.internal = Pair((pki / "internal-ca.crt").read_bytes(), (pki / "internal-ca.key").read_bytes())
        client = Pair((pki / "client-ca.crt").read_bytes(), (pki / "client-ca.key").read_bytes())
        user = yaml.safe_load(tier.kubeconfig.read_text())["users"][0]["user"]
        port = int(tier.server.rpartition(":")[2])
        self.site = Site(port, (pki / "serving-ca.crt").read_text(), client, user["token"], vouchers.tokens())

    def networks(self) -> Sequence[str]:
        """The join listener's address, then the shards'."""
        return [f"127.0.0.1:{self._internal_port + number}" for number in range(SHARDS + 1)]

    def names(self) -> Sequence[Names]:
        """A victim on the attacker's shard, one on another, and one more on the attacker's for what takes strength; a
        phantom is always where its victim is."""
        table = decode_table(asyncio.run(processes.map_for("front", self.internal, self.networks()[1])).slots)
        on: dict[int, list[str]] = {}
        for number in range(1000, 1200):
            on.setdefault(table[slot_of(f"tenant-{number}")], []).append(f"tenant-{number}")
        first, second = sorted(on)[:2]
        return [Names(*on[first][:3]), Names(on[first][3], *on[second][:2]), Names(*on[first][4:7])]


@contextmanager
def ground(hole: str = "") -> Iterator[Ground]:
    with TemporaryDirectory(prefix="kcp-attack-") as directory, Vouchers() as vouchers, _planted(hole):
        port = _free_ports(SHARDS + 1)
        options = ["--shards", str(SHARDS), "--fronts", "2", "--api-set", "full"]
        options += ["--internal-listen", f"127.0.0.1:{port}", *vouchers.options(Path(directory))]
        tier = Tier(Path(directory) / "kcp", *options)
        tier.start()
        try:
            yield Ground(tier, port, vouchers)
            assert not tier.has_traceback(), tier.log()
        finally:
            tier.stop()
            tier.kill()


@contextmanager
def _planted(hole: str) -> Iterator[None]:
    if hole:
        os.environ.update(KCP_PLANTED_HOLE=hole, PYTHONPATH=str(Path(sitecustomize.__file__).parent))
    try:
        yield
    finally:
        if hole:
            del os.environ["KCP_PLANTED_HOLE"], os.environ["PYTHONPATH"]


def _free_ports(count: int) -> int:
    """The first of `count` that nobody uses now; below those that connections are given, which come and go."""
    import socket

    for _ in range(50):
        first = random.randrange(20_000, 32_000)
        try:
            for port in range(first, first + count):
                with socket.socket() as tried:
                    tried.bind(("127.0.0.1", port))
        except (OSError, OverflowError):
            continue
        return first
    raise SystemExit("no ports are free")


def over_http(where: Ground, names: Names, arguments: argparse.Namespace) -> Iterator[str]:
    siege = Siege(where.site, names)
    try:
        randomness = random.Random(arguments.seed)
        for breach in siege.attack(randomness, arguments.examples, arguments.spelled):
            yield str(breach)
        print(f"  {names.victim}: {siege.asked} attacks with {len(siege.credentials)} credentials")
    finally:
        siege.close()


def between_processes(where: Ground, least: int = 1) -> Iterator[str]:
    sockets = where.tier.root / "run"
    callers = [*processes.callers(where.internal, where.site.client_authority, where.networks(), sockets)]
    asked, opened = asyncio.run(processes.attack(callers))
    yield from map(str, opened)
    for role in ("front", "admin"):
        told = asyncio.run(processes.map_for(role, where.internal, where.networks()[1]))
        if any(key.private_key for key in told.keys):
            yield f"a {role} is told private keys with the map"
    if asked < least:
        yield f"only {asked} calls were made"
    print(f"  {asked} calls by {len(callers)} callers")


def under_strain(where: Ground, names: Names) -> Iterator[str]:
    siege = Siege(where.site, names)
    try:
        for attempt in (strain.counting, strain.timing, strain.blocking):
            yield from attempt(siege)
    finally:
        siege.close()


def holes(arguments: argparse.Namespace) -> Iterator[str]:
    """Those that are not found."""
    few = argparse.Namespace(seed=arguments.seed, examples=8, spelled=1)
    for hole in sitecustomize.HOLES:
        with ground(hole) as where:
            attack: Callable[[], Iterator[Any]] = (
                (lambda where=where: between_processes(where))
                if hole == "grpc"
                else (lambda where=where: over_http(where, where.names()[1], few))
            )
            found = next(iter(attack()), "")
        print(f"  {hole}: {found.splitlines()[0] if found else 'not found'}")
        if not found:
            yield f"the hole planted in the tier {hole} is not found"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.attack")
    parser.add_argument("--examples", type=int, default=sys.maxsize)
    parser.add_argument("--spelled", type=int, default=6)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=PARTS, action="append")
    arguments = parser.parse_args()
    parts, faults = arguments.only or PARTS, 0

    def report(part: str, found: Iterator[str]) -> int:
        begun, number = time.monotonic(), 0
        print(part, flush=True)
        for number, fault in enumerate(found, 1):
            if number <= _SHOWN:
                print(f"  {fault}", flush=True)
        print(f"  {number} found in {time.monotonic() - begun:.0f} s", flush=True)
        return number

    if set(parts) - {"holes"}:
        with ground() as where:
            *read, strained = where.names()
            for names in read:
                if "http" in parts:
                    faults += report("HTTP", over_http(where, names, arguments))
            if "grpc" in parts:
                faults += report("between processes", between_processes(where, 500))
            if "strain" in parts:
                faults += report("counting, timing, blocking", under_strain(where, strained))
    if "holes" in parts:
        faults += report("planted holes", holes(arguments))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
